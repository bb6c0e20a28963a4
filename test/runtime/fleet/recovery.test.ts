// What happens to actors when a node dies, leaves or loses its lease: they come back elsewhere, end with their owner, or their names are free.

import { describe, expect, test } from "vitest";
import { ADDRESS } from "../../../runtime/address.ts";
import { CodeLoader } from "../../../runtime/code/code-loader.ts";
import { Codec } from "../../../runtime/codec.ts";
import { Counts } from "../../../runtime/counts.ts";
import { Directory } from "../../../runtime/directory.ts";
import { Host, type SpawnRequest } from "../../../runtime/host.ts";
import { type ActorEnd, type ActorSystem, type AnyHandle, actorContext, defineActor } from "../../../runtime/index.ts";
import { LEASE_PROFILES } from "../../../runtime/lease.ts";
import { MemoryBlobs } from "../../../runtime/memory/blobs.ts";
import { spawnSettings } from "../../../runtime/options.ts";
import { turnOf } from "../../../runtime/recovery.ts";
import { Types } from "../../../runtime/types.ts";
import { caught, codeOf } from "../../support/caught.ts";
import { type Fleet, type FleetNode, openFleet } from "../../support/fleet.ts";

const { ttlMs } = LEASE_PROFILES.normal;
const RESTART = { maxRestarts: 3, withinMs: 60_000 };

const Counter = defineActor(
  "counter",
  class {
    #count: number;
    constructor(start = 0) {
      this.#count = start;
    }
    add(): number {
      return ++this.#count;
    }
    where(): string {
      return actorContext().address.node;
    }
  },
);
const Parent = defineActor(
  "parent",
  class {
    async spawnAt(node: string): Promise<void> {
      await actorContext().spawn(Counter, { node, name: "child" });
    }
    async spawnDetached(node: string): Promise<void> {
      await actorContext().spawn(Counter, { node, name: "apart", detached: true });
    }
    crash(): void {
      throw new Error("crashed");
    }
  },
);

/** A driver and hosts that know Counter, all settled. */
async function openHosts(fleet: Fleet, ...names: string[]) {
  const driver = await fleet.add("driver", { actors: [Counter], record: { accepts: false } });
  const hosts: FleetNode[] = [];
  for (const name of names) hosts.push(await fleet.add(name, { actors: [Counter, Parent] }));
  await fleet.pass(ttlMs + 500);
  return { driver, hosts, at: (index: number) => hosts[index] ?? fail() };
}

const fail = (): never => {
  throw new Error("no such host");
};
const nodeOf = (handle: AnyHandle) => handle[ADDRESS].node;
const countOf = (system: ActorSystem) => system.stats().actors;

