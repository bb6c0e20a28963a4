// The run queue: everybody gets turns in order, nobody is there twice, the event loop is not held, and a fault stops nobody else.

import { expect, test } from "vitest";
import { RunQueue, type Turnable } from "../../../runtime/cell/run-queue.ts";
import type { Clock } from "../../../runtime/index.ts";
import { settle } from "../../support/fake-clock.ts";

/** A clock whose time passes only when a turn says so; what is put off with `soon` is kept in `later`. */
function slowClock() {
  const state = { nowMs: 0, later: [] as (() => void)[] };
  const clock: Clock = {
    now: () => state.nowMs,
    monotonic: () => state.nowMs,
    soon: (run) => void state.later.push(run),
    schedule: () => ({ cancel() {} }),
  };
  return { clock, state };
}

function turnable(run: (max: number) => void): Turnable {
  return { scheduled: false, turn: (_nowMs, max) => run(max) };
}

test("turns are given in the order of asking, once each however often asked (RQ1)", async () => {
  const { clock } = slowClock();
  const queue = new RunQueue(clock);
  const order: number[] = [];
  const all = [1, 2, 3].map((id) => turnable(() => order.push(id)));
  for (const each of [...all, ...all]) queue.add(each);
  await settle();
  expect(order).toEqual([1, 2, 3]);
});

test("one that asks again in its turn comes after the others", async () => {
  const { clock } = slowClock();
  const queue = new RunQueue(clock);
  const order: string[] = [];
  const again = turnable(() => {
    order.push("again");
    if (order.length < 5) queue.add(again);
  });
  queue.add(again);
  queue.add(turnable(() => order.push("other")));
  await settle();
  expect(order).toEqual(["again", "other", "again", "again", "again"]);
});

test.each([1, 2, 3])("%i that ask for ever with light turns give way to the event loop (RQ2)", async (count) => {
  const { clock, state } = slowClock();
  const queue = new RunQueue(clock);
  const turns = { count: 0 };
  for (let index = 0; index < count; index++) {
    const forever = turnable(() => {
      state.nowMs += 0.002;
      if (++turns.count > 1_000_000) throw new Error("the event loop was starved");
      // As an actor that answers a caller, who asks again in a microtask.
      queueMicrotask(() => queue.add(forever));
    });
    queue.add(forever);
  }
  await settle();
  expect(state.later.length).toBe(1);
  expect(turns.count * 0.002).toBeLessThan(15);
});

test("heavy turns give way soon, not after another 255 of them", async () => {
  const { clock, state } = slowClock();
  const queue = new RunQueue(clock);
  const heavy = turnable(() => {
    state.nowMs += 5;
    queue.add(heavy);
  });
  const other = turnable(() => queue.add(other));
  queue.add(heavy);
  queue.add(other);
  await settle();
  // The first slice learns how heavy they are; from then on none is longer than its bound and one turn.
  for (let slice = 0; slice < 3; slice++) {
    const before = state.nowMs;
    state.later.shift()?.();
    await settle();
    expect(state.nowMs - before).toBeLessThanOrEqual(20);
  }
});

test("slices keep their length for turns of a middling weight too", async () => {
  const { clock, state } = slowClock();
  const queue = new RunQueue(clock);
  const turns = { count: 0 };
  const middling = turnable(() => {
    state.nowMs += 0.035;
    if (++turns.count < 20_000) queue.add(middling);
  });
  const other = turnable(() => queue.add(other));
  queue.add(middling);
  queue.add(other);
  await settle();
  const lengths: number[] = [];
  for (let slice = 0; slice < 30; slice++) {
    const before = state.nowMs;
    state.later.shift()?.();
    await settle();
    lengths.push(state.nowMs - before);
  }
  expect(Math.max(...lengths.slice(5))).toBeLessThanOrEqual(12);
});

test("a heavy turn is asked to take fewer messages", async () => {
  const { clock, state } = slowClock();
  const queue = new RunQueue(clock);
  const asked: number[] = [];
  const heavy = turnable((max) => {
    asked.push(max);
    state.nowMs += max;
    if (asked.length < 2_000) queue.add(heavy);
  });
  queue.add(heavy);
  for (let slice = 0; slice < 5_000 && asked.length < 2_000; slice++) {
    await settle();
    state.later.shift()?.();
  }
  expect(asked[0]).toBe(256);
  expect(Math.max(...asked.slice(300))).toBeLessThanOrEqual(4);
});

test("a turn that throws does not take the others' turns away", async () => {
  const { clock, state } = slowClock();
  const queue = new RunQueue(clock);
  const order: string[] = [];
  const thrown: unknown[] = [];
  const onThrown = (error: unknown): void => void thrown.push(error);
  const listeners = process.listeners("uncaughtException");
  process.removeAllListeners("uncaughtException");
  process.on("uncaughtException", onThrown);
  queue.add(
    turnable(() => {
      throw new Error("a fault of the house");
    }),
  );
  queue.add(turnable(() => order.push("other")));
  await settle();
  state.later.shift()?.();
  queue.add(turnable(() => order.push("later")));
  await settle();
  process.off("uncaughtException", onThrown);
  for (const listener of listeners) process.on("uncaughtException", listener);
  expect([order, thrown.length]).toEqual([["other", "later"], 1]);
});
