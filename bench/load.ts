// Load: so many callers, each with one call outstanding, for a time. Every peer that runs on Node is driven by this same code, so that
// the driver's own cost is the same in all figures.
//
// LO1  A caller starts no call after the time is over, and what is under way is awaited and counted: nothing is left for the next round.
// LO2  Whether the time is over is a flag that a timer sets: reading the clock for each call would cost more than a fast call's send.

import { systemClock } from "../runtime/index.ts";
import type { Sample } from "./sample.ts";
import { percentile } from "./stats.ts";

const US_IN_MS = 1_000;
const MS_IN_S = 1_000;

/** `caller` is its number, from 0: what is called may depend on it. */
export type Call = (caller: number) => Promise<unknown>;

/** Calls/s of `callers` callers over `ms`. */
export function drive(callers: number, ms: number, call: Call): Promise<Sample> {
  return during(callers, ms, async (caller) => {
    await call(caller);
    return 1;
  });
}

/** As `drive`, with each call's latency measured: for few callers, or where the clock's 55 ns do not matter. */
export async function driveTimed(callers: number, ms: number, call: Call): Promise<Sample> {
  const latencies: number[] = [];
  const sample = await drive(callers, ms, async (caller) => {
    const startMs = systemClock.monotonic();
    await call(caller);
    latencies.push((systemClock.monotonic() - startMs) * US_IN_MS);
  });
  const sorted = latencies.sort((a, b) => a - b);
  return { ...sample, p50Us: percentile(sorted, 0.5), p99Us: percentile(sorted, 0.99) };
}

/** Units/s of `work` repeated for `ms` by one caller; it resolves to how many units it did. */
export const repeat = (ms: number, work: () => Promise<number>): Promise<Sample> => during(1, ms, work);

async function during(callers: number, ms: number, work: (caller: number) => Promise<number>): Promise<Sample> {
  let over = false;
  let done = 0;
  const startMs = systemClock.monotonic();
  systemClock.schedule(ms, () => {
    over = true;
  });
  const run = async (caller: number) => {
    while (!over) {
      // Not `done += await …`: that would add to what `done` was before the wait.
      const units = await work(caller);
      done += units;
    }
  };
  await Promise.all(Array.from({ length: callers }, (_, caller) => run(caller)));
  return { value: done / ((systemClock.monotonic() - startMs) / MS_IN_S) };
}
