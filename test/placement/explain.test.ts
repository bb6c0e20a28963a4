// Decisions as people read them.

import { expect, test } from "vitest";
import { explain, place } from "../../placement/index.ts";
import { type NodeRecord, type PlacementRequest, seededRandom } from "../../runtime/index.ts";
import { gpu, host, node, server, snapshot, TYPE } from "./snapshots.ts";

const lines = (nodes: readonly NodeRecord[], request: Partial<PlacementRequest> = {}) =>
  explain(place({ type: TYPE, ...request }, snapshot(nodes), seededRandom(1)));

test("placed: every score by scorer, then what is against the others", () => {
  const nodes = [
    server("gpu1", { running: 4 }),
    server("gpu2-long", { state: "asleep" }),
    node("laptop"),
    server("gpu3", { state: "dead", why: "out of memory" }),
  ];
  expect(lines(nodes, { placement: { model: "tiny" } })).toEqual([
    "on gpu1: best of 2 nodes that can take counter; ahead of gpu2-long by ready",
    "  node       score  ready  idle  actors",
    "  gpu1        0.90   1.00  0.67    1.00",
    "  gpu2-long   0.71   0.50  1.00    1.00",
    "  laptop  no: it has no server for tiny; it has none",
    "  gpu3    not now: its server for tiny is dead: out of memory",
  ]);
});

test("placed nowhere: for now, for good, and without anybody", () => {
  const full = host("a", { gpus: 1 }, { gpus: 0 }, [gpu(0.5)]);
  expect(lines([full, node("b")], { resources: { gpus: 1 } })).toEqual([
    "nowhere: no node can take it now",
    "  a  not now: it has 0 whole GPUs free; 1 asked for",
    "  b  no: it has 0 gpus in all; 1 asked for",
  ]);
  expect(lines([full], { resources: { gpus: 2 } })[0]).toBe("nowhere: no node of this fleet can take it");
  expect(lines([])[0]).toContain("flotilla node --servers");
  expect(explain({ kind: "unplaceable", rejected: [] })).toEqual(["nowhere: there is no node"]);
  expect(explain({ kind: "placed", node: "a", score: 1, reasons: ["there is one node"] })).toEqual([
    "on a: there is one node",
  ]);
});
