// Placement groups: all bundles or none, by table, and against the trying of everything on small fleets.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { planGroup } from "../../placement/index.ts";
import { freeRoom, NO_NEED, needOf, type Room, take } from "../../placement/room.ts";
import type { Snapshot } from "../../placement/snapshot.ts";
import { type Amounts, type GroupStrategy, type NodeRecord, seededRandom } from "../../runtime/index.ts";
import { gpu, host, node, recent, report, snapshot } from "./snapshots.ts";

const plan = (
  bundles: readonly Amounts[],
  strategy: GroupStrategy,
  nodes: readonly NodeRecord[],
  more: Partial<Snapshot> = {},
  seed = 1,
) => planGroup(bundles, strategy, snapshot(nodes, more), seededRandom(seed));

/** Bundles on each node, the most first; "none" without a plan. */
function shape(
  bundles: readonly Amounts[],
  strategy: GroupStrategy,
  nodes: readonly NodeRecord[],
): readonly number[] | "none" {
  const found = plan(bundles, strategy, nodes);
  if (found.kind === "unplannable") return "none";
  const counts = new Map<string, number>();
  for (const each of found.nodes) counts.set(each, (counts.get(each) ?? 0) + 1);
  return [...counts.values()].sort((a, b) => b - a);
}

const cpus = (name: string, free: number, all = free) => host(name, { cpus: all }, { cpus: free });
const ones = (count: number) => Array.from({ length: count }, () => ({ cpus: 1 }));

describe("how bundles lie", () => {
  const three = [cpus("a", 2), cpus("b", 4), cpus("c", 2)];
  test.each([
    ["pack", 4, [4]],
    ["pack", 5, [4, 1]],
    ["pack", 8, [4, 2, 2]],
    ["pack", 9, "none"],
    ["strict-pack", 4, [4]],
    ["strict-pack", 5, "none"],
    ["spread", 3, [1, 1, 1]],
    ["spread", 4, [2, 1, 1]],
    ["spread", 8, [4, 2, 2]],
    ["strict-spread", 3, [1, 1, 1]],
    ["strict-spread", 4, "none"],
    ["pack", 0, []],
  ] as const)("%s, %i bundles: %j", (strategy, count, expected) => {
    const found = shape(ones(count), strategy, three);
    if (strategy === "pack" && count === 5) expect(found).toHaveLength(2);
    else expect(found).toEqual(expected);
  });

  test("packing takes one node, if need be an emptier one, rather than the rest of two", () => {
    expect(plan(ones(3), "pack", [cpus("a", 2, 8), cpus("b", 4, 8), cpus("c", 2, 8)])).toMatchObject({
      nodes: ["b", "b", "b"],
    });
  });

  test("packing takes the fullest node that will do", () => {
    expect(plan([{ cpus: 1 }], "pack", [cpus("a", 8), cpus("b", 2, 8), cpus("c", 4, 8)])).toMatchObject({
      nodes: ["b"],
    });
    expect(plan([{ cpus: 1 }], "spread", [cpus("a", 4, 8), cpus("b", 8), cpus("c", 2, 8)])).toMatchObject({
      nodes: ["b"],
    });
  });

  test("whole GPUs and shares add up on devices", () => {
    const nodes = [host("a", {}, {}, [gpu(), gpu(0.5)]), host("b", {}, {}, [gpu(0.5)])];
    expect(plan([{ gpus: 0.5 }, { gpus: 1 }], "strict-pack", nodes)).toMatchObject({ nodes: ["a", "a"] });
    expect(shape([{ gpus: 0.5 }, { gpus: 0.5 }, { gpus: 1 }], "pack", nodes)).toEqual([2, 1]);
    expect(shape([{ gpus: 0.75 }, { gpus: 1 }], "pack", nodes)).toBe("none");
  });

  test("the same seed gives the same plan; another may give another", () => {
    const nodes = ["a", "b", "c", "d"].map((name) => cpus(name, 4));
    const plans = [1, 2, 3, 4, 5].map((seed) => plan(ones(2), "spread", nodes, {}, seed));
    expect(plans[0]).toEqual(plan(ones(2), "spread", nodes));
    expect(new Set(plans.map((each) => JSON.stringify(each))).size).toBeGreaterThan(1);
  });

  test("bundles that ask for nothing lie where actors are accepted", () => {
    expect(plan([{}, {}], "spread", [node("a"), node("b", { accepts: false })])).toMatchObject({ nodes: ["a", "a"] });
  });
});

