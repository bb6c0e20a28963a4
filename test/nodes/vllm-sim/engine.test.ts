// The engine by a clock moved by hand: who runs, when tokens come, and what ends a request.

import { describe, expect, it } from "vitest";
import type { CacheEvent } from "../../../nodes/vllm-sim/block-cache.ts";
import { Engine } from "../../../nodes/vllm-sim/engine.ts";
import { SimMetrics } from "../../../nodes/vllm-sim/metrics-text.ts";
import { simSettings, type VllmSimOptions } from "../../../nodes/vllm-sim/options.ts";
import type { End, Work } from "../../../nodes/vllm-sim/request.ts";
import { FakeClock } from "../../support/fake-clock.ts";

interface Told {
  /** Milliseconds from the start, for each telling, and the tokens made by then. */
  readonly progress: [atMs: number, made: number][];
  end: [atMs: number, reason: End] | undefined;
}

const row = (length: number, first: number) => Array.from({ length }, (_, index) => first + index);

function makeEngine(options: Partial<VllmSimOptions> = {}) {
  const settings = simSettings({ model: "m", prefillMsPerToken: 1, decodeMsPerToken: 10, ...options });
  const clock = new FakeClock();
  const startMs = clock.monotonic();
  const events: CacheEvent[] = [];
  const metrics = new SimMetrics(settings);
  let deaths = 0;
  const engine = new Engine({
    settings,
    clock,
    metrics,
    publish: (batch) => events.push(...batch),
    died: () => {
      deaths += 1;
    },
  });
  const ask = (prompt: readonly number[], tokens: number, more: Partial<Work> = {}) => {
    const told: Told = { progress: [], end: undefined };
    const work: Work = { prompt, output: row(tokens, 9_000), finish: "stop", delayMs: 0, session: null, ...more };
    const request = engine.submit(work, {
      progress: (made) => told.progress.push([clock.monotonic() - startMs, made]),
      end: (reason) => {
        if (told.end !== undefined) throw new Error("told its end twice");
        told.end = [clock.monotonic() - startMs, reason];
      },
    });
    return { told, request };
  };
  return { engine, clock, events, metrics, ask, deaths: () => deaths };
}

