// Resources, models and groups on a fleet: who is granted what, what waits and goes on, what comes back when an actor, its node or its script
// ends. Ledgers are real ones; nodes, time and the way between them are in this process.

import { describe, expect, test } from "vitest";
import { DaemonAdmission } from "../../../nodes/daemon/admission.ts";
import { Engines } from "../../../nodes/engine/engines.ts";
import { Ledger } from "../../../nodes/resources/ledger.ts";
import { type Amounts, actorContext, defineActor, type NodeReport } from "../../../runtime/index.ts";
import { LEASE_PROFILES } from "../../../runtime/lease.ts";
import { caught } from "../../support/caught.ts";
import { type Fleet, type FleetNode, openFleet } from "../../support/fleet.ts";
import { settleFrames } from "../../support/places.ts";

const { ttlMs } = LEASE_PROFILES.normal;
const GPU = { kind: "H100", memoryBytes: 80 * 2 ** 30 };

const Holder = defineActor(
  "holder",
  class {
    where(): string {
      return actorContext().address.node;
    }
    granted(): unknown {
      return actorContext().granted;
    }
  },
);

interface Daemon extends FleetNode {
  readonly ledger: Ledger;
}

/** A node with a ledger that reports what is free, as a daemon does. */
async function addDaemon(fleet: Fleet, name: string, totals: Amounts): Promise<Daemon> {
  const gpus = Array.from({ length: totals.gpus ?? 0 }, (_, at) => ({ id: `${name}-gpu${at}`, ...GPU }));
  const ledger = new Ledger({ clock: fleet.clock, totals, gpus, grantTtlMs: 30_000 });
  const admission = new DaemonAdmission(ledger, new Engines(fleet.clock));
  const node = await fleet.add(name, { actors: [Holder], record: { resources: totals }, admission });
  const report = (): NodeReport => ({
    atMs: fleet.clock.now(),
    actors: node.system.stats().actors,
    free: ledger.free(),
    gpus: ledger.gpuReports(),
    engines: [],
  });
  ledger.onChange(() => node.system.report(report()));
  node.system.report(report());
  await fleet.pass(500);
  return { ...node, ledger };
}

async function openDaemons(fleet: Fleet, daemons: Readonly<Record<string, Amounts>>) {
  const driver = await fleet.add("driver", { actors: [Holder], record: { accepts: false } });
  const nodes: Daemon[] = [];
  for (const [name, totals] of Object.entries(daemons)) nodes.push(await addDaemon(fleet, name, totals));
  await fleet.pass(ttlMs + 500);
  return { driver, nodes };
}

/** Settles a promise while time passes. */
async function within<T>(fleet: Fleet, promise: Promise<T>, ms: number): Promise<T> {
  let isSettled = false;
  const done = promise.finally(() => {
    isSettled = true;
  });
  done.catch(() => {});
  await settleFrames();
  for (let left = ms; left > 0 && !isSettled; left -= 250) await fleet.pass(250);
  return done;
}

