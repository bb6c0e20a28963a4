// Options as their users write them, turned once into full, checked values. An error names the option, what was expected and what came.
// It reads no environment: the runtime is configured by code.

import type { ActorType, Isolation, SpawnOptions } from "./actor.ts";
import { type Address, addressIn } from "./address.ts";
import type { CallOptions } from "./calls.ts";
import type { Backoff, RestartPolicy } from "./cell/supervisor.ts";
import { UNNAMED } from "./directory.ts";
import { runtimeError } from "./errors.ts";
import { RETRY_BACKOFF } from "./retries.ts";

/** How one actor lives, complete: plain data, so it can travel to another node. */
export interface SpawnSettings {
  readonly restart: RestartPolicy;
  readonly escalate: boolean;
  readonly failOnThrow: boolean;
  readonly concurrency: number;
  readonly reentrant: boolean;
  readonly mailboxMax: number;
  readonly copy: boolean;
  /** What it shares with the others of its node. */
  readonly isolation: Isolation;
  /** Absent: the call time-out of the node it lives on. */
  readonly startTimeoutMs?: number;
}

const MAX_MS = 2 ** 31 - 1;
const SHOWN_MAX = 100;
const DEFAULT_BACKOFF: Backoff = { firstMs: 100, factor: 2, maxMs: 30_000 };

const DEFAULT_SETTINGS: SpawnSettings = {
  restart: { maxRestarts: 0, withinMs: 60_000, backoff: DEFAULT_BACKOFF },
  escalate: false,
  failOnThrow: false,
  concurrency: 1,
  reentrant: false,
  mailboxMax: 10_000,
  copy: true,
  isolation: "shared",
};

/** A value in a few words. */
function inWords(value: unknown): string {
  if (typeof value === "string") return `"${value.slice(0, SHOWN_MAX)}"`;
  if (typeof value === "function") return "a function";
  if (typeof value !== "object" || value === null) return String(value);
  return Array.isArray(value) ? "an array" : "an object";
}

export function refuse(option: string, expected: string, got: unknown): never {
  const shown = inWords(got);
  const named = option === "options" ? option : `option ${option}`;
  throw runtimeError("InvalidOption", `${named}: expected ${expected}, got ${shown}`, {
    data: { option, expected },
  });
}

export function wholeNumber(option: string, value: number, min: number, max: number): number {
  if (!Number.isInteger(value) || value < min || value > max)
    refuse(option, `a whole number from ${min} to ${max}`, value);
  return value;
}

export function milliseconds(option: string, value: number, min = 0): number {
  if (typeof value !== "number" || !(value >= min && value <= MAX_MS))
    refuse(option, `${min} to ${MAX_MS} milliseconds`, value);
  return value;
}

function flag(option: string, value: boolean): boolean {
  if (typeof value !== "boolean") refuse(option, "true or false", value);
  return value;
}

export const NODE_NAME_MAX = 64;

/** Part of subjects on the server. */
export function nodeName(option: string, value: string): string {
  if (typeof value !== "string" || value.length > NODE_NAME_MAX || !/^[A-Za-z0-9_-]+$/.test(value))
    refuse(option, `1 to ${NODE_NAME_MAX} letters, digits, _ and -`, value);
  return value;
}

export function plainName(option: string, value: string): string {
  if (typeof value !== "string" || value === "" || value.length > 80) refuse(option, "1 to 80 characters", value);
  return value;
}

const SPAWN_OPTIONS: ReadonlySet<string> = new Set<keyof SpawnOptions>([
  "args",
  "name",
  "namespace",
  "getIfExists",
  "restart",
  "escalate",
  "failOnThrow",
  "concurrency",
  "reentrant",
  "mailboxMax",
  "copy",
  "detached",
  "startTimeoutMs",
  "isolation",
  "node",
  "resources",
  "placement",
  "placeTimeoutMs",
]);

/** Throws InvalidOption unless `options` is an object with none but the known names. */
export function checkKnown(options: object, known: ReadonlySet<string>): void {
  if (typeof options !== "object" || options === null || Array.isArray(options))
    refuse("options", `an object with any of ${[...known].join(", ")}`, options);
  for (const option of Object.keys(options)) if (!known.has(option)) refuseUnknown(option, known);
}

export function refuseUnknown(option: string, known: Iterable<string>): never {
  const expected = `one of ${[...known].join(", ")}`;
  throw runtimeError("InvalidOption", `there is no option "${option}"; expected ${expected}`, {
    data: { option, expected },
  });
}

/** Throws InvalidOption for what `defineActor` did not answer. */
export function checkType(type: ActorType): void {
  if (typeof type?.type !== "string" || typeof type.actorClass !== "function")
    refuse("type", "what defineActor answers", type);
}

