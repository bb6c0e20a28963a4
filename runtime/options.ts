// Options as their users write them, turned once into full, checked values. An error names the option, what was expected and what came.
// It reads no environment: the runtime is configured by code.

import type { SpawnOptions } from "./actor.ts";
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
  /** Whether it shares its node's process with others. */
  readonly isolation: "shared" | "process";
  /** Absent: the call time-out of the node it lives on. */
  readonly startTimeoutMs?: number;
}

const MAX_MS = 2 ** 31 - 1;
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

export function refuse(option: string, expected: string, got: unknown): never {
  const shown = typeof got === "string" ? `"${got}"` : String(got);
  throw runtimeError("InvalidOption", `option ${option}: expected ${expected}, got ${shown}`, {
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

/** Part of subjects on the server. */
export function nodeName(option: string, value: string): string {
  if (typeof value !== "string" || !/^[A-Za-z0-9_-]{1,64}$/.test(value))
    refuse(option, "1 to 64 letters, digits, _ and -", value);
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
]);

function checkedIsolation(value: SpawnSettings["isolation"]): SpawnSettings["isolation"] {
  return value === "shared" || value === "process" ? value : refuse("isolation", '"shared" or "process"', value);
}

function checkKnown(options: object, known: ReadonlySet<string>): void {
  for (const option of Object.keys(options)) {
    if (!known.has(option)) refuse(`"${option}"`, `one of ${[...known].join(", ")}`, "an unknown name");
  }
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
}

function checkedBackoff(option: string, { firstMs, factor, maxMs }: Backoff): Backoff {
  return {
    firstMs: milliseconds(`${option}.firstMs`, firstMs),
    factor: factor >= 1 ? factor : refuse(`${option}.factor`, "a number from 1", factor),
    maxMs: milliseconds(`${option}.maxMs`, maxMs),
  };
}

function restartPolicy(given: SpawnOptions["restart"]): RestartPolicy {
  if (given === undefined) return DEFAULT_SETTINGS.restart;
  return {
    maxRestarts: wholeNumber("restart.maxRestarts", given.maxRestarts, 0, 1_000_000),
    withinMs: milliseconds("restart.withinMs", given.withinMs, 1),
    backoff: checkedBackoff("restart.backoff", { ...DEFAULT_BACKOFF, ...given.backoff }),
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
  if (signal !== undefined && !(signal instanceof AbortSignal)) refuse("signal", "an AbortSignal", signal);
  if (priority !== undefined && priority !== "interactive" && priority !== "bulk")
    refuse("priority", '"interactive" or "bulk"', priority);
  if (key !== undefined && (typeof key !== "string" || key === "" || key.length > 200))
    refuse("key", "1 to 200 characters", key);
  if (retries !== undefined) wholeNumber("retries", retries, 0, 1_000_000);
  if (backoff !== undefined) checkedBackoff("backoff", { ...RETRY_BACKOFF, ...backoff });
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
