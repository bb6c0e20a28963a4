// Durable tasks: work that is accepted once and for all, run by whoever hosts its type, and has exactly one result.
// It is not a call: nobody waits for it unless he asks, it survives every process, and it may run more than once.
//
// TS1  `submit` resolves once the task is durably accepted. From then on it ends with exactly one outcome: a value, a cancel, an expiry, or
//      a failure in the dead-letter list, which a replay takes back.
// TS2  It runs at least once, and again when an attempt fails or its node dies; never after its deadline or once it was cancelled, as far
//      as the node has heard of it.
// TS3  The same id is the same task: submitted again it does not run again, and with another content it is refused.

import { isFlotillaError, runtimeError } from "../errors.ts";
import { checkKnown, checkSignal, refuse } from "../options.ts";
import { checkWhole, closedError } from "../port-errors.ts";
import { Turnstile } from "../turnstile.ts";
import { queueId, TaskDeadLetters } from "./dead-letters.ts";
import type { TaskEnvironment } from "./environment.ts";
import { taskError } from "./errors.ts";
import { Executor } from "./executor.ts";
import { kindOf, Outcomes } from "./outcomes.ts";
import {
  checkMethod,
  checkTaskId,
  contentOf,
  type Outcome,
  readItem,
  type SubmitOptions,
  submitSettings,
  type TaskItem,
  type TaskTarget,
} from "./task.ts";
import { unknownTask, Waiting } from "./waiting.ts";

export interface ResultOptions {
  /** Milliseconds after which the wait, not the task, is given up with DeadlineExceeded. Default: none. */
  readonly timeoutMs?: number;
  /** Gives the wait up when it aborts. */
  readonly signal?: AbortSignal;
}

export interface WaitOptions extends ResultOptions {
  /** Tasks to wait for. Default: all. */
  readonly count?: number;
}

const RESULT_OPTIONS: ReadonlySet<string> = new Set<keyof ResultOptions>(["timeoutMs", "signal"]);
const WAIT_OPTIONS: ReadonlySet<string> = new Set<keyof WaitOptions>(["timeoutMs", "signal", "count"]);

/** Ids in the order given. */
export interface WaitedTasks {
  /** Have an outcome, whichever. */
  readonly done: readonly string[];
  readonly pending: readonly string[];
}

export interface TasksOptions {
  /** Tasks run at once by this process. Default 128. */
  readonly maxInFlight?: number;
}

const MAX_IN_FLIGHT = 128;
/** Submissions and looks for outcomes under way at a time. */
const AT_ONCE_MAX = 512;
const DELAY_MAX_MS = 2 ** 31 - 1;

export class Tasks {
  /** Tasks that failed for good. */
  readonly deadLetters: TaskDeadLetters;
  readonly #env: TaskEnvironment;
  readonly #outcomes: Outcomes;
  readonly #waiting: Waiting;
  readonly #turnstile = new Turnstile(AT_ONCE_MAX);
  readonly #executor: Executor;
  #closed = false;