/** The address in a handle. Throws InvalidOption for what is none. */
export function handleAddress(handle: unknown): Address {
  return addressIn(handle) ?? refuse("handle", "the handle of an actor", handle);
}

export function checkSignal(signal: AbortSignal | undefined): void {
  if (signal !== undefined && !(signal instanceof AbortSignal)) refuse("signal", "an AbortSignal", signal);
}

function checkedIsolation(value: Isolation): Isolation {
  const isKnown = value === "shared" || value === "thread" || value === "process";
  return isKnown ? value : refuse("isolation", '"shared", "thread" or "process"', value);
}

function checkNames(options: SpawnOptions): void {
  checkKnown(options, SPAWN_OPTIONS);
  if (options.args !== undefined && !Array.isArray(options.args))
    refuse("args", "an array of constructor arguments", options.args);
  if (options.name !== undefined) plainName("name", options.name);
  else if (options.getIfExists || options.namespace !== undefined)
    refuse("name", "a name beside getIfExists or namespace", undefined);
  if (options.namespace !== undefined) plainName("namespace", options.namespace);
  if (options.namespace === UNNAMED) refuse("namespace", `another than "${UNNAMED}", which is ours`, options.namespace);
  if (options.detached !== undefined) flag("detached", options.detached);
  if (options.getIfExists !== undefined) flag("getIfExists", options.getIfExists);
  if (options.node !== undefined) plainName("node", options.node);
  if (options.placeTimeoutMs !== undefined) milliseconds("placeTimeoutMs", options.placeTimeoutMs);
}

function checkedBackoff(option: string, given: Partial<Backoff> | undefined, base: Backoff): Backoff {
  if (given !== undefined && (typeof given !== "object" || given === null))
    refuse(option, "{ firstMs, factor, maxMs }", given);
  const { firstMs, factor, maxMs } = { ...base, ...given };
  return {
    firstMs: milliseconds(`${option}.firstMs`, firstMs),
    factor: typeof factor === "number" && factor >= 1 ? factor : refuse(`${option}.factor`, "a number from 1", factor),
    maxMs: milliseconds(`${option}.maxMs`, maxMs),
  };
}

function restartPolicy(given: SpawnOptions["restart"]): RestartPolicy {
  if (given === undefined) return DEFAULT_SETTINGS.restart;
  if (typeof given !== "object" || given === null) refuse("restart", "{ maxRestarts, withinMs }", given);
  return {
    maxRestarts: wholeNumber("restart.maxRestarts", given.maxRestarts, 0, 1_000_000),
    withinMs: milliseconds("restart.withinMs", given.withinMs, 1),
    backoff: checkedBackoff("restart.backoff", given.backoff, DEFAULT_BACKOFF),
  };
}

const CALL_OPTIONS: ReadonlySet<string> = new Set<keyof CallOptions>([
  "timeoutMs",
  "signal",
  "priority",
  "key",
  "retries",
  "backoff",
]);

/** Throws InvalidOption for what is no option of a call, or not of its kind. */
export function checkCallOptions(options: CallOptions): void {
  checkKnown(options, CALL_OPTIONS);
  const { timeoutMs, signal, priority, key, retries, backoff } = options;
  if (timeoutMs !== undefined) milliseconds("timeoutMs", timeoutMs);
  checkSignal(signal);
  if (priority !== undefined && priority !== "interactive" && priority !== "bulk")
    refuse("priority", '"interactive" or "bulk"', priority);
  if (key !== undefined && (typeof key !== "string" || key === "" || key.length > 200))
    refuse("key", "1 to 200 characters", key);
  if (retries !== undefined) wholeNumber("retries", retries, 0, 1_000_000);
  if (backoff !== undefined) checkedBackoff("backoff", backoff, RETRY_BACKOFF);
}

/** The settings of one spawn. Throws InvalidOption. */
export function spawnSettings(options: SpawnOptions | undefined): SpawnSettings {
  if (options === undefined) return DEFAULT_SETTINGS;
  checkNames(options);
  const { concurrency, mailboxMax, escalate, failOnThrow, reentrant, copy, isolation } = {
    ...DEFAULT_SETTINGS,
    ...options,
  };
  const { startTimeoutMs } = options;
  return {
    restart: restartPolicy(options.restart),
    escalate: flag("escalate", escalate),
    failOnThrow: flag("failOnThrow", failOnThrow),
    concurrency: wholeNumber("concurrency", concurrency, 1, 1_000_000),
    reentrant: flag("reentrant", reentrant),
    mailboxMax: wholeNumber("mailboxMax", mailboxMax, 1, 10_000_000),
    copy: flag("copy", copy),
    isolation: checkedIsolation(isolation),
    ...(startTimeoutMs !== undefined && { startTimeoutMs: milliseconds("startTimeoutMs", startTimeoutMs, 1) }),
  };
}
