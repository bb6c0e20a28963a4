// What may be sent: the copy inside one process and the way through the codec, both against structuredClone.

import { isDeepStrictEqual } from "node:util";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ADDRESS, type Address } from "../../runtime/address.ts";
import { Codec, fromWire, toWire } from "../../runtime/codec.ts";
import { copy } from "../../runtime/copy.ts";
import type { Envelope } from "../../runtime/envelope.ts";
import { isFlotillaError } from "../../runtime/index.ts";

const codec = new Codec();
const revive = (address: Address) => ({ [ADDRESS]: address });

/** Through a frame, as to another node. */
function overTheWire(value: unknown): unknown {
  const envelope = { kind: "reply", id: 1, value: toWire(value, "value") } as Envelope;
  // The bytes go through one more copy, as on a real network.
  const [arrived] = codec.decodeFrame(codec.encodeFrame([envelope]).slice())?.envelopes ?? [];
  return fromWire((arrived as { value: unknown }).value, revive);
}

const WAYS = [
  ["in one process", (value: unknown) => copy(value, "value")],
  ["over the wire", overTheWire],
] as const;

/** Text that UTF-8 can say: lone surrogates cannot cross a wire. */
const text = fc.string({ unit: "binary" }).filter((given) => given.isWellFormed());
const key = text.filter((given) => !given.startsWith("\u0000"));
const number = fc.double().map((given) => (Object.is(given, -0) ? 0 : given));
const bytes = fc.uint8Array({ maxLength: 20 });
const leaf = fc.oneof(
  text,
  number,
  fc.maxSafeInteger(),
  fc.boolean(),
  fc.constantFrom(null, undefined),
  fc.bigInt(),
  fc.date({ noInvalidDate: false }),
  bytes,
  fc.int16Array(),
  fc.float64Array(),
  fc.bigUint64Array(),
  bytes.map((given) => given.buffer),
  bytes.filter((given) => given.length > 4).map((given) => new DataView(given.buffer, 1, given.length - 2)),
  fc.constantFrom(/a+/gi, /^\n$/u),
  fc.constantFrom(new TypeError("wrong"), new Error("no"), new RangeError("far", { cause: new Error("near") })),
);
const { value: sendable } = fc.letrec((tie) => ({
  value: fc.oneof({ maxDepth: 4, depthIdentifier: "value" }, leaf, tie("list"), tie("fields"), tie("map"), tie("set")),
  list: fc.array(tie("value"), { maxLength: 4 }),
  fields: fc.dictionary(fc.oneof(key, fc.constantFrom("__proto__", "constructor", "then")), tie("value"), {
    maxKeys: 4,
    noNullPrototype: true,
  }),
  map: fc.array(fc.tuple(tie("value"), tie("value")), { maxLength: 3 }).map((pairs) => new Map(pairs)),
  set: fc.array(tie("value"), { maxLength: 3 }).map((items) => new Set(items)),
}));

