// What is against a node, by table: each objection in its words and with whether it passes by itself.

import { describe, expect, test } from "vitest";
import { askedOf } from "../../placement/asked.ts";
import { FILTERS, objectionTo } from "../../placement/filters.ts";
import type { Snapshot } from "../../placement/snapshot.ts";
import type { NodeRecord, PlacementOptions, PlacementRequest } from "../../runtime/index.ts";
import { typesOf } from "../support/members.ts";
import { engine, GIB, gpu, host, node, report, server, siblings, snapshot, TYPE } from "./snapshots.ts";

type Case = readonly [what: string, record: NodeRecord, request: Partial<PlacementRequest>, told?: string];

/** The objection as "passes: …" or "stays: …"; undefined when the node will do. */
function against(record: NodeRecord, request: Partial<PlacementRequest>, more: Partial<Snapshot> = {}) {
  const seen = snapshot([record], more);
  const objection = objectionTo(record, askedOf({ type: TYPE, ...request }, seen));
  return objection && `${objection.passes ? "passes" : "stays"}: ${objection.reason}`;
}

const wish = (placement: PlacementOptions): Partial<PlacementRequest> => ({ placement });
const plain = node("a");

describe("who is meant and who is there", () => {
  const cases: readonly Case[] = [
    ["any node that knows the type", plain, {}],
    ["named by id", node("a", { node: "a-1" }), { node: "a-1" }],
    ["named by name", node("a", { node: "a-1" }), { node: "a" }],
    ["another is named", plain, { node: "b" }, "stays: the request names b"],
    ["draining", node("a", { draining: true }), {}, "passes: it is draining"],
    ["draining and named", node("a", { draining: true }), { node: "a" }, "passes: it is draining"],
    ["a script", node("a", { accepts: false }), {}, "stays: it accepts no actors of others"],
    [
      "a script that is named by others",
      node("a", { accepts: false }),
      { node: "a" },
      "stays: it accepts no actors of others",
    ],
    ["its own script, named", node("here", { accepts: false, types: [] }), { node: "here" }],
    ["its own script, not named", node("here", { accepts: false }), {}, "stays: it accepts no actors of others"],
    [
      "an unknown type",
      node("a", { types: typesOf("x", "y") }),
      {},
      "stays: it does not know the type counter; it knows x, y",
    ],
    ["no types at all", node("a", { types: [] }), {}, "stays: it does not know the type counter; it knows none"],
    ["an unknown type where code is loaded", node("a", { types: [], allowsCode: true }), {}],
    [
      "faults",
      node("a", { report: report({ faults: ["GPU 3 fell off the bus", "ECC"] }) }),
      {},
      "passes: it is faulty: GPU 3 fell off the bus, ECC",
    ],
    ["no faults", node("a", { report: report({ faults: [] }) }), {}],
    ["it has refused", plain, { refused: [{ node: "a", reason: "no slot", passes: true }] }, "passes: no slot"],
    ["it has refused for good", plain, { refused: [{ node: "a", reason: "no slot" }] }, "stays: no slot"],
    ["another has refused", plain, { refused: [{ node: "b", reason: "no slot" }] }],
  ];
  for (const [what, record, request, told] of cases) test(what, () => expect(against(record, request)).toBe(told));
});

describe("what it is", () => {
  const labelled = node("a", { labels: { zone: "x" } });
  const bundle = { group: "g", index: 1, node: "b" };
  const cases: readonly Case[] = [
    ["the label", labelled, wish({ labels: { zone: "x" } })],
    ["another value", labelled, wish({ labels: { zone: "y" } }), "stays: its label zone is x; y is asked for"],
    ["no such label", labelled, wish({ labels: { disk: "ssd" } }), "stays: it has no label disk; ssd is asked for"],
    [
      "a label that every object has",
      labelled,
      wish({ labels: { constructor: "y" } }),
      "stays: it has no label constructor; y is asked for",
    ],
    ["a preferred label that it lacks", plain, wish({ prefer: { zone: "x" } })],
    ["a bundle elsewhere", plain, wish({ bundle }), "stays: bundle 1 of group g is on b"],
    ["its bundle, whatever is free", host("b", { cpus: 2 }, {}), { ...wish({ bundle }), resources: { cpus: 2 } }],
  ];
  for (const [what, record, request, told] of cases) test(what, () => expect(against(record, request)).toBe(told));
});

