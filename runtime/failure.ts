// Failures inside the house: plain values that become errors only where a caller awaits.
//
// F1  Making a failure takes no stack: one that is made a million times a second must not cost a stack walk each time.
// F2  The error is built in a promise reaction of the caller's own await, so its stack names the caller's frames (V8's async stack
//     traces follow that reaction). What the actor's code threw is the `cause`, with the stack it had there.
// F3  An error of ours keeps its code through any number of actors; anything else arrives as ActorThrew.

import type { WireError } from "./envelope.ts";
import { type ErrorData, FlotillaError, isFlotillaError, type RuntimeErrorCode, runtimeErrors } from "./errors.ts";

export function failure(code: RuntimeErrorCode, message: string, data: ErrorData = {}): WireError {
  return { code, message, retryable: runtimeErrors[code].retryable, data };
}

function causeOf(thrown: unknown): WireError["cause"] & {} {
  try {
    if (!(thrown instanceof Error)) return { name: "Error", message: String(thrown), stack: "" };
    return { name: String(thrown.name), message: String(thrown.message), stack: String(thrown.stack ?? "") };
  } catch {
    // An object without a text form, a getter that throws: telling of a failure must not fail itself.
    return { name: "Error", message: "something that cannot be printed", stack: "" };
  }
}

/** What an actor's code threw, as a failure for whoever waits (F3). `where` is "counter.add". */
export function failureOf(thrown: unknown, where: string): WireError {
  const cause = causeOf(thrown);
  if (isFlotillaError(thrown)) {
    // Another copy of the package, or somebody's imitation of it, may have put anything there.
    const { code, message, retryable, data } = thrown;
    return { code: String(code), message: String(message), retryable: retryable === true, data: data ?? {}, cause };
  }
  const own = thrown instanceof Error ? (thrown as Error & { code?: unknown }).code : undefined;
  const data: ErrorData = { name: cause.name, ...(typeof own === "string" ? { code: own } : {}) };
  return { ...failure("ActorThrew", `${where} threw ${cause.name}: ${cause.message}`, data), cause };
}

/** The error a caller gets, made where the caller waits (F2). */
export function errorOf({ code, message, retryable, data, cause }: WireError): FlotillaError {
  if (cause === undefined) return new FlotillaError(code, message, { retryable, data });
  const origin = new Error(cause.message);
  origin.name = cause.name;
  origin.stack = cause.stack;
  return new FlotillaError(code, message, { retryable, data, cause: origin });
}

/** Rejection handler that turns a failure into an error. */
export function raise(wire: WireError): never {
  throw errorOf(wire);
}
