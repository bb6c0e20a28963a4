// The look through bytes from outside: passes all that our encoder makes, refuses what readers would act on, and is bounded.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Codec } from "../../runtime/codec.ts";
import { Scanner } from "../../runtime/scan.ts";

const scan = (...bytes: number[]) => new Scanner().scan(Uint8Array.from(bytes));

describe("a scan", () => {
  test("passes every value that our encoder makes, and sees which need more than decoding", () => {
    const [codec, scanner] = [new Codec().values(() => undefined), new Scanner()];
    fc.assert(
      fc.property(
        fc.anything({
          withDate: true,
          withMap: true,
          withSet: true,
          withTypedArray: true,
          withBigInt: true,
          maxDepth: 4,
        }),
        (value) => {
          const bytes = codec.encode([value], "value");
          expect(scanner.scan(bytes)).not.toBe("refused");
        },
      ),
      { numRuns: 2_000 },
    );
    expect(scanner.scan(codec.encode({ list: [1, -1, 2 ** 40, 0.5, "x", null, true, undefined] }, "v"))).toBe("plain");
    for (const special of [new Date(0), 1n, new Map(), new Uint8Array(3), new Error("x")]) {
      expect(scanner.scan(codec.encode({ deep: [special] }, "v"))).toBe("tagged");
    }
  });

  test.each([
    ["a record definition", [0xd4, 0x72, 0x40]],
    ["an extension of one byte that is not undefined", [0xd4, 0x00, 0x01]],
    ["a date extension", [0xd6, 0xff, 0, 0, 0, 0]],
    ["a long extension", [0xc7, 0x01, 0x65, 0x00]],
    ["a 64-bit integer", [0xcf, 0, 0, 0, 0, 0, 0, 0, 1]],
    ["the byte that is never used", [0xc1]],
    ["two values", [0x01, 0x02]],
    ["nothing", []],
    ["an array that says it holds 4 billion", [0xdd, 0xff, 0xff, 0xff, 0xff]],
    ["a map that says it holds more than there is", [0xde, 0x00, 0x02, 0x01, 0x02]],
    ["a length cut short", [0xdb, 0x00, 0x00]],
    ["a string cut short", [0xa5, 0x61]],
    ["bytes cut short", [0xc4, 0x05, 0x01]],
  ])("refuses %s", (_, bytes) => {
    expect(scan(...bytes)).toBe("refused");
  });

  test("refuses nesting beyond its bound at once, and takes a million small items", () => {
    const deep = new Uint8Array(1_000_000).fill(0x91);
    expect(new Scanner().scan(deep)).toBe("refused");
    const wide = new Uint8Array(1_000_005);
    wide.set([0xdd, 0x00, 0x0f, 0x42, 0x40]);
    expect(new Scanner().scan(wide)).toBe("plain");
  });

  test("of any noise ends, and what it passes decodes", () => {
    const codec = new Codec().values(() => undefined);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (noise) => {
        if (new Scanner().scan(noise) === "refused") return;
        try {
          codec.decode(noise);
        } catch (error) {
          // A tag of ours with nonsense in it.
          expect(error).toBeInstanceOf(Error);
        }
      }),
      { numRuns: 5_000 },
    );
  });
});
