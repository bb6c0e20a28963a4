// The caller's side of a streamed reply: an async iterable that asks for its method on the first `next` and grants credit as it is read.
//
//     producer ──chunk──▶ [c c c c] ──next()──▶ reader        at most WINDOW chunks are under way or waiting
//              ◀─credit── half a window read
//
// ST1  The producer never runs more than WINDOW chunks ahead of the reader.
// ST2  Chunks come in the order they were yielded; a failure comes after the chunks before it.
// ST3  Leaving the loop early (break, return, throw), or the block of an `await using`, cancels the method.
// ST4  The system's call time-out bounds the wait for each chunk; a `timeoutMs` given by the caller bounds the whole stream instead.

import { type Address, formatAddress } from "./address.ts";
import {
  type CallEnvironment,
  type CallOptions,
  cancelledBy,
  chainOf,
  deadlineOf,
  handOver,
  mark,
  whyNot,
} from "./calls.ts";
import { type Cancellable, Message, NEVER, type ReplySink } from "./cell/message.ts";
import { goneFailure } from "./cell/refusal.ts";
import { currentRunning } from "./cell/running.ts";
import { copy, copyArgs, isSimple } from "./copy.ts";
import type { Waiting } from "./deadlines.ts";
import type { WireError } from "./envelope.ts";
import { failure, failureOf, raise } from "./failure.ts";
import type { Span } from "./trace.ts";

/** Chunks a producer may send before the reader has taken any. */
export const WINDOW = 256;

/** A streamed reply. Iterate it once. */
export interface Stream<Chunk> extends AsyncIterableIterator<Chunk>, AsyncDisposable {}

const DONE: IteratorReturnResult<undefined> = { done: true, value: undefined };

interface Waiter {
  resolve(result: IteratorResult<unknown>): void;
  reject(why: WireError): void;
}

export class PendingStream implements ReplySink, Waiting, Cancellable, Stream<unknown> {
  deadlineMs = NEVER;
  bucket: Waiting["bucket"] = undefined;
  before: Waiting | undefined = undefined;
  after: Waiting | undefined = undefined;
  readonly #environment: CallEnvironment;
  readonly #address: Address;
  readonly #method: string;
  readonly #args: unknown[];
  readonly #options: CallOptions | undefined;
  #message: Message | undefined = undefined;
  #parent: Message | undefined = undefined;
  #span: Span | undefined = undefined;
  #copies = false;
  #started = false;
  /** Whether the method was asked for at all. */
  #begun = false;
  #ended = false;
  #failure: WireError | undefined = undefined;
  #chunks: unknown[] = [];
  #read = 0;
  /** Until when the waiting reader waits for the next chunk. */
  #quietUntilMs = NEVER;
  #waiter: Waiter | undefined = undefined;

