// Log lines: as text, folded, and on their way to another node. Numbers are those of runtime/log.ts (LO) and runtime/log-text.ts (LT).

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { foldedLog, formatLogLine, type LogLine } from "../../runtime/index.ts";
import { LogForwarder, receiveLogLines, shownData } from "../../runtime/log.ts";
import { FakeClock } from "../support/fake-clock.ts";

const AT_MS = Date.UTC(2026, 0, 2, 12, 0, 1, 123);

const line = (message: string, more: Partial<LogLine> = {}): LogLine => ({
  level: "warn",
  atMs: AT_MS,
  node: "north",
  actor: "counter/17@north",
  message,
  ...more,
});

const circle: Record<string, unknown> = {};
circle.self = circle;

describe("a line as text", () => {
  test.each<[LogLine, string]>([
    [line("disk is nearly full"), "12:00:01.123 warn  counter/17@north  disk is nearly full"],
    [line("full", { data: { free: 2 } }), '12:00:01.123 warn  counter/17@north  full {"free":2}'],
    [line("a", { level: "error", data: {} }), "12:00:01.123 error counter/17@north  a"],
    [{ level: "info", atMs: AT_MS, node: "north", message: "joined" }, "12:00:01.123 info  north  joined"],
    [line("a\nb\r\t\u001b[31mred\u0000"), "12:00:01.123 warn  counter/17@north  a\\nb\\r\\t<U+001B>[31mred<U+0000>"],
    [line("\u202edlrow\u2028x\u200b"), "12:00:01.123 warn  counter/17@north  <U+202E>dlrow<U+2028>x<U+200B>"],
    [
      line("big", { data: { n: 10n, e: new TypeError("no") } }),
      '12:00:01.123 warn  counter/17@north  big {"n":"10","e":"TypeError: no"}',
    ],
    [line("round", { data: circle }), '12:00:01.123 warn  counter/17@north  round {"data":"cannot be shown"}'],
    [line("a", { atMs: Number.NaN }), "--:--:--.--- warn  counter/17@north  a"],
    [line({ no: "text" } as never), '12:00:01.123 warn  counter/17@north  {"message":{"no":"text"}}'],
  ])("%o", (given, expected) => {
    expect(formatLogLine(given)).toBe(expected);
  });

  test("is one line of visible characters, whatever is logged (LT1, LT2)", () => {
    const text = fc.oneof(fc.string({ unit: "binary" }), fc.string({ unit: "grapheme" }));
    const data = fc.dictionary(text, fc.anything({ withBigInt: true, withMap: true, withDate: true }));
    fc.assert(
      fc.property(text, text, data, (message, actor, data) => {
        expect(formatLogLine(line(message, { actor, data }))).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u);
      }),
    );
  });

  test("data with a JSON form of its own is an object all the same", () => {
    expect(shownData({ toJSON: () => "text" })).toBe('{"data":"text"}');
    expect(shownData({ toJSON: () => undefined })).toBe('{"data":"cannot be shown"}');
  });
});

describe("equal lines", () => {
  const folding = () => {
    const clock = new FakeClock();
    const written: string[] = [];
    const log = foldedLog(clock, (text) => written.push(text.slice(19)));
    return { clock, written, ...log };
  };

  test("are told once, then counted for 5 s and told as one (LT3)", async () => {
    const { clock, written, sink } = folding();
    sink(line("full"));
    expect(written).toEqual(["counter/17@north  full"]);
    for (let at = 0; at < 37; at++) sink(line("full", { actor: `counter/${at}@south` }));
    sink(line("full", { level: "error" }));
    sink(line("full", { data: { free: 1 } }));
    await clock.advance(4_999);
    expect(written).toHaveLength(3);
    await clock.advance(1);
    expect(written.slice(3)).toEqual(["counter/36@south  full (37 more in 5 s, last from counter/36@south)"]);
    sink(line("full"));
    expect(written.at(-1)).toBe("counter/17@north  full");
    await clock.advance(10_000);
    expect(written).toHaveLength(5);
    expect(clock.pending).toBe(0);
  });

  test("each kind has its own 5 s", async () => {
    const { clock, written, sink } = folding();
    for (let at = 0; at < 2; at++) sink(line("one"));
    await clock.advance(3_000);
    for (let at = 0; at < 2; at++) sink(line("two"));
    await clock.advance(2_000);
    expect(written).toHaveLength(3);
    await clock.advance(3_000);
    expect(written[3]).toContain("two (1 more");
  });

  test("what is held back is told at close; too many kinds pass unfolded", () => {
    const { clock, written, sink, close } = folding();
    sink(line("full"));
    sink(line("full"));
    close();
    close();
    expect(written).toHaveLength(2);
    expect(clock.pending).toBe(0);
    for (let at = 0; at < 1_500; at++) sink(line(`kind ${at}`));
    for (let at = 0; at < 1_500; at++) sink(line(`kind ${at}`));
    expect(written).toHaveLength(2 + 1_500 + 500);
    close();
  });
});

