// Values and frames ⇄ bytes: plain MessagePack, looked through before it is decoded (scan.ts). What a frame is made of: words.ts.
// It is not a validator of arguments: whatever plain data an envelope carries passes.
//
// CD1  Only plain MessagePack leaves: no records, no extension types. What MessagePack lacks (Map, Set, Date, bigint, handles …) is
//      an object with the single key TAG, and no object of a user may have that key.
// CD2  Bytes from outside never throw past `decodeFrame` and never build anything but plain data and the types above.

import { Packr } from "msgpackr";
import { type Address, addressIn } from "./address.ts";
import type { Clock } from "./clock.ts";
import {
  type CopyLeaf,
  copy,
  copyInstance,
  type ErrorParts,
  errorParts,
  makeError,
  makeView,
  viewBytes,
  viewName,
} from "./copy.ts";
import type { Envelope } from "./envelope.ts";
import { Scanner } from "./scan.ts";
import { fromWords, toWords } from "./words.ts";

/** First word of every frame; grows with every change of what frames mean. */
export const PROTOCOL_VERSION = 2;

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

/** Byte arrays from here on are lent: copying 100 KB costs more than all else about a call. */
const LENT_MIN_BYTES = 16 * 1024;

/** As `toWire`, but large byte arrays are not copied: whoever made them may change them as soon as it runs again. */
export class LendingWriter {
  #hasLent = false;

  write(value: unknown, root: string): unknown {
    return copy(value, root, this.#leaf);
  }

  /** Whether anything was lent since this was last asked: then the frame has to be made before any other code runs. */
  takeLent(): boolean {
    const hasLent = this.#hasLent;
    this.#hasLent = false;
    return hasLent;
  }

  readonly #leaf: CopyLeaf = (value, into) => {
    if (!(value instanceof Uint8Array) || value.byteLength < LENT_MIN_BYTES) return wireLeaf(value, into);
    this.#hasLent = true;
    return value;
  };
}

/** The value an envelope carried. */
export function fromWire(value: unknown, revive: ReviveHandle): unknown {
  if (typeof value !== "object" || value === null) return value;
  // A copy: what was decoded is a window on the whole frame, with everybody else's bytes in it.
  if (value instanceof Uint8Array) return new Uint8Array(value);
  const fields = value as Record<string, unknown>;
  const parts = fields[TAG];
  if (Array.isArray(parts)) return fromTag(parts as unknown as Tagged, revive);
  // In place: what was decoded belongs to nobody else.
  for (const key of Object.keys(fields)) {
    const part = fields[key];
    if (typeof part === "object" && part !== null) fields[key] = fromWire(part, revive);
  }
  return value;
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

/** Envelopes that arrived together. */
export interface Frame {
  readonly envelopes: readonly Envelope[];
  /** Whether values in it need `fromWire`: most frames hold nothing but plain data. */
  readonly tagged: boolean;
}

const PLAIN = { useRecords: false, moreTypes: false, useBigIntExtension: false } as const;
const BRIEF_BYTES = 2 * 1024 * 1024;

/** One value ⇄ bytes. */
export interface ValueCodec {
  /** Throws NotSendable with a path that begins with `root`. */
  encode(value: unknown, root: string): Uint8Array;
  /** Throws TypeError for bytes that `encode` did not make. */
  decode(bytes: Uint8Array): unknown;
}

/** One per system: MessagePack writers keep buffers, and two systems must not share them. */
export class Codec {
  readonly #packr = new Packr(PLAIN);
  readonly #scanner = new Scanner();
  readonly #briefPackr = new Packr(PLAIN);
  #brief: Buffer | undefined = undefined;
  #isBriefInUse = false;
  readonly #soon: Clock["soon"] | undefined;

  /** `soon`: runs something in the next turn of the event loop (clock.ts); without it no memory is used again. */
  constructor(soon?: Clock["soon"]) {
    this.#soon = soon;
  }

  encodeFrame(envelopes: readonly Envelope[]): Uint8Array {
    return this.#packr.pack(toWords(envelopes, PROTOCOL_VERSION));
  }

  /**
   * As `encodeFrame`, for frames with large byte arrays in them, into memory that is used again: the bytes are good until the next turn of
   * the event loop. Fresh pages for each 100 KB cost as much as copying them.
   */
  encodeBrief(envelopes: readonly Envelope[]): Uint8Array {
    if (this.#soon === undefined) return this.encodeFrame(envelopes);
    if (!this.#isBriefInUse) {
      this.#isBriefInUse = true;
      this.#brief ??= Buffer.allocUnsafeSlow(BRIEF_BYTES);
      this.#briefPackr.useBuffer(this.#brief);
      this.#soon(() => {
        this.#isBriefInUse = false;
      });
    }
    return this.#briefPackr.pack(toWords(envelopes, PROTOCOL_VERSION));
  }

  /** The envelopes of a frame; undefined when it is not one of ours (CD2). */
  decodeFrame(bytes: Uint8Array): Frame | undefined {
    const scanned = this.#scanner.scan(bytes);
    if (scanned === "refused") return undefined;
    try {
      const words: unknown = this.#packr.unpack(bytes);
      if (!Array.isArray(words) || words[0] !== PROTOCOL_VERSION) return undefined;
      const envelopes = fromWords(words);
      return envelopes && { envelopes, tagged: scanned === "tagged" };
    } catch {
      return undefined;
    }
  }

  /** Values as bytes, for what is stored: state, events, tasks. */
  values(revive: ReviveHandle): ValueCodec {
    return {
      encode: (value, root) => this.#packr.pack(toWire(value, root)).slice(),
      decode: (bytes) => {
        if (this.#scanner.scan(bytes) === "refused") throw new TypeError("these bytes are no value of ours");
        return fromWire(this.#packr.unpack(bytes), revive);
      },
    };
  }
}
