// Decisions of the placer on a fleet of 64 nodes that report: how many a second, and how long one takes. Nothing is spawned.
// The nodes report anew after each batch, as they would twice a second, so that what the placer remembers is of a usual size.

import { openPlacer } from "../../placement/index.ts";
import { type NodeRecord, type PlacementRequest, seededRandom, systemClock } from "../../runtime/index.ts";
import type { Sample } from "../sample.ts";
import type { Bar, Scenario } from "../scenario.ts";
import { percentile } from "../stats.ts";

const NODES = 64;
const BATCH = 1_000;
const COUNCILS = 50;
const GPUS = 8;
const GIB = 2 ** 30;

const gpuOf = (index: number) => ({
  id: `GPU-${index}`,
  kind: "NVIDIA H100 80GB HBM3",
  free: index % 3 === 0 ? 0.5 : 1,
  memoryBytes: 80 * GIB,
  freeBytes: (index % 3 === 0 ? 40 : 80) * GIB,
});

const recordOf = (index: number, atMs: number): NodeRecord => ({
  node: `gpu${index}-x1y2z3`,
  name: `gpu${index}`,
  labels: { zone: `z${index % 4}` },
  types: ["agent", "collector", "counter"].map((type) => ({ type, version: "1" })),
  accepts: true,
  allowsCode: false,
  draining: false,
  flotilla: "0.1.0",
  protocol: 1,
  pid: index,
  startedMs: 0,
  resources: { cpus: 96, memoryBytes: 1_024 * GIB, gpus: GPUS },
  report: {
    atMs,
    actors: (index * 7 + atMs) % 200,
    free: { cpus: 96 - (index % 32), memoryBytes: 512 * GIB, gpus: GPUS },
    gpus: Array.from({ length: GPUS }, (_, device) => gpuOf(device)),
    engines: ["large", "tiny"].map((model) => ({
      model,
      state: index % 5 === 0 ? "busy" : "ready",
      running: (index * 3 + atMs) % 40,
      waiting: 0,
      slots: 64,
      kvUsage: 0.4,
    })),
  },
});

const plain = (): PlacementRequest => ({ type: "counter" });

/** A member of one of some councils, with a part of a GPU and a server wanted. */
const whole = (index: number): PlacementRequest => ({
  type: "agent",
  resources: { cpus: 1, memoryBytes: 2 * GIB, gpus: 0.25, gpuMemoryBytes: 4 * GIB },
  placement: { model: "tiny", near: `council-${index % COUNCILS}`, prefer: { zone: "z1" } },
});

type Run = (decide: (index: number) => void, renew: () => void, untilMs: number) => Sample;

const scenario = (id: string, bars: readonly Bar[], request: typeof whole, run: Run): Scenario => ({
  id,
  unit: "decisions/s",
  bars,
  async start({ roundMs }) {
    let atMs = 0;
    const report = () => Array.from({ length: NODES }, (_, index) => recordOf(index, atMs));
    let nodes = report();
    const placer = openPlacer({ here: "script", nodes: () => nodes, random: seededRandom(1) });
    const decide = (index: number) => {
      placer.place(request(index));
    };
    const renew = () => {
      atMs += 500;
      nodes = report();
    };
    return { round: async () => run(decide, renew, systemClock.monotonic() + roundMs), stop: async () => {} };
  },
});

const inBatches: Run = (decide, renew, untilMs) => {
  let [spentMs, decided] = [0, 0];
  while (systemClock.monotonic() < untilMs) {
    renew();
    const startMs = systemClock.monotonic();
    for (let index = 0; index < BATCH; index++) decide(index);
    spentMs += systemClock.monotonic() - startMs;
    decided += BATCH;
  }
  return { value: decided / (spentMs / 1_000) };
};

const oneByOne: Run = (decide, renew, untilMs) => {
  const tookUs: number[] = [];
  while (systemClock.monotonic() < untilMs) {
    renew();
    for (let index = 0; index < BATCH; index++) {
      const startMs = systemClock.monotonic();
      decide(index);
      tookUs.push((systemClock.monotonic() - startMs) * 1_000);
    }
  }
  const sumUs = tookUs.reduce((sum, us) => sum + us, 0);
  const sorted = tookUs.sort((a, b) => a - b);
  return { value: tookUs.length / (sumUs / 1e6), p50Us: percentile(sorted, 0.5), p99Us: percentile(sorted, 0.99) };
};

const BAR_US = 1_000;

export const placementRate = scenario("placement.plain.rate", [{ of: "value", atLeast: 10_000 }], plain, inBatches);
export const placementOne = scenario("placement.one.p99", [{ of: "p99Us", atMost: BAR_US }], plain, oneByOne);
export const placementWhole = scenario("placement.whole.p99", [{ of: "p99Us", atMost: BAR_US }], whole, oneByOne);
