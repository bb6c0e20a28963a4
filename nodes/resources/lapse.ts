// Ends things at their time, with one timer for the earliest of them. What ends, and what that means, is the owner's.
//
// LA1  Putting something off costs no timer: when the timer fires too early it is set anew for what is then the earliest.

import type { Clock, Timer } from "../../runtime/index.ts";

export class Lapse {
  readonly #clock: Clock;
  readonly #end: (id: string) => void;
  readonly #until = new Map<string, number>();
  #timer: Timer | undefined;
  #dueMs = Number.POSITIVE_INFINITY;

  /** `end` is called for each that lapsed, which is then forgotten. */
  constructor(clock: Clock, end: (id: string) => void) {
    this.#clock = clock;
    this.#end = end;
  }

  set(id: string, ttlMs: number): void {
    const untilMs = this.#clock.monotonic() + ttlMs;
    this.#until.set(id, untilMs);
    if (untilMs < this.#dueMs) this.#schedule(untilMs);
  }

  delete(id: string): void {
    this.#until.delete(id);
    if (this.#until.size === 0) this.#stop();
  }

  /** Milliseconds until it lapses, not negative; undefined for what does not. */
  leftMs(id: string): number | undefined {
    const untilMs = this.#until.get(id);
    return untilMs === undefined ? undefined : Math.max(0, untilMs - this.#clock.monotonic());
  }

  #schedule(untilMs: number): void {
    this.#timer?.cancel();
    this.#dueMs = untilMs;
    this.#timer = this.#clock.schedule(untilMs - this.#clock.monotonic(), () => this.#sweep());
  }

  #stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#dueMs = Number.POSITIVE_INFINITY;
  }

  #sweep(): void {
    this.#stop();
    const nowMs = this.#clock.monotonic();
    const lapsed = [...this.#until].filter(([, untilMs]) => untilMs <= nowMs);
    for (const [id] of lapsed) {
      this.#until.delete(id);
      this.#end(id);
    }
    let earliestMs = Number.POSITIVE_INFINITY;
    for (const untilMs of this.#until.values()) earliestMs = Math.min(earliestMs, untilMs);
    if (earliestMs < this.#dueMs) this.#schedule(earliestMs);
  }
}