  constructor(env: TaskEnvironment, options: TasksOptions = {}) {
    const maxInFlight = options.maxInFlight ?? MAX_IN_FLIGHT;
    checkWhole("maxInFlight", maxInFlight, 1, 1_000_000);
    this.#env = env;
    this.#outcomes = new Outcomes(env);
    this.#waiting = new Waiting(env, this.#outcomes, this.#turnstile);
    this.deadLetters = new TaskDeadLetters(env, this.#outcomes);
    this.#executor = new Executor(env, this.#outcomes, this.deadLetters, maxInFlight);
  }

  /** Runs tasks of this type here from now on; without one, tasks of living actors, wherever those are. May be called twice. */
  async serve(type?: string): Promise<void> {
    this.#checkOpen();
    await this.#executor.add(kindOf(type === undefined ? undefined : { type }));
  }

  /**
   * Accepts `target.method(...args)` as a task and resolves to its id. Throws InvalidOption, NotSendable (an argument, by its path),
   * TaskIdTaken, ValueTooLarge (arguments), StorageFull, Unavailable, Closed.
   */
  async submit(
    target: TaskTarget,
    method: string,
    args: readonly unknown[],
    options: SubmitOptions = {},
  ): Promise<string> {
    this.#checkOpen();
    checkMethod(method);
    if (!Array.isArray(args)) refuse("args", "an array of the method's arguments", args);
    const settings = submitSettings(options, this.#env.clock.now());
    const id = settings.id ?? this.#env.random.id();
    const bytes = this.#env.encode(args, "args");
    const content = contentOf(target, method, bytes);
    const { retries, backoff, lane, deadlineMs } = settings;
    const item = {
      id,
      type: target.type,
      ...(target.address !== undefined && { address: target.address }),
      method,
      content,
      retries,
      backoff,
      lane,
      ...(deadlineMs !== undefined && { deadlineMs }),
      submittedAtMs: this.#env.clock.now(),
      after: 0,
      attemptsBefore: 0,
    };
    await this.#turnstile.through(async () => {
      if (settings.id !== undefined && (await this.#isKnown(id, content))) return;
      await this.#put({ ...item, args: await this.#outcomes.pack(bytes) });
    });
    return id;
  }

  async #put(item: TaskItem): Promise<void> {
    this.#waiting.expect(item);
    const data = this.#env.encode(item, "task");
    const put = { id: queueId(item), kind: kindOf(item), lane: item.lane, data };
    try {
      if ((await this.#env.queue.put(put)) === "accepted") return;
    } catch (error) {
      this.#waiting.forget(item.id);
      throw error;
    }
    this.#waiting.forget(item.id);
    const there = await this.#find(item);
    if (there !== undefined && there.content !== item.content) throw idTaken(item.id);
    if (there !== undefined || (await this.#isKnown(item.id, item.content))) return;
    const why = `something that is no task waits under the id ${JSON.stringify(item.id)}; submit it again`;
    throw runtimeError("Unavailable", why, { data: { id: item.id } });
  }

  /** Whether a task of this id has been through already (TS3). Throws TaskIdTaken. */
  async #isKnown(id: string, content: string): Promise<boolean> {
    const last = await this.#outcomes.last(id);
    if (last !== undefined && last.outcome.content !== content) throw idTaken(id);
    return last !== undefined;
  }

  /**
   * What the task returned, once it has. Rejects with TaskFailed (data.history: every attempt), TaskCancelled, TaskExpired, TaskUnknown at
   * once, TaskDataLost; and DeadlineExceeded or Cancelled when only the wait was given up.
   */
  async result(id: string, options: ResultOptions = {}): Promise<unknown> {
    checkKnown(options, RESULT_OPTIONS);
    checkSignal(options.signal);
    const outcome = await this.#within(options, (signal) => this.#outcomeOf(id, signal));
    if (outcome.kind !== "value") throw errorOfOutcome(outcome);
    const bytes = await this.#outcomes.unpack(outcome.value);
    if (bytes === undefined) {
      throw taskError("TaskDataLost", `the result of task ${JSON.stringify(id)} was large and is no longer kept`, {
        data: { id },
      });
    }
    return this.#env.decode(bytes);
  }

  /** Waits until `count` of the tasks have an outcome, or `timeoutMs` have passed. Rejects with TaskUnknown, Cancelled (the signal), InvalidOption. */
  async wait(ids: readonly string[], options: WaitOptions = {}): Promise<WaitedTasks> {
    checkKnown(options, WAIT_OPTIONS);
    checkSignal(options.signal);
    if (!Array.isArray(ids)) refuse("ids", "an array of task ids", ids);
    const { count = ids.length } = options;
    checkWhole("count", count, 0, ids.length);
    this.#checkOpen();
    const wanted = new Set(ids);
    for (const id of wanted) checkTaskId(id);
    const done = new Set<string>();
    const enough = Promise.withResolvers<void>();
    // It may be rejected by one task while it is not yet awaited, or no longer.
    enough.promise.catch(() => {});
    if (count === 0) enough.resolve();
    const settle = (id: string) => {
      if (done.add(id).size >= Math.min(count, wanted.size)) enough.resolve();
    };
    // One listener each and not one signal for all: a signal looks through all its listeners for each that comes or goes.
    const stops = [...wanted].map((id) => this.#waiting.listen(id, { settle: () => settle(id), fail: enough.reject }));
    try {
      await this.#within(options, (signal) => {
        if (signal?.aborted) enough.reject(signal.reason);
        signal?.addEventListener("abort", () => enough.reject(signal.reason), { once: true });
        return enough.promise;
      });
    } catch (error) {
      if (!isFlotillaError(error, "DeadlineExceeded")) throw error;
    } finally {
      for (const stop of stops) stop();
    }
    return { done: ids.filter((id) => done.has(id)), pending: ids.filter((id) => !done.has(id)) };
  }

  async #outcomeOf(id: string, signal: AbortSignal | undefined): Promise<Outcome> {
    this.#checkOpen();
    checkTaskId(id);
    return this.#waiting.outcome(id, signal);
  }

  /** Cancels the task: true when that is its outcome now, false when it had one before. Throws TaskUnknown. */
  async cancel(id: string): Promise<boolean> {
    this.#checkOpen();
    checkTaskId(id);
    const before = await this.#outcomes.last(id);
    const after = before?.outcome.kind === "replayed" ? before.sequence : 0;
    if (before !== undefined && after === 0) return false;
    const item = await this.#find({ id, after });
    // It may have ended between the two looks (WA4).
    if (item === undefined) {
      if (before === undefined && (await this.#outcomes.last(id)) === undefined) throw unknownTask(id);
      return false;
    }
    if ((await this.#outcomes.record(item, { kind: "cancelled" })) === undefined) return false;
    await Promise.all([this.#outcomes.tellCancelled(id), this.#env.queue.remove(queueId(item))]);
    return true;
  }

  async #find(task: Pick<TaskItem, "id" | "after">): Promise<TaskItem | undefined> {
    const found = await this.#env.queue.find(queueId(task));
    return found && readItem(() => this.#env.decode(found.data));
  }

  /** Runs no more tasks here than those that have begun; the rest goes back to the queue. */
  refuseNew(): Promise<void> {
    return this.#executor.refuseNew();
  }

  /** Takes no more tasks, gives those that run `timeoutMs` to end, and gives the rest back to the queue. Waits reject with Closed. */
  async close(timeoutMs = 0): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#waiting.close(closedError("system"));
    await this.#executor.close(timeoutMs);
  }

  /** Bounds a wait by its own options; without any it gets no signal, which most waits can spare. */
  async #within<T>(options: ResultOptions, wait: (signal: AbortSignal | undefined) => Promise<T>): Promise<T> {
    const { timeoutMs, signal } = options;
    if (timeoutMs === undefined && signal === undefined) return wait(undefined);
    if (timeoutMs !== undefined) checkWhole("timeoutMs", timeoutMs, 0, DELAY_MAX_MS);
    const over = new AbortController();
    const timer =
      timeoutMs === undefined
        ? undefined
        : this.#env.clock.schedule(timeoutMs, () => over.abort(waitedLong(timeoutMs)), true);
    const aborted = () => over.abort(runtimeError("Cancelled", `the wait was given up: ${String(signal?.reason)}`));
    if (signal?.aborted) aborted();
    signal?.addEventListener("abort", aborted, { once: true });
    try {
      return await wait(over.signal);
    } finally {
      timer?.cancel();
      signal?.removeEventListener("abort", aborted);
    }
  }

  #checkOpen(): void {
    if (this.#closed) throw closedError("system");
  }
}

const waitedLong = (timeoutMs: number) =>
  runtimeError("DeadlineExceeded", `no outcome within ${timeoutMs} ms; the task goes on`, { data: { timeoutMs } });

const idTaken = (id: string) =>
  taskError("TaskIdTaken", `the id ${JSON.stringify(id)} belongs to a task with another target, method or arguments`, {
    data: { id },
  });

function errorOfOutcome(outcome: Exclude<Outcome, { kind: "value" }>) {
  const { id } = outcome;
  const name = `task ${JSON.stringify(id)}`;
  if (outcome.kind === "cancelled") return taskError("TaskCancelled", `${name} was cancelled`, { data: { id } });
  if (outcome.kind === "expired") {
    const { deadlineMs } = outcome;
    return taskError("TaskExpired", `${name} was not done by its deadline`, { data: { id, deadlineMs } });
  }
  const history = outcome.kind === "failed" ? outcome.history : [];
  const last = history.at(-1);
  return taskError(
    "TaskFailed",
    `${name} failed after ${last?.attempt ?? 0} attempts, the last with ${last?.code}: ${last?.message}`,
    {
      data: { id, history },
    },
  );
}
