// Long output cut to its bound: head, tail, and the count of what is gone (X1 of bounded-text.ts).

import fc from "fast-check";
import { expect, test } from "vitest";
import { boundText } from "../../tools/bounded-text.ts";

test("a short text stays as it is", () => {
  expect(boundText("héllo", 128)).toEqual({ text: "héllo", bytes: 6, truncated: false });
});

test("a long text keeps its head and tail, and says how many bytes are gone", () => {
  const { text, bytes, truncated } = boundText(`begin ${"x".repeat(5_000)} end`, 256);
  expect(text).toMatch(/^begin x+\n… \d+ bytes cut …\nx+ end$/);
  expect({ bytes, truncated }).toEqual({ bytes: 5_010, truncated: true });
  const cut = Number(/… (\d+) bytes/.exec(text)?.[1]);
  expect(text.replace(/\n….*\n/, "").length + cut).toBe(bytes);
});

test("the bound holds and the result is whole characters, whatever comes in (X1)", () => {
  const anyText = fc
    .array(fc.constantFrom("a", "é", "漢", "🚢", "\ud83d", "\n"), { maxLength: 2_000 })
    .map((parts) => parts.join(""));
  fc.assert(
    fc.property(anyText, fc.integer({ min: 128, max: 1_000 }), (whole, maxBytes) => {
      const { text, truncated } = boundText(whole, maxBytes);
      expect(Buffer.byteLength(text)).toBeLessThanOrEqual(maxBytes);
      expect(text.isWellFormed()).toBe(true);
      expect(truncated).toBe(Buffer.byteLength(whole) > maxBytes);
      if (whole.isWellFormed()) expect(text).not.toContain("\ufffd");
    }),
    { numRuns: 500 },
  );
});
