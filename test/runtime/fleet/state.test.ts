// What a named actor keeps between its lives, and who may write it: its holder, and nobody who was.

import { describe, expect, test } from "vitest";
import { ADDRESS } from "../../../runtime/address.ts";
import { Codec } from "../../../runtime/codec.ts";
import { actorContext, connect, defineActor, seededRandom } from "../../../runtime/index.ts";
import { LEASE_PROFILES } from "../../../runtime/lease.ts";
import { caught, codeOf, outcome } from "../../support/caught.ts";
import { type Fleet, openFleet } from "../../support/fleet.ts";

const { ttlMs } = LEASE_PROFILES.normal;
const RESTART = { maxRestarts: 3, withinMs: 60_000, backoff: { firstMs: 0, factor: 1, maxMs: 0 } };

const Keeper = defineActor(
  "keeper",
  class {
    write(value: unknown) {
      return actorContext().state.write(value);
    }
    read() {
      return actorContext().state.read();
    }
    clear() {
      return actorContext().state.clear();
    }
    fence() {
      return actorContext().fence;
    }
    crash() {
      actorContext().fail(new Error("crashed"));
    }
  },
);

/** Writes 1, 2, 3 … every 100 ms for ever, whatever happens, and says which were accepted. */
const writer = (accepted: { readonly by: string; readonly value: number; readonly fence: number }[]) =>
  defineActor(
    "writer",
    class {
      #value = 0;
      onStart() {
        const { state, timers, fence, address } = actorContext();
        timers.every(100, async () => {
          const value = ++this.#value;
          await state.write({ by: address.node, value });
          accepted.push({ by: address.node, value, fence });
        });
      }
    },
  );

describe("ctx.state", () => {
  test("is there for the next life of the name: after a restart, a stop, a kill", async () => {
    await using system = await connect({ random: seededRandom(1) });
    const spawn = () => system.spawn(Keeper, { name: "k", restart: RESTART });
    let keeper = await spawn();
    expect(await keeper.read()).toBeUndefined();
    const value = { list: [1, undefined, 10n], at: new Date(5), map: new Map([["a", new Uint8Array([1])]]), keeper };
    await keeper.write(value);
    keeper.cast.crash();
    expect(await keeper.read()).toMatchObject({ list: [1, undefined, 10n], map: value.map });
    for (const end of ["stop", "kill"] as const) {
      await system[end](keeper);
      keeper = await spawn();
      expect(await keeper.read()).toMatchObject({ at: new Date(5) });
    }
    await keeper.clear();
    expect(await keeper.read()).toBeUndefined();
    expect(await (await system.spawn(Keeper, { name: "k", namespace: "other" })).read()).toBeUndefined();
  });

  test("is for named actors; what cannot be kept is refused, and nothing else lost", async () => {
    await using system = await connect({ random: seededRandom(1) });
    const keeper = await system.spawn(Keeper, { name: "k" });
    await keeper.write("good");
    expect(await codeOf(keeper.write(new Uint8Array(600 * 1024)))).toBe("ValueTooLarge");
    expect(await keeper.read()).toBe("good");
    const unnamed = await system.spawn(Keeper);
    for (const use of [unnamed.read(), unnamed.write(1), unnamed.fence()]) {
      expect(await caught(use)).toMatchObject({ code: "InvalidOption", message: expect.stringContaining("name") });
    }
  });

  test("the fence grows with each holder of the name", async () => {
    await using system = await connect({ random: seededRandom(1) });
    const fences: number[] = [];
    for (let round = 0; round < 3; round++) {
      const keeper = await system.spawn(Keeper, { name: "k" });
      fences.push(await keeper.fence());
      await system.stop(keeper);
    }
    expect([...new Set(fences)].sort((a, b) => a - b)).toEqual(fences);
    expect(fences).toHaveLength(3);
  });
});

