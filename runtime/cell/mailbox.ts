// The queue of one actor: bounded, control before work, and two lanes of work.
// It is not a scheduler: it does not know whether its actor is busy.
//
//     control      ─▶ [c1][c2] ───────┐
//                                     │
//     interactive  ─▶ [i1][i2]…[iN] ──┼─▶ take()   control first, then interactive, then bulk; each first in first out.
//                                     │            While both lanes of work wait, one bulk message after BULK_EVERY interactive ones.
//     bulk         ─▶ [b1]…[bM] ──────┘
//     set aside       (elsewhere: stashed, or waiting for its key)
//                     └ N + M + set aside ≤ `max`: one more is refused, nothing is dropped
//
// M1  Work beyond `max` is refused to whoever brings it, so every caller shares one bound, whatever the lane.
// M2  Control is never refused: what goes there is bounded by its makers (one signal for each watch, one firing for each timer).
// M3  An empty mailbox holds no memory beyond itself: messages are linked to each other, and lists are made when first needed, so
//     100,000 idle actors cost no buffers.
// M4  Bulk never starves: it gets at least every (BULK_EVERY + 1)-th turn of work.

import { Fifo, type Linked } from "./fifo.ts";

/** How much hurry a message is in: somebody waits for it, or it is one of many. */
export type Lane = "interactive" | "bulk";

/** What a mailbox holds. */
export interface Mailable<T> extends Linked<T> {
  readonly lane: Lane;
}

/** Interactive messages between two bulk ones while both wait. */
export const BULK_EVERY = 16;

export class Mailbox<T extends Mailable<T>> {
  readonly #max: number;
  readonly #interactive = new Fifo<T>();
  #control: Fifo<T> | undefined = undefined;
  #bulk: Fifo<T> | undefined = undefined;
  #workCount = 0;
  /** Interactive messages taken since bulk began to wait or had its last turn. */
  #overtakes = 0;

  constructor(max: number) {
    this.#max = max;
  }

  /** Messages of work that wait, those set aside included. */
  get length(): number {
    return this.#workCount;
  }

  /** Whether there is nothing to take. */
  get isEmpty(): boolean {
    return this.#interactive.isEmpty && (this.#control?.isEmpty ?? true) && (this.#bulk?.isEmpty ?? true);
  }

  get max(): number {
    return this.#max;
  }

  /** False when as much work waits as may (M1). */
  push(message: T): boolean {
    if (this.#workCount >= this.#max) return false;
    this.#workCount++;
    this.#lane(message).push(message);
    return true;
  }

  pushControl(message: T): void {
    this.#control ??= new Fifo();
    this.#control.push(message);
  }

  /** Forgets the control lane. */
  dropControl(): void {
    this.#control = undefined;
  }

  /** Counts one message that was taken and goes on waiting elsewhere; false when as much work waits as may (M1). */
  setAside(): boolean {
    if (this.#workCount >= this.#max) return false;
    this.#workCount++;
    return true;
  }

  /** A message set aside waits no more, nor comes back. */
  forgetAside(): void {
    this.#workCount--;
  }

  /** Messages set aside wait here again, before all others of their lanes and in this order. */
  putBack(messages: readonly T[]): void {
    for (const message of messages.toReversed()) this.#lane(message).putFirst(message);
  }

  take(): T | undefined {
    return (
      this.#control?.take() ?? (this.#bulk === undefined ? this.#counted(this.#interactive.take()) : this.#takeFair())
    );
  }

  /** Takes the first work message that `wanted` accepts, past those it does not: how a re-entrant call gets in. */
  takeWhere(wanted: (message: T) => boolean): T | undefined {
    return this.#counted(this.#interactive.takeWhere(wanted) ?? this.#bulk?.takeWhere(wanted));
  }

  /** Takes every work message that `wanted` accepts. */
  takeAllWhere(wanted: (message: T) => boolean): T[] {
    const taken: T[] = [];
    for (let message = this.takeWhere(wanted); message !== undefined; message = this.takeWhere(wanted))
      taken.push(message);
    return taken;
  }

  #takeFair(): T | undefined {
    const isBulkDue = this.#overtakes >= BULK_EVERY || this.#interactive.isEmpty;
    const bulk = isBulkDue ? this.#bulk?.take() : undefined;
    if (bulk !== undefined || this.#bulk?.isEmpty) this.#overtakes = 0;
    else this.#overtakes++;
    return this.#counted(bulk ?? this.#interactive.take());
  }

  #counted(message: T | undefined): T | undefined {
    if (message !== undefined) this.#workCount--;
    return message;
  }

  #lane(message: T): Fifo<T> {
    if (message.lane === "interactive") return this.#interactive;
    this.#bulk ??= new Fifo();
    return this.#bulk;
  }
}