describe("resources", () => {
  test("are granted where they are, seen by the actor, and given back when it ends", async () => {
    await using fleet = openFleet();
    const { driver, nodes } = await openDaemons(fleet, { small: { cpus: 1 }, large: { cpus: 8, gpus: 1 } });
    const actor = await driver.system.spawn(Holder, { resources: { gpus: 0.5, cpus: 2 } });
    expect(await actor.where()).toBe("large-1");
    expect(await actor.granted()).toEqual({
      resources: { cpus: 2, gpus: 0.5 },
      devices: ["large-gpu0"],
      environment: expect.objectContaining({ CUDA_VISIBLE_DEVICES: "large-gpu0" }),
    });
    expect(nodes[1]?.ledger.free()).toEqual({ cpus: 6, gpus: 0.5 });
    await driver.system.stop(actor);
    await fleet.pass(250);
    expect(nodes[1]?.ledger.free()).toEqual({ cpus: 8, gpus: 1 });
  });

  test("stay granted for as long as the actor lives, and an actor without demands has none", async () => {
    await using fleet = openFleet();
    const { driver, nodes } = await openDaemons(fleet, { a: { cpus: 1 } });
    const actor = await driver.system.spawn(Holder, { resources: { cpus: 1 } });
    await fleet.pass(120_000);
    expect(nodes[0]?.ledger.free()).toEqual({ cpus: 0 });
    expect(await actor.where()).toBe("a-1");
    expect(await (await driver.system.spawn(Holder)).granted()).toBeUndefined();
  });

  test("that nobody has are refused at once with each node's reason; a process that grants nothing says so", async () => {
    await using fleet = openFleet();
    const { driver } = await openDaemons(fleet, { a: { cpus: 1 } });
    const error = await caught(driver.system.spawn(Holder, { resources: { gpus: 1 } }));
    expect(error).toMatchObject({ code: "Unplaceable" });
    expect(error.message).toMatch(/a-1: it has 0 gpus in all; 1 asked for/);
    const own = await caught(driver.system.spawn(Holder, { node: "driver", resources: { cpus: 1 } }));
    expect(own.code).toBe("Unplaceable");
  });

  test("that are taken make the next one wait, with word why, until they are given back", async () => {
    await using fleet = openFleet();
    const { driver } = await openDaemons(fleet, { a: { gpus: 1 }, b: { gpus: 1 } });
    const [first] = await Promise.all([
      driver.system.spawn(Holder, { resources: { gpus: 1 } }),
      driver.system.spawn(Holder, { resources: { gpus: 1 } }),
    ]);
    await fleet.pass(500);
    const third = driver.system.spawn(Holder, { name: "third", resources: { gpus: 1 } });
    await fleet.pass(1_000);
    const [own] = driver.system.nodes();
    expect(own?.waiting).toMatchObject([{ type: "holder", name: "third", why: expect.stringContaining("a-1: ") }]);
    expect(driver.lines.some(({ message }) => /holder "third" waits for a place: /.test(message))).toBe(true);
    await driver.system.stop(first as NonNullable<typeof first>);
    await within(fleet, third, 3_000);
    await fleet.pass(1_000);
    expect(driver.system.nodes()[0]?.waiting).toEqual([]);
  });

  test("asked for by fifty at once are never granted twice", async () => {
    await using fleet = openFleet();
    const { driver, nodes } = await openDaemons(fleet, { a: { gpus: 2 }, b: { gpus: 2 }, c: { gpus: 2 } });
    const spawning = Array.from({ length: 50 }, () =>
      driver.system.spawn(Holder, { resources: { gpus: 0.25 }, placeTimeoutMs: 2_000 }).then(
        (actor) => actor.where(),
        (error) => error.code,
      ),
    );
    const outcomes = await within(fleet, Promise.all(spawning), 10_000);
    expect(outcomes.filter((outcome) => outcome === "Unplaceable")).toHaveLength(26);
    for (const { ledger } of nodes) expect(ledger.free().gpus).toBe(0);
  });

  test("of a script that dies come back", async () => {
    await using fleet = openFleet();
    const { driver, nodes } = await openDaemons(fleet, { a: { gpus: 1 } });
    await driver.system.spawn(Holder, { resources: { gpus: 1 } });
    await driver.crash();
    await fleet.pass(ttlMs + 6_000);
    expect(nodes[0]?.ledger.free()).toEqual({ gpus: 1 });
  });
});

test("an actor whose node dies is placed again where there is room for it, with what it asks for", async () => {
  await using fleet = openFleet();
  const { driver, nodes } = await openDaemons(fleet, { a: { gpus: 1 }, b: { cpus: 4 }, c: { gpus: 1 } });
  const actor = await driver.system.spawn(Holder, {
    name: "wanted",
    resources: { gpus: 1 },
    restart: { maxRestarts: 3, withinMs: 60_000 },
  });
  const home = await actor.where();
  await nodes.find(({ system }) => system.node === home)?.crash();
  await fleet.pass(ttlMs + 8_000);
  const again = await driver.system.get("wanted", Holder);
  expect([home, await again.where()].sort()).toEqual(["a-1", "c-1"]);
  expect(await again.granted()).toMatchObject({ resources: { gpus: 1 } });
});

test("a draining node's actors go where they fit", async () => {
  await using fleet = openFleet();
  const { driver, nodes } = await openDaemons(fleet, { a: { licence: 1 }, b: { licence: 1 } });
  const actor = await driver.system.spawn(Holder, { name: "moved", resources: { licence: 1 }, detached: true });
  const home = await actor.where();
  const other = nodes.find(({ system }) => system.node !== home);
  await within(fleet, nodes.find(({ system }) => system.node === home)?.system.drain() ?? fail(), 5_000);
  expect(await (await driver.system.get("moved", Holder)).where()).toBe(other?.system.node);
  expect(other?.ledger.free()).toEqual({ licence: 0 });
});

test("why an actor is where it is, is kept by its node while it lives", async () => {
  await using fleet = openFleet();
  const { driver } = await openDaemons(fleet, { a: { cpus: 4 }, b: { cpus: 1 } });
  const actor = await driver.system.spawn(Holder, { name: "asked", resources: { cpus: 2 } });
  expect(await driver.system.decision(actor)).toMatchObject({
    kind: "placed",
    node: "a-1",
    scores: [{ node: "a-1", parts: expect.anything() }],
    rejected: expect.arrayContaining([{ node: "b-1", reason: expect.stringContaining("cpus") }]),
  });
  expect(await driver.system.decision(await driver.system.spawn(Holder))).toBeUndefined();
});

