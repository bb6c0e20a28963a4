// What may be sent, and the copy that the other side gets, so that a program behaves the same in one process and in many.
//
// CP1  The rules are the structured clone's: plain data, Map, Set, Date, RegExp, bigint, ArrayBuffer and its views, Error; and handles,
//      which stay the same actor. An instance of a class arrives as a plain object of its own fields.
// CP2  Functions, symbols, promises, weak collections and anything nested deeper than DEPTH_MAX (a circle, too) are refused; the
//      error names the path: `args[0].options.onDone`.
// CP3  Primitives cost nothing and plain objects and arrays a short loop: structuredClone itself is ten times slower on small ones.

import { addressIn } from "./address.ts";
import { errorOf, failure } from "./failure.ts";

const DEPTH_MAX = 200;

/** First character of the one key that codec.ts keeps for itself. */
const RESERVED = 0;

/** Turns bigints and the objects that are neither plain nor arrays into what is sent. `into` copies one part: (value, key to show in a path). */
export type CopyLeaf = (value: object | bigint, into: (part: unknown, key: string) => unknown) => unknown;

class Unsendable extends Error {
  path: string;

  constructor(what: string, path: string) {
    super(what);
    this.path = path;
  }
}

/** A copy of `value` by the rules above; `root` begins the path in an error. Throws NotSendable. */
export function copy(value: unknown, root: string, leaf: CopyLeaf = cloneLeaf): unknown {
  if (isSimple(value)) return value;
  try {
    return walk(value, 0, leaf);
  } catch (error) {
    if (!(error instanceof Unsendable)) throw error;
    const path = root + error.path;
    throw errorOf(failure("NotSendable", `${path} cannot be sent: it is ${error.message}`, { path }));
  }
}

/** Values that need no copy. */
export function isSimple(value: unknown): boolean {
  if (value === null) return true;
  const type = typeof value;
  return type === "number" || type === "string" || type === "boolean" || type === "undefined";
}

/** Copies an argument list; the list itself is the caller's to give away. */
export function copyArgs(args: unknown[]): unknown[] {
  for (let index = 0; index < args.length; index++) {
    const value = args[index];
    if (!isSimple(value)) args[index] = copy(value, `args[${index}]`);
  }
  return args;
}

function walk(value: unknown, depth: number, leaf: CopyLeaf): unknown {
  if (isSimple(value)) return value;
  if (typeof value === "function") throw new Unsendable("a function", "");
  if (typeof value === "symbol") throw new Unsendable("a symbol", "");
  if (depth > DEPTH_MAX) throw new Unsendable(`nested deeper than ${DEPTH_MAX} levels, or part of a circle`, "");
  if (Array.isArray(value)) return copyItems(value, depth, leaf);
  if (isPlain(value)) return copyFields(value as Record<string, unknown>, depth, leaf);
  return leaf(value as object | bigint, (part, key) => enter(part, key, depth, leaf));
}

function isPlain(value: unknown): boolean {
  if (typeof value !== "object") return false;
  const proto: unknown = Object.getPrototypeOf(value);
  return proto === Object.prototype || proto === null;
}

function enter(part: unknown, key: string, depth: number, leaf: CopyLeaf): unknown {
  try {
    return walk(part, depth + 1, leaf);
  } catch (error) {
    // In a circle the path repeats itself: its first turns say enough.
    if (error instanceof Unsendable && depth < 12) error.path = key + error.path;
    throw error;
  }
}

function copyFields(from: Record<string, unknown>, depth: number, leaf: CopyLeaf): unknown {
  const to: Record<string, unknown> = {};
  for (const key of Object.keys(from)) {
    const part = from[key];
    const copied = isSimple(part) ? part : enter(part, `.${key}`, depth, leaf);
    if (key.charCodeAt(0) === RESERVED) throw new Unsendable("an object with a key that begins with NUL", `.${key}`);
    // Assigning to __proto__ would change the copy's prototype instead of its fields.
    if (key === "__proto__")
      Object.defineProperty(to, key, { value: copied, enumerable: true, writable: true, configurable: true });
    else to[key] = copied;
  }
  return to;
}

function copyItems(from: readonly unknown[], depth: number, leaf: CopyLeaf): unknown {
  const to: unknown[] = new Array(from.length);
  for (let index = 0; index < from.length; index++) {
    const part = from[index];
    to[index] = isSimple(part) ? part : enter(part, `[${index}]`, depth, leaf);
  }
  return to;
}

/** The leaf rule of copies inside one process. */
function cloneLeaf(value: object | bigint, into: (part: unknown, key: string) => unknown): unknown {
  if (typeof value === "bigint" || addressIn(value) !== undefined) return value;
  if (value instanceof Map) {
    return new Map([...value].map(([key, part], at) => [into(key, `.keys[${at}]`), into(part, `.values[${at}]`)]));
  }
  if (value instanceof Set) return new Set([...value].map((part, at) => into(part, `.values[${at}]`)));
  if (isCloneable(value)) return structuredClone(value);
  return copyInstance(value, into);
}

/** Objects without parts of their own that structured clone takes as they are. */
function isCloneable(value: object): boolean {
  return (
    value instanceof Date ||
    value instanceof RegExp ||
    value instanceof Error ||
    value instanceof ArrayBuffer ||
    ArrayBuffer.isView(value)
  );
}

/** A class instance arrives as a plain object of its own fields (CP1); refuses objects whose meaning is lost in a copy. */
export function copyInstance(value: object, into: (part: unknown, key: string) => unknown): unknown {
  for (const type of [Promise, WeakMap, WeakSet, WeakRef, AbortSignal, ReadableStream]) {
    if (value instanceof type) throw new Unsendable(`a ${type.name}`, "");
  }
  if (Symbol.asyncIterator in value) throw new Unsendable("an async iterator", "");
  return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, into(part, `.${key}`)]));
}
