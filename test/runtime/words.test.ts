// Words: what is not exactly ours is refused whole, whatever stands where.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Envelope } from "../../runtime/envelope.ts";
import { fromWords, toWords } from "../../runtime/words.ts";

const to = { node: "south", id: "1", type: "part", incarnation: 1 };
const envelopes: readonly Envelope[] = [
  { kind: "call", id: 1, to, method: "m", args: [1], deadlineMs: 5, chain: [] },
  {
    kind: "call",
    id: 2,
    to,
    method: "m",
    args: [],
    deadlineMs: 5,
    chain: ["a#1"],
    credit: 3,
    extras: { lane: "bulk", key: "k" },
  },
  { kind: "cast", to, method: "n", args: [], deadlineMs: 6, extras: { attempt: { id: "t", number: 1 } } },
  { kind: "reply", id: 3, value: undefined },
  { kind: "chunk", id: 4, sequence: 0, value: "x" },
  { kind: "end", id: 4, sequence: 1 },
  { kind: "cancel", id: 5, reason: "" },
  { kind: "blob", id: 6, of: "call", hash: "h" },
];

describe("words", () => {
  test("come out as they went in", () => {
    expect(fromWords(toWords(envelopes, 2))).toStrictEqual(envelopes);
  });

  test("with one of them replaced, left out or added are refused or still envelopes with good ids", () => {
    const words = toWords(envelopes, 2);
    const odd = fc.oneof(
      fc.constantFrom<unknown>(undefined, null, -1, 0.5, Number.NaN, 2 ** 60, "1", [], {}, Number.POSITIVE_INFINITY),
      fc.integer({ min: 0, max: 10 }),
      fc.constantFrom<unknown>({ kind: "cancel", id: -1 }, { kind: "signal" }, { kind: "call", id: 1 }, { id: 3 }),
    );
    fc.assert(
      fc.property(fc.nat(words.length - 1), odd, fc.nat(2), fc.nat(2), (where, what, removed, added) => {
        const changed = [...words];
        changed.splice(where + 1, removed, ...Array.from({ length: added }, () => what));
        for (const envelope of fromWords(changed) ?? []) {
          if (envelope.kind !== "cast") expect(Number.isSafeInteger(envelope.id) && envelope.id >= 0).toBe(true);
        }
      }),
      { numRuns: 3_000 },
    );
  });

  test.each([-1, 0.5, "5", undefined, null, Number.NaN, 2 ** 60])("of a rare kind with id %s are refused", (id) => {
    expect(fromWords([2, 9, { kind: "cancel", id, reason: "" }])).toBeUndefined();
  });
});
