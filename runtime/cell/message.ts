// One message inside its actor's host: what waits in a mailbox and, while it runs, what it has started.
// It is not what travels (envelope.ts) nor what the caller holds (calls.ts).
//
// MS1  A message is cancelled at most once. Cancelling it aborts its signal and cancels every call it has started, so a cancel reaches
//      the end of any chain of calls.
// MS2  Whoever waits for it hears exactly one end: a value, a failure, or a stream's end.

import type { WireError } from "../envelope.ts";
import { errorOf } from "../failure.ts";
import type { TaskAttempt } from "../tasks/task.ts";
import type { TraceContext } from "../trace.ts";
import type { Lane, Mailable } from "./mailbox.ts";

/** Where a message's answer goes: a caller in this process, or an envelope to another node. */
export interface ReplySink {
  value(value: unknown): void;
  chunk(value: unknown): void;
  end(): void;
  fail(failure: WireError): void;
}

/** Something a message has started and that ends with it. */
export interface Cancellable {
  cancel(failure: WireError): void;
}

/** No deadline. */
export const NEVER = Number.POSITIVE_INFINITY;

export class Message implements Mailable<Message> {
  next: Message | undefined = undefined;
  lane: Lane = "interactive";
  /** Messages with one method and one key are one call, made more than once (key-records.ts). */
  key: string | undefined = undefined;
  readonly method: string;
  readonly args: unknown[];
  readonly deadlineMs: number;
  /** The messages that wait for this one, outermost first: `link(label)` of each. */
  readonly chain: readonly string[];
  /** Undefined for casts and for the runtime's own callbacks: nobody waits. */
  readonly sink: ReplySink | undefined;
  /** Chunks that may be sent; undefined when the caller wants one value. */
  credit: number | undefined;
  /** Whether a chunk has been sent: the message cannot be run again. */
  hasBegun = false;
  cancelled: WireError | undefined = undefined;
  /** What its caller belongs to; once it runs, what it starts belongs to (trace.ts). */
  trace: TraceContext | undefined = undefined;
  /** Present when it is one attempt of a task. */
  attempt: TaskAttempt | undefined = undefined;
  /** Called when credit arrives or the message is cancelled. */
  wake: ((message: Message) => void) | undefined = undefined;
  /** Its number on the way to another node. */
  wireId = 0;
  #link: string | undefined = undefined;
  #controller: AbortController | undefined = undefined;
  #started: Set<Cancellable> | undefined = undefined;

  constructor(
    method: string,
    args: unknown[],
    deadlineMs: number,
    chain: readonly string[],
    sink: ReplySink | undefined,
    credit: number | undefined,
  ) {
    this.method = method;
    this.args = args;
    this.deadlineMs = deadlineMs;
    this.chain = chain;
    this.sink = sink;
    this.credit = credit;
  }

  /** This message as part of a call chain: "counter/17@north#3". Made on the first call it starts. */
  link(label: string, nextId: () => number): string {
    this.#link ??= `${label}#${nextId()}`;
    return this.#link;
  }

  /** Whether it has made a call, so that something may wait for it in a circle. */
  get hasAsked(): boolean {
    return this.#link !== undefined;
  }

  /** Whether `other` is part of what this message has started and still waits for. */
  isWaitedForBy(other: Message): boolean {
    return other.#link !== undefined && this.chain.includes(other.#link);
  }

  /** Aborts when the message is cancelled; its reason is the FlotillaError. */
  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    if (this.cancelled !== undefined && !this.#controller.signal.aborted)
      this.#controller.abort(errorOf(this.cancelled));
    return this.#controller.signal;
  }

  started(call: Cancellable): void {
    this.#started ??= new Set();
    this.#started.add(call);
  }

  finished(call: Cancellable): void {
    this.#started?.delete(call);
  }

  cancel(failure: WireError): void {
    if (this.cancelled !== undefined) return;
    this.cancelled = failure;
    this.#controller?.abort(errorOf(failure));
    for (const call of this.#started ?? []) call.cancel(failure);
    this.#started = undefined;
    this.wake?.(this);
  }

  grant(count: number): void {
    if (this.credit === undefined) return;
    this.credit += count;
    this.wake?.(this);
  }
}

/** A message of the runtime's own: a timer's firing, a watch's signal. Runs `run` as the actor, one at a time like any other. */
export class Callback extends Message {
  readonly run: () => unknown;

  constructor(name: string, run: () => unknown) {
    super(name, [], NEVER, [], undefined, undefined);
    this.run = run;
  }
}
