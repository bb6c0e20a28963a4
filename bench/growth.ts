// How cost grows: calls/s and latency against the number of actors, of callers, of bytes and of nodes, one at a time, into bench/results/.
// Between two processes and one nats-server, as the remote rows are.

import { randomBytes } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import type { Handle } from "../runtime/index.ts";
import { type Fleet, startFleet } from "./fleet.ts";
import { driveTimed } from "./load.ts";
import { currentLoad, describeMachine, describeVersions } from "./machine.ts";
import { type Curve, type Point, plot } from "./plot.ts";
import { formatFigure } from "./report.ts";
import type { Sample } from "./sample.ts";
import { Counter } from "./scenarios/actors.ts";
import { BenchServer } from "./server.ts";

/** Quick figures are for looking at, and must not replace those that are kept. */
const RESULTS = {
  full: fileURLToPath(new URL("./results/", import.meta.url)),
  quick: fileURLToPath(new URL("./results/quick/", import.meta.url)),
} as const;
const POINT_MS = { full: 2_000, quick: 400 } as const;
const OUTSTANDING = 1_000;
const OUTSTANDING_BYTES = 16;
const SPAWN_BATCH = 1_000;

interface Growth extends Omit<Curve, "points"> {
  readonly xs: { readonly full: readonly number[]; readonly quick: readonly number[] };
  readonly nodes?: (x: number) => number;
  /** Builds what `x` asks for and answers how it is called. */
  load(fleet: Fleet, x: number): Promise<{ readonly callers: number; call(caller: number): Promise<unknown> }>;
}

/** Actors that were each called once: what is lazy in them is not measured. */
async function counters(fleet: Fleet, count: number): Promise<Handle<typeof Counter>[]> {
  const handles: Handle<typeof Counter>[] = [];
  const spawnNext = (_: unknown, index: number) =>
    fleet.system.spawn(Counter, { node: fleet.nodes[(handles.length + index) % fleet.nodes.length] ?? "" });
  while (handles.length < count) {
    const batch = Math.min(SPAWN_BATCH, count - handles.length);
    const spawned = await Promise.all(Array.from({ length: batch }, spawnNext));
    await Promise.all(spawned.map((handle) => handle.add({ by: 1 })));
    handles.push(...spawned);
  }
  return handles;
}

/** Each call goes to the next actor. */
async function inTurn(fleet: Fleet, actors: number, callers: number) {
  const handles = await counters(fleet, actors);
  let next = 0;
  return { callers, call: async () => handles[next++ % actors]?.add({ by: 1 }) };
}

const GROWTHS: readonly Growth[] = [
  {
    id: "actors",
    title: `Calls to more and more actors on one node, ${OUTSTANDING} outstanding`,
    xLabel: "actors",
    xs: { full: [1, 10, 100, 1_000, 10_000, 100_000], quick: [1, 100, 10_000] },
    load: (fleet, x) => inTurn(fleet, x, OUTSTANDING),
  },
  {
    id: "callers",
    title: "Calls to one actor by more and more callers, each with one call outstanding",
    xLabel: "callers",
    xs: { full: [1, 2, 4, 8, 16, 32], quick: [1, 4, 32] },
    load: (fleet, x) => inTurn(fleet, 1, x),
  },
  {
    id: "payload",
    title: `Echo of larger and larger payloads, ${OUTSTANDING_BYTES} outstanding`,
    xLabel: "bytes each way",
    xs: { full: [16, 250, 4_000, 64_000, 1_000_000], quick: [16, 4_000, 1_000_000] },
    async load(fleet, x) {
      const [counter] = await counters(fleet, 1);
      const payload = new Uint8Array(randomBytes(x));
      return { callers: OUTSTANDING_BYTES, call: async () => counter?.echo(payload) };
    },
  },
  {
    id: "nodes",
    title: `Calls to one actor on each of more and more nodes, ${OUTSTANDING} outstanding`,
    xLabel: "nodes, each a process",
    xs: { full: [1, 2, 4, 8, 16], quick: [1, 2, 4] },
    nodes: (x) => x,
    load: (fleet, x) => inTurn(fleet, x, OUTSTANDING),
  },
];

/** One point of a curve, after a warm-up of half its time. */
async function measurePoint({ load, nodes }: Growth, x: number, servers: string, ms: number): Promise<Sample> {
  const fleet = await startFleet(servers, nodes?.(x) ?? 1);
  try {
    const { callers, call } = await load(fleet, x);
    await driveTimed(callers, ms / 2, call);
    return await driveTimed(callers, ms, call);
  } finally {
    await fleet.close();
  }
}

async function measureCurve(growth: Growth, servers: string, length: "full" | "quick"): Promise<Curve> {
  const { id, title, xLabel, xs } = growth;
  const points: Point[] = [];
  for (const x of xs[length]) {
    try {
      const sample = await measurePoint(growth, x, servers, POINT_MS[length]);
      points.push({ x, ...sample });
      console.log(
        `${id} ${formatFigure(x)}: ${formatFigure(sample.value)} calls/s, p99 ${sample.p99Us?.toFixed(0)} µs`,
      );
    } catch (error) {
      const notMeasured = error instanceof Error ? error.message : String(error);
      points.push({ x, notMeasured });
      console.log(`${id} ${formatFigure(x)}: not measured: ${notMeasured}`);
    }
  }
  return { id, title, xLabel, points };
}

/** Measures all curves and writes growth.json and one SVG for each curve. */
export async function measureGrowth(quick: boolean): Promise<void> {
  const length = quick ? "quick" : "full";
  const folder = RESULTS[length];
  await using server = new BenchServer();
  const before = currentLoad();
  const curves: Curve[] = [];
  for (const growth of GROWTHS) curves.push(await measureCurve(growth, await server.url(), length));
  const load = { before, after: currentLoad() };
  const report = { machine: describeMachine(), load, versions: describeVersions(), curves };
  await mkdir(folder, { recursive: true });
  await writeFile(`${folder}growth.json`, `${JSON.stringify(report, undefined, 2)}\n`);
  for (const curve of curves) await writeFile(`${folder}growth-${curve.id}.svg`, plot(curve));
  console.log(`written to ${folder}`);
}
