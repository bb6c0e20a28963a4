// Timers that outlive their actor: not early, at least once, no burst of missed ones, whoever has the name by then.

import { describe, expect, test } from "vitest";
import {
  type ActorSystem,
  actorContext,
  defineActor,
  type ReminderTime,
  type SpawnOptions,
} from "../../../runtime/index.ts";
import { LEASE_PROFILES } from "../../../runtime/lease.ts";
import { codeOf } from "../../support/caught.ts";
import { type Fleet, openFleet } from "../../support/fleet.ts";

const { ttlMs } = LEASE_PROFILES.normal;
const RESTART = { maxRestarts: 9, withinMs: 600_000, backoff: { firstMs: 0, factor: 1, maxMs: 0 } };
const START_MS = 1_700_000_000_000;

interface Run {
  readonly what: unknown;
  readonly atMs: number;
  readonly node: string;
}

/** An actor whose `ring` notes when it ran; the whole of the test sees the notes. */
function bellType(runs: Run[]) {
  return defineActor(
    "bell",
    class {
      set(name: string, time: ReminderTime, method = "ring", what: unknown = name) {
        return actorContext().reminders.set(name, time, method, what);
      }
      cancel(name: string) {
        return actorContext().reminders.cancel(name);
      }
      async names() {
        return (await actorContext().reminders.list()).map(({ name }) => name);
      }
      ring(what: unknown) {
        const { clock, address } = actorContext();
        runs.push({ what, atMs: clock.now() - START_MS, node: address.node });
      }
      again(what: unknown) {
        this.ring(what);
        return this.set("again", { afterMs: 5_000 }, "ring", "second");
      }
      throwing(what: unknown) {
        this.ring(what);
        throw new Error("thrown");
      }
      failsOnce(what: unknown) {
        const isFirst = !runs.some((run) => run.what === what);
        this.ring(what);
        if (isFirst) actorContext().fail(new Error("failed"));
        return new Promise<void>((resolve) => actorContext().clock.soon(resolve));
      }
      *stream() {}
    },
  );
}

async function openBells(fleet: Fleet, runs: Run[]) {
  const Bell = bellType(runs);
  const driver = await fleet.add("driver", { actors: [Bell], record: { accepts: false } });
  const a = await fleet.add("a", { actors: [Bell] });
  await fleet.pass(ttlMs + 750);
  const spawn = (system: ActorSystem = driver.system, more: SpawnOptions<[]> = {}) =>
    system.spawn(Bell, { name: "bell", restart: RESTART, ...more });
  return { Bell, driver, a, spawn, openedMs: fleet.clock.now() - START_MS };
}

const within = (runs: readonly Run[], fromMs: number) => runs.map(({ what, atMs }) => [what, atMs - fromMs]);

