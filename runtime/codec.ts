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
import { copy, copyInstance, type ErrorParts, errorParts, makeError, makeView, viewBytes, viewName } from "./copy.ts";
import type { Envelope } from "./envelope.ts";

export const PROTOCOL_VERSION = 1;

const TAG = "\u0000flotilla";

/** Makes a handle for an address that arrived; codec knows no handles. */
export type ReviveHandle = (address: Address) => unknown;

type Tagged = readonly [kind: string, ...parts: unknown[]];

function tag(...parts: Tagged): object {
  return { [TAG]: parts };
}

function wireLeaf(value: object | bigint, into: (part: unknown, key: string) => unknown): unknown {
  if (typeof value === "bigint") return tag("bigint", String(value));
  const address = addressIn(value);
  if (address !== undefined) return tag("handle", { ...address });
  // A copy: the frame is made later, and the sender may reuse its buffer as soon as the call is made.
  if (value instanceof Uint8Array) return viewBytes(value);
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
  if (value instanceof Error) return tag("error", ...errorParts(value, into));
  if (value instanceof ArrayBuffer) return tag("buffer", new Uint8Array(value.slice(0)));
  if (ArrayBuffer.isView(value)) return tag("view", viewName(value), viewBytes(value));
  const copied = copyInstance(value, into);
  // MessagePack readers rename that key, for safety's sake.
  return Object.hasOwn(copied, "__proto__") ? tag("fields", Object.entries(copied)) : copied;
}

/** A value as it goes into an envelope for another node. Throws NotSendable naming the path. */
export function toWire(value: unknown, root: string): unknown {
  return copy(value, root, wireLeaf);
}

/** The value an envelope carried. */
export function fromWire(value: unknown, revive: ReviveHandle): unknown {
  if (typeof value !== "object" || value === null) return value;
  // A copy: what was decoded is a window on the whole frame, with everybody else's bytes in it.
  if (value instanceof Uint8Array) return new Uint8Array(value);
  if (Array.isArray(value)) return value.map((part) => fromWire(part, revive));
  const parts = (value as Record<string, unknown>)[TAG];
  if (Array.isArray(parts)) return fromTag(parts as unknown as Tagged, revive);
  return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, fromWire(part, revive)]));
}

function fromTag([kind, ...parts]: Tagged, revive: ReviveHandle): unknown {
  const [first, second] = parts;
  const all = (values: unknown) => (values as unknown[]).map((part) => fromWire(part, revive));
  const pairs = (values: unknown) => (values as unknown[]).map((pair) => all(pair) as [string, unknown]);
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
      return new Map(pairs(first));
    case "fields":
      return Object.fromEntries(pairs(first));
    case "set":
      return new Set(all(first));
    case "error":
      return makeError(all(parts) as unknown as ErrorParts);
    case "buffer":
      return new Uint8Array(first as Uint8Array).buffer;
    case "view":
      return makeView(first as string, new Uint8Array(second as Uint8Array));
    default:
      throw new TypeError(`unknown tag ${kind}`);
  }
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
  if (typeof value !== "object" || value === null) return false;
  const { kind, to, method, args, deadlineMs, chain } = value as Partial<Record<string, unknown>>;
  if (typeof kind !== "string") return false;
  if (kind !== "call" && kind !== "cast") return true;
  // Arguments that are no list would make the actor's method throw, and what a cast throws is the actor's own failure.
  const isMessage =
    typeof method === "string" && Array.isArray(args) && typeof deadlineMs === "number" && isAddress(to);
  return isMessage && !Number.isNaN(deadlineMs) && (kind === "cast" || isChain(chain));
}

function isAddress(value: unknown): value is Address {
  const { node, id, type } = (value ?? {}) as Partial<Record<string, unknown>>;
  return typeof node === "string" && typeof id === "string" && typeof type === "string";
}

const isChain = (value: unknown): boolean => Array.isArray(value) && value.every((link) => typeof link === "string");
