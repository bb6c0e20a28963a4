// What belongs to one actor and ends with it: timers (and whatever else is taken back like one), children, watchers. Each list is
// made when first needed, so that an idle actor costs three empty fields.
//
// LI1  A timer of a life that has ended never fires.
// LI2  Children are left in reverse order of their making.
// LI3  Its signal aborts when it is over, after an orderly end's hooks and instead of them where there are none.

import type { Clock, Timer } from "../clock.ts";
import type { ActorEnd } from "../envelope.ts";

export class Life<Child> {
  #timers: Set<Timer> | undefined = undefined;
  #children: Set<Child> | undefined = undefined;
  #watchers: Set<(end: ActorEnd) => void> | undefined = undefined;
  #signal: AbortController | undefined = undefined;

  /** Calls `run` after `delayMs` unless this life ends first. */
  addTimer(clock: Clock, delayMs: number, run: () => void): Timer {
    const owned = this.own(
      clock.schedule(delayMs, () => {
        owned.cancel();
        run();
      }),
    );
    return owned;
  }

  /** The same timer, cancelled with this life at the latest. */
  own(timer: Timer): Timer {
    this.#timers ??= new Set();
    const timers = this.#timers;
    const owned: Timer = {
      cancel() {
        if (timers.delete(owned)) timer.cancel();
      },
    };
    timers.add(owned);
    return owned;
  }

  cancelTimers(): void {
    for (const timer of [...(this.#timers ?? [])]) timer.cancel();
  }

  get signal(): AbortSignal {
    this.#signal ??= new AbortController();
    return this.#signal.signal;
  }

  /** Its timers end, and what else it has begun (LI3). The next life has a signal of its own. */
  over(): void {
    this.cancelTimers();
    const ending = this.#signal;
    this.#signal = undefined;
    ending?.abort();
  }

  adopt(child: Child): void {
    this.#children ??= new Set();
    this.#children.add(child);
  }

  disown(child: Child): void {
    this.#children?.delete(child);
  }

  /** Last made first (LI2). */
  children(): Child[] {
    return [...(this.#children ?? [])].reverse();
  }

  /** Calls `onEnd` when `end` is called. Answers how to take that back. */
  watch(onEnd: (end: ActorEnd) => void): () => void {
    this.#watchers ??= new Set();
    this.#watchers.add(onEnd);
    return () => this.#watchers?.delete(onEnd);
  }

  end(end: ActorEnd): void {
    for (const watcher of [...(this.#watchers ?? [])]) watcher(end);
    this.#watchers = undefined;
  }
}
