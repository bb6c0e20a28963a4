// Plain data as bytes of a store value: JSON, so that a person can read it and a later version still can.
// It is not the wire's encoding (codec.ts), only built on the same rules of what may be sent.
//
// SV1  What comes out equals what went in, by the codec's rules: what JSON lacks is an object with the single key JSON_TAG, which begins
//      with NUL as no key of a user may.

import { fromWire, type ReviveHandle, toWire } from "./codec.ts";

const JSON_TAG = "\u0000json";

const tag = (kind: string, text: string): object => ({ [JSON_TAG]: [kind, text] });

function toJson(value: unknown): unknown {
  if (value === undefined) return tag("undefined", "");
  if (typeof value === "number") return Number.isFinite(value) && !Object.is(value, -0) ? value : numberTag(value);
  if (typeof value !== "object" || value === null) return value;
  if (value instanceof Uint8Array) return tag("bytes", Buffer.from(value).toString("base64"));
  if (Array.isArray(value)) return value.map(toJson);
  return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, toJson(part)]));
}

const numberTag = (value: number): object => tag("number", Object.is(value, -0) ? "-0" : String(value));

function fromJson(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(fromJson);
  const tagged = (value as Record<string, unknown>)[JSON_TAG];
  if (Array.isArray(tagged)) return fromTag(tagged as [kind: string, text: string]);
  return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, fromJson(part)]));
}

function fromTag([kind, text]: readonly [kind: string, text: string]): unknown {
  if (kind === "undefined") return undefined;
  return kind === "number" ? Number(text) : new Uint8Array(Buffer.from(text, "base64"));
}

/** The bytes of `value`; `root` begins the path in an error. Throws NotSendable. */
export function toStored(value: unknown, root: string): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(toJson(toWire(value, root))));
}

/** The value again, with handles made by `revive`. */
export function fromStored(bytes: Uint8Array, revive: ReviveHandle): unknown {
  return fromWire(fromJson(JSON.parse(new TextDecoder().decode(bytes))), revive);
}
