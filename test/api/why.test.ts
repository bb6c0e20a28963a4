// `flotilla why`: why an actor is where it is, and what waits, as text and as JSON.

import { describe, it } from "vitest";
import { runCli } from "../../api/cli.ts";
import { addressIn } from "../../runtime/address.ts";
import { defineActor } from "../../runtime/index.ts";
import { openHost } from "../support/daemons.ts";
import { natsForTests } from "../support/nats-server.ts";
import { waitUntil } from "../support/wait-until.ts";

const Worker = defineActor("worker", class {});
const nats = natsForTests();

async function why(fleet: { servers: string; user: string; pass: string; prefix: string }, ...args: string[]) {
  const text = { out: "", err: "" };
  const servers = fleet.servers.replace("//", `//${fleet.user}:${fleet.pass}@`);
  const status = await runCli(["why", ...args, "--servers", servers, "--prefix", fleet.prefix], {
    out: { write: (piece) => (text.out += piece) },
    err: { write: (piece) => (text.err += piece) },
    signal: new AbortController().signal,
  });
  return { status, ...text };
}

async function openFleet(resources: Record<string, number> = { cpus: 2 }) {
  const fleet = { ...nats.options, prefix: nats.prefix() };
  const host = await openHost(fleet, "gpu1", { daemon: { resources }, connect: { actors: [Worker] } });
  return { fleet, ...host };
}

describe.skipIf(nats.missing !== undefined)(`flotilla why (${nats.missing ?? "on a real server"})`, () => {
  it("prints the nodes' scores of an actor by its name and by its address, and the decision as JSON", async ({
    expect,
  }) => {
    await using at = await openFleet();
    const { fleet, system } = at;
    const worker = await system.spawn(Worker, { name: "w", namespace: "team", resources: { cpus: 1 } });
    const told = await why(fleet, "w", "--namespace", "team");
    expect(told).toMatchObject({ status: 0, err: "" });
    expect(told.out).toMatch(/^w is on gpu1-\w+: .+\n {2}node +score .+\n {2}gpu1-\w+ +\d\.\d\d/);
    const { id = "", node = "" } = addressIn(worker) ?? {};
    expect((await why(fleet, `worker/${id}@${node}`)).out).toMatch(/^worker\/\d+@gpu1-\w+ is on gpu1/);
    expect(JSON.parse((await why(fleet, "w", "--namespace", "team", "--json")).out)).toMatchObject({
      ...{ kind: "placed", node: system.node, scores: [{ node: system.node }] },
    });
  });

  it("says that nothing waits, and lists what does with what is against each node, within 80 columns", async ({
    expect,
  }) => {
    await using at = await openFleet({ cpus: 2, licence: 1 });
    const { fleet, system } = at;
    expect(await why(fleet)).toEqual({ status: 0, out: "Nothing waits for a place.\n", err: "" });
    expect((await why(fleet, "--json")).out).toBe("[]\n");
    await system.spawn(Worker, { resources: { licence: 1 } });
    const late = system
      .spawn(Worker, { name: "late", resources: { licence: 1 }, placeTimeoutMs: 5_000 })
      .catch(() => {});
    await waitUntil("it waits", () => (system.nodes()[0]?.waiting ?? []).length > 0);
    const told = await waitUntil("the fleet is told", async () => {
      const answer = await why(fleet);
      return answer.out.includes("late") ? answer : undefined;
    });
    const [head = "", row = "", ...reasons] = told.out.trimEnd().split("\n");
    expect(head).toMatch(/^waits for a place +since \(UTC\) +asked by$/);
    expect(row).toMatch(/^worker "late" +\d{4}-\d\d-\d\d \d\d:\d\d:\d\d +gpu1$/);
    const reason = reasons.map((line) => line.trim()).join(" ");
    expect(reason).toMatch(/^gpu1-\w+: (licence: 1 asked, 0 of 1 are free|it has 0 licence free; 1 asked for)/);
    for (const line of told.out.split("\n")) expect(line.length).toBeLessThanOrEqual(80);
    expect((await why(fleet, "late")).out).toContain(row);
    expect(JSON.parse((await why(fleet, "worker", "--json")).out)).toMatchObject([
      { type: "worker", name: "late", asker: "gpu1" },
    ]);
    await system.close();
    await late;
  });

  it("of one that nobody knows, or about whom nothing is kept, it says so in a sentence", async ({ expect }) => {
    await using at = await openFleet();
    const { fleet } = at;
    const nobody = await why(fleet, "nobody");
    expect(nobody).toMatchObject({ status: 1, out: "" });
    expect(nobody.err).toMatch(/^flotilla: nobody is called "nobody" in namespace "default".*\n$/);
    for (const actor of ["worker/99@gpu1-none", `worker/99@${at.system.node}`]) {
      const unknown = await why(fleet, actor);
      expect(unknown).toMatchObject({ status: 1, out: "" });
      expect(unknown.err).toMatch(/^flotilla: nobody has kept why worker\/99@/);
    }
  });
});
