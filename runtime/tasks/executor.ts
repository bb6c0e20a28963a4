// Takes tasks of the types hosted here from the queue, runs them and records what became of them.
// It does not know actors: `run` of the environment does the work.
//
//     queue ─▶ held (by lane) ─▶ running ─▶ value ─────────────────────▶ outcome ─▶ ack
//                                   │  └──▶ failed, worth another try ─▶ retry after a pause
//                                   └─────▶ failed for good ───────────▶ outcome ─▶ dead letter ─▶ ack
//
// X1  An item is acknowledged only when its outcome is recorded, by whomever; a lost outcome is worse than a second run.
// X2  The happy path reads nothing: only an item delivered before, or replayed, is looked up first.
// X3  At most `maxInFlight` run at once. What the queue hands out beyond that (WQ6) waits here, interactive first, and is extended like the rest.
// X4  Each delivery is an attempt; one of which nothing is known when its successor comes was lost, and its loss is in the history.

import { sleep, type Timer } from "../clock.ts";
import { isFlotillaError } from "../errors.ts";
import { failureOf } from "../failure.ts";
import { type Consumption, type Delivery, lanesAt } from "../queue.ts";
import type { TaskDeadLetters } from "./dead-letters.ts";
import type { TaskEnvironment } from "./environment.ts";
import { taskError } from "./errors.ts";
import { CANCELS, type Outcomes, tokenIn, tokenOf } from "./outcomes.ts";
import {
  completeHistory,
  isWorthRetrying,
  pauseMs,
  readItem,
  type TaskFailure,
  type TaskItem,
  type Verdict,
} from "./task.ts";

/** Tries of one write before its item is given back. */
const WRITES_MAX = 8;
const WRITE_PAUSE_MAX_MS = 5_000;
/** Pause of an item whose outcome could not be written. */
const UNWRITTEN_PAUSE_MS = 1_000;
/** How long closing waits for what it has stopped. */
const GIVE_BACK_MS = 1_000;
/** Cancellations remembered for items that are on their way here. */
const CANCELLED_MAX = 10_000;
/** Characters kept of a failure: HISTORY_MAX of them, in any script, must fit into one event. */
const MESSAGE_MAX = 1_000;
const STACK_MAX = 2_000;
const CODE_MAX = 100;

interface Running {
  readonly delivery: Delivery;
  readonly item: TaskItem;
  readonly attempt: number;
  readonly stop: AbortController;
}

export class Executor {
  readonly #env: TaskEnvironment;
  readonly #outcomes: Outcomes;
  readonly #deadLetters: TaskDeadLetters;
  readonly #maxInFlight: number;
  readonly #held: Record<Delivery["lane"], Delivery[]> = { interactive: [], bulk: [] };
  readonly #kinds = new Set<string>();
  readonly #taken = new Set<Delivery>();
  readonly #running = new Set<Running>();
  readonly #cancelled = new Set<string>();
  readonly #closing = new AbortController();
  #refuses = false;
  #busy = 0;
  #turn = 0;
  #consumption: Promise<Consumption> | undefined;
  #extending: Timer | undefined;
  #onIdle: (() => void) | undefined;

  constructor(env: TaskEnvironment, outcomes: Outcomes, deadLetters: TaskDeadLetters, maxInFlight: number) {
    this.#env = env;
    this.#outcomes = outcomes;
    this.#deadLetters = deadLetters;
    this.#maxInFlight = maxInFlight;
  }

  /** Takes items of this kind from now on. */
  async add(kind: string): Promise<void> {
    if (this.#kinds.has(kind) || this.#refuses) return;
    this.#consumption ??= this.#open().catch((error: unknown) => {
      this.#consumption = undefined;
      throw error;
    });
    await (await this.#consumption).add(kind);
    this.#kinds.add(kind);
  }

  async #open(): Promise<Consumption> {
    // Before the first item is taken, so that no cancellation of it is missed.
    const from = (await this.#env.results.lastSequence()) + 1;
    void this.#followCancels(from);
    return this.#env.queue.consume((delivery) => this.#take(delivery), { maxInFlight: this.#maxInFlight });
  }

