// Text to ids and back: nothing is lost, and an id depends on its text alone.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { detokenize, tokenize } from "../../../nodes/vllm-sim/tokenizer.ts";

const wellFormed = fc.oneof(
  fc.string({ unit: "grapheme", maxLength: 60 }),
  fc.string({ unit: "binary", maxLength: 60 }),
  fc.string({
    unit: fc.constantFrom("a", "Z", "_", "9", " ", "\n", "\t", ".", "<|im_end|>", "<|", "é", "漢", "😀"),
    maxLength: 60,
  }),
);

describe("the tokenizer", () => {
  it("gives every text back, from ids of 29 bits (K2, K3)", () => {
    fc.assert(
      fc.property(wellFormed, (text) => {
        const ids = tokenize(text);
        expect(detokenize(ids)).toBe(text);
        expect(ids.every((id) => Number.isInteger(id) && id >= 0 && id < 2 ** 29)).toBe(true);
      }),
      { numRuns: 2_000 },
    );
  });

  it("splits no character: the texts of single tokens make up the text (K2)", () => {
    fc.assert(
      fc.property(wellFormed, (text) => {
        expect(
          tokenize(text)
            .map((id) => detokenize([id]))
            .join(""),
        ).toBe(text);
      }),
      { numRuns: 2_000 },
    );
  });

  it.each([
    ["read writes.", ["read", " wri", "tes", "."]],
    ["a  b", ["a", " ", " b"]],
    ["x =\n\n\n\n\ny", ["x", " ", "=", "\n\n\n\n", "\n", "y"]],
    ["héllo 漢字", ["hé", "llo", " ", "漢", "字"]],
    ["<|im_start|>user", ["<|im_start|>", "user"]],
    ["don't", ["don", "'", "t"]],
    ["", []],
  ])("splits %j at words, spaces and punctuation", (text, pieces) => {
    expect(tokenize(text).map((id) => detokenize([id]))).toEqual(pieces);
  });

  it("gives the same ids to the same beginning: that is what prefixes are made of", () => {
    const start = tokenize("You are an agent. Write the tests first.");
    expect(tokenize("You are an agent. Write the tests first. Then commit.").slice(0, start.length)).toEqual(start);
  });

  it("has no text for what is no id", () => {
    expect(detokenize([-1, 0.5, 2 ** 29 + 1, ...tokenize("ok")])).toBe("ok");
  });
});
