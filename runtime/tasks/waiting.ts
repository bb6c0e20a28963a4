// Who waits for which task: one follower of the results log for all who wait in this process.
//
//     result.* ─▶ follower ─▶ token ─▶ those who wait for it
//
// WA1  The follower starts with the first wait and ends at `close`: a process that only submits reads nothing.
// WA2  Whoever waits is registered before the log is looked into, so that no outcome falls between.
// WA3  A task submitted while the follower runs needs no look: its outcome must come by.
// WA4  An accepted task is in the queue, or its outcome is in the log: it leaves the queue only after that. So "in the log? in the queue?
//      in the log?" three times no means that nobody knows it, for certain.
// WA5  Whoever waits beyond a task's deadline records its expiry, so the wait ends even where nobody hosts its type.

import { sleep, type Timer } from "../clock.ts";
import { isFlotillaError } from "../errors.ts";
import type { Turnstile } from "../turnstile.ts";
import { queueId } from "./dead-letters.ts";
import type { TaskEnvironment } from "./environment.ts";
import { taskError } from "./errors.ts";
import { type Outcomes, RESULTS, tokenIn, tokenOf } from "./outcomes.ts";
import { type Outcome, readItem, type TaskItem } from "./task.ts";

/** Tasks of this process that it need not look up (WA3). */
const EXPECTED_MAX = 100_000;
/** Those who run a task expire it first; whoever only waits allows for clocks that differ. */
const EXPIRY_GRACE_MS = 500;
const PAUSE_MS = 500;

/** Who waits; may be told more than once. */
interface Waiter {
  settle(outcome: Outcome): void;
  fail(error: unknown): void;
}

type Expected = Pick<TaskItem, "id" | "content" | "after" | "deadlineMs">;

export class Waiting {
  readonly #env: TaskEnvironment;
  readonly #outcomes: Outcomes;
  readonly #turnstile: Turnstile;
  readonly #waiters = new Map<string, Set<Waiter>>();
  readonly #expected = new Map<string, Expected>();
  readonly #closing = new AbortController();
  #following: Promise<void> | undefined;
  /** Whether every outcome from now on comes by. */
  #isLive = false;

  constructor(env: TaskEnvironment, outcomes: Outcomes, turnstile: Turnstile) {
    this.#turnstile = turnstile;
    this.#env = env;
    this.#outcomes = outcomes;
  }