describe("the engine", () => {
  it("takes the prefill's time for the prompt, then the decode's for each token", async () => {
    const { clock, ask } = makeEngine();
    const { told } = ask(row(100, 0), 3);
    await clock.advance(99);
    expect(told.progress).toEqual([]);
    await clock.advance(1_000);
    expect(told).toEqual({
      progress: [
        [100, 1],
        [110, 2],
        [120, 3],
      ],
      end: [120, "done"],
    });
  });

  it("takes no time for what is in the cache", async () => {
    const { clock, ask } = makeEngine();
    ask(row(100, 0), 1);
    await clock.advance(1_000);
    const { told, request } = ask(row(100, 0), 1);
    await clock.advance(1_000);
    expect(request.cached).toBe(96);
    expect(told.end).toEqual([1_004, "done"]);
  });

  it("computes long prompts in parts, so that others go on meanwhile", async () => {
    const { clock, ask } = makeEngine({ maxNumBatchedTokens: 50 });
    const first = ask(row(10, 0), 4).told;
    await clock.advance(10);
    const second = ask(row(100, 500), 1).told;
    await clock.advance(1_000);
    // A step beside the prefill takes 10 ms and 50 ms; a step without anybody else 10 ms.
    expect(first.progress).toEqual([
      [10, 1],
      [20, 2],
      [80, 3],
      [140, 4],
    ]);
    expect(second.end).toEqual([140, "done"]);
  });

  it("gives each running request a token a step, however many run", async () => {
    const { clock, ask } = makeEngine({ prefillMsPerToken: 0 });
    const all = row(20, 0).map((index) => ask([index], 5).told);
    await clock.advance(1_000);
    expect(new Set(all.map(({ end }) => end?.[0]))).toEqual(new Set([40]));
  });

  it("runs as many as it may, the others in order of arrival", async () => {
    const { engine, clock, ask } = makeEngine({ maxNumSeqs: 2, prefillMsPerToken: 0 });
    const all = row(5, 0).map((index) => ask([index], 3).told);
    await clock.advance(0);
    expect(engine.state).toMatchObject({ running: 2, waiting: 3 });
    await clock.advance(1_000);
    expect(all.map(({ end }) => end?.[0])).toEqual([20, 20, 40, 40, 60]);
  });

  it("lets a request wait for blocks, and those behind it, too", async () => {
    const { engine, clock, ask } = makeEngine({ numBlocks: 4, blockSize: 4, maxModelLen: 16, prefillMsPerToken: 0 });
    const [first, large, small] = [ask(row(8, 0), 2), ask(row(12, 100), 2), ask(row(4, 200), 2)];
    await clock.advance(0);
    expect(engine.state).toMatchObject({ running: 1, waiting: 2 });
    await clock.advance(1_000);
    expect([first, large, small].map(({ told }) => told.end?.[1])).toEqual(["done", "done", "done"]);
    expect(small.told.end?.[0]).toBeGreaterThanOrEqual(large.told.progress[0]?.[0] ?? Number.NaN);
    expect(engine.state.blocksHeld).toBe(0);
  });

  it("preempts the youngest when no block is left; it keeps its tokens and ends whole (G4)", async () => {
    const { engine, clock, ask, metrics } = makeEngine({
      numBlocks: 4,
      blockSize: 4,
      maxModelLen: 16,
      prefillMsPerToken: 0,
    });
    const [old, young, next] = [ask(row(7, 0), 9), ask(row(7, 100), 9), ask([200], 1)];
    await clock.advance(10_000);
    // It goes on before those who have not begun.
    expect(next.told.end?.[0]).toBeGreaterThanOrEqual(old.told.end?.[0] ?? Number.NaN);
    for (const { told } of [old, young]) {
      expect(told.progress.map(([, made]) => made)).toEqual(row(9, 1));
      expect(told.end?.[1]).toBe("done");
    }
    expect(young.told.end?.[0]).toBeGreaterThan(old.told.end?.[0] ?? 0);
    expect(metrics.text(engine.state, 0)).toMatch(/vllm:num_preemptions_total\{.*\} [1-9]/);
    expect(engine.state).toMatchObject({ blocksHeld: 0, running: 0, waiting: 0 });
  });

  it("lets a prefix be hit once it is computed, not before (G3)", async () => {
    const { clock, ask } = makeEngine({ maxNumSeqs: 8 });
    const first = ask(row(64, 0), 30);
    const beside = ask(row(64, 0), 1);
    await clock.advance(200);
    const later = ask(row(64, 0), 1);
    await clock.advance(1_000);
    expect([first, beside, later].map(({ request }) => request.cached)).toEqual([0, 0, 48]);
  });

  it("holds the first token back by the delay, and nobody else's", async () => {
    const { clock, ask } = makeEngine({ prefillMsPerToken: 0 });
    const slow = ask([1], 1, { delayMs: 500 }).told;
    await clock.advance(100);
    const quick = ask([2], 1).told;
    await clock.advance(1_000);
    expect([slow.end?.[0], quick.end?.[0]]).toEqual([510, 100]);
  });

  it("ends a request whose client left, at once and for good", async () => {
    const { engine, clock, ask } = makeEngine();
    const { told, request } = ask([1], 50);
    await clock.advance(25);
    engine.cancel(request);
    engine.cancel(request);
    await clock.advance(1_000);
    expect(told.end).toEqual([25, "left"]);
    expect(engine.state).toMatchObject({ running: 0, blocksHeld: 0 });
  });

  it("hangs and goes on; dies and ends all, also those that wait; heals with an empty cache", async () => {
    const { engine, clock, ask, deaths, events } = makeEngine({ maxNumSeqs: 1 });
    const first = ask(row(32, 0), 50).told;
    await clock.advance(100);
    engine.hang();
    const made = first.progress.at(-1);
    await clock.advance(10_000);
    expect(first.progress.at(-1)).toEqual(made);
    engine.heal();
    await clock.advance(20);
    expect(first.progress.length).toBeGreaterThan(made?.[1] ?? 0);
    const second = ask([5], 5).told;
    engine.die();
    engine.die();
    expect([first.end?.[1], second.end?.[1], deaths()]).toEqual(["dead", "dead", 1]);
    expect(engine.state).toMatchObject({ phase: "dead", running: 0, waiting: 0, blocksHeld: 0 });
    engine.heal();
    expect(engine.state).toMatchObject({ phase: "ready", blocksFound: 0 });
    expect(events.at(-1)).toEqual({ kind: "cleared" });
  });

  it("dies by itself after as many requests as it was told, once", async () => {
    const { engine, clock, ask, deaths } = makeEngine({ dieAfterRequests: 2 });
    ask([1], 1);
    ask([2], 1);
    const third = ask([3], 90).told;
    await clock.advance(1_000);
    expect([deaths(), third.end?.[1]]).toEqual([1, "dead"]);
    engine.heal();
    ask([4], 1);
    await clock.advance(1_000);
    expect([deaths(), engine.state.phase]).toEqual([1, "ready"]);
  });

  it("makes up for a late event loop, but not for having been stopped (G1)", async () => {
    const { clock, ask } = makeEngine({ prefillMsPerToken: 0 });
    const { told } = ask([1], 40);
    await clock.advance(0);
    clock.jump(45);
    await clock.advance(0);
    expect(told.progress.at(-1)).toEqual([45, 5]);
    clock.jump(10_000);
    await clock.advance(0);
    expect(told.progress.at(-1)?.[1]).toBeLessThan(13);
  });

  it("tells a burst of tokens as one (G2)", async () => {
    const { clock, ask } = makeEngine({ prefillMsPerToken: 0, decodeMsPerToken: 0 });
    const { told } = ask([1], 1_000);
    for (let turn = 0; turn < 100 && told.end === undefined; turn += 1) await clock.advance(0);
    expect(told.end?.[1]).toBe("done");
    expect(told.progress.length).toBeLessThan(40);
  });
});