describe("what was just placed", () => {
  const filled = (name: string) => new Map([[name, recent(1, { room: { free: { cpus: 0 }, gpus: [] } })]]);

  test("is kept out of the way, and forbids nothing", () => {
    const nodes = [cpus("a", 1), cpus("b", 1)];
    for (const seed of [1, 2, 3, 4, 5, 6, 7, 8])
      expect(plan([{ cpus: 1 }], "pack", nodes, { recent: filled("a") }, seed)).toMatchObject({ nodes: ["b"] });
    expect(plan(ones(2), "pack", nodes, { recent: filled("a") }).kind).toBe("planned");
  });
});

describe("no plan", () => {
  test("says what each node lacks, and whether that passes", () => {
    const nodes = [
      node("leaving", { draining: true }),
      node("faulty", { report: report({ faults: ["XID 79"] }) }),
      cpus("full", 1, 4),
      cpus("small", 2),
      node("script", { accepts: false }),
      node("part", { parent: "full" }),
    ];
    expect(plan([{ cpus: 1 }, { cpus: 3 }], "pack", nodes)).toEqual({
      kind: "unplannable",
      why: "no node can take bundle 1",
      passes: true,
      rejected: [
        { node: "leaving", reason: "it is draining", passes: true },
        { node: "faulty", reason: "it is faulty: XID 79", passes: true },
        { node: "full", reason: "bundle 1: it has 1 cpus free; 3 asked for", passes: true },
        { node: "small", reason: "bundle 1: it has 2 cpus in all; 3 asked for" },
        { node: "script", reason: "it accepts no actors of others" },
      ],
    });
  });

  test.each([
    ["strict-pack", "no node can take all 3 bundles"],
    ["strict-spread", "the 3 bundles do not fit on 2 nodes, each on a node of its own"],
  ] as const)("%s: what can never be does not pass", (strategy, why) => {
    const reason = "it can take each bundle, but not its part of all of them";
    expect(plan(ones(3), strategy, [cpus("a", 2), cpus("b", 2)])).toEqual({
      kind: "unplannable",
      why,
      passes: false,
      rejected: [
        { node: "a", reason },
        { node: "b", reason },
      ],
    });
    expect(plan(ones(3), strategy, [cpus("a", 2), cpus("b", 2), cpus("c", 0, 3)])).toMatchObject({ passes: true });
  });
});

/** Every way to put the bundles on nodes, tried. Bundles take in the order in which a plan promises that they can. */
function canBe(bundles: readonly Amounts[], strategy: GroupStrategy, nodes: readonly NodeRecord[]): boolean {
  const isRight = (at: readonly number[]) =>
    strategy === "strict-pack" ? new Set(at).size <= 1 : strategy !== "strict-spread" || new Set(at).size === at.length;
  const tryAll = (at: readonly number[]): boolean => {
    if (at.length === bundles.length) return isRight(at) && fits(bundles, at, nodes);
    return nodes.some((_, index) => tryAll([...at, index]));
  };
  return tryAll([]);
}

