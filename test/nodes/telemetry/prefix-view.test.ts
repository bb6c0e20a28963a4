// What a server is known to have cached, against a model that works it out from the whole history each time.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { nameText, promptNames } from "../../../nodes/telemetry/block-hash.ts";
import type { KvEvent } from "../../../nodes/telemetry/kv-batch.ts";
import { PREFIX_SUMMARY_MAX_BYTES, type PrefixSummary, PrefixView } from "../../../nodes/telemetry/prefix-view.ts";

const SIZE = 2;
const stored = (
  hashes: readonly bigint[],
  parent: bigint | null,
  tokens: readonly number[],
  copy = "GPU/0",
): KvEvent => ({
  kind: "stored",
  hashes,
  parent,
  tokens,
  blockSize: SIZE,
  extras: hashes.map(() => ""),
  copy,
});
const removed = (hash: bigint, copy = "GPU/0"): KvEvent => ({ kind: "removed", hashes: [hash], copy });
const viewOf = (...events: KvEvent[]) => {
  const view = new PrefixView();
  view.apply(events);
  return view;
};
const nameOf = (...tokens: number[]) => nameText(promptNames(tokens, SIZE).at(-1) ?? 0n);
const ends = (view: PrefixView) => view.summary().ends.map(({ name, depth, ways }) => [name, depth, ways]);

describe("names of blocks", () => {
  it("are the same for the same prompt on servers with hashes of their own", () => {
    const [one, other] = [
      viewOf(stored([1n, 2n], null, [5, 6, 7, 8])),
      viewOf(stored([70n], null, [5, 6]), stored([9n], 70n, [7, 8])),
    ];
    expect(ends(one)).toEqual([[nameOf(5, 6, 7, 8), 2, 0]]);
    expect(ends(other)).toEqual(ends(one));
  });

  it("differ by tokens, order, what was before, and what else decides", () => {
    const salted = promptNames([1, 2, 3, 4], SIZE, '["salt"]');
    const names = [
      promptNames([1, 2, 3, 4], SIZE),
      promptNames([2, 1, 3, 4], SIZE),
      promptNames([3, 4], SIZE),
      salted,
    ].flat();
    expect(new Set(names).size).toBe(7);
  });

  it("stay as they are: what nodes of two versions tell each other must agree", () => {
    expect(promptNames([1, 2, 3, 4, 5], SIZE).map(nameText)).toEqual(["c2067a5a6361e639", "fe514fbc71366744"]);
  });

  it("hardly ever meet: 50,000 prompts that differ in one token", () => {
    const names = new Set<bigint>();
    for (let n = 0; n < 50_000; n++) names.add(promptNames([n & 0xff, n >> 8, 151_643, 7], 4)[0] ?? 0n);
    expect(names.size).toBe(50_000);
    // Also by either half: a lane that does not spread its bits would show here.
    for (const half of [32n, 0n]) {
      const halves = new Set([...names].map((name) => (name >> half) & 0xffff_ffffn));
      expect(halves.size).toBeGreaterThan(49_980);
    }
  });
});

describe("what counts as a prefix (PV1)", () => {
  it("ends where there is nothing more and where prompts part, those that spare most first", () => {
    const view = viewOf(
      stored([1n, 2n], null, [1, 1, 2, 2]),
      stored([3n, 4n], 2n, [3, 3, 4, 4]),
      stored([5n], 2n, [5, 5]),
      stored([6n], null, [6, 6]),
    );
    expect(ends(view)).toEqual([
      [nameOf(1, 1, 2, 2, 3, 3, 4, 4), 4, 0],
      [nameOf(1, 1, 2, 2), 2, 2],
      [nameOf(1, 1, 2, 2, 5, 5), 3, 0],
      [nameOf(6, 6), 1, 0],
    ]);
    expect(view.summary()).toMatchObject({ blockSize: SIZE, blocks: 6, tokens: 12, left: 0, dropped: 0 });
  });

  it("nothing after a block that is gone, all of it again when that is back", () => {
    const view = viewOf(stored([1n, 2n, 3n], null, [1, 1, 2, 2, 3, 3]));
    view.apply([removed(2n)]);
    expect(ends(view)).toEqual([[nameOf(1, 1), 1, 0]]);
    view.apply([stored([2n], 1n, [2, 2])]);
    expect(ends(view)).toEqual([[nameOf(1, 1, 2, 2, 3, 3), 3, 0]]);
  });

  it("blocks that came before what they follow wait for it", () => {
    const view = viewOf(stored([3n], 2n, [3, 3]), stored([2n], 1n, [2, 2]));
    expect(view.summary()).toMatchObject({ blocks: 0, tokens: 0, ends: [] });
    view.apply([stored([1n], null, [1, 1])]);
    expect(ends(view)).toEqual([[nameOf(1, 1, 2, 2, 3, 3), 3, 0]]);
  });

  it("a block is there while a copy of it is (PV2)", () => {
    const view = viewOf(stored([1n], null, [1, 1]), stored([1n], null, [1, 1], "CPU/0"), removed(1n));
    expect(view.summary().blocks).toBe(1);
    view.apply([removed(1n), removed(1n, "GPU/1"), removed(1n, "CPU/0")]);
    expect(view.summary().blocks).toBe(0);
  });

  it("more kinds of copies than are told apart keep a block too long rather than too short", () => {
    const view = viewOf(...Array.from({ length: 100 }, (_, n) => stored([1n], null, [1, 1], `GPU/${n}`)));
    for (let n = 0; n < 30; n++) view.apply([removed(1n, `GPU/${n}`)]);
    expect(view.summary().blocks).toBe(1);
  });

  it("rings are no caches", () => {
    const view = viewOf(
      stored([1n], 1n, [1, 1]),
      stored([2n], 3n, [2, 2]),
      stored([3n], 2n, [3, 3]),
      stored([2n, 2n], null, [2, 2, 2, 2]),
    );
    expect(view.summary().blocks).toBeLessThanOrEqual(3);
    view.apply([1n, 2n, 3n].map((hash) => removed(hash)));
    expect(view.summary()).toMatchObject({ blocks: 0, tokens: 0, ends: [] });
  });
});