  /** Says that this task is about to be put into the queue for the first time (WA3). */
  expect(item: Expected): void {
    if (!this.#isLive || this.#expected.size >= EXPECTED_MAX) return;
    const { id, content, after, deadlineMs } = item;
    this.#expected.set(tokenOf(id), { id, content, after, ...(deadlineMs !== undefined && { deadlineMs }) });
  }

  /** It was there before: its outcome may have gone by. */
  forget(id: string): void {
    this.#expected.delete(tokenOf(id));
  }

  /** The task's outcome, once it has one. Rejects with TaskUnknown, Closed, and the signal's reason. */
  async outcome(id: string, signal: AbortSignal | undefined): Promise<Outcome> {
    signal?.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<Outcome>();
    const aborted = () => reject(signal?.reason);
    signal?.addEventListener("abort", aborted, { once: true });
    const stop = this.listen(id, { settle: resolve, fail: reject });
    try {
      return await promise;
    } finally {
      stop();
      signal?.removeEventListener("abort", aborted);
    }
  }

  /** Tells the task's outcome, or why it cannot be told, until the answered function is called. */
  listen(id: string, waiter: Waiter): () => void {
    const token = tokenOf(id);
    const waiters = this.#waiters.get(token) ?? new Set();
    this.#waiters.set(token, waiters.add(waiter));
    let expiry: Timer | undefined;
    this.#begin(id, waiter, waiters).then(
      (item) => {
        if (waiters.has(waiter)) expiry = this.#armExpiry(item);
      },
      (error: unknown) => waiter.fail(error),
    );
    return () => {
      expiry?.cancel();
      waiters.delete(waiter);
      if (waiters.size === 0 && this.#waiters.get(token) === waiters) this.#waiters.delete(token);
    };
  }

  /** Makes sure that the outcome will be heard of, however long the server is away; answers the task while it has none. */
  async #begin(id: string, waiter: Waiter, waiters: ReadonlySet<Waiter>): Promise<Expected | undefined> {
    for (;;) {
      try {
        await this.#follow();
        const expected = this.#expected.get(tokenOf(id));
        return expected ?? (await this.#turnstile.through(() => this.#look(id, waiter, waiters)));
      } catch (error) {
        if (!isFlotillaError(error, "Unavailable") || !waiters.has(waiter)) throw error;
        await sleep(this.#env.clock, PAUSE_MS, this.#closing.signal);
      }
    }
  }

  close(error: unknown): void {
    this.#closing.abort(error);
    for (const waiters of this.#waiters.values()) for (const waiter of waiters) waiter.fail(error);
  }

  /** The task in the queue, or its outcome told, or TaskUnknown (WA4). */
  async #look(id: string, waiter: Waiter, waiters: ReadonlySet<Waiter>): Promise<TaskItem | undefined> {
    // While this waited for its turn, the outcome may have come by.
    if (!waiters.has(waiter)) return undefined;
    let last = await this.#outcomes.last(id);
    if (last === undefined) {
      const found = await this.#env.queue.find(queueId({ id, after: 0 }));
      // What is no task will be dropped by whoever takes it; what its outcome is, nobody will ever say.
      if (found !== undefined) {
        const item = readItem(() => this.#env.decode(found.data));
        if (item === undefined) throw unknownTask(id);
        return item;
      }
      last = await this.#outcomes.last(id);
    }
    if (last === undefined) throw unknownTask(id);
    if (last.outcome.kind !== "replayed") waiter.settle(last.outcome);
    return undefined;
  }

  #armExpiry(item: Expected | undefined): Timer | undefined {
    if (item?.deadlineMs === undefined) return undefined;
    const { deadlineMs } = item;
    return this.#env.clock.schedule(deadlineMs + EXPIRY_GRACE_MS - this.#env.clock.now(), () => {
      this.#outcomes
        .record(item, { kind: "expired", deadlineMs })
        .then(() => this.#env.queue.remove(queueId(item)))
        .catch((error: unknown) => this.#env.log("warn", "a task's expiry was not recorded", { error: String(error) }));
    });
  }

  #follow(): Promise<void> {
    this.#following ??= this.#env.results.lastSequence().then(
      (last) => {
        this.#isLive = true;
        void this.#read(last + 1);
      },
      (error: unknown) => {
        this.#following = undefined;
        throw error;
      },
    );
    return this.#following;
  }

  async #read(from: number): Promise<void> {
    const { signal } = this.#closing;
    let next = from;
    while (!signal.aborted) {
      try {
        for await (const event of this.#env.results.follow(RESULTS, next, signal)) {
          next = event.sequence + 1;
          this.#arrived(tokenIn(event), () => this.#outcomes.read(event));
        }
        return;
      } catch (error) {
        if (isFlotillaError(error, "Closed")) return;
        await sleep(this.#env.clock, PAUSE_MS, signal).catch(() => {});
        if (isFlotillaError(error, "ReaderLagged")) next = await this.#skip(next);
      }
    }
  }

  /** Goes on with what is new, and looks up what may have been missed. */
  async #skip(next: number): Promise<number> {
    try {
      const last = await this.#env.results.lastSequence();
      this.#expected.clear();
      for (const [token, waiters] of this.#waiters) {
        const event = (await this.#env.results.read(`result.${token}`, 1, 1_000)).at(-1);
        if (event !== undefined && waiters.size > 0) this.#arrived(token, () => this.#outcomes.read(event));
      }
      return last + 1;
    } catch {
      return next;
    }
  }

  #arrived(token: string, read: () => Outcome): void {
    this.#expected.delete(token);
    const waiters = this.#waiters.get(token);
    if (waiters === undefined) return;
    const outcome = read();
    if (outcome.kind !== "replayed") for (const waiter of waiters) waiter.settle(outcome);
  }
}

export function unknownTask(id: string) {
  return taskError("TaskUnknown", `no task ${JSON.stringify(id)} was submitted, or it is forgotten by now`, {
    data: { id },
  });
}
