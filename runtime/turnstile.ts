// Lets so many operations through at a time; the others wait in the order in which they came.
// It is not a mailbox: whoever waits holds his own promise, and nothing is refused.
//
// TU1  Somebody who submits or asks for ten thousand tasks at once must not have ten thousand requests at the server: the last of them
//      would be answered after its time, be repeated, and be in the way of all that follow.

export class Turnstile {
  readonly #max: number;
  readonly #waiting: (() => void)[] = [];
  #inside = 0;
  /** Places at the head of `#waiting` that have gone through. */
  #gone = 0;

  constructor(max: number) {
    this.#max = max;
  }

  async through<T>(operation: () => Promise<T>): Promise<T> {
    if (this.#inside < this.#max) this.#inside++;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await operation();
    } finally {
      this.#next();
    }
  }

  /** The place of whoever leaves goes to the first who waits. */
  #next(): void {
    const enter = this.#waiting[this.#gone];
    if (enter === undefined) {
      this.#inside--;
      return;
    }
    this.#gone++;
    if (this.#gone * 2 > this.#waiting.length) {
      this.#waiting.splice(0, this.#gone);
      this.#gone = 0;
    }
    enter();
  }
}
