// The fleet's placer keeps the Placer contract; it takes turns among those that can, and says why the others cannot.

import { expect, test } from "vitest";
import { FleetPlacer } from "../../runtime/fleet-placer.ts";
import { type NodeRecord, seededRandom } from "../../runtime/index.ts";
import { NODES, placerContract } from "../contracts/placer.ts";
import { recordOf, typesOf } from "../support/members.ts";

const record = (name: string, more: Partial<NodeRecord> = {}) =>
  recordOf(name, { node: name, types: typesOf("counter"), ...more });
const placerOf = (nodes: readonly NodeRecord[], here = "here", seed = 1) =>
  new FleetPlacer(here, () => nodes, seededRandom(seed));

placerContract("fleet", async () => ({ placer: placerOf(NODES.map((node) => record(node))), close: async () => {} }));

const placed = (placer: FleetPlacer, count: number, type = "counter") =>
  Array.from({ length: count }, () => {
    const decision = placer.place({ type });
    return decision.kind === "placed" ? decision.node : "nowhere";
  });

test("takes turns, in an order that its seed chooses", () => {
  const nodes = ["a", "b", "c", "d"].map((name) => record(name));
  const orders = [1, 2, 3, 4].map((seed) => placed(placerOf(nodes, "here", seed), 8));
  for (const order of orders) {
    expect(new Set(order.slice(0, 4)).size).toBe(4);
    expect(order.slice(4)).toEqual(order.slice(0, 4));
  }
  expect(new Set(orders.map(String)).size).toBeGreaterThan(1);
});

test("a new node gets the next actor and then its share, not all at once", () => {
  const nodes = ["a", "b"].map((name) => record(name));
  const placer = placerOf(nodes);
  placed(placer, 100);
  nodes.push(record("c"));
  expect(placed(placer, 1)).toEqual(["c"]);
  expect(placed(placer, 9).filter((node) => node === "c")).toHaveLength(3);
});

test("chooses only among those that can, and says of each other why not", () => {
  const nodes = [
    record("driver", { accepts: false }),
    record("leaving", { draining: true }),
    record("other", { types: typesOf("x", "y") }),
    record("loads", { types: [], allowsCode: true }),
  ];
  expect(placed(placerOf(nodes), 3)).toEqual(["loads", "loads", "loads"]);
  const decision = placerOf(nodes.slice(0, 3)).place({ type: "counter" });
  expect(decision).toEqual({
    kind: "unplaceable",
    rejected: [
      { node: "driver", reason: "it accepts no actors of others" },
      { node: "leaving", reason: "it is draining" },
      { node: "other", reason: "it does not know the type counter; it knows x, y" },
    ],
  });
});

test("a refusal is told as it came, with whether it may pass", () => {
  const refused = [{ node: "a", reason: "its model is loading", passes: true }];
  const other = { node: "b", reason: "it is draining" };
  const decision = placerOf([record("a"), record("b", { draining: true })]).place({ type: "counter", refused });
  expect(decision).toEqual({ kind: "unplaceable", rejected: [...refused, other] });
});

test("with nobody who accepts, says what to start", () => {
  const decision = placerOf([record("here", { accepts: false })]).place({ type: "counter" });
  expect(decision).toMatchObject({ kind: "unplaceable", why: expect.stringContaining("flotilla node --servers") });
});

test("the process of one actor is no place for others, nor spoken of; when it leaves it does not turn to its own node", () => {
  const own = record("node");
  const part = record("node-p1", { parent: "node", accepts: true, allowsCode: true });
  expect(placed(placerOf([own, part]), 3)).toEqual(["node", "node", "node"]);
  const refused = placerOf([record("node", { draining: true }), part]).place({ type: "counter" });
  expect(refused).toMatchObject({ rejected: [{ node: "node" }] });
  const leaving = [{ ...part, accepts: false, draining: true }, own];
  expect(placerOf(leaving, "node-p1").place({ type: "counter" })).toMatchObject({
    rejected: [
      { node: "node-p1", reason: "it is draining" },
      { node: "node", reason: "it is draining" },
    ],
  });
  expect(placed(placerOf([...leaving, record("other")], "node-p1"), 1)).toEqual(["other"]);
});

test("a node is named by id or name; its own may be named although it accepts nobody else's", () => {
  const nodes = [recordOf("a", { types: typesOf("counter") }), record("here", { accepts: false })];
  expect(placerOf(nodes).place({ type: "counter", node: "a" })).toMatchObject({ kind: "placed", node: "a-1" });
  expect(placerOf(nodes).place({ type: "counter", node: "a-1" })).toMatchObject({ kind: "placed", node: "a-1" });
  expect(placerOf(nodes).place({ type: "counter", node: "here" })).toMatchObject({ kind: "placed", node: "here" });
  expect(placerOf(nodes, "elsewhere").place({ type: "counter", node: "here" }).kind).toBe("unplaceable");
});