describe("a reminder", () => {
  test("runs once at its time, not before, and is gone after", async () => {
    const runs: Run[] = [];
    await using fleet = openFleet();
    const { spawn, openedMs } = await openBells(fleet, runs);
    const bell = await spawn();
    await bell.set("after", { afterMs: 3_000 });
    await bell.set("at", { atMs: START_MS + openedMs + 5_000 });
    await bell.set("never", { afterMs: 4_000 });
    expect([await bell.cancel("never"), await bell.cancel("never")]).toEqual([true, false]);
    await fleet.clock.advance(2_999);
    expect(runs).toEqual([]);
    await fleet.pass(20_000);
    expect(within(runs, openedMs)).toEqual([
      ["after", 3_000],
      ["at", 5_000],
    ]);
    expect(await bell.names()).toEqual([]);
  });

  test("replaces the one of its name, also from within its own method", async () => {
    const runs: Run[] = [];
    await using fleet = openFleet();
    const { spawn, openedMs } = await openBells(fleet, runs);
    const bell = await spawn();
    await bell.set("again", { afterMs: 1_000 }, "ring", "old");
    await bell.set("again", { afterMs: 2_000 }, "again", "first");
    await fleet.pass(20_000);
    expect(within(runs, openedMs)).toEqual([
      ["first", 2_000],
      ["second", 7_000],
    ]);
  });

  test("with a period runs at whole periods; those missed are one late run (RM4)", async () => {
    const runs: Run[] = [];
    await using fleet = openFleet();
    const { spawn, driver, openedMs } = await openBells(fleet, runs);
    const bell = await spawn();
    await bell.set("tick", { everyMs: 2_000 });
    await fleet.pass(5_000);
    await driver.system.stop(bell);
    await fleet.pass(7_500);
    await spawn();
    await fleet.pass(5_000);
    const times = within(runs, openedMs).map(([, ms]) => ms);
    expect(times).toEqual([2_000, 4_000, 12_500, 14_000, 16_000]);
  });

  test("that is far away is not early, although no timer is that long", async () => {
    const runs: Run[] = [];
    await using fleet = openFleet(LEASE_PROFILES.normal);
    const { spawn, openedMs } = await openBells(fleet, runs);
    await (await spawn()).set("far", { afterMs: 200_000 });
    await fleet.pass(199_750);
    expect(runs).toEqual([]);
    await fleet.pass(500);
    expect(within(runs, openedMs)).toEqual([["far", 200_000]]);
  });

  test("whose method throws has run, and its actor has failed; a restart in the middle runs it again (RM2, RM3)", async () => {
    const runs: Run[] = [];
    await using fleet = openFleet();
    const { spawn, a } = await openBells(fleet, runs);
    const bell = await spawn();
    await bell.set("t", { afterMs: 1_000 }, "throwing");
    await fleet.pass(5_000);
    expect(runs.map(({ what }) => what)).toEqual(["t"]);
    expect(a.lines.filter(({ message }) => message.includes("thrown") && message.includes("restart"))).toHaveLength(1);
    await bell.set("f", { afterMs: 1_000 }, "failsOnce");
    await fleet.pass(5_000);
    expect(runs.map(({ what }) => what)).toEqual(["t", "f", "f"]);
    expect(await bell.names()).toEqual([]);
  });

  test("survives its actor's node: the next holder runs it, late", async () => {
    const runs: Run[] = [];
    await using fleet = openFleet();
    const { Bell, spawn, a } = await openBells(fleet, runs);
    const b = await fleet.add("b", { actors: [Bell] });
    await fleet.pass(ttlMs + 750);
    const bell = await spawn(undefined, { node: "a" });
    await bell.set("soon", { afterMs: 2_000 });
    await bell.set("later", { afterMs: 60_000 });
    await a.crash();
    await fleet.pass(ttlMs + 4_000);
    expect(runs.map(({ what, node }) => [what, node])).toEqual([["soon", b.system.node]]);
    await fleet.pass(60_000);
    expect(runs.map(({ what, node }) => [what, node]).at(-1)).toEqual(["later", b.system.node]);
    expect(runs).toHaveLength(2);
  });

  test("waits for a holder, and for the store to be reached", async () => {
    const runs: Run[] = [];
    await using fleet = openFleet();
    const { spawn, driver, a } = await openBells(fleet, runs);
    const bell = await spawn();
    await bell.set("x", { afterMs: 2_000 });
    await driver.system.stop(bell);
    await fleet.pass(10_000);
    expect(runs).toEqual([]);
    await spawn();
    await fleet.pass(250);
    expect(runs.map(({ what }) => what)).toEqual(["x"]);
    const next = await driver.system.get("bell", undefined);
    await (next as Awaited<ReturnType<typeof spawn>>).set("y", { everyMs: 2_000 });
    a.way.mode = "down";
    await fleet.pass(3_000);
    a.way.mode = "up";
    await fleet.pass(3_000);
    expect(runs.filter(({ what }) => what === "y").length).toBeGreaterThanOrEqual(2);
  });

  test("of a holder stopped beyond its lease is run by the next one only", async () => {
    const runs: Run[] = [];
    await using fleet = openFleet();
    const { Bell, spawn, a } = await openBells(fleet, runs);
    await fleet.add("b", { actors: [Bell] });
    await fleet.pass(ttlMs + 750);
    const bell = await spawn(undefined, { node: "a" });
    // Due before anything that could tell the holder of its loss: it wakes up to this first.
    await bell.set("x", { afterMs: 1 });
    a.clock.pause();
    await fleet.pass(ttlMs + 4_000);
    await a.clock.resume();
    await fleet.pass(2_000);
    expect(runs.map(({ what, node }) => [what, node])).toEqual([["x", "b-1"]]);
  });

  test("that makes no sense is refused", async () => {
    await using fleet = openFleet();
    const { spawn, Bell, driver } = await openBells(fleet, []);
    const bell = await spawn();
    const times = [{}, { everyMs: 999 }, { afterMs: Number.NaN }, { afterMs: 1, atMs: 2 }, { inMs: 5 }];
    for (const time of times)
      expect(await codeOf(bell.set("x", time as never)), JSON.stringify(time)).toBe("InvalidOption");
    expect(await codeOf(bell.set("", { afterMs: 1 }))).toBe("InvalidOption");
    expect(await codeOf(bell.set("x", { afterMs: 1 }, "nothing"))).toBe("NoSuchMethod");
    expect(await codeOf(bell.set("x", { afterMs: 1 }, "stream"))).toBe("WrongKind");
    expect(await bell.names()).toEqual([]);
    const unnamed = await driver.system.spawn(Bell);
    expect(await codeOf(unnamed.set("x", { afterMs: 1 }))).toBe("InvalidOption");
  });
});
