// Makes a call again when an attempt failed in a way that a repetition may mend: the caller asked for it with `retries`.
// It does not know how an attempt is made (calls.ts), and it is no task: when the caller's process ends, so do the attempts.
//
//     attempt 1 ──▶ MailboxFull ── wait ──▶ attempt 2 ──▶ ActorRestarted ── wait ──▶ attempt 3 ──▶ value ──▶ caller
//     └──────────────────────────── one deadline, one key, one signal for all of them ─────────────────────────┘
//
// RT1  Without a key only what certainly did not run is repeated. With a key every failure with `retryable: true` is: the actor keeps the
//      first outcome for the key.
// RT2  No attempt begins at or after the deadline: a wait that would reach it ends the call with what is known by then.
// RT3  What the actor's own code threw (it has a cause) certainly ran, whatever its code.

import type { Cancellable, ReplySink } from "./cell/message.ts";
import type { Backoff } from "./cell/supervisor.ts";
import type { Clock, Timer } from "./clock.ts";
import type { WireError } from "./envelope.ts";
import type { Random } from "./random.ts";

/** What is known of a call that may be repeated. */
export interface RetryPolicy {
  /** Attempts after the first. */
  readonly retries: number;
  readonly backoff: Backoff;
  readonly hasKey: boolean;
}

/** The first wait is short: most refusals are of the moment. */
export const RETRY_BACKOFF: Backoff = { firstMs: 50, factor: 2, maxMs: 5_000 };

const NOT_RUN: ReadonlySet<string> = new Set(["MailboxFull", "Unavailable"]);

/** Whether `why` says for certain that the method did not begin (RT3). */
export function isCertainlyNotRun(why: WireError): boolean {
  return why.cause === undefined && NOT_RUN.has(why.code);
}

/**
 * Milliseconds from the failure `why` of the n-th attempt (from 1) to the next one; undefined when there must be none.
 * `spread` in [0, 1) places the wait between half and all of its length, so that callers refused together do not come back together.
 */
export function nextAttemptMs(
  why: WireError,
  attempt: number,
  policy: RetryPolicy,
  spread: number,
): number | undefined {
  if (attempt > policy.retries) return undefined;
  if (policy.hasKey ? !why.retryable : !isCertainlyNotRun(why)) return undefined;
  const { firstMs, factor, maxMs } = policy.backoff;
  const ownMs = Math.min(maxMs, firstMs * factor ** (attempt - 1)) * (0.5 + spread / 2);
  const { retryAfterMs } = why.data;
  return typeof retryAfterMs === "number" ? Math.max(ownMs, retryAfterMs) : ownMs;
}

/** What attempts need of their system. */
export interface AttemptEnvironment {
  readonly clock: Clock;
  readonly random: Random;
}

export class Attempts implements Cancellable {
  readonly #environment: AttemptEnvironment;
  readonly #policy: RetryPolicy;
  readonly #deadlineMs: number;
  readonly #caller: ReplySink;
  readonly #send: (sink: ReplySink) => Cancellable | WireError;
  #count = 0;
  /** The attempt whose end counts: what an earlier one still says, or one that was given up, is nobody's. */
  #open: number | undefined = undefined;
  #timer: Timer | undefined = undefined;
  #current: Cancellable | undefined = undefined;

  /** `send` makes one attempt whose end goes to `sink`, or answers why it cannot be made. */
  constructor(
    environment: AttemptEnvironment,
    policy: RetryPolicy,
    deadlineMs: number,
    caller: ReplySink,
    send: (sink: ReplySink) => Cancellable | WireError,
  ) {
    this.#environment = environment;
    this.#policy = policy;
    this.#deadlineMs = deadlineMs;
    this.#caller = caller;
    this.#send = send;
  }

  start(): void {
    const attempt = ++this.#count;
    this.#open = attempt;
    const ends = (how: () => void) => {
      if (this.#open !== attempt) return;
      this.#open = undefined;
      how();
    };
    const sent = this.#send({
      value: (value) => ends(() => this.#caller.value(value)),
      fail: (why) => ends(() => this.#failed(why)),
      chunk: (value) => ends(() => this.#caller.chunk(value)),
      end: () => ends(() => this.#caller.end()),
    });
    if ("code" in sent) ends(() => this.#failed(sent));
    else this.#current = sent;
  }

  cancel(why: WireError): void {
    this.#open = undefined;
    this.#timer?.cancel();
    this.#current?.cancel(why);
  }

  #failed(why: WireError): void {
    const { clock, random } = this.#environment;
    const waitMs = nextAttemptMs(why, this.#count, this.#policy, random.next());
    // The caller's deadline ends the wait as well, but what is known says more than "no answer in time" (RT2).
    if (waitMs === undefined || clock.now() + waitMs >= this.#deadlineMs) return this.#caller.fail(why);
    this.#timer = clock.schedule(waitMs, () => this.start());
  }
}
