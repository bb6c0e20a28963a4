// Handles of actors that have moved: whatever is done with them goes to where the actor lives now, and to nobody else.

import { describe, expect, test } from "vitest";
import { type ActorEnd, actorContext, defineActor } from "../../../runtime/index.ts";
import { LEASE_PROFILES } from "../../../runtime/lease.ts";
import { codeOf, outcome } from "../../support/caught.ts";
import { openFleet } from "../../support/fleet.ts";

const { ttlMs } = LEASE_PROFILES.normal;

const Counter = defineActor(
  "counter",
  class {
    #count: number;
    constructor(start: number) {
      this.#count = start;
    }
    add(): number {
      return ++this.#count;
    }
    where(): string {
      return actorContext().address.node;
    }
    async *from(start: number) {
      yield start + this.#count;
    }
  },
);

/** A driver whose actor has moved from a to b, where another actor has the id that it had on a. */
async function openMoved({ drained = true } = {}) {
  const fleet = openFleet();
  const driver = await fleet.add("driver", { record: { accepts: false } });
  const a = await fleet.add("a", { actors: [Counter] });
  const b = await fleet.add("b", { actors: [Counter] });
  await fleet.pass(ttlMs + 500);
  const other = await driver.system.spawn(Counter, { args: [100], node: "b" });
  const moved = await driver.system.spawn(Counter, { args: [0], node: "a", detached: true });
  if (drained) await a.system.drain();
  await fleet.pass(500);
  return { fleet, driver, a, b, other, moved, [Symbol.asyncDispose]: () => fleet[Symbol.asyncDispose]() };
}

describe("a handle of an actor that has moved", () => {
  test("calls, casts and streams reach it again and again, and nobody else", async () => {
    await using at = await openMoved();
    for (const count of [1, 2, 3]) expect(await at.moved.add()).toBe(count);
    expect(await at.moved.where()).toBe("b-1");
    at.moved.cast.add();
    await at.fleet.pass(100);
    expect(await at.moved.add()).toBe(5);
    for await (const value of at.moved.from(10)) expect(value).toBe(15);
    expect(await at.other.add()).toBe(101);
  });

  test("while it moves, callers are told to ask again, never that it is gone", async () => {
    await using at = await openMoved({ drained: false });
    const draining = at.a.system.drain();
    const seen = new Set<string>();
    for (let call = 0; call < 30; call++) {
      const answer = await outcome(at.moved.add());
      seen.add(typeof answer === "number" ? "answered" : answer.code);
    }
    await draining;
    expect(seen).toEqual(new Set(["Unavailable", "answered"]));
    expect(await at.moved.where()).toBe("b-1");
  });

  test("one that cannot move is reached for as long as its node drains", async () => {
    const fleet = openFleet();
    await using _ = fleet;
    const driver = await fleet.add("driver", { record: { accepts: false } });
    const a = await fleet.add("a", { actors: [Counter] });
    await fleet.pass(ttlMs + 500);
    const named = await driver.system.spawn(Counter, { args: [0], name: "stays", node: "a" });
    await a.system.drain();
    await fleet.pass(500);
    expect([await named.add(), await named.add()]).toEqual([1, 2]);
    expect(await (await driver.system.get("stays", Counter)).add()).toBe(3);
  });

  test("stop ends it, and nobody else", async () => {
    await using at = await openMoved();
    await at.driver.system.stop(at.moved);
    expect(await codeOf(at.moved.add())).toBe("NoSuchActor");
    expect(await at.other.add()).toBe(101);
  });

  test("kill ends it, and nobody else", async () => {
    await using at = await openMoved();
    await at.driver.system.kill(at.moved);
    expect(await codeOf(at.moved.add())).toBe("NoSuchActor");
    expect(await at.other.add()).toBe(101);
  });

  test("watch tells its end, and nobody else's", async () => {
    await using at = await openMoved();
    const ends: ActorEnd[] = [];
    at.driver.system.watch(at.moved, (end) => ends.push(end));
    await at.driver.system.stop(at.other);
    await at.fleet.pass(100);
    expect(ends).toEqual([]);
    await at.driver.system.stop(at.moved);
    await at.fleet.pass(100);
    expect(ends).toMatchObject([{ reason: "stopped", address: { node: "b-1" } }]);
  });
});
