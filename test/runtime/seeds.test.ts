// 1,000 random programs over a network that loses, repeats and reorders, each replayable from its seed (test/support/random-program.ts).
// A failing seed is named with its faults and what broke; to see it alone, and to keep it, add it to FOUND.

import { describe, expect, test } from "vitest";
import { type ProgramReport, runProgram } from "../support/random-program.ts";

const SEEDS = 1_000;
const BATCH = 50;

/** Seeds that once failed, each with what it found. */
const FOUND: readonly (readonly [seed: number, what: string])[] = [];

const failures = (reports: readonly ProgramReport[]) =>
  reports
    .filter(({ violations }) => violations.length > 0)
    .map(({ seed, faults, violations }) => ({
      seed,
      faults: JSON.stringify(faults),
      violations: violations.slice(0, 3),
    }));

describe("random programs", () => {
  test.each(FOUND)("seed %i, which found: %s", async (seed) => {
    expect(failures([await runProgram(seed)])).toEqual([]);
  });

  const batches = Array.from(
    { length: SEEDS / BATCH },
    (_, index) => [index * BATCH + 1, (index + 1) * BATCH] as const,
  );
  test.each(batches)("seeds %i to %i", async (from, to) => {
    const reports: ProgramReport[] = [];
    for (let seed = from; seed <= to; seed++) reports.push(await runProgram(seed));
    expect(failures(reports)).toEqual([]);
    // Programs that end all alike would prove little.
    const ends = new Set(reports.flatMap((report) => [...report.ends.keys()]));
    expect([...ends]).toEqual(expect.arrayContaining(["value", "Cancelled", "DeadlineExceeded", "ActorEnded"]));
    expect(reports.some(({ items }) => items > 1_000)).toBe(true);
  });
});

describe("random programs on a network that breaks", () => {
  const quarters = [0, 1, 2, 3].map((at) => [at * BATCH + 1, (at + 1) * BATCH] as const);
  test.each(quarters)(
    "seeds %i to %i: every call ends once, by its deadline, and nothing is kept",
    async (from, to) => {
      const reports: ProgramReport[] = [];
      for (let seed = from; seed <= to; seed++) reports.push(await runProgram(seed, 60, true));
      expect(failures(reports)).toEqual([]);
      const ends = new Set(reports.flatMap((report) => [...report.ends.keys()]));
      expect([...ends]).toEqual(expect.arrayContaining(["value", "Unavailable", "Unknown", "StreamBroken"]));
    },
  );
});

test("the same seed gives the same run", async () => {
  const [first, second] = [await runProgram(42), await runProgram(42)];
  expect([...second.ends]).toEqual([...first.ends]);
  expect(second.items).toBe(first.items);
});
