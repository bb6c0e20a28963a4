// The caller's side of a call: one PendingCall for each answer that is awaited, until its value, its failure, its deadline or its cancel.
// It is not how a message reaches its actor: that is the Receiver's business (a cell here, a peer elsewhere).
//
// CL1  A call settles exactly once, at its deadline at the latest; what comes later is dropped.
// CL2  When a caller gives up (deadline, abort, its own message cancelled) the other side is told, so that work nobody wants is not
//      started and running work sees its signal.
// CL3  A call made inside a message ends no later than that message's deadline and is cancelled with it; unless it says otherwise it is
//      in no more hurry than that message.

import type { Address } from "./address.ts";
import { formatAddress } from "./address.ts";
import type { Lane } from "./cell/mailbox.ts";
import { type Cancellable, Message, NEVER, type ReplySink } from "./cell/message.ts";
import { goneFailure } from "./cell/refusal.ts";
import { currentRunning, type Running } from "./cell/running.ts";
import type { Backoff } from "./cell/supervisor.ts";
import type { Clock } from "./clock.ts";
import { copy, copyArgs, isSimple } from "./copy.ts";
import type { Counts, Outcomes } from "./counts.ts";
import type { Deadlines, Waiting } from "./deadlines.ts";
import type { WireError } from "./envelope.ts";
import { errorOf, failure, failureOf, raise } from "./failure.ts";
import type { Random } from "./random.ts";
import { Attempts, RETRY_BACKOFF } from "./retries.ts";
import type { TaskAttempt } from "./tasks/task.ts";
import type { Span, Tracing } from "./trace.ts";

/** What a caller may say about one call. */
export interface CallOptions {
  /** Milliseconds until nobody waits any more. Default: the system's callTimeoutMs (30 s). */
  readonly timeoutMs?: number;
  /** Gives the call up when it aborts. */
  readonly signal?: AbortSignal;
  /**
   * The lane of the actor's mailbox: while both wait, 16 interactive messages for each bulk one. Order holds within a lane.
   * Default: that of the message in hand, else "interactive".
   */
  readonly priority?: Lane;
  /**
   * Names this call among the actor's calls of this method, 1 to 200 characters: made again with the same key it does not run again but
   * gets the first outcome, or waits for it. The actor keeps its last 1,000 outcomes, each for 10 minutes, also across restarts of its
   * own. A failure with `retryable: true` is no outcome. Not for streams.
   */
  readonly key?: string;
  /**
   * Attempts after the first, until the deadline. Without a key only for failures that say for certain that the method did not begin
   * (MailboxFull, Unavailable); with a key for every failure with `retryable: true`. Default 0. Calls only.
   */
  readonly retries?: number;
  /** Milliseconds between attempts: `firstMs` (50), times `factor` (2) for each further one, at most `maxMs` (5,000); less up to half by chance. */
  readonly backoff?: Partial<Backoff>;
}

/** What takes messages for one address: a live cell, or the way to another node. */
export interface Receiver {
  /** Whether arguments and results are copied on the way; the way to another node encodes them instead. */
  readonly copies: boolean;
  /** Takes the message, or says at once why not. */
  receive(message: Message, to: Address): WireError | undefined;
}

export interface Routes {
  /** Undefined when the address is of this node and nobody is there any more. */
  find(address: Address): Receiver | undefined;
  deadLetter(address: Address, method: string, why: WireError): void;
}

/** What a call needs of its system. */
export interface CallEnvironment {
  readonly node: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly deadlines: Deadlines;
  readonly routes: Routes;
  readonly callTimeoutMs: number;
  readonly counts: Counts;
  /** Undefined when nobody records spans. */
  readonly tracing: Tracing | undefined;
  nextLink(): number;
}

const NO_CHAIN: readonly string[] = [];

const ignore = (): void => {};

export class PendingCall implements ReplySink, Waiting, Cancellable {
  readonly deadlineMs: number;
  readonly promise: Promise<unknown>;
  bucket: Waiting["bucket"] = undefined;
  before: Waiting | undefined = undefined;
  after: Waiting | undefined = undefined;
  span: Span | undefined = undefined;
  readonly #deadlines: Deadlines;
  readonly #outcomes: Outcomes;
  readonly #copies: boolean;
  readonly #parent: Message | undefined;
  readonly #signal: AbortSignal | undefined;
  #message: Cancellable | undefined = undefined;
  #settled = false;
  #resolve!: (value: unknown) => void;
  #reject!: (why: WireError) => void;

  constructor(
    environment: CallEnvironment,
    deadlineMs: number,
    copies: boolean,
    parent?: Message,
    signal?: AbortSignal,
    outcomes: Outcomes = environment.counts.calls,
  ) {
    this.deadlineMs = deadlineMs;
    this.#outcomes = outcomes;
    outcomes.started++;
    this.#deadlines = environment.deadlines;
    this.#copies = copies;
    this.#parent = parent;
    this.#signal = signal;
    this.promise = new Promise<unknown>((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    }).then(undefined, raise);
  }

