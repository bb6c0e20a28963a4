// The words of tasks: what a user may say, what waits in the queue, and what is recorded. Plain data and pure functions only.
// It is not how they are kept (outcomes.ts), run (executor.ts) or waited for (waiting.ts).
//
// TK1  One id is one task. Its content (target, method, arguments) has a hash, so that the same id with another content is noticed.
// TK2  Attempt numbers of one id only grow, also over a replay: they are fence tokens.

import { hash } from "node:crypto";
import type { Address } from "../address.ts";
import type { Backoff } from "../cell/supervisor.ts";
import { runtimeError } from "../errors.ts";
import { checkKnown } from "../options.ts";
import type { Lane } from "../queue.ts";
import type { Random } from "../random.ts";

/** What a task is done by: a fresh actor of a type, or one that lives already. */
export interface TaskTarget {
  readonly type: string;
  readonly address?: Address;
}

export interface SubmitOptions {
  /** Chosen by the caller, 1 to 200 characters; the same id again is the same task. Default: a random one. */
  readonly id?: string;
  /** Further attempts after the first, 0 to 100. Default 3. */
  readonly retries?: number;
  /** Pause before the n-th retry: firstMs · factor^(n−1), at most maxMs, of which a random half is left out. Default 1 s, 2, 30 s. */
  readonly backoff?: Partial<Backoff>;
  /** Interactive tasks are taken before bulk ones. Default "interactive". */
  readonly priority?: Lane;
  /** Moment in milliseconds since the epoch after which the task is not started and a running attempt is given up. Default: none. */
  readonly deadlineMs?: number;
  /** The same as a duration from now; the earlier of both counts. */
  readonly timeoutMs?: number;
}

/** One run of a task, as the user's code sees it: put `number` beside `id` into whatever must not be changed by an older attempt (TK2). */
export interface TaskAttempt {
  readonly id: string;
  /** From 1. */
  readonly number: number;
}

/** What runs: `run` of TaskEnvironment gets it. */
export interface TaskRequest extends TaskTarget {
  readonly id: string;
  readonly method: string;
  readonly args: unknown[];
  readonly deadlineMs?: number;
}

/** Bytes in the record itself or, when there are many, the hash of a blob. */
export type Packed = { readonly bytes: Uint8Array } | { readonly blob: string };

/** A task as it waits in the queue. */
export interface TaskItem extends TaskTarget {
  readonly id: string;
  readonly method: string;
  readonly args: Packed;
  /** Hash of target, method and arguments (TK1). */
  readonly content: string;
  readonly retries: number;
  readonly backoff: Backoff;
  readonly lane: Lane;
  readonly deadlineMs?: number;
  readonly submittedAtMs: number;
  /** Sequence of the event that the outcome follows: 0, or that of the replay's own. */
  readonly after: number;
  /** Attempts before this submission or replay (TK2). */
  readonly attemptsBefore: number;
}

/** One attempt that failed. */
export interface TaskFailure {
  readonly attempt: number;
  /** Where; undefined when nothing was heard of it (`AttemptLost`). */
  readonly node?: string;
  /** When it was noticed, milliseconds since the epoch. */
  readonly atMs: number;
  readonly code: string;
  readonly message: string;
  /** Stack of what the task's own code threw. */
  readonly stack?: string;
}

interface OutcomeHead {
  readonly id: string;
  readonly content: string;
  readonly atMs: number;
  /** Who recorded it. */
  readonly node: string;
}

/** What is recorded of a task, once for each submission or replay. `replayed` takes a failure back: its own outcome follows. */
export type Outcome = OutcomeHead &
  (
    | { readonly kind: "value"; readonly value: Packed; readonly attempt: number }
    | { readonly kind: "failed"; readonly history: readonly TaskFailure[] }
    | { readonly kind: "expired"; readonly deadlineMs: number }
    | { readonly kind: "cancelled" }
    | { readonly kind: "replayed" }
  );

/** An outcome without its head. */
export type Verdict = Outcome extends infer Each
  ? Each extends unknown
    ? Omit<Each, keyof OutcomeHead>
    : never
  : never;

const ID_MAX = 200;
const RETRIES_MAX = 100;
const DELAY_MAX_MS = 2 ** 31 - 1;
const DEFAULT_BACKOFF: Backoff = { firstMs: 1_000, factor: 2, maxMs: 30_000 };

function check(isRight: boolean, option: string, expected: string, got: unknown): void {
  if (isRight) return;
  const shown = typeof got === "string" ? JSON.stringify(got.slice(0, ID_MAX)) : String(got);
  throw runtimeError("InvalidOption", `option ${option}: expected ${expected}, got ${shown}`, {
    data: { option, expected },
  });
}

const within = (value: unknown, min: number, max: number): boolean =>
  typeof value === "number" && value >= min && value <= max;

/** Throws InvalidOption unless `method` can be a method's name. */
export function checkMethod(method: unknown): asserts method is string {
  const isName = typeof method === "string" && method.length > 0 && method.length <= ID_MAX;
  check(isName, "method", `the name of a method, 1 to ${ID_MAX} characters`, method);
}