/** Whether the bundles, at these nodes, are granted from the most GPUs to the least. */
function fits(bundles: readonly Amounts[], at: readonly number[], nodes: readonly NodeRecord[]): boolean {
  const rooms: (Room | undefined)[] = nodes.map(freeRoom);
  const entries = bundles.map((amounts, bundle) => ({ need: needOf(amounts) ?? NO_NEED, host: at[bundle] ?? -1 }));
  return entries
    .sort((a, b) => b.need.gpus - a.need.gpus)
    .every(({ need, host: index }) => {
      const room = rooms[index];
      rooms[index] = room && take(room, need);
      return rooms[index] !== undefined;
    });
}

test("a plan is found exactly when there is one, and it fits", () => {
  const amount = (...values: number[]) => fc.constantFrom(...values);
  const anyBundle = fc.record({ cpus: amount(0, 1, 2, 3), gpus: amount(0, 0, 0.25, 0.5, 1, 2) });
  const anyHost = fc.record({ cpus: amount(0, 1, 3, 4), gpus: fc.array(amount(0, 0.25, 0.5, 1, 1), { maxLength: 3 }) });
  const anyStrategy = fc.constantFrom<GroupStrategy>("pack", "spread", "strict-pack", "strict-spread");
  let feasible = 0;
  fc.assert(
    fc.property(
      fc.array(anyBundle, { minLength: 1, maxLength: 5 }),
      fc.array(anyHost, { minLength: 1, maxLength: 4 }),
      anyStrategy,
      fc.nat(),
      (bundles, hosts, strategy, seed) => {
        const nodes = hosts.map((each, index) =>
          host(
            `n${index}`,
            { cpus: 4, gpus: each.gpus.length },
            { cpus: each.cpus, gpus: 0 },
            each.gpus.map((free) => gpu(free)),
          ),
        );
        const found = plan(bundles, strategy, nodes, {}, seed);
        expect(found.kind).toBe(canBe(bundles, strategy, nodes) ? "planned" : "unplannable");
        if (found.kind !== "planned") return;
        feasible++;
        const at = found.nodes.map((id) => nodes.findIndex((each) => each.node === id));
        expect(fits(bundles, at, nodes)).toBe(true);
        if (strategy === "strict-pack") expect(new Set(at).size).toBe(1);
        if (strategy === "strict-spread") expect(new Set(at).size).toBe(at.length);
      },
    ),
    { numRuns: 600 },
  );
  expect(feasible).toBeGreaterThan(100);
});

test("the only plan for 8 bundles on 64 nodes is found", () => {
  const nodes = Array.from({ length: 64 }, (_, index) => cpus(`n${index}`, index < 8 ? 8 - index : 0, 8));
  const bundles = Array.from({ length: 8 }, (_, index) => ({ cpus: index + 1 }));
  for (const strategy of ["strict-spread", "spread", "pack"] as const)
    expect(new Set(shapeNodes(bundles, strategy, nodes)).size).toBe(8);
  expect(plan([...bundles.slice(1), { cpus: 2 }], "pack", nodes)).toMatchObject({ kind: "unplannable" });
});

test("a plan that leaves nothing over is found among 64 nodes", () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.integer({ min: 1, max: 9 }), fc.nat(7)), { minLength: 8, maxLength: 8 }),
      fc.nat(),
      (bundles, seed) => {
        // Each node has exactly what the bundles meant for it ask for; all others have half a processor.
        const free = (index: number) =>
          bundles.reduce((sum, [size, at]) => (at === index ? sum + size : sum), 0) || 0.5;
        const nodes = Array.from({ length: 64 }, (_, index) => cpus(`n${index}`, free(index), 99));
        const asked = bundles.map(([size]) => ({ cpus: size }));
        for (const strategy of ["pack", "spread"] as const)
          expect(plan(asked, strategy, nodes, {}, seed)).toMatchObject({ kind: "planned" });
      },
    ),
    { numRuns: 60 },
  );
});

const shapeNodes = (bundles: readonly Amounts[], strategy: GroupStrategy, nodes: readonly NodeRecord[]) => {
  const found = plan(bundles, strategy, nodes);
  return found.kind === "planned" ? found.nodes : [];
};