describe("a placement group", () => {
  test("is reserved whole, used by its actors, and given back but for what they hold", async () => {
    await using fleet = openFleet();
    const { driver, nodes } = await openDaemons(fleet, { a: { gpus: 2 }, b: { gpus: 2 } });
    const bundles = [{ gpus: 1 }, { gpus: 1 }, { gpus: 1 }];
    const group = await driver.system.group({ bundles, strategy: "spread" });
    expect(new Set(group.nodes)).toEqual(new Set(["a-1", "b-1"]));
    await fleet.pass(500);
    // One GPU is left; of the three reserved each goes to its bundle's actor alone.
    const error = await caught(
      within(fleet, driver.system.spawn(Holder, { resources: { gpus: 2 }, placeTimeoutMs: 1_000 }), 3_000),
    );
    expect(error.code).toBe("Unplaceable");
    const actor = await driver.system.spawn(Holder, { resources: { gpus: 1 }, placement: { bundle: group.bundle(0) } });
    expect(await actor.where()).toBe(group.nodes[0]);
    await fleet.pass(60_000);
    expect(nodes.map(({ ledger }) => ledger.free().gpus ?? 0).reduce((sum, free) => sum + free)).toBe(1);
    await group.close();
    await fleet.pass(500);
    expect(nodes.map(({ ledger }) => ledger.free().gpus ?? 0).reduce((sum, free) => sum + free)).toBe(3);
    await driver.system.stop(actor);
    await fleet.pass(500);
    expect(nodes.map(({ ledger }) => ledger.free().gpus)).toEqual([2, 2]);
  });

  test("that does not fit reserves nothing, and one that will is waited for", async () => {
    await using fleet = openFleet();
    const { driver, nodes } = await openDaemons(fleet, { a: { gpus: 1 }, b: { gpus: 1 } });
    const never = await caught(driver.system.group({ bundles: [{ gpus: 1 }, { gpus: 2 }] }));
    expect(never).toMatchObject({ code: "Unplaceable" });
    const taken = await driver.system.spawn(Holder, { resources: { gpus: 1 } });
    await fleet.pass(500);
    const waiting = driver.system.group({ bundles: [{ gpus: 1 }, { gpus: 1 }], strategy: "strict-spread" });
    await fleet.pass(1_000);
    expect(nodes.map(({ ledger }) => ledger.free().gpus ?? 0).reduce((sum, free) => sum + free)).toBe(1);
    await driver.system.stop(taken);
    const group = await within(fleet, waiting, 5_000);
    expect([...group.nodes].sort()).toEqual(["a-1", "b-1"]);
  });

  test("whose owner dies lapses; one whose node dies says so", async () => {
    await using fleet = openFleet();
    const { driver, nodes } = await openDaemons(fleet, { a: { gpus: 1 }, b: { gpus: 1 } });
    const group = await driver.system.group({ bundles: [{ gpus: 1 }, { gpus: 1 }], strategy: "strict-spread" });
    await nodes[1]?.crash();
    await fleet.pass(ttlMs + 3_000);
    expect(group.lost).toEqual([group.nodes.indexOf("b-1")]);
    await driver.crash();
    await fleet.pass(45_000);
    expect(nodes[0]?.ledger.free()).toEqual({ gpus: 1 });
  });

  test.each([
    [{ bundles: [] }, "bundles"],
    [{ bundles: [{ gpus: 1.5 }] }, "bundles[0].gpus"],
    [{ bundles: [{ gpus: 1 }], strategy: "balanced" }, "strategy"],
    [{ bundles: [{ gpus: 1 }], size: 3 }, "size"],
  ])("of %j is refused, naming %s", async (options, option) => {
    await using fleet = openFleet();
    const { driver } = await openDaemons(fleet, {});
    const error = await caught(driver.system.group(options as never));
    expect(error).toMatchObject({ code: "InvalidOption", message: expect.stringContaining(option) });
  });
});

test.each([
  [{ resources: { gpus: -1 } }, "resources.gpus"],
  [{ resources: { gpus: 1.5 } }, "resources.gpus"],
  [{ resources: { "a b": 1 } }, "resources"],
  [{ placement: { strategy: "random" } }, "placement.strategy"],
  [{ placement: { strategy: "strict-pack" } }, "placement.near"],
  [{ placement: { label: {} } }, "label"],
  [{ placement: { model: "" } }, "placement.model"],
])("a spawn with %j is refused, naming %s", async (options, option) => {
  await using fleet = openFleet();
  const { driver } = await openDaemons(fleet, {});
  const error = await caught(driver.system.spawn(Holder, options as never));
  expect(error).toMatchObject({ code: "InvalidOption", message: expect.stringContaining(option) });
});

function fail(): never {
  throw new Error("there is no such node");
}
