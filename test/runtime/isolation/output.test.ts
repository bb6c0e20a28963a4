// What a process prints becomes lines of bounded length, however it comes in.

import { Readable } from "node:stream";
import fc from "fast-check";
import { expect, test } from "vitest";
import { LINE_MAX_CHARS, OutputLines, readBounded, WINDOW_MAX_BYTES } from "../../../runtime/isolation/output.ts";
import { FakeClock, settle } from "../../support/fake-clock.ts";

/** The lines of these chunks. */
function linesOf(chunks: readonly Uint8Array[]): string[] {
  const lines: string[] = [];
  const output = new OutputLines((line) => lines.push(line));
  for (const chunk of chunks) output.write(chunk);
  output.end();
  return lines;
}

test("the cuts between chunks do not show, not even within a character", () => {
  const text = fc.array(fc.string({ unit: "grapheme" }));
  fc.assert(
    fc.property(text, fc.array(fc.nat(40)), (parts, cuts) => {
      const whole = parts.join("\n");
      const bytes = new TextEncoder().encode(whole);
      const ends = [...new Set([...cuts.map((cut) => Math.min(cut, bytes.length)), bytes.length])].sort(
        (a, b) => a - b,
      );
      const chunks = ends.map((end, at) => bytes.subarray(ends[at - 1] ?? 0, end));
      expect(linesOf(chunks)).toEqual(linesOf([bytes]));
      const expected = whole.split("\n").map((line) => line.trimEnd());
      expect(linesOf([bytes])).toEqual(expected.filter((line) => line !== ""));
    }),
  );
});

test("a line without an end is kept up to its bound, and says that it was cut", () => {
  const chunk = new Uint8Array(1_000).fill(0x78);
  const [line, next] = linesOf([...Array<Uint8Array>(100).fill(chunk), new TextEncoder().encode("\nnext")]);
  expect(line).toBe(`${"x".repeat(LINE_MAX_CHARS)}…`);
  expect(next).toBe("next");
});

test("of a flood so much is read as is allowed in a while; the rest stays where it is", async () => {
  const clock = new FakeClock();
  let given = 0;
  const source = new Readable({
    read() {
      given++;
      this.push(new Uint8Array(1_024));
    },
  });
  let read = 0;
  readBounded(source, clock, (chunk) => {
    read += chunk.length;
  });
  for (let windows = 1; windows <= 5; windows++) {
    await settle();
    expect(read).toBe(windows * WINDOW_MAX_BYTES);
    await clock.advance(100);
  }
  // Beside what was read the stream keeps its own small buffer.
  expect(given * 1_024).toBeLessThan(7 * WINDOW_MAX_BYTES);
  source.destroy();
});