describe("what it has", () => {
  const cpus = host("a", { cpus: 4, memoryBytes: 8 * GIB }, { cpus: 1.5, memoryBytes: 8 * GIB });
  const devices = host("a", { gpus: 3 }, { gpus: 1.75 }, [gpu(1), gpu(0.5), gpu(0.25)]);
  const asks = (resources: Record<string, number>) => ({ resources });
  const cases: readonly Case[] = [
    ["enough", cpus, asks({ cpus: 1.5 })],
    ["nothing asked for", cpus, asks({ cpus: 0, fpga: 0 })],
    ["too little free", cpus, asks({ cpus: 2 }), "passes: it has 1.5 cpus free; 2 asked for"],
    ["too little in all", cpus, asks({ cpus: 5 }), "stays: it has 4 cpus in all; 5 asked for"],
    ["bytes", cpus, asks({ memoryBytes: 16 * GIB }), "stays: it has 8 GiB memoryBytes in all; 16 GiB asked for"],
    ["no such thing", cpus, asks({ fpga: 1 }), "stays: it has 0 fpga in all; 1 asked for"],
    ["what every object has", cpus, asks({ constructor: 1 }), "stays: it has 0 constructor in all; 1 asked for"],
    ["nothing to grant", plain, asks({ cpus: 1 }), "stays: it has 0 cpus in all; 1 asked for"],
    ["no report: all of it is free", node("a", { resources: { cpus: 4, gpus: 2 } }), asks({ cpus: 4, gpus: 2 })],
    [
      "no report: more than all",
      node("a", { resources: { gpus: 2 } }),
      asks({ gpus: 3 }),
      "stays: it has 2 gpus in all; 3 asked for",
    ],
    [
      "no device reported: counted",
      host("a", { gpus: 2 }, { gpus: 1 }),
      asks({ gpus: 2 }),
      "passes: it has 1 gpus free; 2 asked for",
    ],
    ["a whole device", devices, asks({ gpus: 1 })],
    ["whole devices that are empty", devices, asks({ gpus: 2 }), "passes: it has 1 whole GPUs free; 2 asked for"],
    ["more devices than there are", devices, asks({ gpus: 4 }), "stays: it has 3 whole GPUs in all; 4 asked for"],
    ["a share on one device", host("a", {}, {}, [gpu(0.25), gpu(0.5)]), asks({ gpus: 0.5 })],
    [
      "a share that only several have together",
      host("a", {}, {}, [gpu(0.25), gpu(0.5)]),
      asks({ gpus: 0.6 }),
      "passes: it has 0 GPUs with a share of 0.6 free; 1 asked for",
    ],
    ["sums of fractions", host("a", {}, {}, [gpu(0.3)]), asks({ gpus: 0.1 + 0.2 })],
    ["one and a half", devices, asks({ gpus: 1.5 }), "stays: it has 0 GPUs to divide so in all; 1.5 asked for"],
    [
      "memory of each device",
      host("a", {}, {}, [gpu(1), gpu(1, 10 * GIB)]),
      asks({ gpus: 2, gpuMemoryBytes: 40 * GIB }),
      "passes: it has 1 whole GPUs with 40 GiB free; 2 asked for",
    ],
    [
      "memory that no device has",
      devices,
      asks({ gpus: 0.5, gpuMemoryBytes: 100 * GIB }),
      "stays: it has 0 GPUs with a share of 0.5 with 100 GiB in all; 1 asked for",
    ],
    ["memory alone", host("a", {}, {}, [gpu(0, 20 * GIB)]), asks({ gpuMemoryBytes: 20 * GIB })],
    [
      "memory alone that is taken",
      host("a", {}, {}, [gpu(0, 20 * GIB)]),
      asks({ gpuMemoryBytes: 30 * GIB }),
      "passes: it has 0 GPUs with 30 GiB free; 1 asked for",
    ],
    [
      "a figure that is none",
      host("a", { cpus: 4 }, { cpus: Number.NaN }),
      asks({ cpus: 1 }),
      "passes: it has NaN cpus free; 1 asked for",
    ],
  ];
  for (const [what, record, request, told] of cases) test(what, () => expect(against(record, request)).toBe(told));
});

describe("the model", () => {
  const tiny = wish({ model: "tiny" });
  const two = node("a", { report: report({ engines: [engine("tiny", { state: "dead" }), engine("tiny")] }) });
  const cases: readonly Case[] = [
    ...(["ready", "busy", "asleep", "starting", "loadable"] as const).map(
      (state): Case => [state, server("a", { state }), tiny],
    ),
    ["draining", server("a", { state: "draining" }), tiny, "stays: its server for tiny is draining"],
    [
      "dead",
      server("a", { state: "dead", why: "out of memory" }),
      tiny,
      "passes: its server for tiny is dead: out of memory",
    ],
    ["dead beside one that lives", two, tiny],
    ["another model", server("a"), wish({ model: "large" }), "stays: it has no server for large; it has tiny"],
    ["no report", plain, tiny, "stays: it has no server for tiny; it has none"],
  ];
  for (const [what, record, request, told] of cases) test(what, () => expect(against(record, request)).toBe(told));
});

describe("strict forms", () => {
  const near = (strategy: PlacementOptions["strategy"]) => wish({ near: "team", ...(strategy && { strategy }) });
  test.each([
    ["strict-spread", { b: 1 }, undefined],
    ["strict-spread", { a: 1 }, "passes: one of team is there already"],
    ["strict-pack", {}, undefined],
    ["strict-pack", { a: 1 }, undefined],
    ["strict-pack", { b: 2 }, "stays: the others of team are on b"],
    ["spread", { a: 1 }, undefined],
    ["pack", { b: 1 }, undefined],
    [undefined, { b: 1 }, undefined],
  ] as const)("%s with siblings on %j", (strategy, counts, told) => {
    expect(against(plain, near(strategy), { near: siblings(counts) })).toBe(told);
  });

  test("without a word, those of a type spread; packing then holds to nothing", () => {
    const there = { near: new Map([[`type ${TYPE}`, new Map([["a", 1]])]]) };
    expect(against(plain, wish({ strategy: "strict-spread" }), there)).toBe("passes: one of counter is there already");
    expect(against(node("b"), wish({ strategy: "strict-pack" }), there)).toBeUndefined();
  });
});

test("every filter is listed once", () => {
  expect(new Set(FILTERS).size).toBe(FILTERS.length);
});