it("clearing begins another generation", () => {
  const view = viewOf(stored([1n], null, [1, 1]), { kind: "cleared" }, stored([1n], null, [2, 2]));
  expect(view.summary()).toMatchObject({ generation: 1, blocks: 1 });
  expect(ends(view)).toEqual([[nameOf(2, 2), 1, 0]]);
});

it("holds no more than it may, and says what it dropped (PV3)", () => {
  const view = new PrefixView(10);
  const chain = (start: bigint, length: number) => Array.from({ length }, (_, n) => start + BigInt(n));
  view.apply([stored(chain(0n, 8), null, new Array(16).fill(1)), stored(chain(100n, 8), null, new Array(16).fill(2))]);
  expect(view.summary()).toMatchObject({ blocks: 10, dropped: 6 });
  view.apply(chain(0n, 8).map((hash) => removed(hash)));
  // 102 was dropped, so what follows it is no prefix.
  view.apply([stored([103n], 102n, [2, 2])]);
  expect(view.summary()).toMatchObject({ blocks: 2 });
  view.apply([stored(chain(0n, 3), null, [1, 1, 1, 1, 1, 1])]);
  expect(view.summary()).toMatchObject({ blocks: 5 });
});

it("a summary is at most 8 KB, and says how much it left out (PV4)", () => {
  const view = new PrefixView();
  view.apply(Array.from({ length: 5_000 }, (_, n) => stored([BigInt(n)], null, [n, n])));
  const summary = view.summary();
  expect(JSON.stringify(summary).length).toBeLessThanOrEqual(PREFIX_SUMMARY_MAX_BYTES);
  expect(summary.ends.length).toBeGreaterThan(150);
  expect(summary.ends.length + summary.left).toBe(5_000);
  expect(view.summary(3)).toMatchObject({ ends: { length: 3 }, left: 4_997 });
});

/** One prompt's blocks by hash: the tree that all histories below are made on. Hash 0 is no block. */
const PARENTS = [0, 0, 0, 1, 1, 2, 3, 3, 4, 6, 6, 9, 10, 5, 13, 14].map(Number);
const tokensOf = (hash: number): number[] => [hash * 10, hash * 10 + 1];
const pathOf = (hash: number): number[] => (hash === 0 ? [] : [...pathOf(PARENTS[hash] as number), hash]);

/** The rule said the long way: what is linked, worked out from what is held. */
function naive(
  held: ReadonlySet<number>,
  generation: number,
): Omit<PrefixSummary, "ends" | "dropped" | "left"> & { ends: unknown[] } {
  const linked = [...held].filter((hash) => pathOf(hash).every((one) => held.has(one)));
  const ways = (hash: number) => linked.filter((other) => PARENTS[other] === hash).length;
  const found = linked
    .filter((hash) => ways(hash) !== 1)
    .map((hash) => ({ name: nameOf(...pathOf(hash).flatMap(tokensOf)), depth: pathOf(hash).length, ways: ways(hash) }));
  return { generation, blockSize: SIZE, blocks: linked.length, tokens: linked.length * SIZE, ends: sorted(found) };
}
const sorted = (list: readonly { name: string }[]) => [...list].sort((a, b) => (a.name < b.name ? -1 : 1));

it("agrees with the rule over any history, also with gaps (PV1)", () => {
  const hash = fc.integer({ min: 1, max: PARENTS.length - 1 });
  const step = fc.oneof(
    { weight: 6, arbitrary: hash.map((block) => ({ kind: "store" as const, block, isLost: false })) },
    { weight: 4, arbitrary: hash.map((block) => ({ kind: "remove" as const, block, isLost: false })) },
    { weight: 1, arbitrary: fc.constant({ kind: "clear" as const, block: 0, isLost: false }) },
    { weight: 1, arbitrary: hash.map((block) => ({ kind: "store" as const, block, isLost: true })) },
    { weight: 1, arbitrary: hash.map((block) => ({ kind: "remove" as const, block, isLost: true })) },
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const view = new PrefixView();
      const held = new Set<number>();
      let generation = 0;
      let hasGap = false;
      view.apply([stored([1n], null, tokensOf(1))]);
      held.add(1);
      for (const { kind, block, isLost } of steps) {
        hasGap ||= isLost;
        if (isLost) continue;
        if (hasGap || kind === "clear") {
          // Whoever follows clears the view before it applies what comes after a gap.
          if (hasGap) view.clear();
          if (kind === "clear") view.apply([{ kind: "cleared" }]);
          generation += Number(hasGap) + Number(kind === "clear");
          held.clear();
          hasGap = false;
        }
        const parent = PARENTS[block] as number;
        if (kind === "store") {
          held.add(block);
          view.apply([stored([BigInt(block)], parent === 0 ? null : BigInt(parent), tokensOf(block))]);
        } else if (kind === "remove") {
          held.delete(block);
          view.apply([removed(BigInt(block))]);
        }
        const { dropped, left, ...summary } = view.summary();
        expect({ ...summary, ends: sorted(summary.ends) }).toEqual(naive(held, generation));
        expect([dropped, left]).toEqual([0, 0]);
      }
    }),
    { numRuns: 300 },
  );
});