  /** Starts waiting for the answer to `message`, or to something else that can be given up. */
  wait(message: Cancellable): void {
    if (this.#settled) return;
    this.#message = message;
    this.#deadlines.add(this);
    this.#parent?.started(this);
    this.#signal?.addEventListener("abort", this.#aborted);
  }

  value(value: unknown): void {
    if (this.#settled) return;
    let sent = value;
    if (this.#copies && !isSimple(value)) {
      try {
        sent = copy(value, "result");
      } catch (error) {
        return this.fail(failureOf(error, "result"));
      }
    }
    this.#settle();
    this.#outcomes.answered++;
    this.span?.end();
    this.#resolve(sent);
  }

  fail(why: WireError): void {
    if (this.#settled) return;
    // Both have the same deadline, and the call may hear of it before the message it was made for.
    if (why.code === "DeadlineExceeded" && this.deadlineMs === this.#parent?.deadlineMs) this.#excuse();
    this.#settle();
    this.#outcomes.fail(why.code);
    this.span?.end(why);
    this.#reject(why);
  }

  chunk(): void {
    this.fail(failure("WrongKind", "the method streams its answer; iterate it with for await"));
  }

  end(): void {
    this.chunk();
  }

  expired(): void {
    const after = failure("DeadlineExceeded", "no answer before the deadline; the call may still have run", {
      deadlineMs: this.deadlineMs,
    });
    this.#giveUp(after);
  }

  /** The message this call was made for has been cancelled. */
  cancel(why: WireError): void {
    if (!this.#settled) this.#excuse();
    this.#giveUp(why);
  }

  /**
   * A method that awaits several calls one after the other hears of the first failure only. When all fail because the method itself was
   * given up, the others must not end the process as unhandled rejections.
   */
  #excuse(): void {
    this.promise.catch(ignore);
  }

  #giveUp(why: WireError): void {
    if (this.#settled) return;
    this.fail(why);
    this.#message?.cancel(why);
  }

  readonly #aborted = (): void => this.#giveUp(cancelledBy(this.#signal));

  #settle(): void {
    this.#settled = true;
    this.#deadlines.remove(this);
    this.#parent?.finished(this);
    this.#signal?.removeEventListener("abort", this.#aborted);
  }
}

export function cancelledBy(signal: AbortSignal | undefined): WireError {
  const reason: unknown = signal?.reason;
  return failure(
    "Cancelled",
    `the caller gave the call up: ${reason instanceof Error ? reason.message : String(reason)}`,
  );
}

/** The deadline of something asked now: the caller's own bound and that of the message it works for (CL3). */
export function deadlineOf(environment: CallEnvironment, running: Running | undefined, timeoutMs: number): number {
  return Math.min(environment.clock.now() + timeoutMs, running?.message?.deadlineMs ?? NEVER);
}

export function chainOf(environment: CallEnvironment, running: Running | undefined): readonly string[] {
  const message = running?.message;
  if (running === undefined || message === undefined) return NO_CHAIN;
  return [...message.chain, message.link(running.actor.label, environment.nextLink)];
}

/** Why nothing may be asked any more on behalf of `running`; undefined when all is well. */
export function whyNot(running: Running | undefined, options: CallOptions | undefined): WireError | undefined {
  if (options?.signal?.aborted) return cancelledBy(options.signal);
  return running?.message?.cancelled;
}

/** Hands a message to its actor, or says why not; the refusal is counted. */
export function handOver(
  environment: CallEnvironment,
  receiver: Receiver,
  message: Message,
  to: Address,
): WireError | undefined {
  const why = receiver.receive(message, to);
  if (why !== undefined) environment.counts.refused.add(why.code);
  return why;
}

/** Writes on a message what its caller wants of it. */
export function mark(message: Message, options: CallOptions | undefined, parent: Message | undefined): Message {
  message.lane = options?.priority ?? parent?.lane ?? "interactive";
  message.key = options?.key;
  return message;
}

/** Sends `method(...args)` to `address` and resolves to the answer. `args` is the caller's to give away. */
export function call(
  environment: CallEnvironment,
  address: Address,
  method: string,
  args: unknown[],
  options: CallOptions | undefined,
  attempt?: TaskAttempt,
): Promise<unknown> {
  if (options?.retries) return callAgain(environment, address, method, args, options, options.retries);
  const running = currentRunning();
  const parent = running?.message;
  const receiver = environment.routes.find(address);
  const copies = receiver?.copies ?? false;
  const deadlineMs = deadlineOf(environment, running, options?.timeoutMs ?? environment.callTimeoutMs);
  const pending = new PendingCall(environment, deadlineMs, copies, parent, options?.signal);
  const span = environment.tracing?.begin("call", address, method);
  pending.span = span;
  const refused =
    whyNot(running, options) ?? (receiver === undefined ? goneFailure(formatAddress(address)) : undefined);
  if (refused !== undefined || receiver === undefined) {
    pending.fail(refused ?? goneFailure(formatAddress(address)));
    return pending.promise;
  }
  try {
    const chain = parent === undefined ? NO_CHAIN : chainOf(environment, running);
    const message = new Message(method, copies ? copyArgs(args) : args, deadlineMs, chain, pending, undefined);
    if (options !== undefined || parent !== undefined) mark(message, options, parent);
    message.trace = span === undefined ? parent?.trace : span.context;
    if (attempt !== undefined) message.attempt = attempt;
    pending.wait(message);
    const why = handOver(environment, receiver, message, address);
    if (why !== undefined) pending.fail(why);
  } catch (error) {
    pending.fail(failureOf(error, `${address.type}.${method}`));
  }
  return pending.promise;
}

/** The same with `retries` further attempts, each on its own message. */
function callAgain(
  environment: CallEnvironment,
  address: Address,
  method: string,
  args: unknown[],
  options: CallOptions,
  retries: number,
): Promise<unknown> {
  const running = currentRunning();
  const parent = running?.message;
  const deadlineMs = deadlineOf(environment, running, options.timeoutMs ?? environment.callTimeoutMs);
  const copies = environment.routes.find(address)?.copies ?? false;
  const pending = new PendingCall(environment, deadlineMs, copies, parent, options.signal);
  const span = environment.tracing?.begin("call", address, method);
  pending.span = span;
  const refused = whyNot(running, options);
  try {
    if (refused !== undefined) throw errorOf(refused);
    const chain = chainOf(environment, running);
    // Every attempt sends what the caller gave now, whatever the caller does to it meanwhile; each has a copy of its own to give away.
    const isShared = address.node === environment.node && !copies;
    const kept = isShared ? args : copyArgs(args);
    const policy = { retries, backoff: { ...RETRY_BACKOFF, ...options.backoff }, hasKey: options.key !== undefined };
    const attempts = new Attempts(environment, policy, deadlineMs, pending, (sink) => {
      const receiver = environment.routes.find(address);
      if (receiver === undefined) return goneFailure(formatAddress(address));
      const own = isShared ? [...kept] : copyArgs([...kept]);
      const message = mark(new Message(method, own, deadlineMs, chain, sink, undefined), options, parent);
      message.trace = span === undefined ? parent?.trace : span.context;
      return handOver(environment, receiver, message, address) ?? message;
    });
    pending.wait(attempts);
    attempts.start();
  } catch (error) {
    pending.fail(failureOf(error, `${address.type}.${method}`));
  }
  return pending.promise;
}

/** Sends `method(...args)` to `address`; nobody waits. What cannot be delivered becomes a dead letter. Throws NotSendable. */
export function cast(
  environment: CallEnvironment,
  address: Address,
  method: string,
  args: unknown[],
  options: CallOptions | undefined,
): void {
  environment.counts.casts++;
  const receiver = environment.routes.find(address);
  const deadlineMs = options?.timeoutMs === undefined ? NEVER : environment.clock.now() + options.timeoutMs;
  if (receiver === undefined)
    return environment.routes.deadLetter(address, method, goneFailure(formatAddress(address)));
  const message = new Message(
    method,
    receiver.copies ? copyArgs(args) : args,
    deadlineMs,
    NO_CHAIN,
    undefined,
    undefined,
  );
  const parent = currentRunning()?.message;
  mark(message, options, parent);
  const span = environment.tracing?.begin("cast", address, method);
  message.trace = span === undefined ? parent?.trace : span.context;
  const why = handOver(environment, receiver, message, address);
  span?.end(why);
  if (why !== undefined) environment.routes.deadLetter(address, method, why);
}

/** What is asked of other nodes and is no call of an actor: spawns, stops. */
export class Questions {
  readonly #environment: CallEnvironment;

  constructor(environment: CallEnvironment) {
    this.#environment = environment;
  }

  /**
   * Resolves to what the sink given to `send` is told. Rejects with that failure, or DeadlineExceeded when the call time-out has passed after
   * the `beyondMs` that the other side may take.
   */
  ask(send: (sink: ReplySink, deadlineMs: number) => Cancellable, beyondMs = 0): Promise<unknown> {
    const { clock, counts, callTimeoutMs } = this.#environment;
    const deadlineMs = clock.now() + beyondMs + callTimeoutMs;
    const pending = new PendingCall(this.#environment, deadlineMs, false, undefined, undefined, counts.questions);
    try {
      pending.wait(send(pending, deadlineMs));
    } catch (error) {
      pending.fail(failureOf(error, "asking another node"));
    }
    return pending.promise;
  }
}
