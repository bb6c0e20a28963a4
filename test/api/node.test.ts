// `flotilla node`, `nodes` and `server`: what their options must be, and what a mistake is answered with.

import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { runCli } from "../../api/cli.ts";
import { nodesText } from "../../api/nodes-text.ts";
import { fleetOptions, type NodeFlags, nodeOptions, serverOptions } from "../../api/options.ts";
import { makePaper } from "../../api/paper.ts";
import { isFlotillaError } from "../../runtime/index.ts";
import { makeFolder } from "../support/git-repository.ts";
import { recordOf, typesOf } from "../support/members.ts";
import { natsForTests } from "../support/nats-server.ts";
import { greetAsNats, listenTcp } from "../support/tcp-listener.ts";
import { ROOT } from "../tidy/source.ts";

const ACTORS = join(ROOT, "test/fixtures/fleet/actors.ts");
const SOUND: NodeFlags = { servers: "nats://h:4222", actors: ["a.ts"] };

function refusal(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (isFlotillaError(error, "OptionInvalid")) return error.message;
    throw error;
  }
  throw new Error("the options were accepted");
}

describe("options", () => {
  it("of a node are filled in", () => {
    expect(nodeOptions(SOUND, "x1y2", {}, "gpu-7.example.com")).toEqual({
      fleet: { servers: "nats://h:4222" },
      actors: ["a.ts"],
      name: "gpu-7-x1y2",
      labels: {},
      allowCode: false,
      lease: "normal",
      json: false,
      showsPassword: false,
    });
  });

  it("take labels once or often, and see a password in the open", () => {
    const given = { ...SOUND, servers: "nats://u:p@h", labels: ["zone=a,gpu=a100", "rack=7"] };
    const { labels, showsPassword } = nodeOptions(given, "x");
    expect(labels).toEqual({ zone: "a", gpu: "a100", rack: "7" });
    expect(showsPassword).toBe(true);
  });

  it("of a fleet come from variables too; a flag wins, and an empty one is none", () => {
    const env = { FLOTILLA_SERVERS: "s", FLOTILLA_PREFIX: "p", FLOTILLA_USER: "u", FLOTILLA_PASS: "w" };
    expect(fleetOptions({}, env)).toEqual({ servers: "s", prefix: "p", user: "u", pass: "w" });
    expect(fleetOptions({ servers: "t", prefix: "" }, env)).toMatchObject({ servers: "t", prefix: "p" });
  });

  it.each<[string, () => unknown, RegExp]>([
    ["no server", () => fleetOptions({}, {}), /--servers \(FLOTILLA_SERVERS\).+missing\.\nTo get a server: .+ -js /],
    ["no credentials file", () => fleetOptions({ servers: "s", creds: "/no" }, {}), /--creds .+"\/no".+ENOENT/],
    ["a lease", () => nodeOptions({ ...SOUND, lease: "soon" }, "x"), /--lease: expected normal or fast, got "soon"/],
    ["a label", () => nodeOptions({ ...SOUND, labels: ["zone"] }, "x"), /--labels: expected key=value.+got "zone"/],
    ["two labels", () => nodeOptions({ ...SOUND, labels: ["a=1,a=2"] }, "x"), /--labels: .+once, got "a" twice/],
    ["a count", () => nodeOptions({ ...SOUND, warmProcesses: "some" }, "x"), /--warm-processes: .+0 to 64, got "some"/],
    ["no folder", () => serverOptions({}), /--folder: .+missing/],
    ["a port", () => serverOptions({ folder: "f", port: "70000" }), /--port: .+got "70000"/],
  ])("are refused with the option, what was expected and what came: %s", (_, run, says) => {
    expect(refusal(run)).toMatch(says);
  });
});

it("nodes are listed with their states, and nothing that drives a terminal", () => {
  const nodes = [
    recordOf("a", { types: typesOf("echo", "counter"), labels: { zone: "a", gpu: "a100" } }),
    recordOf("b", { draining: true, allowsCode: true }),
    recordOf("c\u001b[31m", { accepts: false }),
  ];
  expect(nodesText(nodes, makePaper(80, false)).split("\n")).toEqual([
    "name  state     actors  free: cpus  memory  GPUs  since (UTC)",
    "a     hosts          -  -           -       -     01-01 00:00",
    "b     draining       -  -           -       -     01-01 00:00",
    "c     script         -  -           -       -     01-01 00:00",
    "",
    "name  id   version  hosts             labels",
    "a     a-1  0.0.0    echo, counter     zone=a,gpu=a100",
    "b     b-1  0.0.0    (any, by bundle)",
    "c     c-1  0.0.0",
    "",
  ]);
});

const nats = natsForTests();

async function cli(...args: readonly string[]) {
  const text = { out: "", err: "" };
  const status = await runCli(args, {
    out: { write: (piece) => (text.out += piece) },
    err: { write: (piece) => (text.err += piece) },
    signal: new AbortController().signal,
  });
  return { status, ...text };
}

const NOBODY = "nats://127.0.0.1:1";

describe("a mistake is one sentence with a remedy and status 1", { concurrent: true }, () => {
  it.each<[string, readonly string[], RegExp]>([
    ["no such module", ["--actors", "none.ts", "--servers", NOBODY], /none\.ts is not there/],
    [
      "no types in it",
      ["--actors", join(ROOT, "test/fixtures/fleet/nothing.ts"), "--servers", NOBODY],
      /nothing\.ts exports no actor; write: export const /,
    ],
    [
      "no server there",
      ["--actors", ACTORS, "--servers", NOBODY],
      /no server answers at 127\.0\.0\.1:1 .+flotilla server/,
    ],
    [
      "a bad address",
      ["--actors", ACTORS, "--servers", "http://h"],
      /option servers: expected nats:.+got "http:\/\/h"/,
    ],
    ["a bad name", ["--actors", ACTORS, "--servers", NOBODY, "--name", "a b"], /option name: .+got "a b"/],
    ["an unknown option", ["--gpu"], /unknown option '--gpu'/],
  ])("%s", async (_, args, says) => {
    const { status, err } = await cli("node", ...args);
    expect(status).toBe(1);
    expect(err).toMatch(says);
    expect(err).toMatch(/^flotilla: /);
    expect(err).not.toContain("    at ");
  });

  it("an old server", async ({ expect }) => {
    await using old = await listenTcp(greetAsNats("2.10.0"));
    const { status, err } = await cli("node", "--actors", ACTORS, "--servers", `127.0.0.1:${old.port}`);
    expect({ status, err }).toMatchObject({
      status: 1,
      err: expect.stringMatching(/2\.10\.0; 2\.14\.3 or newer.+go install/),
    });
  });

  it.skipIf(nats.missing !== undefined)("a server's port that is in use", async ({ expect }) => {
    await using folder = await makeFolder();
    const { status, err } = await cli("server", "--folder", folder.path, "--port", String(nats.server.port));
    expect({ status, err }).toEqual({
      status: 1,
      err: `flotilla: --port: ${nats.server.port} is in use; give another one, or 0 for any free one.\n`,
    });
  });

  it.skipIf(nats.missing !== undefined)("a wrong password", async ({ expect }) => {
    const servers = nats.options.servers.replace("//", "//flotilla:wrong@");
    const { status, err } = await cli("nodes", "--servers", servers);
    expect(status).toBe(1);
    expect(err).toMatch(/refused the credentials.+FLOTILLA_PASS/);
    expect(err).not.toContain("wrong@");
  });
});
