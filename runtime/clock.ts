// Time, passed in: the only file that may reach for Date.now and timers.
// A test passes a clock it moves by hand (test/support/fake-clock.ts) and runs hours in milliseconds.
//
// C1  A callback never runs inside `schedule` or `cancel`, and never after `cancel`.
// C2  A callback is never early; how late it is depends on the event loop.

/** A scheduled callback; `cancel` may be called twice. */
export interface Timer {
  cancel(): void;
}

export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number;
  /** Milliseconds from an arbitrary start that never go backwards: for durations. */
  monotonic(): number;
  /** Calls `run` once, after timers and I/O that are ready now have had their turn. */
  soon(run: () => void): void;
  /** Calls `run` once, `delayMs` from now. The timer does not keep the process alive unless `keepAlive` is set. */
  schedule(delayMs: number, run: () => void, keepAlive?: boolean): Timer;
}

/** Longer delays than this overflow setTimeout and would fire at once. */
const DELAY_MAX_MS = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  soon: (run) => void setImmediate(run),
  schedule(delayMs, run, keepAlive = false) {
    const timer = setTimeout(run, Math.min(Math.max(0, delayMs), DELAY_MAX_MS));
    if (!keepAlive) timer.unref();
    return { cancel: () => clearTimeout(timer) };
  },
};

/** Resolves after `delayMs`; rejects with the signal's reason when it aborts first. Keeps the process alive. */
export function sleep(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const onAbort = () => {
      timer.cancel();
      reject(signal?.reason);
    };
    const timer = clock.schedule(
      delayMs,
      () => {
        signal?.removeEventListener("abort", onAbort);
        resolve();
      },
      true,
    );
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}

/** Whether `begin` called its `done` within `timeoutMs`. */
export function finishesWithin(clock: Clock, timeoutMs: number, begin: (done: () => void) => void): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = clock.schedule(timeoutMs, () => resolve(false), true);
    begin(() => {
      timer.cancel();
      resolve(true);
    });
  });
}
