// What one actor remembers of calls with a key: a call made twice runs once, and both get the first outcome.
// It is lost with the actor, not with a life of it: a restart keeps it. What must survive the process is a task.
//
//     first ──▶ runs ──▶ outcome ──▶ kept: KEPT_MAX of them, KEPT_MS long
//     second ─▶ waits for it ─┘ ▲
//     third ────────────────────┘ answered without a run
//
// KR1  Of all messages with one method and key at most one runs at a time.
// KR2  An outcome is a value, or a failure that a repetition would not change. Failures that a retry may mend, and what a cancelled
//      message threw, are not kept: the next one with that key runs.

import type { Clock } from "../clock.ts";
import { copy } from "../copy.ts";
import type { WireError } from "../envelope.ts";
import { failureOf } from "../failure.ts";
import type { Mailbox } from "./mailbox.ts";
import type { Message } from "./message.ts";
import { Shelf } from "./shelf.ts";

/** Outcomes kept for one actor, and how long each. */
export const KEPT_MAX = 1_000;
export const KEPT_MS = 600_000;

/** How a run ended; undefined: in a way that is not kept. */
export type Outcome =
  | { readonly kind: "value"; readonly value: unknown }
  | { readonly kind: "failed"; readonly why: WireError }
  | undefined;

interface Run {
  readonly message: Message;
  waiting: Shelf | undefined;
}

interface Kept {
  readonly outcome: Outcome & {};
  readonly untilMs: number;
}

export class KeyRecords {
  readonly #mailbox: Mailbox<Message>;
  readonly #clock: Clock;
  readonly #copies: boolean;
  readonly #runs = new Map<string, Run>();
  /** Oldest first. */
  readonly #kept = new Map<string, Kept>();

  constructor(mailbox: Mailbox<Message>, clock: Clock, copies: boolean) {
    this.#mailbox = mailbox;
    this.#clock = clock;
    this.#copies = copies;
  }

  /**
   * What becomes of a message that has just been taken: "run" it and call `end`; it is "settled", answered or waiting for another's run;
   * or it must be refused, because it would wait for what waits for it ("circle").
   */
  begin(message: Message): "run" | "settled" | "circle" {
    const name = nameOf(message);
    const run = this.#runs.get(name);
    if (run === undefined) {
      const outcome = this.#find(name);
      if (outcome === undefined) this.#runs.set(name, { message, waiting: undefined });
      else answer(message, outcome);
      return outcome === undefined ? "run" : "settled";
    }
    if (message.isWaitedForBy(run.message)) return "circle";
    run.waiting ??= new Shelf(this.#mailbox);
    // The place it has just left is still free.
    run.waiting.add(message);
    return "settled";
  }

  /** Ends the run of `message`; those that waited for it are in the mailbox again. */
  end(message: Message, outcome: Outcome): void {
    const name = nameOf(message);
    const run = this.#runs.get(name);
    if (run?.message !== message) return;
    this.#runs.delete(name);
    if (outcome !== undefined) this.#keep(name, outcome);
    run.waiting?.putBack();
  }

  #find(name: string): Outcome {
    this.#forgetOld();
    return this.#kept.get(name)?.outcome;
  }

  #keep(name: string, outcome: Outcome & {}): void {
    this.#kept.set(name, {
      outcome: this.#copies ? copied(outcome) : outcome,
      untilMs: this.#clock.now() + KEPT_MS,
    });
    this.#forgetOld();
  }

  #forgetOld(): void {
    const nowMs = this.#clock.now();
    for (const [name, { untilMs }] of this.#kept) {
      if (untilMs > nowMs && this.#kept.size <= KEPT_MAX) return;
      this.#kept.delete(name);
    }
  }
}

/** The length comes first, because a method's name may hold any character. */
function nameOf({ method, key }: Message): string {
  return `${method.length} ${method} ${key}`;
}

/** How a method that threw has ended (KR2). */
export function outcomeOf(message: Message, why: WireError): Outcome {
  return why.retryable || message.cancelled !== undefined ? undefined : { kind: "failed", why };
}

function answer({ sink }: Message, outcome: Outcome & {}): void {
  if (outcome.kind === "value") sink?.value(outcome.value);
  else sink?.fail(outcome.why);
}

/** The actor may go on changing what it has answered with. */
function copied(outcome: Outcome & {}): Outcome & {} {
  if (outcome.kind === "failed") return outcome;
  try {
    return { kind: "value", value: copy(outcome.value, "result") };
  } catch (error) {
    return { kind: "failed", why: failureOf(error, "result") };
  }
}
