// Gives actors their turns: one microtask runs every actor that has something to do.
// It is not fair by weight: each actor gets one turn after the other, a turn being bounded in messages.
//
// RQ1  An actor is in the queue at most once.
// RQ2  Actors that keep each other busy never hold the event loop longer than SLICE_MS: timers, sockets and signals get their turn.

import type { Clock } from "../clock.ts";

/** What gets turns. */
export interface Turnable {
  scheduled: boolean;
  /** Runs at most `max` of what waits. */
  turn(nowMs: number, max: number): void;
}

const SLICE_MS = 10;
/** Turns between two looks at the time, and messages in one turn: at most, as long as they are light. */
const STRIDE_MAX = 256;
/** Between two looks it should take about so long. */
const HEAVY_MS = 1;

export class RunQueue {
  readonly #clock: Clock;
  #queue: Turnable[] = [];
  #armed = false;
  #turns = 0;
  #stride = STRIDE_MAX;
  #lookedAtMs = 0;
  #sliceEndMs = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  add(turnable: Turnable): void {
    if (turnable.scheduled) return;
    turnable.scheduled = true;
    this.#queue.push(turnable);
    if (!this.#armed) this.#arm(this.#sliceUsedUp());
  }

  #arm(later: boolean): void {
    this.#armed = true;
    if (later) this.#clock.soon(this.#drain);
    else queueMicrotask(this.#drain);
  }

  readonly #drain = (): void => {
    const queue = this.#queue;
    const nowMs = this.#clock.now();
    let next = 0;
    try {
      while (next < queue.length) {
        const turnable = queue[next++] as Turnable;
        turnable.scheduled = false;
        turnable.turn(nowMs, this.#stride);
        // Asked only with somebody waiting: the answer "yes" begins a new slice and must not be lost.
        if (next < queue.length && this.#sliceUsedUp()) break;
      }
    } finally {
      // Also when a turn threw, which it must not: one fault must not stop every other actor for good.
      this.#armed = false;
      if (next < queue.length) {
        this.#queue = queue.slice(next);
        this.#arm(true);
      } else queue.length = 0;
    }
  };

  /** True when the slice is over; a new one begins with that. */
  #sliceUsedUp(): boolean {
    if (++this.#turns < this.#stride) return false;
    this.#turns = 0;
    const nowMs = this.#clock.monotonic();
    // A look costs as much as a tenth of a light turn, so those are not looked at one by one; heavy ones are.
    this.#stride = nextStride(this.#stride, nowMs - this.#lookedAtMs);
    this.#lookedAtMs = nowMs;
    if (nowMs < this.#sliceEndMs) return false;
    this.#sliceEndMs = nowMs + SLICE_MS;
    return true;
  }
}

/** Shorter at once when it took far too long, otherwise by halves: a stride that jumps about costs more than one that is not quite right. */
function nextStride(stride: number, tookMs: number): number {
  if (tookMs > SLICE_MS) return 1;
  if (tookMs > HEAVY_MS) return Math.max(1, stride / 2);
  return tookMs < HEAVY_MS / 4 ? Math.min(STRIDE_MAX, stride * 2) : stride;
}
