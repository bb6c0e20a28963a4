// One decision: complete, explained, deterministic and never an exception, on any fleet.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { askedOf } from "../../placement/asked.ts";
import { objectionTo } from "../../placement/filters.ts";
import { place } from "../../placement/index.ts";
import { placesOf } from "../../placement/snapshot.ts";
import { type NodeRecord, type PlacementRequest, seededRandom } from "../../runtime/index.ts";
import { typesOf } from "../support/members.ts";
import { anyRequest, anySnapshot, node, snapshot, TYPE } from "./snapshots.ts";

const decide = (nodes: readonly NodeRecord[], request: Partial<PlacementRequest> = {}, here = "here", seed = 1) =>
  place({ type: TYPE, ...request }, snapshot(nodes, { here }), seededRandom(seed));

describe("on any fleet", () => {
  const anySeed = fc.integer({ min: 1, max: 1e6 });

  test("a node is chosen only when nothing is against it, and each is scored or rejected", () => {
    fc.assert(
      fc.property(anyRequest, anySnapshot, anySeed, (request, seen, seed) => {
        const decision = place(request, seen, seededRandom(seed));
        const scores = decision.kind === "placed" ? (decision.scores ?? []) : [];
        const told = [...scores, ...(decision.rejected ?? [])].map((each) => each.node);
        expect(told.sort()).toEqual(
          placesOf(seen)
            .map((each) => each.node)
            .sort(),
        );
        const asked = askedOf(request, seen);
        const able = placesOf(seen).filter((record) => objectionTo(record, asked) === undefined);
        expect(scores.map((each) => each.node).sort()).toEqual(able.map((each) => each.node).sort());
        expect(decision.kind).toBe(able.length > 0 ? "placed" : "unplaceable");
        if (decision.kind !== "placed") return;
        expect(scores[0]).toMatchObject({ node: decision.node, score: decision.score });
        for (const { score, parts } of scores) {
          expect(score).toBeLessThanOrEqual(decision.score + 1e-9);
          for (const part of [score, ...Object.values(parts)]) expect(part >= 0 && part <= 1).toBe(true);
        }
      }),
      { numRuns: 600 },
    );
  });

  test("the same snapshot and seed give the same decision, which is plain data and changes nothing", () => {
    fc.assert(
      fc.property(anyRequest, anySnapshot, anySeed, (request, seen, seed) => {
        const before = structuredClone(seen);
        const decision = place(Object.freeze(request), seen, seededRandom(seed));
        expect(place(request, seen, seededRandom(seed))).toEqual(decision);
        expect(JSON.parse(JSON.stringify(decision))).toEqual(decision);
        expect(seen).toEqual(before);
      }),
      { numRuns: 200 },
    );
  });
});

test("equal nodes are chosen by chance, as the seed says", () => {
  const nodes = ["a", "b", "c", "d"].map((name) => node(name));
  const chosen = Array.from({ length: 20 }, (_, seed) => {
    const decision = decide(nodes, {}, "here", seed + 1);
    return decision.kind === "placed" ? decision.node : "nowhere";
  });
  expect(new Set(chosen).size).toBe(4);
});

test("says why that node", () => {
  const reasons = (nodes: readonly NodeRecord[], request: Partial<PlacementRequest> = {}) => {
    const decision = decide(nodes, request);
    return decision.kind === "placed" ? decision.reasons : [];
  };
  const labelled = node("a", { labels: { zone: "x" } });
  expect(reasons([labelled], { node: "a" })).toEqual(["the request names it"]);
  expect(reasons([labelled, node("b", { draining: true })])).toEqual(["the only node that can take counter"]);
  expect(reasons([labelled, node("b")])).toEqual([
    "best of 2 nodes that can take counter",
    "chance decided among the 2 that score the same",
  ]);
  expect(reasons([labelled, node("b")], { placement: { prefer: { zone: "x" } } })).toEqual([
    "best of 2 nodes that can take counter",
    "ahead of b by prefer",
  ]);
});

test("with nobody who accepts, says what to start", () => {
  const why = expect.stringContaining("flotilla node --servers");
  expect(decide([node("here", { accepts: false })])).toMatchObject({ kind: "unplaceable", why });
  expect(decide([])).toMatchObject({ kind: "unplaceable", why, rejected: [] });
});

test("the process of one actor is no place for others, nor spoken of; when it leaves it does not turn to its own node", () => {
  const own = node("node");
  const part = node("node-p1", { parent: "node", accepts: true, allowsCode: true });
  const placed = decide([own, part]);
  expect(placed).toMatchObject({ kind: "placed", node: "node", scores: [{ node: "node" }], rejected: [] });
  expect(decide([node("node", { draining: true }), part])).toMatchObject({ rejected: [{ node: "node" }] });
  const leaving = [{ ...part, accepts: false, draining: true }, own];
  const draining = { reason: "it is draining", passes: true };
  expect(decide(leaving, {}, "node-p1")).toMatchObject({
    kind: "unplaceable",
    rejected: [
      { node: "node-p1", ...draining },
      { node: "node", ...draining },
    ],
  });
  expect(decide([...leaving, node("other")], {}, "node-p1")).toMatchObject({ node: "other" });
});

test("a node is named by id or name; its own may be named although it accepts nobody else's", () => {
  const nodes = [node("a", { node: "a-1" }), node("here", { accepts: false, types: typesOf() })];
  expect(decide(nodes, { node: "a" })).toMatchObject({ kind: "placed", node: "a-1" });
  expect(decide(nodes, { node: "a-1" })).toMatchObject({ kind: "placed", node: "a-1" });
  expect(decide(nodes, { node: "here" })).toMatchObject({ kind: "placed", node: "here" });
  expect(decide(nodes, { node: "here" }, "elsewhere").kind).toBe("unplaceable");
});