describe("when a host dies", () => {
  test("a restartable actor comes back on another node, once, with its arguments; a name leads there", async () => {
    await using fleet = openFleet();
    const { driver, at } = await openHosts(fleet, "a", "b", "c");
    const hits = await driver.system.spawn(Counter, { name: "hits", args: [41], restart: RESTART, node: "a" });
    const unnamed = await driver.system.spawn(Counter, { restart: RESTART, node: "a" });
    expect(nodeOf(hits)).toBe("a-1");
    await at(0).crash();
    await fleet.pass(2_000);
    // Its node may still come back: no handle into the void before that is decided.
    expect(await caught(driver.system.get("hits", Counter).then((handle) => handle.add()))).toMatchObject({
      code: "Unavailable",
      retryable: true,
    });
    await fleet.pass(ttlMs);
    const again = await driver.system.get("hits", Counter);
    expect(["b-1", "c-1"]).toContain(nodeOf(again));
    expect(await again.add()).toBe(42);
    expect(countOf(at(1).system) + countOf(at(2).system)).toBe(2);
    // A handle from before goes on: its actor is found where it lives now, and calls keep their order.
    expect(await Promise.all([unnamed.add(), unnamed.add(), unnamed.where()])).toEqual([
      1,
      2,
      expect.stringMatching(/[bc]-1/),
    ]);
    expect(await hits.add()).toBe(43);
  });

  test("one that shall not restart is gone, and its name is free", async () => {
    await using fleet = openFleet();
    const { driver, at } = await openHosts(fleet, "a", "b");
    await driver.system.spawn(Counter, { name: "hits", node: "a" });
    await at(0).crash();
    await fleet.pass(3_000);
    // The node has not departed yet, as far as anybody knows.
    const spawning = caught(driver.system.spawn(Counter, { name: "hits", node: "b" }));
    await fleet.pass(250);
    const refused = await spawning;
    expect(refused.code).toBe("NameTaken");
    await fleet.pass(ttlMs);
    expect(await codeOf(driver.system.get("hits"))).toBe("NoSuchActor");
    const next = await driver.system.spawn(Counter, { name: "hits", node: "b" });
    expect(await next.add()).toBe(1);
  });

  test("a name whose holder went silent tells since when, and that asking again helps", async () => {
    await using fleet = openFleet();
    const { driver, at } = await openHosts(fleet, "a", "b");
    await driver.system.spawn(Counter, { name: "hits", node: "a" });
    for (const { membership } of [driver, at(1)]) membership.reconnected();
    await at(0).crash();
    await fleet.pass(ttlMs - 250);
    for (const { membership } of [driver, at(1)]) membership.reconnected();
    await fleet.pass(1_000);
    const error = await caught(driver.system.spawn(Counter, { name: "hits", node: "b" }));
    expect(error).toMatchObject({ code: "NameTaken", retryable: true, data: { silentSinceMs: expect.any(Number) } });
    expect(await caught(driver.system.get("hits"))).toMatchObject({ code: "Unavailable", retryable: true });
  });

  test("with no place for it an actor waits for one", async () => {
    await using fleet = openFleet();
    const { driver, at } = await openHosts(fleet, "a");
    await driver.system.spawn(Counter, { name: "hits", restart: RESTART });
    await at(0).crash();
    await fleet.pass(ttlMs + 3_000);
    expect(await codeOf(driver.system.get("hits"))).toBe("Unavailable");
    expect(driver.lines.some(({ data }) => String(data?.error).includes("flotilla node"))).toBe(true);
    const late = await fleet.add("late", { actors: [Counter] });
    await fleet.pass(2_000);
    expect(nodeOf(await driver.system.get("hits", Counter))).toBe(late.system.node);
  });

  test("one that fails to start when it is made again is restarted by its supervisor, not given up", async () => {
    const starts: string[] = [];
    const Shy = defineActor(
      "shy",
      class {
        constructor() {
          starts.push(actorContext().address.node);
          if (starts.length === 2) throw new Error("not yet");
        }
        where(): string {
          return actorContext().address.node;
        }
      },
    );
    await using fleet = openFleet();
    const { driver, at } = await openHosts(fleet, "a", "b");
    for (const { system } of [driver, at(0), at(1)]) system.register(Shy);
    await fleet.pass(250);
    await driver.system.spawn(Shy, { name: "shy", restart: RESTART, node: "a" });
    await at(0).crash();
    await fleet.pass(ttlMs + 3_000);
    expect(await (await driver.system.get("shy", Shy)).where()).toBe("b-1");
    expect(starts).toEqual(["a-1", "b-1", "b-1"]);
  });

  test("many actors of many dead nodes all come back, each once", async () => {
    await using fleet = openFleet();
    const { driver, at, hosts } = await openHosts(fleet, "a", "b", "c", "d");
    const names = Array.from({ length: 60 }, (_, index) => `n${index}`);
    await Promise.all(names.map((name) => driver.system.spawn(Counter, { name, restart: RESTART })));
    expect(hosts.map(({ system }) => countOf(system))).toEqual([15, 15, 15, 15]);
    await at(0).crash();
    await fleet.pass(1_000);
    await at(1).crash();
    await fleet.pass(ttlMs + 4_000);
    for (const name of names) {
      const handle = await driver.system.get(name, Counter);
      expect(["c-1", "d-1"]).toContain(nodeOf(handle));
      expect(await handle.add()).toBe(1);
    }
    expect(countOf(at(2).system) + countOf(at(3).system)).toBe(60);
  });
});