  constructor(environment: CallEnvironment, address: Address, method: string, args: unknown[], options?: CallOptions) {
    this.#environment = environment;
    this.#address = address;
    this.#method = method;
    this.#args = args;
    this.#options = options;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<unknown>> {
    if (!this.#started) this.#start();
    if (this.#read < this.#chunks.length) return Promise.resolve({ done: false, value: this.#take() });
    if (this.#failure !== undefined) return this.#raiseOnce(this.#failure);
    if (this.#ended) return Promise.resolve(DONE);
    if (this.#waiter !== undefined) {
      return Promise.reject(failure("WrongKind", "next() was called again before the last one had answered")).then(
        undefined,
        raise,
      );
    }
    this.#extend();
    return new Promise<IteratorResult<unknown>>((resolve, reject) => {
      this.#waiter = { resolve, reject };
    }).then(undefined, raise);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }

  async return(): Promise<IteratorResult<unknown>> {
    this.#started = true;
    this.#chunks = [];
    this.#read = 0;
    this.#failure = undefined;
    if (this.#ended) return DONE;
    this.end();
    this.#message?.cancel(failure("Cancelled", "the reader left the stream"));
    return DONE;
  }

  chunk(value: unknown): void {
    if (this.#ended) return;
    this.#environment.counts.chunks++;
    let copied = value;
    if (this.#copies && !isSimple(value)) {
      try {
        copied = copy(value, "chunk");
      } catch (error) {
        return this.cancel(failureOf(error, "chunk"));
      }
    }
    const waiter = this.#waiter;
    if (waiter === undefined) {
      this.#chunks.push(copied);
      return;
    }
    this.#waiter = undefined;
    this.#chunks.push(copied);
    waiter.resolve({ done: false, value: this.#take() });
  }

  end(): void {
    if (this.#ended) return;
    this.#finish();
    if (this.#begun) this.#environment.counts.streams.answered++;
    this.#waiter?.resolve(DONE);
    this.#waiter = undefined;
  }

  value(): void {
    this.fail(
      failure(
        "WrongKind",
        `${this.#address.type}.${this.#method} answers with one value; await it instead of iterating it`,
      ),
    );
  }

  fail(why: WireError): void {
    if (this.#ended) return;
    this.#finish(why);
    this.#environment.counts.streams.fail(why.code);
    if (this.#waiter === undefined) this.#failure = why;
    else this.#waiter.reject(why);
    this.#waiter = undefined;
  }

  cancel(why: WireError): void {
    if (this.#ended) return;
    this.fail(why);
    this.#message?.cancel(why);
  }

  expired(): void {
    const what = `${this.#address.type}.${this.#method} on ${formatAddress(this.#address)}`;
    const bound = this.#message?.deadlineMs ?? NEVER;
    // The deadline is moved only now and then, and a slow reader is no silent producer: the one that counts may be later.
    const until = this.#waiter === undefined ? bound : this.#quietUntilMs;
    if (until > this.#environment.clock.now()) {
      this.deadlineMs = until;
      return this.#environment.deadlines.add(this);
    }
    this.cancel(
      failure("DeadlineExceeded", `${what} sent no chunk before the deadline`, { deadlineMs: this.deadlineMs }),
    );
  }

  #start(): void {
    this.#started = true;
    const environment = this.#environment;
    this.#begun = true;
    environment.counts.streams.started++;
    this.#span = environment.tracing?.begin("stream", this.#address, this.#method);
    const running = currentRunning();
    const receiver = environment.routes.find(this.#address);
    const refused = whyNot(running, this.#options) ?? keyedFailure(this.#options);
    if (refused !== undefined || receiver === undefined)
      return this.fail(refused ?? goneFailure(formatAddress(this.#address)));
    this.#copies = receiver.copies;
    this.#parent = running?.message;
    const bound = deadlineOf(environment, running, this.#options?.timeoutMs ?? NEVER);
    try {
      const args = this.#copies ? copyArgs(this.#args) : this.#args;
      const message = new Message(this.#method, args, bound, chainOf(environment, running), this, WINDOW);
      this.#message = mark(message, this.#options, this.#parent);
      this.#message.trace = this.#span === undefined ? this.#parent?.trace : this.#span.context;
    } catch (error) {
      return this.fail(failureOf(error, this.#method));
    }
    this.#parent?.started(this);
    this.#options?.signal?.addEventListener("abort", this.#aborted);
    try {
      const why = handOver(environment, receiver, this.#message, this.#address);
      if (why !== undefined) this.fail(why);
    } catch (error) {
      this.fail(failureOf(error, this.#method));
    }
  }

  /** Gives the producer another time-out's length from now, within the stream's own bound (ST4). */
  #extend(): void {
    const environment = this.#environment;
    const idleMs = this.#options?.timeoutMs ?? environment.callTimeoutMs;
    this.#quietUntilMs = Math.min(environment.clock.now() + idleMs, this.#message?.deadlineMs ?? NEVER);
    // Moving the entry for every chunk would cost more than the chunk: `expired` looks at what counts by then.
    if (this.bucket !== undefined && this.deadlineMs <= this.#quietUntilMs) return;
    environment.deadlines.remove(this);
    this.deadlineMs = this.#quietUntilMs;
    environment.deadlines.add(this);
  }

  #take(): unknown {
    const value = this.#chunks[this.#read++];
    if (this.#read === this.#chunks.length || this.#read === WINDOW / 2) {
      this.#message?.grant(this.#read);
      this.#chunks.splice(0, this.#read);
      this.#read = 0;
    }
    return value;
  }

  #raiseOnce(why: WireError): Promise<never> {
    this.#failure = undefined;
    return Promise.reject(why).then(undefined, raise);
  }

  readonly #aborted = (): void => this.cancel(cancelledBy(this.#options?.signal));

  #finish(why?: WireError): void {
    this.#ended = true;
    this.#span?.end(why);
    this.#environment.deadlines.remove(this);
    this.#parent?.finished(this);
    this.#options?.signal?.removeEventListener("abort", this.#aborted);
  }
}

function keyedFailure(options: CallOptions | undefined): WireError | undefined {
  if (options?.key === undefined) return undefined;
  return failure("InvalidOption", "option key: a stream has no outcome that could be kept; call it without a key");
}