describe("the way to another node", () => {
  const forwarding = (linesPerSecond?: number) => {
    const clock = new FakeClock();
    const sent: [string, readonly LogLine[]][] = [];
    const reach = { ok: true };
    const forwarder = new LogForwarder({
      node: "north",
      clock,
      send: (node, lines) => reach.ok && sent.push([node, lines]) > 0,
      ...(linesPerSecond !== undefined && { linesPerSecond }),
    });
    const messages = () => sent.flatMap(([, lines]) => lines.map(({ message }) => message));
    return { clock, sent, forwarder, messages, reach };
  };

  test("lines leave in batches for each owner, in order (LO3)", async () => {
    const { clock, sent, forwarder } = forwarding();
    for (const message of ["a", "b"]) forwarder.add("driver", line(message));
    forwarder.add("other", line("c"));
    expect(sent).toEqual([]);
    await clock.advance(100);
    expect(sent).toEqual([
      ["driver", [line("a"), line("b")]],
      ["other", [line("c")]],
    ]);
    await clock.advance(10_000);
    expect([sent.length, clock.pending]).toEqual([2, 0]);
  });

  test("more than the bound of a second is dropped, counted and told (LO2)", async () => {
    const { clock, forwarder, messages } = forwarding(10);
    for (let at = 0; at < 47; at++) forwarder.add("driver", line(String(at)));
    await clock.advance(1_000);
    const first = Array.from({ length: 10 }, (_, at) => String(at));
    expect(messages()).toEqual([...first, "37 lines dropped"]);
    expect(forwarder.dropped).toBe(37);
    for (let at = 0; at < 11; at++) forwarder.add("driver", line("again"));
    await clock.advance(3_000);
    expect(messages().slice(11)).toEqual([...Array(10).fill("again"), "1 line dropped"]);
    expect(clock.pending).toBe(0);
  });

  test("nothing is kept for a node that cannot be reached; it is told how much when it can (LO2)", async () => {
    const { clock, forwarder, messages, reach } = forwarding();
    reach.ok = false;
    for (let at = 0; at < 5; at++) {
      forwarder.add("driver", line(`lost ${at}`));
      await clock.advance(1_000);
    }
    reach.ok = true;
    forwarder.add("driver", line("heard"));
    await clock.advance(3_000);
    expect(messages()).toEqual(["heard", "5 lines dropped"]);
    expect([forwarder.dropped, clock.pending]).toEqual([5, 0]);
  });

  test("long lines count by their length (LO2)", async () => {
    const { clock, sent, forwarder } = forwarding();
    for (let at = 0; at < 100; at++) forwarder.add("driver", line("x".repeat(8_000)));
    await clock.advance(1_000);
    expect(JSON.stringify(sent).length).toBeLessThan(300_000);
    expect(sent.flatMap(([, lines]) => lines).at(-1)?.message).toMatch(/^\d+ lines dropped$/);
  });

  test("close tells what waits, and a node that is gone is forgotten", async () => {
    const { clock, forwarder, messages } = forwarding(1);
    for (const message of ["a", "b"]) forwarder.add("driver", line(message));
    forwarder.add("gone", line("lost"));
    forwarder.forget("gone");
    forwarder.close();
    forwarder.close();
    expect(messages()).toEqual(["a", "1 line dropped"]);
    await clock.advance(5_000);
    expect([messages().length, clock.pending]).toEqual([2, 0]);
  });

  test("whatever is logged arrives as JSON of bounded size; taking it never throws (LO1, LO4)", async () => {
    const anything = fc.anything({
      withBigInt: true,
      withMap: true,
      withSet: true,
      withDate: true,
      withNullPrototype: true,
    });
    const property = fc.asyncProperty(anything, fc.dictionary(fc.string(), anything), async (message, data) => {
      const { clock, sent, forwarder } = forwarding();
      forwarder.add("driver", line(message as string, { data }));
      forwarder.add("driver", line("x".repeat(20_000), { data: { ...data, long: "y".repeat(20_000) } }));
      await clock.advance(100);
      const [, lines] = sent[0] ?? [];
      expect(JSON.stringify(lines).length).toBeLessThan(80_000);
      const seen: LogLine[] = [];
      expect(receiveLogLines("north", JSON.parse(JSON.stringify(lines)), (given) => seen.push(given))).toBe(0);
      expect(seen).toHaveLength(2);
    });
    await fc.assert(property, { numRuns: 100 });
  });

  test("a line from elsewhere speaks for its own node, and what is none is counted (LO5)", () => {
    const seen: LogLine[] = [];
    const take = (lines: unknown) => receiveLogLines("north", lines, (given) => seen.push(given));
    expect(take([line("mine"), { ...line("mine, too"), node: "south", extra: 1 }])).toBe(0);
    expect(seen).toEqual([line("mine"), line("mine, too")]);
    const bad = [
      null,
      7,
      {},
      line("not my actor", { actor: "counter/1@south" }),
      line("no such level", { level: "loud" as never }),
      line("no time", { atMs: "now" as never }),
      line(7 as never),
      line("no data", { data: [] as never }),
      line("x".repeat(100_000)),
      line("a", { actor: `${"x".repeat(1_000)}@north` }),
    ];
    expect(take(bad)).toBe(bad.length);
    expect([take("lines"), take(undefined)]).toEqual([1, 1]);
    expect(seen).toHaveLength(2);
  });
});
