// The placer keeps the Placer contract, takes turns, and remembers what it has placed until the node reports, is gone, or it is told of the end.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { openPlacer } from "../../placement/index.ts";
import { Notes } from "../../placement/notes.ts";
import { type NodeRecord, type PlacementRequest, type PlacerModule, seededRandom } from "../../runtime/index.ts";
import { NODES, placerContract } from "../contracts/placer.ts";
import { engine, gpu, host, node, report, server, TYPE } from "./snapshots.ts";

const MODULE: PlacerModule = { openPlacer };
const placerOf = (nodes: readonly NodeRecord[], seed = 1, here = "here") =>
  openPlacer({ here, nodes: () => nodes, random: seededRandom(seed) });

placerContract("weighing", async () => ({
  placer: MODULE.openPlacer({
    here: "here",
    nodes: () => NODES.map((name) => node(name)),
    random: seededRandom(1),
  }),
  close: async () => {},
}));

type OpenPlacer = ReturnType<typeof placerOf>;
const wish = (request: Partial<PlacementRequest>): PlacementRequest => ({ type: TYPE, ...request });

function placed(placer: OpenPlacer, request: Partial<PlacementRequest> = {}): string {
  const decision = placer.place(wish(request));
  if (decision instanceof Promise) throw new Error("expected a decision at once");
  return decision.kind === "placed" ? decision.node : "nowhere";
}
const many = (placer: OpenPlacer, count: number, request: Partial<PlacementRequest> = {}) =>
  Array.from({ length: count }, () => placed(placer, request));
const tally = (nodes: readonly string[]) => {
  const counts: Record<string, number> = {};
  for (const each of nodes) counts[each] = (counts[each] ?? 0) + 1;
  return counts;
};

describe("turns", () => {
  test("equal nodes without reports share evenly, in an order that the seed chooses", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 9 }), fc.integer(), (size, seed) => {
        const nodes = Array.from({ length: size }, (_, index) => node(`n${index}`));
        const counts = Object.values(tally(many(placerOf(nodes, seed), 100)));
        expect(counts).toHaveLength(size);
        expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1);
      }),
      { numRuns: 50 },
    );
    const nodes = ["a", "b", "c", "d"].map((name) => node(name));
    expect(new Set([1, 2, 3, 4].map((seed) => `${many(placerOf(nodes, seed), 4)}`)).size).toBeGreaterThan(1);
  });

  test("one that comes without a report gets its share and not all at once", () => {
    const nodes = ["a", "b"].map((name) => node(name));
    const placer = placerOf(nodes);
    many(placer, 100);
    nodes.push(node("c"));
    expect(tally(many(placer, 9))).toEqual({ a: 3, b: 3, c: 3 });
  });

  test("one that comes with a report is filled up to the others", () => {
    const nodes = ["a", "b"].map((name) => node(name, { report: report({ actors: 10 }) }));
    const placer = placerOf(nodes);
    nodes.push(node("c", { report: report() }));
    expect(tally(many(placer, 16))).toEqual({ a: 2, b: 2, c: 12 });
  });
});

describe("what was placed and is not reported yet", () => {
  const one = (name: string, atMs: number, free: number) =>
    node(name, { resources: { cpus: 2 }, report: report({ atMs, free: { cpus: free } }) });
  const asks = { resources: { cpus: 2 } };

  test("keeps out of the way until the node reports anew, and forbids nothing", () => {
    const nodes = [one("a", 1, 2), one("b", 1, 2)];
    const placer = placerOf(nodes);
    expect(new Set(many(placer, 2, asks))).toEqual(new Set(["a", "b"]));
    expect(placed(placer, asks)).not.toBe("nowhere");
    nodes[0] = one("a", 2, 0);
    nodes[1] = one("b", 2, 2);
    expect(placed(placer, asks)).toBe("b");
    nodes[1] = one("b", 3, 0);
    expect(placed(placer, asks)).toBe("nowhere");
  });

  test("shares of GPUs fill a device before they break the next", () => {
    const nodes = ["a", "b"].map((name) => host(name, { gpus: 2 }, { gpus: 2 }, [gpu(), gpu()]));
    const placer = placerOf(nodes);
    const [first, ...others] = many(placer, 4, { resources: { gpus: 0.25 } });
    expect(new Set(others)).toEqual(new Set([first]));
    expect(placed(placer, { resources: { gpus: 2 } })).not.toBe(first);
  });

  test("requests just sent count against a server", () => {
    const placer = placerOf([server("a"), server("b", { running: 1 })]);
    const counts = tally(many(placer, 9, { placement: { model: "tiny" } }));
    expect(counts).toEqual({ a: 5, b: 4 });
  });

  test("goes with the node", () => {
    const nodes = [one("a", 1, 2)];
    const placer = placerOf(nodes);
    placed(placer, { ...asks, placement: { near: "team", strategy: "strict-pack" } });
    nodes[0] = one("b", 1, 2);
    expect(placed(placer, { ...asks, placement: { near: "team", strategy: "strict-pack" } })).toBe("b");
  });
});

