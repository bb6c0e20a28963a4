// What may be sent, and the copy that the other side gets, so that a program behaves the same in one process and in many.
//
// CP1  The rules are the structured clone's: plain data, Map, Set, Date, RegExp, bigint, ArrayBuffer and its views, Error; and handles,
//      which stay the same actor. An instance of a class arrives as a plain object of its own fields. Unlike there, an error keeps
//      a name of its own, and a view brings the bytes it shows, not the whole buffer behind it (Node pools small ones).
// CP2  Functions, symbols, promises, weak collections and anything nested deeper than DEPTH_MAX (a circle, too) are refused; the
//      error names the path: `args[0].options.onDone`.
// CP3  Primitives cost nothing and plain objects and arrays a short loop: structuredClone itself is ten times slower on small ones.

import { addressIn, plainHandle } from "./address.ts";
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
    // Assigning to it would change the copy's prototype instead of its fields.
    if (key === "__proto__") return leaf(from, (part, at) => enter(part, at, depth, leaf));
    const part = from[key];
    if (key.charCodeAt(0) === RESERVED) throw reservedKey(key);
    to[key] = isSimple(part) ? part : enter(part, `.${key}`, depth, leaf);
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

function reservedKey(key: string): Unsendable {
  return new Unsendable("an object with a key that begins with NUL", `.${key}`);
}

/** The leaf rule of copies inside one process. */
function cloneLeaf(value: object | bigint, into: (part: unknown, key: string) => unknown): unknown {
  if (typeof value === "bigint") return value;
  if (addressIn(value) !== undefined) return plainHandle(value);
  if (value instanceof Map) {
    return new Map([...value].map(([key, part], at) => [into(key, `.keys[${at}]`), into(part, `.values[${at}]`)]));
  }
  if (value instanceof Set) return new Set([...value].map((part, at) => into(part, `.values[${at}]`)));
  if (value instanceof Error) return makeError(errorParts(value, into));
  if (ArrayBuffer.isView(value)) return makeView(viewName(value), viewBytes(value));
  if (value instanceof ArrayBuffer) return value.slice(0);
  if (value instanceof Date || value instanceof RegExp) return structuredClone(value);
  return copyInstance(value, into);
}

/** A class instance arrives as a plain object of its own fields (CP1); refuses objects whose meaning is lost in a copy. */
export function copyInstance(value: object, into: (part: unknown, key: string) => unknown): Record<string, unknown> {
  for (const type of [Promise, WeakMap, WeakSet, WeakRef, AbortSignal, ReadableStream, SharedArrayBuffer]) {
    if (value instanceof type) throw new Unsendable(`a ${type.name}`, "");
  }
  if (Symbol.asyncIterator in value) throw new Unsendable("an async iterator", "");
  return Object.fromEntries(
    Object.entries(value).map(([key, part]) => {
      if (key.charCodeAt(0) === RESERVED) throw reservedKey(key);
      return [key, into(part, `.${key}`)];
    }),
  );
}

const errorTypes: Readonly<Record<string, ErrorConstructor>> = {
  EvalError,
  RangeError,
  ReferenceError,
  SyntaxError,
  TypeError,
  URIError,
};

/** What is sent of an error: name, message, stack, and its cause when it has one. */
export type ErrorParts = readonly [name: string, message: string, stack: string, cause?: unknown];

export function errorParts(error: Error, into: (part: unknown, key: string) => unknown): ErrorParts {
  const parts = [String(error.name), String(error.message), String(error.stack ?? "")] as const;
  return error.cause === undefined ? parts : [...parts, into(error.cause, ".cause")];
}

/** The error again; its class only when it is one of the language's own. */
export function makeError([name, message, stack, cause]: ErrorParts): Error {
  const type = (Object.hasOwn(errorTypes, name) ? errorTypes[name] : undefined) ?? Error;
  const error = new type(message, cause === undefined ? undefined : { cause });
  if (error.name !== name) Object.defineProperty(error, "name", { value: name, configurable: true, writable: true });
  Object.defineProperty(error, "stack", { value: stack, configurable: true, writable: true });
  return error;
}

const viewTypes = {
  DataView,
  Int8Array,
  Uint8Array,
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

/** What kind of view it is, whatever class of the user's it belongs to. */
export function viewName(view: ArrayBufferView): string {
  const name = (view as ArrayBufferView & { readonly [Symbol.toStringTag]: string })[Symbol.toStringTag];
  if (!Object.hasOwn(viewTypes, name)) throw new Unsendable(`a ${name}`, "");
  return name;
}

/** A copy of the bytes it shows. */
export function viewBytes(view: ArrayBufferView): Uint8Array<ArrayBuffer> {
  return new Uint8Array(new Uint8Array(view.buffer, view.byteOffset, view.byteLength));
}

/** The view again, over all of `bytes`, which become its own. */
export function makeView(name: string, bytes: Uint8Array<ArrayBuffer>): unknown {
  if (name === "Uint8Array") return bytes;
  const type: new (buffer: ArrayBuffer) => unknown = viewTypes[name as keyof typeof viewTypes];
  return new type(bytes.buffer);
}
