// The clock's helpers, by hand-moved time; and the real clock where it differs from a bare setTimeout.

import { expect, test } from "vitest";
import { finishesWithin, sleep, systemClock } from "../../runtime/clock.ts";
import { FakeClock, settle } from "../support/fake-clock.ts";

test("sleep ends after its time, or with the signal's reason, and leaves no timer", async () => {
  const clock = new FakeClock();
  const order: string[] = [];
  const controller = new AbortController();
  const slept = sleep(clock, 100).then(() => order.push("slept"));
  const woken = sleep(clock, 100, controller.signal).catch((error: Error) => order.push(error.message));
  await clock.advance(99);
  controller.abort(new Error("woken"));
  await woken;
  expect(order).toEqual(["woken"]);
  await clock.advance(1);
  await slept;
  expect([order, clock.pending]).toEqual([["woken", "slept"], 0]);
  await expect(sleep(clock, 100, AbortSignal.abort(new Error("too late")))).rejects.toThrow("too late");
  expect(clock.pending).toBe(0);
});

test("finishesWithin says whether, and leaves no timer when it did", async () => {
  const clock = new FakeClock();
  expect(await finishesWithin(clock, 100, (done) => done())).toBe(true);
  expect(clock.pending).toBe(0);
  const late = finishesWithin(clock, 100, () => {});
  await clock.advance(100);
  expect(await late).toBe(false);
});

test("the real clock: a delay longer than setTimeout knows does not fire at once; a cancelled one never does (C1, C2)", async () => {
  const fired: string[] = [];
  const long = systemClock.schedule(2 ** 40, () => fired.push("long"));
  const cancelled = systemClock.schedule(0, () => fired.push("cancelled"));
  cancelled.cancel();
  cancelled.cancel();
  await new Promise<void>((resolve) => void systemClock.schedule(5, resolve, true));
  await settle();
  long.cancel();
  expect(fired).toEqual([]);
});
