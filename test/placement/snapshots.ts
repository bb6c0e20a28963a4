// Fleets as a placer sees them: records with reports for tables, and random ones for properties.

import fc from "fast-check";
import type { Recent, Snapshot } from "../../placement/index.ts";
import type {
  Amounts,
  EngineReport,
  EngineState,
  GpuReport,
  NodeRecord,
  NodeReport,
  PlacementRequest,
  Strategy,
} from "../../runtime/index.ts";
import { recordOf, typesOf } from "../support/members.ts";

export const GIB = 2 ** 30;
/** What the nodes of a table know. */
export const TYPE = "counter";

/** A node whose id is its name, that knows the type and accepts actors. */
export const node = (name: string, more: Partial<NodeRecord> = {}): NodeRecord =>
  recordOf(name, { node: name, types: typesOf(TYPE), ...more });

export const report = (more: Partial<NodeReport> = {}): NodeReport => ({
  atMs: 1,
  actors: 0,
  free: {},
  gpus: [],
  engines: [],
  ...more,
});

/** A device of 80 GiB with that share of it left. */
export const gpu = (free = 1, freeBytes = free * 80 * GIB, id = "GPU-0"): GpuReport => ({
  id,
  kind: "NVIDIA H100 80GB HBM3",
  free,
  memoryBytes: 80 * GIB,
  freeBytes,
});

export const engine = (model: string, more: Partial<EngineReport> = {}): EngineReport => ({
  model,
  state: "ready",
  running: 0,
  waiting: 0,
  slots: 8,
  kvUsage: 0,
  ...more,
});

/** A node with these devices and amounts, of which `free` is left. */
export const host = (name: string, resources: Amounts, free: Amounts, gpus: readonly GpuReport[] = []): NodeRecord =>
  node(name, { resources, report: report({ free, gpus }) });

/** A node with a server for "tiny". */
export const server = (name: string, more: Partial<EngineReport> = {}): NodeRecord =>
  node(name, { report: report({ engines: [engine("tiny", more)] }) });

export const recent = (actors: number, more: Partial<Recent> = {}): Recent => ({
  actors,
  models: new Map(),
  room: undefined,
  ...more,
});

export const snapshot = (nodes: readonly NodeRecord[], more: Partial<Snapshot> = {}): Snapshot => ({
  here: "here",
  nodes,
  recent: new Map(),
  near: new Map(),
  ...more,
});

/** `{ a: 2 }` as `near` of a snapshot, for the request's word "team". */
export const siblings = (counts: Readonly<Record<string, number>>): Snapshot["near"] =>
  new Map([["near team", new Map(Object.entries(counts))]]);

const STATES: readonly EngineState[] = ["loadable", "starting", "ready", "busy", "asleep", "draining", "dead"];
const STRATEGIES: readonly Strategy[] = ["balanced", "pack", "spread", "strict-pack", "strict-spread"];
const MODELS = ["tiny", "large"] as const;
const NAMES = ["a", "b", "c", "d", "e", "f"] as const;

const maybe = <T>(some: fc.Arbitrary<T>) => fc.option(some, { nil: undefined });
const countOf = (max: number) => fc.integer({ min: 0, max });
const share = fc.constantFrom(0, 0.25, 0.5, 1);

/** Figures that no report should have, now and then. */
const odd = (usual: fc.Arbitrary<number>): fc.Arbitrary<number> =>
  fc.oneof(
    { weight: 12, arbitrary: usual },
    { weight: 1, arbitrary: fc.constantFrom(Number.NaN, -1, Number.POSITIVE_INFINITY, 1e300) },
  );

const amounts: fc.Arbitrary<Amounts> = fc.dictionary(
  fc.constantFrom("cpus", "memoryBytes", "gpus", "gpuMemoryBytes", "fpga", "constructor"),
  odd(fc.constantFrom(0, 0.5, 1, 2, 4, GIB)),
  { maxKeys: 4 },
);

const anyEngine: fc.Arbitrary<EngineReport> = fc.record({
  model: fc.constantFrom(...MODELS),
  state: fc.constantFrom(...STATES),
  running: odd(countOf(9)),
  waiting: odd(countOf(3)),
  slots: odd(countOf(8)),
  kvUsage: odd(fc.constantFrom(0, 0.5, 0.95)),
});

const anyReport: fc.Arbitrary<NodeReport> = fc.record({
  atMs: countOf(3),
  actors: odd(countOf(20)),
  free: amounts,
  gpus: fc.array(
    share.map((free) => gpu(free)),
    { maxLength: 3 },
  ),
  engines: fc.array(anyEngine, { maxLength: 2 }),
  faults: fc.oneof({ weight: 8, arbitrary: fc.constant([]) }, { weight: 1, arbitrary: fc.constant(["XID 79"]) }),
});

const labels = fc.dictionary(fc.constantFrom("zone", "disk"), fc.constantFrom("x", "y"), { maxKeys: 2 });

/** The node of that name in some state or other. */
export const anyNode = (name: string): fc.Arbitrary<NodeRecord> =>
  fc
    .record({
      accepts: fc.oneof({ weight: 5, arbitrary: fc.constant(true) }, { weight: 1, arbitrary: fc.constant(false) }),
      draining: fc.oneof({ weight: 5, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) }),
      allowsCode: fc.boolean(),
      labels,
      resources: maybe(amounts),
      report: maybe(anyReport),
      parent: fc.oneof({ weight: 9, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: fc.constant("a") }),
    })
    .map(({ resources, report: told, parent, ...more }) =>
      node(name, {
        ...more,
        ...(resources && { resources }),
        ...(told && { report: told }),
        ...(parent && { parent }),
      }),
    );

export const anyNodes: fc.Arbitrary<NodeRecord[]> = fc
  .subarray([...NAMES])
  .chain((names) => fc.tuple(...names.map(anyNode)));

export const anyRequest: fc.Arbitrary<PlacementRequest> = fc
  .record({
    type: fc.constantFrom(TYPE, "other"),
    node: fc.option(fc.constantFrom("a", "here", "nowhere"), { nil: undefined, freq: 6 }),
    resources: maybe(amounts),
    refused: maybe(fc.constant([{ node: "b", reason: "it has just been taken", passes: true }])),
    strategy: maybe(fc.constantFrom(...STRATEGIES)),
    labels: maybe(labels),
    prefer: maybe(labels),
    nodes: maybe(fc.subarray([...NAMES])),
    model: maybe(fc.constantFrom(...MODELS)),
    near: maybe(fc.constant("team")),
  })
  .map(({ strategy, labels: wanted, prefer, nodes, model, near, ...request }) => ({
    ...present(request),
    placement: present({ strategy, labels: wanted, prefer, nodes, model, near }),
  }));

type Present<T> = { [K in keyof T]: Exclude<T[K], undefined> };
const present = <T extends object>(object: T): Present<T> =>
  Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined)) as Present<T>;

/** What a placer may remember of such a fleet. */
export const anySnapshot: fc.Arbitrary<Snapshot> = fc
  .tuple(anyNodes, fc.dictionary(fc.constantFrom(...NAMES), fc.integer({ min: 1, max: 4 })), countOf(5))
  .map(([nodes, counts, actors]) =>
    snapshot(nodes, {
      here: "a",
      near: siblings(counts),
      recent: new Map(nodes.map((each) => [each.node, recent(actors, { models: new Map([["tiny", actors]]) })])),
    }),
  );