describe("siblings", () => {
  const council = { placement: { near: "team", model: "tiny" } };

  test("a council gathers beside one server, goes on to the next when that is saturated, and comes back", () => {
    const busy = (name: string, atMs: number, running: number) =>
      node(name, { report: report({ atMs, actors: running, engines: [engine("tiny", { running })] }) });
    const nodes = [busy("a", 1, 0), busy("b", 1, 0), busy("c", 1, 0)];
    const placer = placerOf(nodes);
    const [home, ...eight] = many(placer, 8, council);
    expect(new Set(eight)).toEqual(new Set([home]));
    const [next, ...others] = many(placer, 4, council);
    expect(next).not.toBe(home);
    expect(new Set(others)).toEqual(new Set([next]));
    for (const [index, { name }] of nodes.entries()) nodes[index] = busy(name, 2, name === home ? 2 : 0);
    expect(placed(placer, council)).toBe(home);
  });

  test("two councils do not share a server while there is another", () => {
    const placer = placerOf([server("a"), server("b")]);
    const first = new Set(many(placer, 3, council));
    const second = new Set(many(placer, 3, { placement: { near: "other", model: "tiny" } }));
    expect([first.size, second.size, new Set([...first, ...second]).size]).toEqual([1, 1, 2]);
  });

  test("one that is said to have ended makes room", () => {
    const placer = placerOf([node("a"), node("b")]);
    const apart = { placement: { near: "team", strategy: "strict-spread" } } as const;
    expect(new Set(many(placer, 2, apart))).toEqual(new Set(["a", "b"]));
    expect(placed(placer, apart)).toBe("nowhere");
    placer.ended(wish(apart), "b");
    expect(placed(placer, apart)).toBe("b");
    for (let twice = 0; twice < 2; twice++) placer.ended(wish(apart), "a");
    placer.ended(wish(apart), "gone");
    expect(many(placer, 2, apart)).toEqual(["a", "nowhere"]);
  });

  test("strict rules hold in every history of placements, ends, reports and departures", () => {
    type Step = readonly ["place" | "end" | "report" | "leave", word: string, at: number];
    const anyStep: fc.Arbitrary<Step> = fc.tuple(
      fc.constantFrom("place", "place", "place", "end", "report", "leave"),
      fc.constantFrom("strict-pack", "strict-spread"),
      fc.nat(5),
    );
    const run = (steps: readonly Step[], seed: number) => {
      let nodes = ["a", "b", "c", "d"].map((name) => host(name, { cpus: 9 }, { cpus: 9 }));
      const placer = openPlacer({ here: "here", nodes: () => nodes, random: seededRandom(seed) });
      let live: { readonly word: string; readonly node: string }[] = [];
      const request = (word: string) =>
        wish({ resources: { cpus: 1 }, placement: { near: word, strategy: word as "strict-pack" } });
      for (const [kind, word, at] of steps) {
        const target = nodes[at % Math.max(1, nodes.length)]?.node ?? "";
        const actor = live[at % Math.max(1, live.length)];
        if (kind === "leave") {
          nodes = nodes.filter((each) => each.node !== target);
          live = live.filter((each) => each.node !== target);
        }
        if (kind === "report")
          nodes = nodes.map((each) => (each.node === target ? host(target, { cpus: 9 }, { cpus: at }) : each));
        if (kind === "end" && actor !== undefined) {
          live = live.filter((each) => each !== actor);
          placer.ended(request(actor.word), actor.node);
        }
        if (kind !== "place") continue;
        const chosen = placed(placer, request(word));
        if (chosen === "nowhere") continue;
        expect(nodes.map((each) => each.node)).toContain(chosen);
        const siblings = live.filter((each) => each.word === word).map((each) => each.node);
        if (word === "strict-pack") expect(new Set([...siblings, chosen]).size).toBe(1);
        else expect(siblings).not.toContain(chosen);
        live.push({ word, node: chosen });
      }
    };
    fc.assert(fc.property(fc.array(anyStep, { maxLength: 40 }), fc.nat(), run), { numRuns: 200 });
  });
});

test("what is remembered is bounded", () => {
  const notes = new Notes();
  const record = host("a", { cpus: 1e6 }, { cpus: 1e6 });
  notes.meet([record]);
  for (let word = 0; word < 3_000; word++)
    notes.placed(record, wish({ resources: { cpus: 1 }, placement: { near: `${word}` } }));
  expect(notes.near.size).toBe(1_024);
  expect(notes.near.has("near 2999")).toBe(true);
  expect(notes.recent.get("a")).toMatchObject({ actors: 3_000, room: { free: { cpus: 1e6 - 256 } } });
  notes.meet([]);
  expect([notes.near.size, notes.recent.size]).toEqual([0, 0]);
});

test("a plan is kept out of the way of what comes after it", () => {
  const nodes = ["a", "b"].map((name) => host(name, { cpus: 4 }, { cpus: 4 }));
  const placer = placerOf(nodes);
  const plan = placer.plan([{ cpus: 3 }, { cpus: 1 }], "pack");
  if (plan.kind !== "planned") throw new Error(plan.why);
  expect(new Set(plan.nodes).size).toBe(1);
  expect(placed(placer, { resources: { cpus: 1 }, placement: { strategy: "pack" } })).not.toBe(plan.nodes[0]);
});
