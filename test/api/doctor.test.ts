// `flotilla doctor` as its users meet it: what it prints, its status, and that it fits a terminal.

import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { runCli } from "../../api/cli.ts";
import { checkText } from "../../api/doctor.ts";
import { doctorOptions } from "../../api/options.ts";
import { makePaper } from "../../api/paper.ts";
import type { Check } from "../../nodes/index.ts";
import { prepareFleet } from "../../runtime/index.ts";
import { natsForTests } from "../support/nats-server.ts";
import { ROOT } from "../tidy/source.ts";

const nats = natsForTests();

async function doctor(...args: readonly string[]) {
  const text = { out: "", err: "" };
  const status = await runCli(["doctor", ...args], {
    out: { write: (piece) => (text.out += piece) },
    err: { write: (piece) => (text.err += piece) },
    signal: new AbortController().signal,
  });
  return { status, ...text };
}

const checksIn = (out: string): readonly Check[] => JSON.parse(out).checks;
const statusOf = (checks: readonly Check[], id: string) => checks.find((check) => check.id === id)?.status;

it("puts what was found beside its title and what to do below, within the width", () => {
  const check: Check = {
    id: "x",
    title: "Disk",
    status: "fail",
    found: `it is full, and ${"very ".repeat(20)}slow \u001b[31mred`,
    remedy: "Free some room, or give a folder on a larger disk that is not full either.",
  };
  const lines = checkText(check, 12, makePaper(80, false)).trimEnd().split("\n");
  expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(80);
  expect(lines[0]).toMatch(/^FAIL {2}Disk {10}it is full, and very/);
  expect(lines.find((line) => line.includes("→"))).toMatch(/^ {20}→ Free some/);
  expect(lines.join("")).not.toContain("\u001b");
});

describe("options", () => {
  it("come from variables too; without a server no fleet is looked at", () => {
    expect(doctorOptions({}, {})).toEqual({ adopt: [], json: false });
    expect(doctorOptions({ json: true }, { FLOTILLA_SERVERS: "h", FLOTILLA_USER: "u" })).toEqual({
      fleet: { servers: "h", user: "u", pass: "" },
      adopt: [],
      json: true,
    });
    expect(doctorOptions({ folder: "/d", adopt: ["http://h:1"] }, {})).toMatchObject({
      folder: "/d",
      adopt: ["http://h:1"],
    });
  });

  it("are refused in a sentence", async () => {
    const wrong = await doctor("--adopt", "h:8000");
    expect(wrong).toEqual({
      status: 1,
      out: "",
      err: expect.stringMatching(/^flotilla: --adopt: .+got "h:8000"\.\n$/),
    });
    const { status, err } = await doctor("--servers", "h", "--creds", join(ROOT, "package.json"));
    expect({ status, err }).toEqual({
      status: 1,
      err: expect.stringMatching(/--creds .+holds no block BEGIN USER NKEY SEED\.\n$/),
    });
  });
});

describe("the command", { concurrent: true }, () => {
  it("looks at this machine, and every line fits 80 columns", async ({ expect }) => {
    const { status, out } = await doctor();
    expect(out).toMatch(/^ok {4}Node +\d+\.\d+\.\d+; 22\.19 or newer/);
    expect(out).toMatch(/\n\d+ ok, \d+ warnings?, \d+ failures?, \d+ skipped\n$/);
    expect(out).toMatch(/NATS server +not looked at/);
    expect(Math.max(...out.split("\n").map((line) => line.length))).toBeLessThanOrEqual(80);
    expect(status).toBe(/ 0 failures/.test(out) ? 0 : 1);
  });

  it("fails where nobody answers, and skips what lies behind", async ({ expect }) => {
    const { status, out } = await doctor("--servers", "nats://127.0.0.1:1", "--json", "--adopt", "http://127.0.0.1:1");
    expect(status).toBe(1);
    expect(JSON.parse(out).ok).toBe(false);
    const checks = checksIn(out);
    expect(checks.find(({ id }) => id === "server")).toMatchObject({
      status: "fail",
      found: expect.stringContaining("no server answers at 127.0.0.1:1"),
      remedy: expect.stringContaining("--servers"),
    });
    expect(["jetstream", "rights", "clock"].map((id) => statusOf(checks, id))).toEqual(Array(3).fill("skipped"));
    expect(statusOf(checks, "modelServer1")).toBe("fail");
    expect(checks.filter(({ status, remedy }) => (status === "fail" || status === "warn") && !remedy)).toEqual([]);
  });

  it.skipIf(nats.missing !== undefined)("looks at a fleet", async ({ expect }) => {
    const { servers, user, pass } = nats.options;
    const prefix = nats.prefix();
    const address = servers.replace("//", `//${user}:${pass}@`);
    const ids = ["server", "jetstream", "payload", "rights", "streams", "clock", "nodeClocks"];
    const look = async () => {
      const checks = checksIn((await doctor("--servers", address, "--prefix", prefix, "--json")).out);
      return ids.map((id) => statusOf(checks, id));
    };
    expect(await look()).toEqual(["ok", "ok", "ok", "ok", "warn", "skipped", "skipped"]);
    await prepareFleet({ ...nats.options, prefix });
    expect(await look()).toEqual(["ok", "ok", "ok", "ok", "ok", "ok", "skipped"]);
  });
});
