// How well nodes suit, by table: which of two is better for what, and that what is to decide does.

import { describe, expect, test } from "vitest";
import { place } from "../../placement/index.ts";
import { SCORERS } from "../../placement/scorers.ts";
import type { Snapshot } from "../../placement/snapshot.ts";
import { type NodeRecord, type PlacementOptions, type PlacementRequest, seededRandom } from "../../runtime/index.ts";
import { engine, gpu, host, node, recent, report, server, siblings, snapshot, TYPE } from "./snapshots.ts";

/** Node ids, best first, and the parts of each score. */
function rank(nodes: readonly NodeRecord[], request: Partial<PlacementRequest>, more: Partial<Snapshot> = {}) {
  const decision = place({ type: TYPE, ...request }, snapshot(nodes, more), seededRandom(1));
  if (decision.kind !== "placed") throw new Error(`unplaceable: ${JSON.stringify(decision)}`);
  const scores = decision.scores ?? [];
  return { order: scores.map((each) => each.node), parts: new Map(scores.map((each) => [each.node, each.parts])) };
}

const wish = (placement: PlacementOptions): Partial<PlacementRequest> => ({ placement });
const loaded = (name: string, actors: number) => node(name, { report: report({ actors }) });
const half = { resources: { gpus: 0.5 } };
const cpu = { resources: { cpus: 1 } };

type Case = readonly [what: string, better: NodeRecord, worse: NodeRecord, request: Partial<PlacementRequest>];

describe("the better of two", () => {
  const cases: readonly Case[] = [
    ["fewer actors", loaded("a", 3), loaded("b", 4), {}],
    ["packing: more actors", loaded("a", 4), loaded("b", 3), wish({ strategy: "pack" })],
    ["more left of what is asked for", host("a", { cpus: 4 }, { cpus: 3 }), host("b", { cpus: 4 }, { cpus: 2 }), cpu],
    [
      "packing: less left",
      host("a", { cpus: 4 }, { cpus: 2 }),
      host("b", { cpus: 4 }, { cpus: 3 }),
      { ...cpu, ...wish({ strategy: "pack" }) },
    ],
    ["the share fills a device", host("a", {}, {}, [gpu(0.5)]), host("b", {}, {}, [gpu(1)]), half],
    ["the share fills it better", host("a", {}, {}, [gpu(0.5), gpu(1)]), host("b", {}, {}, [gpu(0.75)]), half],
    [
      "whole devices: few are left over",
      host("a", {}, {}, [gpu(1), gpu(0.5)]),
      host("b", {}, {}, [gpu(1), gpu(1)]),
      { resources: { gpus: 1 } },
    ],
    ["no GPU for who wants none", loaded("a", 9), node("b", { resources: { gpus: 1 } }), {}],
    ["nor a reported one", loaded("a", 9), host("b", {}, {}, [gpu()]), {}],
    ["ready before busy", server("a"), server("b", { state: "busy" }), wish({ model: "tiny" })],
    ["busy before asleep", server("a", { state: "busy" }), server("b", { state: "asleep" }), wish({ model: "tiny" })],
    [
      "asleep before starting",
      server("a", { state: "asleep" }),
      server("b", { state: "starting" }),
      wish({ model: "tiny" }),
    ],
    [
      "starting before loadable",
      server("a", { state: "starting" }),
      server("b", { state: "loadable" }),
      wish({ model: "tiny" }),
    ],
    ["the least busy server", server("a", { running: 2 }), server("b", { running: 3 }), wish({ model: "tiny" })],
    ["waiting counts", server("a", { running: 2 }), server("b", { waiting: 3 }), wish({ model: "tiny" })],
    ["by its slots", server("a", { running: 6, slots: 16 }), server("b", { running: 4 }), wish({ model: "tiny" })],
    ["also when all are past them", server("a", { running: 9 }), server("b", { running: 30 }), wish({ model: "tiny" })],
    [
      "preferred labels",
      node("a", { labels: { zone: "x", disk: "y" } }),
      node("b", { labels: { zone: "x" } }),
      wish({ prefer: { zone: "x", disk: "y" } }),
    ],
    [
      "preferred nodes before preferred labels",
      loaded("a", 9),
      node("b", { labels: { zone: "x" } }),
      wish({ nodes: ["a"], prefer: { zone: "x" } }),
    ],
  ];
  test.each(cases)("%s", (_, better, worse, request) => {
    expect(rank([better, worse], request).order).toEqual([better.node, worse.node]);
    expect(rank([worse, better], request).order).toEqual([better.node, worse.node]);
  });
});

describe("what was just placed", () => {
  test("counts as actors and as requests before any report says so", () => {
    const placed = new Map([["a", recent(2, { models: new Map([["tiny", 2]]) })]]);
    expect(rank([node("a"), node("b")], {}, { recent: placed }).order).toEqual(["b", "a"]);
    expect(rank([server("a"), server("b", { running: 1 })], wish({ model: "tiny" }), { recent: placed }).order).toEqual(
      ["b", "a"],
    );
  });

  test("a node that it has filled comes last, but comes", () => {
    const nodes = [host("a", { cpus: 1 }, { cpus: 1 }), host("b", { cpus: 9 }, { cpus: 2 })];
    const filled = new Map([["a", recent(1, { room: { free: { cpus: 0 }, gpus: [] } })]]);
    const request = { ...cpu, ...wish({ near: "team", nodes: ["a"] }) };
    expect(rank(nodes, request, { near: siblings({ a: 1 }) }).order).toEqual(["a", "b"]);
    expect(rank(nodes, request, { near: siblings({ a: 1 }), recent: filled }).order).toEqual(["b", "a"]);
    expect(rank(nodes.slice(0, 1), request, { recent: filled }).order).toEqual(["a"]);
  });
});

