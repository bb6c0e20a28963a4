// Gives actors their turns: one microtask runs every actor that has something to do.
// It is not fair by weight: each actor gets one turn after the other, a turn being bounded by the cell.
//
// RQ1  An actor is in the queue at most once.
// RQ2  Actors that keep each other busy never hold the event loop longer than SLICE_MS: timers, sockets and signals get their turn.

import type { Clock } from "./clock.ts";

/** What gets turns. */
export interface Turnable {
  scheduled: boolean;
  turn(nowMs: number): void;
}

const SLICE_MS = 10;
/** Turns between two looks at the time. */
const LOOK_EVERY = 256;

export class RunQueue {
  readonly #clock: Clock;
  #queue: Turnable[] = [];
  #armed = false;
  #turns = 0;
  #sliceEndMs = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  add(turnable: Turnable): void {
    if (turnable.scheduled) return;
    turnable.scheduled = true;
    this.#queue.push(turnable);
    if (this.#armed) return;
    this.#armed = true;
    if (this.#sliceUsedUp()) this.#clock.soon(this.#drain);
    else queueMicrotask(this.#drain);
  }

  readonly #drain = (): void => {
    const nowMs = this.#clock.now();
    const queue = this.#queue;
    for (let index = 0; index < queue.length; index++) {
      const turnable = queue[index] as Turnable;
      turnable.scheduled = false;
      turnable.turn(nowMs);
      if (this.#sliceUsedUp() && index + 1 < queue.length) {
        this.#queue = queue.slice(index + 1);
        this.#clock.soon(this.#drain);
        return;
      }
    }
    queue.length = 0;
    this.#armed = false;
  };

  /** True once in a while: the slice is over and a new one begins. */
  #sliceUsedUp(): boolean {
    if (++this.#turns % LOOK_EVERY !== 0) return false;
    const nowMs = this.#clock.monotonic();
    if (nowMs < this.#sliceEndMs) return false;
    this.#sliceEndMs = nowMs + SLICE_MS;
    return true;
  }
}
