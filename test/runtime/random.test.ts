// Seeded randomness repeats itself, spreads evenly enough, and two seeds do not agree.

import { expect, test } from "vitest";
import { seededRandom, systemRandom } from "../../runtime/index.ts";

const draw = (seed: number, count: number) => {
  const random = seededRandom(seed);
  return Array.from({ length: count }, () => random.next());
};

test("one seed, one sequence", () => {
  expect(draw(7, 1_000)).toEqual(draw(7, 1_000));
  expect(draw(7, 10)).not.toEqual(draw(8, 10));
});

test.each([
  ["seeded", seededRandom(3)],
  ["the system's", systemRandom],
])("%s: numbers are in range and reach all of it; ids are 12 characters and differ", (_, random) => {
  const counts = new Array<number>(10).fill(0);
  for (let index = 0; index < 10_000; index++) {
    const at = random.below(10);
    counts[at] = (counts[at] ?? 0) + 1;
  }
  expect(counts).toHaveLength(10);
  for (const count of counts) expect(count).toBeGreaterThan(800);
  const ids = Array.from({ length: 1_000 }, () => random.id());
  expect(new Set(ids).size).toBe(1_000);
  for (const id of ids) expect(id).toMatch(/^[0-9a-z]{12}$/);
});