  /** Takes no more from now on, also of kinds that are added, and gives back what has not begun. */
  async refuseNew(): Promise<void> {
    this.#refuses = true;
    (await this.#consumption?.catch(() => undefined))?.stop();
    for (const delivery of Object.values(this.#held).flat()) this.#giveBack(delivery);
  }

  /** Takes no more, gives what runs `timeoutMs` to end, and then gives it back to the queue. */
  async close(timeoutMs: number): Promise<void> {
    await this.refuseNew();
    await this.#idle(timeoutMs);
    this.#closing.abort(taskError("TaskCancelled", "the node closes"));
    this.#extending?.cancel();
    for (const { stop } of this.#running) stop.abort(this.#closing.signal.reason);
    await this.#idle(GIVE_BACK_MS);
  }

  async #idle(timeoutMs: number): Promise<void> {
    if (this.#busy === 0) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#onIdle = resolve;
    const timer = this.#env.clock.schedule(timeoutMs, resolve, true);
    await promise;
    timer.cancel();
  }

  #giveBack(delivery: Delivery): void {
    this.#held[delivery.lane] = this.#held[delivery.lane].filter((other) => other !== delivery);
    this.#taken.delete(delivery);
    delivery.retry(0);
  }

  #take(delivery: Delivery): void {
    this.#taken.add(delivery);
    if (this.#extending === undefined) this.#extend();
    this.#held[delivery.lane].push(delivery);
    this.#next();
  }

  #next(): void {
    while (this.#busy < this.#maxInFlight) {
      const lane = lanesAt(this.#turn + 1).find((name) => this.#held[name].length > 0);
      const delivery = lane && this.#held[lane].shift();
      if (delivery === undefined) return;
      this.#turn++;
      this.#busy++;
      void this.#work(delivery);
    }
  }

  async #work(delivery: Delivery): Promise<void> {
    try {
      await this.#attempt(delivery);
    } catch (error) {
      this.#env.log("warn", "what became of a task could not be recorded; it comes again", {
        item: delivery.id,
        error: String(error instanceof Unwritten ? error.cause : error),
      });
      delivery.retry(UNWRITTEN_PAUSE_MS);
    }
    this.#busy--;
    this.#taken.delete(delivery);
    this.#next();
    if (this.#busy === 0) this.#onIdle?.();
  }

  async #attempt(delivery: Delivery): Promise<void> {
    const item = this.#read(delivery);
    if (item === undefined || (await this.#isOver(item, delivery))) return delivery.ack();
    const running = { delivery, item, attempt: item.attemptsBefore + delivery.delivery, stop: new AbortController() };
    if (this.#isExpired(item)) return this.#expire(running);
    // The last attempt that it had was lost (X4). Deliveries after that never ran.
    if (delivery.delivery > item.retries + 1) return this.#fail(running, item.attemptsBefore + item.retries + 1);
    this.#running.add(running);
    const deadline = this.#armDeadline(running);
    try {
      const value = await this.#run(running);
      await this.#end(running, { kind: "value", value, attempt: running.attempt });
    } catch (error) {
      if (error instanceof Unwritten) throw error;
      await this.#failed(running, error);
    } finally {
      deadline?.cancel();
      this.#running.delete(running);
    }
  }

  #read(delivery: Delivery): TaskItem | undefined {
    const item = readItem(() => this.#env.decode(delivery.data));
    if (item === undefined)
      this.#env.log("error", "an item in the queue is no task; it is dropped", { item: delivery.id });
    return item;
  }

  /** Whether this item has its outcome already (X2); then all that may be missing is its dead letter. */
  async #isOver(item: TaskItem, delivery: Delivery): Promise<boolean> {
    if (this.#cancelled.has(tokenOf(item.id))) return true;
    if (delivery.delivery === 1 && item.after === 0) return false;
    const last = await this.#persist(() => this.#outcomes.since(item.id, item.after));
    if (last === undefined) return false;
    await this.#bury(item, last.sequence, last.outcome);
    return true;
  }

  async #run({ item, attempt, stop }: Running) {
    const bytes = await this.#outcomes.unpack(item.args);
    if (bytes === undefined) throw taskError("TaskDataLost", "the task's large arguments are no longer kept in blobs");
    const { id, type, address, method, deadlineMs } = item;
    const request = {
      id,
      type,
      method,
      args: this.#env.decode(bytes) as unknown[],
      ...(address !== undefined && { address }),
      ...(deadlineMs !== undefined && { deadlineMs }),
    };
    const value = await this.#env.run(request, stop.signal, { id, number: attempt });
    return this.#outcomes.pack(this.#env.encode(value, "result"));
  }

  async #failed(running: Running, error: unknown): Promise<void> {
    const { delivery, item, attempt, stop } = running;
    if (this.#cancelled.has(tokenOf(item.id))) return delivery.ack();
    if (this.#isExpired(item)) return this.#expire(running);
    const { code, message, retryable, cause } = failureOf(error, `${item.type}.${item.method}`);
    const failure: TaskFailure = {
      attempt,
      node: this.#env.node,
      atMs: this.#env.clock.now(),
      code: code.slice(0, CODE_MAX),
      message: message.slice(0, MESSAGE_MAX),
      ...(code === "ActorThrew" && cause !== undefined && { stack: cause.stack.slice(0, STACK_MAX) }),
    };
    await this.#persist(() => this.#outcomes.addFailure(item.id, failure));
    // Nobody's fault: the node closes, and another shall go on at once.
    if (stop.signal.aborted && this.#closing.signal.aborted) return delivery.retry(0);
    if (delivery.delivery > item.retries || !isWorthRetrying(code, retryable)) return this.#fail(running, attempt);
    delivery.retry(pauseMs(item.backoff, delivery.delivery, this.#env.random));
  }

  /** All attempts, `last` the last of them, have failed. */
  async #fail(running: Running, last: number): Promise<void> {
    const known = await this.#persist(() => this.#outcomes.failures(running.item.id));
    await this.#end(running, { kind: "failed", history: completeHistory(known, last, this.#env.clock.now()) });
  }

  #isExpired = ({ deadlineMs }: TaskItem): boolean => deadlineMs !== undefined && this.#env.clock.now() >= deadlineMs;

  async #expire(running: Running): Promise<void> {
    await this.#end(running, { kind: "expired", deadlineMs: running.item.deadlineMs ?? 0 });
  }

  /** Records the outcome, or leaves the one that is there, and acknowledges (X1). */
  async #end({ delivery, item }: Running, verdict: Verdict): Promise<void> {
    try {
      const sequence = await this.#persist(() => this.#outcomes.record(item, verdict));
      if (verdict.kind === "failed") {
        const last = sequence === undefined ? await this.#outcomes.since(item.id, item.after) : undefined;
        if (sequence !== undefined) await this.#bury(item, sequence, { ...verdict, atMs: this.#env.clock.now() });
        else if (last !== undefined) await this.#bury(item, last.sequence, last.outcome);
      }
    } catch (cause) {
      throw new Unwritten("an outcome was not written", { cause });
    }
    delivery.ack();
  }

  async #bury(item: TaskItem, sequence: number, outcome: Verdict & { readonly atMs: number }): Promise<void> {
    if (outcome.kind !== "failed") return;
    await this.#persist(() => this.#deadLetters.add(item, sequence, outcome.history, outcome.atMs));
  }

  /** Does `write` until it is done; gives up when trying again cannot help, when it has not helped for long, or when the node closes. */
  async #persist<T>(write: () => Promise<T>): Promise<T> {
    for (let tries = 1; ; tries++) {
      try {
        return await write();
      } catch (error) {
        const isHopeless = isFlotillaError(error) && !error.retryable;
        if (isHopeless || tries === WRITES_MAX || this.#closing.signal.aborted) throw error;
        await sleep(this.#env.clock, Math.min(WRITE_PAUSE_MAX_MS, 100 * 2 ** tries));
      }
    }
  }

  #armDeadline({ item, stop }: Running): Timer | undefined {
    if (item.deadlineMs === undefined) return undefined;
    const over = taskError("TaskExpired", "the task's deadline has passed");
    return this.#env.clock.schedule(item.deadlineMs - this.#env.clock.now(), () => stop.abort(over));
  }

  #extend(): void {
    this.#extending = this.#env.clock.schedule(this.#env.queue.ackWaitMs / 3, () => {
      this.#extending = undefined;
      for (const delivery of this.#taken) delivery.extend();
      // Nothing in hand, nothing to extend: an idle process has no timer.
      if (this.#taken.size > 0) this.#extend();
    });
  }

  async #followCancels(from: number): Promise<void> {
    const { results, clock } = this.#env;
    const { signal } = this.#closing;
    let next = from;
    while (!signal.aborted) {
      try {
        for await (const event of results.follow(CANCELS, next, signal)) {
          next = event.sequence + 1;
          this.#cancel(tokenIn(event));
        }
        if (!signal.aborted) return;
      } catch (error) {
        if (isFlotillaError(error, "Closed")) return;
        // The outcome is recorded whether this node hears of it or not: at worst a cancelled task runs to its end in vain.
        if (isFlotillaError(error, "ReaderLagged")) next = (await results.lastSequence().catch(() => next - 1)) + 1;
        await sleep(clock, UNWRITTEN_PAUSE_MS, signal).catch(() => {});
      }
    }
  }

  #cancel(token: string): void {
    this.#cancelled.add(token);
    const [oldest] = this.#cancelled;
    if (this.#cancelled.size > CANCELLED_MAX && oldest !== undefined) this.#cancelled.delete(oldest);
    for (const { item, stop } of this.#running) {
      if (tokenOf(item.id) === token) stop.abort(taskError("TaskCancelled", "the task was cancelled"));
    }
  }
}

/** Keeps a write that failed apart from an attempt that failed. */
class Unwritten extends Error {}