/** Throws InvalidOption unless `id` can be a task's. */
export function checkTaskId(id: unknown): asserts id is string {
  check(typeof id === "string" && id.length > 0 && id.length <= ID_MAX, "id", `1 to ${ID_MAX} characters`, id);
}

export interface SubmitSettings extends Pick<TaskItem, "retries" | "backoff" | "lane"> {
  readonly id: string | undefined;
  readonly deadlineMs: number | undefined;
}

const OPTIONS: ReadonlySet<string> = new Set<keyof SubmitOptions>([
  "id",
  "retries",
  "backoff",
  "priority",
  "deadlineMs",
  "timeoutMs",
]);

/** The settings of one submission at `nowMs`. Throws InvalidOption. */
export function submitSettings(options: SubmitOptions, nowMs: number): SubmitSettings {
  checkKnown(options, OPTIONS);
  const { id, retries = 3, priority = "interactive", deadlineMs, timeoutMs } = options;
  check(
    options.backoff === undefined || (typeof options.backoff === "object" && options.backoff !== null),
    "backoff",
    "{ firstMs, factor, maxMs }",
    options.backoff,
  );
  const backoff = { ...DEFAULT_BACKOFF, ...options.backoff };
  if (id !== undefined) checkTaskId(id);
  check(
    Number.isInteger(retries) && within(retries, 0, RETRIES_MAX),
    "retries",
    `a whole number from 0 to ${RETRIES_MAX}`,
    retries,
  );
  check(priority === "interactive" || priority === "bulk", "priority", `"interactive" or "bulk"`, priority);
  check(
    deadlineMs === undefined || within(deadlineMs, 0, Number.MAX_SAFE_INTEGER),
    "deadlineMs",
    "milliseconds since the epoch",
    deadlineMs,
  );
  check(
    timeoutMs === undefined || within(timeoutMs, 0, DELAY_MAX_MS),
    "timeoutMs",
    `0 to ${DELAY_MAX_MS} milliseconds`,
    timeoutMs,
  );
  for (const name of ["firstMs", "maxMs"] as const)
    check(
      within(backoff[name], 0, DELAY_MAX_MS),
      `backoff.${name}`,
      `0 to ${DELAY_MAX_MS} milliseconds`,
      backoff[name],
    );
  check(within(backoff.factor, 1, 1_000), "backoff.factor", "a number from 1 to 1000", backoff.factor);
  const ends = [deadlineMs, timeoutMs === undefined ? undefined : nowMs + timeoutMs].filter((at) => at !== undefined);
  return { id, retries, backoff, lane: priority, deadlineMs: ends.length === 0 ? undefined : Math.min(...ends) };
}

/** The hash of a task's content (TK1). */
export function contentOf({ type, address }: TaskTarget, method: string, args: Uint8Array): string {
  return hash("sha256", Buffer.concat([Buffer.from(JSON.stringify([type, address?.node, address?.id, method])), args]));
}

/** Milliseconds to pause after `failed` attempts of one submission (TK2). */
export function pauseMs({ firstMs, factor, maxMs }: Backoff, failed: number, random: Random): number {
  return Math.round(Math.min(maxMs, firstMs * factor ** (failed - 1)) * (0.5 + random.next() / 2));
}

/** Failures that nothing will change by trying again: everything of ours that says so, but for those that a fresh attempt may not meet. */
const MAY_PASS: ReadonlySet<string> = new Set(["ActorThrew", "ActorStartFailed", "ActorEnded", "Cancelled", "Closed"]);

/** Whether an attempt that failed so is worth another. */
export const isWorthRetrying = (code: string, retryable: boolean): boolean => retryable || MAY_PASS.has(code);

export const LOST_CODE = "AttemptLost";

/** Failures that one history has; older ones are left out. */
export const HISTORY_MAX = 30;

/** The failures of the attempts up to `last`, with one for each attempt that nothing was heard of. */
export function completeHistory(known: readonly TaskFailure[], last: number, atMs: number): readonly TaskFailure[] {
  const byAttempt = new Map(known.map((failure) => [failure.attempt, failure]));
  const first = Math.max(1, last - HISTORY_MAX + 1);
  return Array.from({ length: last - first + 1 }, (_, at) => {
    const attempt = first + at;
    const lost = {
      attempt,
      atMs,
      code: LOST_CODE,
      message: "nothing was heard of this attempt: its node died, lost the server or was held up",
    };
    return byAttempt.get(attempt) ?? lost;
  });
}

/** The task that `decode` answers with; undefined when it answers with anything else. Servers keep what others wrote. */
export function readItem(decode: () => unknown): TaskItem | undefined {
  try {
    const item = decode() as Partial<Record<keyof TaskItem, unknown>>;
    const texts = [item.id, item.type, item.method, item.content];
    const numbers = [item.retries, item.after, item.attemptsBefore, item.deadlineMs ?? 0];
    const objects = [item.args, item.backoff];
    const isTask =
      texts.every((text) => typeof text === "string" && text !== "") &&
      numbers.every((number) => typeof number === "number") &&
      objects.every((object) => typeof object === "object" && object !== null);
    return isTask ? (item as TaskItem) : undefined;
  } catch {
    return undefined;
  }
}
