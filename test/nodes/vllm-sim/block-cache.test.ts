// The books of the block cache: what is hit, what is evicted, and what is told of it.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { BlockCache, blockHash, type CacheEvent, type Holding } from "../../../nodes/vllm-sim/block-cache.ts";

const BLOCK = 4;

function makeCache(size: number) {
  const events: CacheEvent[] = [];
  return { cache: new BlockCache(size, BLOCK, (event) => events.push(event)), events };
}

const row = (length: number, first = 0) => Array.from({ length }, (_, index) => first + index);

/** Holds, computes and gives back, as a request without a reply does. */
function serve(cache: BlockCache, tokens: readonly number[]): number | undefined {
  const held = cache.hold(tokens);
  if (held === undefined) return undefined;
  cache.commit(held.holding, tokens.length, (index) => tokens[index] ?? 0, null);
  cache.release(held.holding);
  return held.cached;
}

describe("the block cache", () => {
  it("hits whole blocks of a known prefix, and never the whole prompt (B2)", () => {
    const { cache } = makeCache(8);
    expect(serve(cache, row(11))).toBe(0);
    expect(serve(cache, row(11))).toBe(8);
    expect(serve(cache, row(8))).toBe(4);
    expect(serve(cache, [...row(8), 99, 98, 97, 96, 95])).toBe(8);
    expect(serve(cache, [99, ...row(11)])).toBe(0);
  });

  it("chains hashes: the same tokens behind another prefix are another block", () => {
    expect(blockHash(undefined, row(4))).toBe(blockHash(undefined, row(4)));
    expect(blockHash(1n, row(4))).not.toBe(blockHash(undefined, row(4)));
    expect(blockHash(undefined, row(4))).toBeLessThan(2n ** 64n);
  });

  it("evicts what was released first, of one request the end before the beginning", () => {
    const { cache, events } = makeCache(4);
    serve(cache, row(8));
    serve(cache, row(8, 100));
    const hashes = events.flatMap((event) => (event.kind === "stored" ? [event.hashes] : []));
    events.length = 0;
    serve(cache, row(4, 200));
    expect(events[0]).toEqual({ kind: "removed", hashes: [hashes[0]?.[1]] });
    expect(serve(cache, row(8))).toBe(4);
  });

  it("tells stored blocks with their parent and tokens, and each content once (B3, B4)", () => {
    const { cache, events } = makeCache(8);
    const [one, two] = [cache.hold(row(8)), cache.hold(row(8))];
    for (const held of [one, two]) cache.commit(held?.holding as Holding, 8, (index) => index, "s");
    const first = blockHash(undefined, row(4));
    expect(events).toEqual([
      { kind: "stored", hashes: [first, blockHash(first, row(4, 4))], parent: null, tokens: row(8), session: "s" },
    ]);
    expect(cache.found).toBe(2);
  });

  it("refuses what does not fit, and changes nothing then (B1)", () => {
    const { cache, events } = makeCache(3);
    serve(cache, row(4));
    const held = cache.hold(row(8, 100));
    events.length = 0;
    expect(cache.hold(row(8))).toBeUndefined();
    expect(cache.grow(held?.holding as Holding, 16)).toBe(false);
    expect({ held: cache.held, found: cache.found, events }).toEqual({ held: 2, found: 1, events: [] });
  });

  it("is cleared only while nobody holds blocks", () => {
    const { cache, events } = makeCache(4);
    const held = cache.hold(row(4));
    cache.commit(held?.holding as Holding, 4, (index) => index, null);
    expect(cache.clear()).toBe(false);
    cache.release(held?.holding as Holding);
    expect(cache.clear()).toBe(true);
    expect([events.at(-1), cache.found, serve(cache, row(8))]).toEqual([{ kind: "cleared" }, 0, 0]);
  });

  const act = fc.oneof(
    fc.record({ kind: fc.constant("hold" as const), prompt: fc.array(fc.nat(1), { minLength: 1, maxLength: 24 }) }),
    fc.record({ kind: fc.constant("grow" as const), at: fc.nat(9), token: fc.nat(1) }),
    fc.record({ kind: fc.constant("release" as const), at: fc.nat(9) }),
    fc.record({ kind: fc.constant("clear" as const) }),
  );

  it("tells a listener exactly what it would find, whatever happens (B1, B4)", () => {
    fc.assert(
      fc.property(fc.array(act, { maxLength: 60 }), fc.integer({ min: 6, max: 12 }), (acts, size) => {
        const { cache, events } = makeCache(size);
        const open: { holding: Holding; tokens: number[] }[] = [];
        const view = new Map<bigint, { parent: bigint | null; tokens: readonly number[] }>();
        const heldHashes = () => open.flatMap(({ holding }) => holding.hashes);
        for (const step of acts) {
          if (step.kind === "hold") {
            const held = cache.hold(step.prompt);
            if (held === undefined) continue;
            expect(held.cached % BLOCK).toBe(0);
            expect(held.cached).toBeLessThan(step.prompt.length);
            expect(held.holding.hashes.every((hash) => view.has(hash))).toBe(true);
            open.push({ holding: held.holding, tokens: [...step.prompt] });
          }
          const chosen = "at" in step && open.length > 0 ? open[step.at % open.length] : open.at(-1);
          if (step.kind === "grow" && chosen !== undefined && cache.grow(chosen.holding, chosen.tokens.length + 1)) {
            chosen.tokens.push(step.token);
          }
          if (step.kind === "release" && chosen !== undefined) {
            cache.release(chosen.holding);
            open.splice(open.indexOf(chosen), 1);
          }
          if (step.kind === "clear") expect(cache.clear()).toBe(open.length === 0);
          const { tokens } = chosen ?? { tokens: [] };
          if (chosen !== undefined && open.includes(chosen))
            cache.commit(chosen.holding, tokens.length, (i) => tokens[i] ?? 0, null);
          for (const event of events.splice(0)) {
            if (event.kind === "cleared") view.clear();
            if (event.kind === "removed") {
              for (const hash of event.hashes) {
                expect(view.delete(hash)).toBe(true);
                expect(heldHashes().filter((held) => held === hash).length === 0 || cache.found < size).toBe(true);
              }
            }
            if (event.kind === "stored") {
              event.hashes.forEach((hash, index) => {
                const parent = index === 0 ? event.parent : (event.hashes[index - 1] ?? null);
                const own = event.tokens.slice(index * BLOCK, (index + 1) * BLOCK);
                expect(hash).toBe(blockHash(parent ?? undefined, own));
                expect(view.has(hash)).toBe(false);
                view.set(hash, { parent, tokens: own });
              });
            }
          }
          expect(cache.found).toBe(view.size);
          const blocks = new Set(open.flatMap(({ holding }) => holding.blocks));
          expect(cache.held).toBe(blocks.size);
        }
      }),
      { numRuns: 400 },
    );
  });
});