describe("a council", () => {
  const council = wish({ near: "team", model: "tiny" });
  const home = { near: siblings({ a: 2 }) };

  test.each([
    ["stays beside a busy server", { running: 6, state: "busy" }, "a"],
    ["stays while some wait for a step", { running: 4, waiting: 3, kvUsage: 0.5 }, "a"],
    ["leaves when all slots are in use", { running: 6, waiting: 2 }, "b"],
    ["leaves when some wait for memory", { running: 3, waiting: 1, kvUsage: 0.95 }, "b"],
  ] as const)("%s", (_, more, expected) => {
    expect(rank([server("a", more), server("b")], council, home).order[0]).toBe(expected);
  });

  test("what was just sent saturates too", () => {
    const sent = new Map([["a", recent(3, { models: new Map([["tiny", 3]]) })]]);
    expect(rank([server("a", { running: 5 }), server("b")], council, { ...home, recent: sent }).order[0]).toBe("b");
    expect(rank([server("a", { running: 4 }), server("b")], council, { ...home, recent: sent }).order[0]).toBe("a");
  });

  test("those that left stay together, and come back", () => {
    const both = { near: siblings({ a: 5, c: 1 }) };
    const others = [server("b"), server("c", { running: 6 })];
    expect(rank([server("a", { running: 8 }), ...others], council, both).order[0]).toBe("c");
    expect(rank([server("a", { running: 7 }), ...others], council, both).order[0]).toBe("a");
  });

  test("that names no model stays by the servers that are there, and without any on its node", () => {
    const unnamed = wish({ near: "team" });
    expect(rank([server("a", { running: 7 }), server("b")], unnamed, home).order[0]).toBe("a");
    expect(rank([server("a", { running: 8 }), server("b")], unnamed, home).order[0]).toBe("b");
    const second = node("a", { report: report({ engines: [engine("tiny", { running: 8 }), engine("large")] }) });
    expect(rank([second, server("b")], unnamed, home).order[0]).toBe("a");
    expect(rank([loaded("a", 9), node("b")], unnamed, home).order[0]).toBe("a");
  });

  test("packed stays whatever the server has to do; spread goes where fewest are", () => {
    const full = [server("a", { running: 8 }), server("b", { running: 1 })];
    expect(rank(full, wish({ near: "team", model: "tiny", strategy: "pack" }), home).order[0]).toBe("a");
    expect(rank([loaded("a", 0), loaded("b", 9)], wish({ near: "team", strategy: "spread" }), home).order[0]).toBe("b");
    const types = { near: new Map([[`type ${TYPE}`, new Map([["a", 1]])]]) };
    expect(rank([loaded("a", 0), loaded("b", 9)], wish({ strategy: "spread" }), types).order[0]).toBe("b");
  });
});

test("a report that makes no sense makes no score that makes none", () => {
  const figures = [Number.NaN, -1, Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY];
  const nodes = figures.flatMap((figure, index) => [
    server(`running${index}`, { running: figure }),
    server(`slots${index}`, { slots: figure }),
    node(`actors${index}`, { report: report({ actors: figure, engines: [engine("tiny", { kvUsage: figure })] }) }),
  ]);
  const { parts } = rank(nodes, wish({ model: "tiny", near: "team" }), { near: siblings({ running0: 1 }) });
  expect(parts.size).toBe(nodes.length);
  for (const each of parts.values())
    for (const part of Object.values(each)) expect(part >= 0 && part <= 1, JSON.stringify(each)).toBe(true);
});

test("only what concerns a request is scored", () => {
  const parts = (request: Partial<PlacementRequest>, nodes = [node("a")]) =>
    Object.keys(rank(nodes, request).parts.get("a") ?? {});
  expect(parts({})).toEqual(["no-gpu", "actors"]);
  expect(parts(wish({ model: "tiny", near: "x" }), [server("a")])).toEqual(["near", "ready", "idle", "actors"]);
  expect(parts({ resources: { cpus: 1, gpus: 1 } }, [host("a", { cpus: 1 }, { cpus: 1 }, [gpu()])])).toEqual([
    "room",
    "gpu-fit",
    "fit",
    "actors",
  ]);
});

test("what is to decide weighs more than all below it", () => {
  const weights = SCORERS.map(({ weight }) => weight);
  expect(weights).toEqual(weights.toSorted((a, b) => b - a));
  for (const name of ["room", "near"]) {
    const at = SCORERS.findIndex((scorer) => scorer.name === name);
    expect(weights[at]).toBeGreaterThan(weights.slice(at + 1).reduce((sum, weight) => sum + weight, 0));
  }
});
