// The counter against what two real vocabularies make of the same texts: their counts were taken once and lie beside the texts.

import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { RuleCounter } from "../../../actors/context/token-counter.ts";

interface Counted {
  readonly kind: string;
  readonly text: string;
  readonly tokens: Readonly<Record<string, number>>;
}

const texts: readonly Counted[] = JSON.parse(
  readFileSync(new URL("../../fixtures/token-counts.json", import.meta.url), "utf8"),
);
const counter = new RuleCounter();
const LATIN = ["english", "technical", "typescript", "test-code", "python", "json", "table", "log", "diff", "german"];

describe("tokens", () => {
  it.each(texts)("of $kind are not fewer than real tokenizers make (RC2)", ({ kind, text, tokens }) => {
    const real = Math.max(...Object.values(tokens));
    expect(counter.count(text)).toBeGreaterThanOrEqual(real);
    if (LATIN.includes(kind)) expect(counter.count(text)).toBeLessThanOrEqual(1.5 * real);
  });

  // As published with OpenAI's tokenizers, for cl100k and o200k.
  it.each([
    ["antidisestablishmentarianism", 6],
    ["2 + 2 = 4", 7],
    ["お誕生日おめでとう", 9],
    ["tiktoken is great!", 6],
  ])("of %s are at least %i", (text, real) => expect(counter.count(text)).toBeGreaterThanOrEqual(real));

  it("are not words: code and languages without spaces count, too (the original counted words)", () => {
    for (const text of ["a.b(c)[d]{e}=>f;g::h->i", "故事的状态机从待办开始经过草稿设计构建测试和文档"]) {
      expect(text.split(/\s+/)).toHaveLength(1);
      expect(counter.count(text)).toBeGreaterThan(15);
    }
  });

  it("of any text are at most its bytes and one, the same each time, and more for more (RC1, TC1)", () => {
    expect(counter.count("")).toBe(0);
    const text = fc.oneof(
      fc.string({ unit: "binary" }),
      fc.string({ unit: "grapheme" }),
      fc.lorem({ mode: "sentences" }),
    );
    fc.assert(
      fc.property(text, text, (one, other) => {
        const count = counter.count(one);
        expect(count).toBeLessThanOrEqual(Buffer.byteLength(one) + 1);
        expect(counter.count(one)).toBe(count);
        expect(counter.count(`${one}\n${other}`)).toBeGreaterThanOrEqual(count);
      }),
      { numRuns: 60 },
    );
  });

  it("of a long text of anything are counted in no time", () => {
    for (const text of ["aB", "x", "1", "=/+", "é", "a1B"].map((part) => part.repeat(50_000))) {
      const before = performance.now();
      expect(counter.count(text)).toBeGreaterThan(1_000);
      expect(performance.now() - before).toBeLessThan(2_000);
    }
  });
});
