// How often a node's report is told, and what is not worth telling.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isNews, ReportPacer } from "../../../nodes/telemetry/report-pacer.ts";
import type { EngineReport, NodeReport } from "../../../runtime/index.ts";
import { FakeClock } from "../../support/fake-clock.ts";

const engine: EngineReport = {
  model: "m",
  state: "ready",
  running: 1,
  waiting: 0,
  slots: 8,
  kvUsage: 0.5,
  hitRate: 0.5,
  tokensPerS: 100,
};
const GIB = 2 ** 30;
const gpu = { id: "GPU-1", kind: "H100", free: 0.5, memoryBytes: 80 * GIB, freeBytes: 40 * GIB };
const report = (more: Partial<NodeReport> = {}): NodeReport => ({
  atMs: 0,
  actors: 3,
  free: { cpus: 2, memoryBytes: 64 * GIB },
  gpus: [gpu],
  engines: [engine],
  ...more,
});

function paced() {
  const clock = new FakeClock();
  const startMs = clock.now();
  const told: [atMs: number, actors: number][] = [];
  const pacer = new ReportPacer({ clock, publish: ({ actors }) => void told.push([clock.now() - startMs, actors]) });
  return { clock, told, pacer, offer: (actors: number) => pacer.offer(report({ actors })) };
}

describe("when", () => {
  it("the first at once, then the latest at the end of each half second", async () => {
    const { clock, told, offer } = paced();
    offer(1);
    expect(told).toEqual([[0, 1]]);
    for (let actors = 2; actors <= 7; actors++) {
      await clock.advance(100);
      offer(actors);
    }
    await clock.advance(2_000);
    // At 500 ms those offered until then; the seventh came later and waited for its turn.
    expect(told).toEqual([
      [0, 1],
      [500, 5],
      [1_000, 7],
    ]);
    offer(9);
    expect(told.at(-1)).toEqual([2_600, 9]);
  });

  it("never more than one in 500 ms, and never long behind the latest", async () => {
    const steps = fc.array(fc.tuple(fc.integer({ min: 0, max: 700 }), fc.integer({ min: 0, max: 2 })), {
      maxLength: 30,
    });
    await fc.assert(
      fc.asyncProperty(steps, async (all) => {
        const { clock, told, offer } = paced();
        for (const [ms, actors] of all) {
          await clock.advance(ms);
          offer(actors);
        }
        await clock.advance(500);
        const gaps = told.slice(1).map(([atMs], index) => atMs - (told[index]?.[0] ?? 0));
        expect(gaps.every((gap) => gap >= 500)).toBe(true);
        expect(told.slice(1).every(([, actors], index) => actors !== told[index]?.[1])).toBe(true);
        expect(told.at(-1)?.[1]).toBe(all.at(-1)?.[1]);
      }),
      { numRuns: 50 },
    );
  });

  it("what changed and changed back is not told", async () => {
    const { clock, told, offer } = paced();
    for (const actors of [1, 2, 1]) offer(actors);
    await clock.advance(1_000);
    expect(told).toEqual([[0, 1]]);
    expect(clock.pending).toBe(0);
  });

  it("after close nothing, and no timer is left", async () => {
    const { clock, told, pacer, offer } = paced();
    offer(1);
    offer(2);
    for (let twice = 0; twice < 2; twice++) pacer.close();
    offer(3);
    expect(clock.pending).toBe(0);
    await clock.advance(1_000);
    expect(told).toEqual([[0, 1]]);
  });
});

describe("what is news (RP2)", () => {
  const withEngine = (more: Partial<EngineReport>) => report({ engines: [{ ...engine, ...more }] });
  it.each<[string, NodeReport]>([
    ["the time alone", report({ atMs: 9_999 })],
    ["a cache a little fuller", withEngine({ kvUsage: 0.515 })],
    ["a few more hits", withEngine({ hitRate: 0.485 })],
    ["a little more speed", withEngine({ tokensPerS: 109 })],
    ["some megabytes of a GPU", report({ gpus: [{ ...gpu, freeBytes: 40 * GIB - 300 * 2 ** 20 }] })],
    ["some megabytes of the node", report({ free: { cpus: 2, memoryBytes: 64 * GIB + 600 * 2 ** 20 } })],
  ])("not %s", (_, is) => expect(isNews(report(), is)).toBe(false));

  it.each<[string, NodeReport, NodeReport?]>([
    ["one actor", report({ actors: 4 })],
    ["one request", withEngine({ running: 2 })],
    ["a state", withEngine({ state: "busy" })],
    ["a reason", withEngine({ why: "full" })],
    ["no hits known any more", report({ engines: [(({ hitRate: _, ...rest }) => rest)(engine)] })],
    ["a cache much fuller", withEngine({ kvUsage: 0.52 })],
    ["a cache that is empty", withEngine({ kvUsage: 0 }), withEngine({ kvUsage: 0.01 })],
    ["no tokens any more", withEngine({ tokensPerS: 0 })],
    ["tokens again", withEngine({ tokensPerS: 1 }), withEngine({ tokensPerS: 0 })],
    ["a gigabyte of a GPU", report({ gpus: [{ ...gpu, freeBytes: 39 * GIB }] })],
    ["memory that was all taken", report({ gpus: [gpu] }), report({ gpus: [{ ...gpu, freeBytes: 0 }] })],
    ["half a core", report({ free: { cpus: 1.5, memoryBytes: 64 * GIB } })],
    ["a resource that is new", report({ free: { cpus: 2, memoryBytes: 64 * GIB, slots: 0 } })],
    ["another GPU", report({ gpus: [gpu, gpu] })],
    ["one engine less", report({ engines: [] })],
    ["a fault", report({ faults: ["XID 79"] })],
  ])("%s", (_, is, was = report()) => expect(isNews(was, is)).toBe(true));

  it("what drifts slowly is told in the end: it is compared with what was told", async () => {
    const clock = new FakeClock();
    const told: number[] = [];
    const pacer = new ReportPacer({ clock, publish: ({ engines }) => void told.push(engines[0]?.kvUsage ?? -1) });
    for (let step = 0; step <= 50; step++) {
      pacer.offer(withEngine({ kvUsage: step / 1_000 }));
      await clock.advance(500);
    }
    expect(told).toEqual([0, 0.02, 0.04]);
  });
});
