// Frames ⇄ bytes: a batch of envelopes to one peer, as MessagePack behind a version byte.
// It is not a validator of arguments: whatever plain data an envelope carries passes.
//
//     [ version ][ MessagePack array of envelopes ]
//
// CD1  Only plain MessagePack leaves: no records, no extension types. What MessagePack lacks (Map, Set, Date, bigint, handles …) is
//      an object with the single key TAG, and no object of a user may have that key.
// CD2  Bytes from outside never throw past `decodeFrame` and never build anything but plain data and the types above.

import { Packr } from "msgpackr";
import { type Address, addressIn } from "./address.ts";
import { copy, copyInstance } from "./copy.ts";
import type { Envelope } from "./envelope.ts";

export const PROTOCOL_VERSION = 1;

const TAG = "\u0000flotilla";

/** Makes a handle for an address that arrived; codec knows no handles. */
export type ReviveHandle = (address: Address) => unknown;

const views = {
  Int8Array,
  Uint8ClampedArray,
  Int16Array,
  Uint16Array,
  Int32Array,
  Uint32Array,
  Float32Array,
  Float64Array,
  BigInt64Array,
  BigUint64Array,
} as const;

type Tagged = readonly [kind: string, ...parts: unknown[]];

function tag(...parts: Tagged): object {
  return { [TAG]: parts };
}

function wireLeaf(value: object | bigint, into: (part: unknown, key: string) => unknown): unknown {
  if (typeof value === "bigint") return tag("bigint", String(value));
  const address = addressIn(value);
  if (address !== undefined) return tag("handle", { ...address });
  if (value instanceof Uint8Array) return value;
  if (value instanceof Date) return tag("date", value.getTime());
  if (value instanceof RegExp) return tag("regexp", value.source, value.flags);
  if (value instanceof Map) {
    return tag(
      "map",
      [...value].map(([key, part], at) => [into(key, `.keys[${at}]`), into(part, `.values[${at}]`)]),
    );
  }
  if (value instanceof Set)
    return tag(
      "set",
      [...value].map((part, at) => into(part, `.values[${at}]`)),
    );
  if (value instanceof Error) return tag("error", value.name, value.message, value.stack ?? "");
  if (value instanceof ArrayBuffer) return tag("buffer", new Uint8Array(value));
  if (ArrayBuffer.isView(value)) {
    return tag("view", value.constructor.name, new Uint8Array(value.buffer, value.byteOffset, value.byteLength));
  }
  return copyInstance(value, into);
}

/** A value as it goes into an envelope for another node. Throws NotSendable naming the path. */
export function toWire(value: unknown, root: string): unknown {
  return copy(value, root, wireLeaf);
}

/** The value an envelope carried. */
export function fromWire(value: unknown, revive: ReviveHandle): unknown {
  if (typeof value !== "object" || value === null || value instanceof Uint8Array) return value;
  if (Array.isArray(value)) return value.map((part) => fromWire(part, revive));
  const parts = (value as Record<string, unknown>)[TAG];
  if (Array.isArray(parts)) return fromTag(parts as unknown as Tagged, revive);
  return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, fromWire(part, revive)]));
}

function fromTag([kind, first, second, third]: Tagged, revive: ReviveHandle): unknown {
  switch (kind) {
    case "handle":
      return revive(first as Address);
    case "bigint":
      return BigInt(first as string);
    case "date":
      return new Date(first as number);
    case "regexp":
      return new RegExp(first as string, second as string);
    case "map":
      return new Map(
        (first as [unknown, unknown][]).map(([key, part]) => [fromWire(key, revive), fromWire(part, revive)]),
      );
    case "set":
      return new Set((first as unknown[]).map((part) => fromWire(part, revive)));
    case "error":
      return Object.assign(new Error(second as string), { name: first, stack: third });
    case "buffer":
      return (first as Uint8Array).slice().buffer;
    case "view":
      return viewOf(first as keyof typeof views, (second as Uint8Array).slice());
    default:
      throw new TypeError(`unknown tag ${kind}`);
  }
}

function viewOf(name: keyof typeof views, bytes: Uint8Array<ArrayBuffer>): unknown {
  return new views[name](bytes.buffer);
}

/** One per system: MessagePack writers keep buffers, and two systems must not share them. */
export class Codec {
  readonly #packr = new Packr({ useRecords: false, moreTypes: false, useBigIntExtension: false });

  encodeFrame(envelopes: readonly Envelope[]): Uint8Array {
    const body = this.#packr.pack(envelopes);
    const frame = new Uint8Array(body.length + 1);
    frame[0] = PROTOCOL_VERSION;
    frame.set(body, 1);
    return frame;
  }

  /** The envelopes of a frame; undefined when it is not one of ours (CD2). */
  decodeFrame(frame: Uint8Array): Envelope[] | undefined {
    if (frame[0] !== PROTOCOL_VERSION) return undefined;
    try {
      const envelopes: unknown = this.#packr.unpack(frame.subarray(1));
      return Array.isArray(envelopes) && envelopes.every(isEnvelope) ? envelopes : undefined;
    } catch {
      return undefined;
    }
  }
}

function isEnvelope(value: unknown): value is Envelope {
  return typeof value === "object" && value !== null && typeof (value as { kind?: unknown }).kind === "string";
}