describe("when the owner is gone", () => {
  test.each(["dies", "leaves"])("an actor ends with the driver that %s, a detached one does not", async (how) => {
    await using fleet = openFleet();
    const { driver, at } = await openHosts(fleet, "a");
    await driver.system.spawn(Counter, { restart: RESTART });
    await driver.system.spawn(Counter, { name: "plain" });
    await driver.system.spawn(Counter, { name: "stays", detached: true });
    expect(countOf(at(0).system)).toBe(3);
    if (how === "dies") await driver.crash();
    else await driver.system.close();
    await fleet.pass(ttlMs + 2_000);
    expect(countOf(at(0).system)).toBe(1);
    expect(await (await at(0).system.get("stays", Counter)).add()).toBe(1);
    expect(await codeOf(at(0).system.get("plain"))).toBe("NoSuchActor");
  });

  test("host and driver dead: the driver's actors are not made again, detached ones are", async () => {
    await using fleet = openFleet();
    const { driver, at } = await openHosts(fleet, "a", "b");
    await driver.system.spawn(Counter, { name: "plain", restart: RESTART, node: "a" });
    await driver.system.spawn(Counter, { name: "stays", detached: true, node: "a" });
    await Promise.all([driver.crash(), at(0).crash()]);
    await fleet.pass(ttlMs + 4_000);
    expect(nodeOf(await at(1).system.get("stays"))).toBe("b-1");
    expect(await codeOf(at(1).system.get("plain"))).toBe("NoSuchActor");
    expect(countOf(at(1).system)).toBe(1);
  });

  test("the whole fleet dead: a later one takes over what was detached", async () => {
    await using fleet = openFleet();
    const { driver, at } = await openHosts(fleet, "a");
    await driver.system.spawn(Counter, { name: "stays", detached: true });
    await driver.system.spawn(Counter, { name: "plain", restart: RESTART });
    await Promise.all([driver.crash(), at(0).crash()]);
    await fleet.pass(3 * ttlMs);
    const next = await fleet.add("next", { actors: [Counter] });
    await fleet.pass(3 * ttlMs);
    expect(nodeOf(await next.system.get("stays"))).toBe("next-1");
    expect(await codeOf(next.system.get("plain"))).toBe("NoSuchActor");
  });

  test.each(["stops", "is killed", "restarts"])("a child on another node ends when its parent %s", async (how) => {
    await using fleet = openFleet();
    const { driver, at } = await openHosts(fleet, "a", "b");
    const parent = await driver.system.spawn(Parent, { node: "a", restart: RESTART });
    await parent.spawnAt("b");
    const child = await driver.system.get("child");
    expect(countOf(at(1).system)).toBe(1);
    if (how === "stops") await driver.system.stop(parent);
    else if (how === "is killed") await driver.system.kill(parent);
    else parent.cast.crash();
    await fleet.pass(1_000);
    expect([nodeOf(child), countOf(at(1).system)]).toEqual(["b-1", 0]);
  });

  test("a child on another node ends when its parent's node dies, a detached one does not", async () => {
    await using fleet = openFleet();
    const { driver, at } = await openHosts(fleet, "a", "b");
    const parent = await driver.system.spawn(Parent, { node: "a" });
    await parent.spawnAt("b");
    await parent.spawnDetached("b");
    expect(countOf(at(1).system)).toBe(2);
    await at(0).crash();
    await fleet.pass(ttlMs + 1_000);
    expect(countOf(at(1).system)).toBe(1);
    expect(await (await driver.system.get("apart", Counter)).add()).toBe(1);
  });

  test("a request of an owner that is no more makes nothing", async () => {
    await using fleet = openFleet();
    const { at } = await openHosts(fleet, "a", "b");
    const { membership } = at(1);
    const types = new Types(
      "b-1",
      new CodeLoader({ node: "b-1", clock: fleet.clock, log: () => {}, blobs: new MemoryBlobs(), allowed: false }),
    );
    types.register(Counter);
    const host = new Host({
      node: "b-1",
      clock: fleet.clock,
      log: () => {},
      forward: () => {},
      store: fleet.store,
      values: new Codec().values((address) => address),
      directory: new Directory(fleet.store, { presence: (node) => membership.presence(node) }),
      types,
      counts: new Counts(),
      tracing: undefined,
      startTimeoutMs: 30_000,
      contextOf: () => undefined,
      fleet: { membership, watchRemote: () => () => {} },
    });
    const request = { type: "counter", version: "0", args: [], settings: spawnSettings(undefined), owner: "a-1" };
    expect(await host.spawn(request, undefined)).toMatchObject({ node: "b-1" });
    await at(0).crash();
    await fleet.pass(ttlMs + 1_000);
    expect(host.size).toBe(0);
    const spawning = async (more: Partial<SpawnRequest>) => host.spawn({ ...request, ...more }, undefined);
    expect(await codeOf(spawning({ name: "late" }))).toBe("ActorEnded");
    expect(await spawning({ detached: true })).toMatchObject({ node: "b-1" });
  });
});

test("what a process spawns it can make itself: its own name will do as the place", async () => {
  await using fleet = openFleet();
  const { driver, hosts } = await openHosts(fleet, "a");
  const own = await driver.system.spawn(Parent, { node: "driver" });
  expect(own[ADDRESS].node).toBe(driver.system.node);
  expect(hosts.map(({ system }) => countOf(system))).toEqual([0]);
});

