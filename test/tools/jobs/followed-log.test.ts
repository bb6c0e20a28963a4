// A log that is read over connections which break: every line once, in its order.

import fc from "fast-check";
import { expect, it } from "vitest";
import type { JobLine } from "../../../tools/index.ts";
import { followLog, type LogPiece, LogRefused, stampedPiece } from "../../../tools/jobs/followed-log.ts";

const signal = new AbortController().signal;

async function read(lines: AsyncIterable<JobLine>): Promise<readonly string[]> {
  const found: string[] = [];
  for await (const { stream, line } of lines) found.push(`${stream}: ${line}`);
  return found;
}

/** A log that is kept whole; the connection breaks after so many pieces each time, and ends in order when `breaks` is used up. */
function kept(pieces: readonly LogPiece[], breaks: readonly number[]) {
  const left = [...breaks];
  return {
    state: async () => "ended" as const,
    pause: async () => {},
    open: async function* (sinceS: number | undefined) {
      const given = pieces.filter(({ atS }) => sinceS === undefined || atS >= sinceS);
      const after = left.shift();
      yield* given.slice(0, after);
      if (after !== undefined) throw new Error("the connection broke");
    },
  };
}

it("FL1: wherever it breaks, and also when two streams are stamped out of order", async () => {
  const piece = fc.record({
    stream: fc.constantFrom("stdout" as const, "stderr" as const),
    lateS: fc.constantFrom(0, 0, 0, 1),
    stepS: fc.constantFrom(0, 0, 1, 2),
  });
  const breaks = fc.array(fc.nat(12), { maxLength: 8 });
  await fc.assert(
    fc.asyncProperty(fc.array(piece, { maxLength: 30 }), breaks, async (steps, cuts) => {
      let nowS = 1_000;
      const pieces = steps.map(({ stream, lateS, stepS }, index) => {
        nowS += stepS;
        return { stream, atS: nowS - lateS, bytes: Buffer.from(`${index}\n`) };
      });
      const printed = pieces.map(({ stream, bytes }) => `${stream}: ${bytes.toString().trim()}`);
      expect(await read(followLog(kept(pieces, cuts), signal))).toEqual(printed);
    }),
  );
});

it("lines whose parts come one by one, with a character cut in two and no end", async () => {
  const bytes = Buffer.from("aüb\nc");
  const parts = [bytes.subarray(0, 2), bytes.subarray(2, 5), bytes.subarray(5)];
  const pieces = parts.map((each) => ({ stream: "stdout" as const, atS: 1, bytes: each }));
  expect(await read(followLog(kept(pieces, [1, 2]), signal))).toEqual(["stdout: aüb", "stdout: c"]);
});

it("FL2: a connection that ends while the program runs is none of its end", async () => {
  const states = ["waiting", "printing", "ended"] as const;
  let looks = 0;
  const opened: (number | undefined)[] = [];
  const source = {
    state: async () => states[Math.min(looks++, 2)] ?? ("ended" as const),
    pause: async () => {},
    open: async function* (sinceS: number | undefined) {
      opened.push(sinceS);
      const first = { stream: "stdout" as const, atS: 5, bytes: Buffer.from("one\n") };
      yield first;
      if (opened.length === 2) yield { ...first, atS: 6, bytes: Buffer.from("two\n") };
    },
  };
  expect(await read(followLog(source, signal))).toEqual(["stdout: one", "stdout: two"]);
  expect(opened).toEqual([undefined, 4]);
});

it("a log that is refused is said once, and ends with the program", async () => {
  let looks = 0;
  const source = {
    state: async () => (++looks < 4 ? ("printing" as const) : ("ended" as const)),
    pause: async () => {},
    open: async function* (): AsyncGenerator<LogPiece, void> {
      if (looks > 0) throw new LogRefused("no kubelet");
      yield { stream: "stdout", atS: 0, bytes: new Uint8Array() };
    },
  };
  expect(await read(followLog(source, signal))).toEqual(["stderr: [its log cannot be read: no kubelet]"]);
});

it("ends with the signal, and when there is nothing to read any more", async () => {
  const leaving = new AbortController();
  const forever = {
    ...kept([{ stream: "stdout", atS: 1, bytes: Buffer.from("x\n") }], []),
    state: async () => "printing" as const,
  };
  let count = 0;
  for await (const _ of followLog({ ...forever, pause: async () => leaving.abort() }, leaving.signal)) count += 1;
  expect(count).toBe(1);
  expect(await read(followLog({ ...forever, state: async () => "gone" as const }, signal))).toEqual([]);
});

it.each([
  ["2026-01-02T03:04:05.123456789Z text", 1_767_323_045, "text"],
  ["2026-01-02T05:04:05.1+02:00 a b", 1_767_323_045, "a b"],
  ["2026-01-02T03:04:05Z ", 1_767_323_045, ""],
])("reads the time of %s", (message, atS, text) => {
  const piece = stampedPiece("stdout", Buffer.from(message));
  expect([piece.atS, Buffer.from(piece.bytes).toString()]).toEqual([atS, text]);
});

it("refuses a message without a time", () => {
  expect(() => stampedPiece("stdout", Buffer.from("text"))).toThrow(LogRefused);
});
