// Deadlines against any order of adding, removing and time: told once, never early, not long after, never once removed.

import fc from "fast-check";
import { expect, test } from "vitest";
import { Deadlines, type Waiting } from "../../runtime/deadlines.ts";
import { FakeClock } from "../support/fake-clock.ts";

const RESOLUTION_MS = 8;

class Entry implements Waiting {
  readonly deadlineMs: number;
  bucket: Waiting["bucket"] = undefined;
  before: Waiting | undefined = undefined;
  after: Waiting | undefined = undefined;
  toldAtMs: number[] = [];
  readonly #clock: FakeClock;
  readonly #then: () => void;

  constructor(clock: FakeClock, deadlineMs: number, then: () => void = () => {}) {
    this.#clock = clock;
    this.deadlineMs = deadlineMs;
    this.#then = then;
  }

  expired(): void {
    this.toldAtMs.push(this.#clock.now());
    this.#then();
  }
}

const step = fc.oneof(
  fc.record({ kind: fc.constant("add" as const), inMs: fc.integer({ min: -20, max: 300 }) }),
  fc.record({ kind: fc.constant("remove" as const), which: fc.nat(50) }),
  fc.record({ kind: fc.constant("advance" as const), ms: fc.integer({ min: 0, max: 120 }) }),
);

test("told once, at or after the deadline and at most a few ms later; never once removed (D1)", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
      const clock = new FakeClock(1_003);
      const deadlines = new Deadlines(clock);
      const entries: Entry[] = [];
      const removed = new Set<Entry>();
      for (const given of steps) {
        if (given.kind === "add") {
          const entry = new Entry(clock, clock.now() + given.inMs);
          entries.push(entry);
          deadlines.add(entry);
        } else if (given.kind === "remove") {
          const entry = entries[given.which];
          if (entry === undefined) continue;
          deadlines.remove(entry);
          deadlines.remove(entry);
          if (entry.toldAtMs.length === 0) removed.add(entry);
        } else await clock.advance(given.ms);
      }
      await clock.advance(400);
      for (const entry of entries) {
        expect(entry.toldAtMs.length).toBe(removed.has(entry) ? 0 : 1);
        for (const atMs of entry.toldAtMs) expect(atMs).toBeGreaterThanOrEqual(entry.deadlineMs);
      }
      for (const entry of entries.filter((each) => !removed.has(each))) {
        const late = (entry.toldAtMs[0] ?? 0) - entry.deadlineMs;
        expect(late).toBeLessThanOrEqual(RESOLUTION_MS + 20);
      }
      expect(clock.pending).toBe(0);
    }),
    { numRuns: 60 },
  );
});

test("an entry added while its own moment is told is not lost", async () => {
  const clock = new FakeClock(1_000);
  const deadlines = new Deadlines(clock);
  const added: Entry[] = [];
  const again = () => {
    const entry = new Entry(clock, clock.now());
    added.push(entry);
    deadlines.add(entry);
  };
  for (let index = 0; index < 3; index++) deadlines.add(new Entry(clock, 1_040, index === 2 ? again : undefined));
  await clock.advance(41);
  await clock.advance(20);
  expect(added.map(({ toldAtMs }) => toldAtMs.length)).toEqual([1]);
});

test("after close nobody is told and no timer is set; never is never", async () => {
  const clock = new FakeClock();
  const deadlines = new Deadlines(clock);
  const [soon, never] = [new Entry(clock, clock.now() + 10), new Entry(clock, Number.POSITIVE_INFINITY)];
  deadlines.add(never);
  expect(clock.pending).toBe(0);
  deadlines.add(soon);
  deadlines.close();
  // Earlier than any before: that alone would set a timer.
  deadlines.add(new Entry(clock, clock.now() - 100));
  expect(clock.pending).toBe(0);
  await clock.advance(100);
  expect([soon.toldAtMs, never.toldAtMs]).toEqual([[], []]);
});