describe("when a host's lease is lost", () => {
  test("its named, recoverable and foreign actors end as failed with LeaseLost; its own go on; the others come back", async () => {
    await using fleet = openFleet();
    const { driver, at } = await openHosts(fleet, "a", "b");
    const a = at(0);
    const hits = await driver.system.spawn(Counter, { name: "hits", restart: RESTART, node: "a" });
    await driver.system.spawn(Counter, { node: "a" });
    const own = await a.system.spawn(Counter, { node: a.system.node });
    const ends: ActorEnd[] = [];
    a.system.watch(hits, (end) => ends.push(end));
    a.way.mode = "down";
    await fleet.pass(ttlMs);
    expect(ends).toMatchObject([{ reason: "failed", error: { code: "LeaseLost" } }]);
    expect([countOf(a.system), await own.add()]).toEqual([1, 1]);
    await fleet.pass(3_000);
    expect(nodeOf(await driver.system.get("hits"))).toBe("b-1");
    expect(await codeOf(a.system.spawn(Counter, { name: "x", node: a.system.node }))).toBe("LeaseLost");
    a.way.mode = "up";
    await fleet.pass(1_000);
    await a.system.spawn(Counter, { name: "x", node: a.system.node });
    expect(nodeOf(await driver.system.get("hits"))).toBe("b-1");
  });

  test("back before anybody took over, it makes its own lost actors again or frees their names", async () => {
    await using fleet = openFleet();
    const { driver, at } = await openHosts(fleet, "a");
    const a = at(0);
    const hits = await driver.system.spawn(Counter, { name: "hits", restart: RESTART, node: "a" });
    await driver.system.spawn(Counter, { name: "plain", node: "a" });
    a.way.mode = "down";
    for (let step = 0; a.membership.isValid && step < 100; step++) await fleet.pass(250);
    a.way.mode = "up";
    await fleet.pass(3_000);
    const again = await driver.system.get("hits", Counter);
    expect([nodeOf(again), again[ADDRESS].id === hits[ADDRESS].id]).toEqual(["a-1", false]);
    expect(await codeOf(driver.system.get("plain"))).toBe("NoSuchActor");
  });

  test("a holder that was stopped beyond its lease has lost its name when it runs again", async () => {
    await using fleet = openFleet();
    const { driver, at } = await openHosts(fleet, "a", "b");
    await driver.system.spawn(Counter, { name: "hits", restart: RESTART, node: "a" });
    at(0).clock.pause();
    await fleet.pass(ttlMs + 3_000);
    expect(nodeOf(await driver.system.get("hits"))).toBe("b-1");
    expect([countOf(at(0).system), countOf(at(1).system)]).toEqual([1, 1]);
    await at(0).clock.resume();
    await fleet.pass(1_000);
    expect([countOf(at(0).system), countOf(at(1).system)]).toEqual([0, 1]);
    expect(nodeOf(await driver.system.get("hits"))).toBe("b-1");
  });
});

describe("when a host leaves", () => {
  test("what can live elsewhere is moved first and found by its key; the rest ends", async () => {
    await using fleet = openFleet();
    const { driver, at } = await openHosts(fleet, "a", "b");
    const hits = await driver.system.spawn(Counter, { name: "hits", args: [7], restart: RESTART, node: "a" });
    await driver.system.spawn(Counter, { name: "plain", node: "a" });
    await at(0).system.close();
    expect(nodeOf(await driver.system.get("hits"))).toBe("b-1");
    expect(await hits.where()).toBe("b-1");
    expect(await codeOf(driver.system.get("plain"))).toBe("NoSuchActor");
    await fleet.pass(ttlMs);
    expect(countOf(at(1).system)).toBe(1);
  });

  test("the last host's actors wait for the next one", async () => {
    await using fleet = openFleet();
    const { driver, at } = await openHosts(fleet, "a");
    await driver.system.spawn(Counter, { name: "hits", restart: RESTART });
    await at(0).system.close();
    await fleet.add("b", { actors: [Counter] });
    await fleet.pass(3_000);
    expect(nodeOf(await driver.system.get("hits"))).toBe("b-1");
  });
});

test("survivors take turns in one order, a different one for each departed node", () => {
  const nodes = Array.from({ length: 7 }, (_, index) => `n${index}`);
  const orders = ["x", "y", "z"].map((departed) => nodes.map((own) => turnOf(own, nodes, departed)));
  for (const order of orders) expect([...order].sort()).toEqual([0, 1, 2, 3, 4, 5, 6]);
  expect(new Set(orders.map(String)).size).toBe(3);
});