/** Two hosts and an actor that writes all the time, on the first. */
async function openWriter(fleet: Fleet) {
  const accepted: { by: string; value: number; fence: number }[] = [];
  const Writer = writer(accepted);
  const driver = await fleet.add("driver", { actors: [Writer, Keeper], record: { accepts: false } });
  const a = await fleet.add("a", { actors: [Writer, Keeper] });
  const b = await fleet.add("b", { actors: [Writer, Keeper] });
  await fleet.pass(ttlMs + 500);
  return { driver, a, b, accepted, Writer };
}

describe("a holder that is over", () => {
  test.each(["stopped", "cut off"])("%s beyond its lease has no write accepted after the takeover", async (how) => {
    await using fleet = openFleet();
    const { driver, a, accepted, Writer } = await openWriter(fleet);
    await driver.system.spawn(Writer, { name: "w", restart: RESTART, node: "a" });
    await fleet.pass(2_000);
    expect(accepted.at(-1)?.by).toBe("a-1");
    if (how === "stopped") a.clock.pause();
    else a.way.mode = "down";
    await fleet.pass(ttlMs + 4_000);
    const takeover = accepted.findIndex(({ by }) => by === "b-1");
    expect(takeover).toBeGreaterThan(0);
    await a.clock.resume();
    a.way.mode = "up";
    await fleet.pass(3_000);
    expect(accepted.slice(takeover).filter(({ by }) => by !== "b-1")).toEqual([]);
    expect(accepted[takeover]?.fence).toBeGreaterThan(accepted[0]?.fence ?? Number.POSITIVE_INFINITY);
    expect(a.system.stats().actors).toBe(0);
  });

  test("is refused by the store itself, even when its node believes in its lease; the actor ends with LeaseLost", async () => {
    await using fleet = openFleet();
    const { driver, a } = await openWriter(fleet);
    const keeper = await driver.system.spawn(Keeper, { name: "k", node: "a" });
    await keeper.write("mine");
    const ends: unknown[] = [];
    driver.system.watch(keeper, (end) => ends.push(end));
    const { key = "" } = keeper[ADDRESS];
    const entry = await fleet.store.get(key);
    await fleet.store.update(key, entry?.value ?? new Uint8Array(), entry?.revision ?? 0);
    expect(a.membership.isValid).toBe(true);
    expect(await outcome(keeper.write("stale"))).toEqual({ code: "LeaseLost" });
    await fleet.pass(250);
    expect(ends).toMatchObject([{ reason: "failed", error: { code: "LeaseLost" } }]);
    const stored = await fleet.store.get(`state${key.slice(4)}`);
    expect(new Codec().values(() => undefined).decode(stored?.value ?? new Uint8Array())).toBe("mine");
  });

  test("writes nothing once its node has no valid lease, although nobody has taken over yet", async () => {
    await using fleet = openFleet();
    const { driver, a } = await openWriter(fleet);
    const keeper = await driver.system.spawn(Keeper, { name: "k", node: "a" });
    await keeper.write("mine");
    a.clock.pause();
    await fleet.pass(LEASE_PROFILES.normal.selfFenceMs);
    expect(await codeOf(keeper.write("stale"))).toBe("LeaseLost");
    expect(await keeper.read()).toBe("mine");
  });

  test("what one life left behind writes nothing in the next", async () => {
    const gate = Promise.withResolvers<void>();
    const late: Promise<unknown>[] = [];
    const Late = defineActor(
      "late",
      class {
        start() {
          const { state } = actorContext();
          late.push(outcome(gate.promise.then(() => state.write("late"))));
          actorContext().fail(new Error("over"));
        }
        read() {
          return actorContext().state.read();
        }
      },
    );
    await using system = await connect({ random: seededRandom(1) });
    const actor = await system.spawn(Late, { name: "l", restart: RESTART });
    actor.cast.start();
    expect(await actor.read()).toBeUndefined();
    gate.resolve();
    expect(await Promise.all(late)).toEqual([{ code: "ActorEnded" }]);
    expect(await actor.read()).toBeUndefined();
  });
});
