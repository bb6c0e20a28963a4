// The queue of one actor: bounded, two lanes, control before work.
// It is not a scheduler: it does not know whether its actor is busy.
//
//     control  ─▶ [c1][c2] ───────┐
//                                 ├─▶ take()   control first, each lane first in first out
//     work     ─▶ [w1][w2]…[wN] ──┘
//                  └ at most `max`: one more is refused, nothing is dropped
//
// M1  Work beyond `max` is refused to whoever brings it, so every caller shares one bound.
// M2  Control is never refused: what goes there is bounded by its makers (one signal for each watch, one firing for each timer).
// M3  An empty mailbox holds no memory beyond itself: messages are linked to each other, so 100,000 idle actors cost no buffers.

/** What a mailbox holds: anything that can be linked. A message sits in one mailbox at most. */
export interface Linked<T> {
  next: T | undefined;
}

export class Mailbox<T extends Linked<T>> {
  readonly #max: number;
  #control: T | undefined;
  #controlLast: T | undefined;
  #work: T | undefined;
  #workLast: T | undefined;
  #workCount = 0;

  constructor(max: number) {
    this.#max = max;
  }

  /** Messages of work that wait. */
  get length(): number {
    return this.#workCount;
  }

  /** Whether neither lane holds anything. */
  get isEmpty(): boolean {
    return this.#work === undefined && this.#control === undefined;
  }

  get max(): number {
    return this.#max;
  }

  /** False when the work lane is full (M1). */
  push(message: T): boolean {
    if (this.#workCount >= this.#max) return false;
    this.#workCount++;
    if (this.#workLast === undefined) this.#work = message;
    else this.#workLast.next = message;
    this.#workLast = message;
    return true;
  }

  pushControl(message: T): void {
    if (this.#controlLast === undefined) this.#control = message;
    else this.#controlLast.next = message;
    this.#controlLast = message;
  }

  /** Forgets the control lane. */
  dropControl(): void {
    this.#control = this.#controlLast = undefined;
  }

  take(): T | undefined {
    return this.#takeControl() ?? this.#takeWork();
  }

  /** Takes the first work message that `wanted` accepts, past those it does not: how a re-entrant call gets in. */
  takeWhere(wanted: (message: T) => boolean): T | undefined {
    let before: T | undefined;
    for (let message = this.#work; message !== undefined; before = message, message = message.next) {
      if (!wanted(message)) continue;
      if (before === undefined) this.#work = message.next;
      else before.next = message.next;
      if (message === this.#workLast) this.#workLast = before;
      message.next = undefined;
      this.#workCount--;
      return message;
    }
    return undefined;
  }

  #takeControl(): T | undefined {
    const message = this.#control;
    if (message === undefined) return undefined;
    this.#control = message.next;
    if (this.#control === undefined) this.#controlLast = undefined;
    message.next = undefined;
    return message;
  }

  #takeWork(): T | undefined {
    const message = this.#work;
    if (message === undefined) return undefined;
    this.#work = message.next;
    if (this.#work === undefined) this.#workLast = undefined;
    message.next = undefined;
    this.#workCount--;
    return message;
  }
}