describe.each(WAYS)("copies %s", (_way, send) => {
  test("equal structuredClone's for every sendable value, and share nothing", () => {
    fc.assert(
      fc.property(sendable, (value) => {
        const got = send(value);
        // Not toStrictEqual: it takes a field called constructor for the object's own.
        expect(isDeepStrictEqual(got, structuredClone(value))).toBe(true);
        if (typeof value === "object" && value !== null) expect(got).not.toBe(value);
      }),
      { numRuns: 1_000 },
    );
  });

  test("keep a key called __proto__ as a key, and touch no prototype", () => {
    const given = JSON.parse('{"a": [{"__proto__": {"polluted": true}, "b": 1}], "__proto__": null}');
    const got = send(given) as { a: [object] };
    expect(JSON.stringify(got)).toBe(JSON.stringify(given));
    expect(Object.getPrototypeOf(got.a[0])).toBe(Object.prototype);
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
  });

  test("bring class instances as plain objects of their own fields", () => {
    class Point {
      x = 1;
      readonly #hidden = 2;
      get sum() {
        return this.x + this.#hidden;
      }
    }
    const got = send({ point: new Point() });
    expect(got).toStrictEqual({ point: { x: 1 } });
  });

  test("bring errors with name, message, stack and cause", () => {
    class OwnError extends Error {
      override readonly name = "OwnError";
    }
    const given = new OwnError("odd", { cause: new TypeError("why") });
    const got = send(given) as Error;
    expect([got.name, got.message, got.stack]).toEqual(["OwnError", "odd", given.stack]);
    expect(got.cause).toBeInstanceOf(TypeError);
    expect((got.cause as Error).message).toBe("why");
    expect(send(new RangeError("far"))).toBeInstanceOf(RangeError);
  });

  test("bring the bytes a view shows, with memory of their own", () => {
    class OwnBytes extends Uint16Array {}
    const pool = new Uint8Array(1_000).fill(7);
    for (const view of [pool.subarray(10, 14), Buffer.from("abcd"), new DataView(pool.buffer, 8, 4)]) {
      const got = send(view) as Uint8Array;
      expect(got.byteLength).toBe(4);
      expect(got.buffer.byteLength).toBe(4);
    }
    const got = send(new OwnBytes([1, 2]));
    expect(got).toStrictEqual(new Uint16Array([1, 2]));
  });

  test("keep handles as the same actor", () => {
    const address = { node: "n", id: "1", type: "t", incarnation: 1 };
    const held = Object.assign(Object.create({ method() {} }), { [ADDRESS]: address });
    const got = send({ to: held }) as { to: { [ADDRESS]: Address } };
    expect(got.to[ADDRESS]).toEqual(address);
  });

  const circle: { self?: unknown } = {};
  circle.self = circle;
  const withNul = Object.assign(new (class Box {})(), { "\u0000flotilla": ["handle", {}] });
  test.each([
    ["a function", { a: [1, { run: () => 1 }] }, "value.a[1].run"],
    ["a symbol", [Symbol("s")], "value[0]"],
    ["a promise", { later: Promise.resolve() }, "value.later"],
    ["a weak map", new Map([["m", new WeakMap()]]), "value.values[0]"],
    ["a function as a key", new Map([[() => 1, 1]]), "value.keys[0]"],
    ["a function in a set", new Set([() => 1]), "value.values[0]"],
    ["an abort signal", { signal: new AbortController().signal }, "value.signal"],
    ["a stream", { body: new ReadableStream() }, "value.body"],
    ["an async generator", (async function* () {})(), "value"],
    ["shared memory", { shared: new SharedArrayBuffer(4) }, "value.shared"],
    ["an error with a cause that cannot be sent", new Error("x", { cause: () => 1 }), "value.cause"],
    ["a circle", circle, "value.self.self"],
    ["a key of the codec's own", { a: { "\u0000flotilla": ["handle", {}] } }, "value.a.\u0000flotilla"],
    ["such a key in an instance", withNul, "value.\u0000flotilla"],
  ])("refuse %s and name the path", (_what, value, path) => {
    const error = thrownBy(() => send(value));
    expect(isFlotillaError(error, "NotSendable")).toBe(true);
    expect(String((error as { data: { path: string } }).data.path).startsWith(path)).toBe(true);
    expect((error as Error).message).toContain("cannot be sent");
  });
});

function thrownBy(run: () => unknown): unknown {
  try {
    run();
  } catch (error) {
    return error;
  }
  throw new Error("nothing was thrown");
}

test("what the sender does to its bytes after sending does not show", () => {
  const given = { list: [1], bytes: new Uint8Array([1, 2]), ints: new Int32Array([5]), buffer: new ArrayBuffer(2) };
  const wire = toWire(given, "value");
  given.bytes.fill(9);
  given.ints.fill(9);
  new Uint8Array(given.buffer).fill(9);
  expect(fromWire(wire, revive)).toEqual({
    list: [1],
    bytes: new Uint8Array([1, 2]),
    ints: new Int32Array([5]),
    buffer: new ArrayBuffer(2),
  });
});
