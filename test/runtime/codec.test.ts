// Frames: every envelope survives the way through bytes; bytes that are no frame are undefined, never an exception.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Codec, PROTOCOL_VERSION } from "../../runtime/codec.ts";
import type { Envelope } from "../../runtime/envelope.ts";

const text = fc.string({ unit: "grapheme" });
const id = fc.integer({ min: 1, max: 2 ** 40 });
const to = fc.record(
  { node: text, id: text, type: text, incarnation: fc.integer({ min: 1, max: 99 }) },
  { noNullPrototype: true },
);
const data = fc.jsonValue().map((value) => JSON.parse(JSON.stringify(value).replaceAll("__proto__", "proto")));
const deadlineMs = fc.oneof(fc.constant(Number.POSITIVE_INFINITY), fc.integer({ min: 0, max: 2 ** 45 }));
const error = fc.record(
  {
    code: text,
    message: text,
    retryable: fc.boolean(),
    data: fc.constant({}),
    cause: fc.record({ name: text, message: text, stack: text }, { noNullPrototype: true }),
  },
  { requiredKeys: ["code", "message", "retryable", "data"], noNullPrototype: true },
);
const of = (kind: string, fields: Record<string, fc.Arbitrary<unknown>>, optional: string[] = []) =>
  fc.record(
    { kind: fc.constant(kind), ...fields },
    {
      requiredKeys: ["kind", ...Object.keys(fields).filter((key) => !optional.includes(key))] as never[],
      noNullPrototype: true,
    },
  ) as unknown as fc.Arbitrary<Envelope>;

const envelope = fc.oneof(
  of("spawn", { id, type: text, options: fc.constant({}), deadlineMs }),
  of("call", { id, to, method: text, args: fc.array(data), deadlineMs, chain: fc.array(text), credit: id }, ["credit"]),
  of("cast", { to, method: text, args: fc.array(data), deadlineMs }),
  of("reply", { id, value: data }),
  of("chunk", { id, sequence: id, value: data }),
  of("end", { id, sequence: id }),
  of("error", { id, error }),
  of("cancel", { id, reason: text }),
  of("credit", { id, count: id }),
  of("stop", { id, to, how: fc.constantFrom("stop", "kill"), timeoutMs: id }),
  of("signal", {
    id,
    end: fc.record(
      { address: to, reason: fc.constant("stopped"), error },
      { requiredKeys: ["address", "reason"], noNullPrototype: true },
    ),
  }),
);

describe("frames", () => {
  test("bring every envelope as it was, in order", () => {
    const [writer, reader] = [new Codec(), new Codec()];
    fc.assert(
      fc.property(fc.array(envelope, { maxLength: 10 }), (envelopes) => {
        expect(reader.decodeFrame(writer.encodeFrame(envelopes))?.envelopes).toStrictEqual(envelopes);
      }),
      { numRuns: 500 },
    );
  });

  test("of noise are undefined, and the next good one is read all the same (CD2)", () => {
    const codec = new Codec();
    const good = codec.encodeFrame([{ kind: "end", id: 1, sequence: 2 }]);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.boolean(), (noise, versioned) => {
        const frame = versioned ? Uint8Array.from([PROTOCOL_VERSION, ...noise]) : noise;
        const decoded = codec.decodeFrame(frame);
        if (decoded !== undefined) expect(decoded.envelopes.every(({ kind }) => typeof kind === "string")).toBe(true);
        expect(codec.decodeFrame(good)?.envelopes).toEqual([{ kind: "end", id: 1, sequence: 2 }]);
      }),
      { numRuns: 2_000 },
    );
  });

  test("cut short or of another version are undefined", () => {
    const codec = new Codec();
    const frame = codec.encodeFrame([{ kind: "reply", id: 1, value: { text: "hello", list: [1, 2, 3] } }]);
    for (let length = 0; length < frame.length; length++)
      expect(codec.decodeFrame(frame.subarray(0, length))).toBeUndefined();
    expect(codec.decodeFrame(Uint8Array.from([PROTOCOL_VERSION + 1, ...frame.subarray(1)]))).toBeUndefined();
    expect(codec.decodeFrame(new Uint8Array())).toBeUndefined();
  });

  test("nested a million deep are undefined", () => {
    const deep = new Uint8Array(1_000_001).fill(0x91);
    deep[0] = PROTOCOL_VERSION;
    expect(new Codec().decodeFrame(deep)).toBeUndefined();
  });

  test("hold plain MessagePack only: no extension types leave (CD1)", () => {
    const frame = new Codec().encodeFrame([
      { kind: "reply", id: 1, value: { date: "x", big: 2 ** 60, nothing: null } },
    ]);
    const extensions = [...frame].filter((byte) => (byte >= 0xd4 && byte <= 0xd8) || (byte >= 0xc7 && byte <= 0xc9));
    expect(extensions).toEqual([]);
  });
});
