// The clock of a process that can be stopped like one (SIGSTOP): time goes on, its timers do not; they all fire when it runs again.

import type { Clock } from "../../runtime/index.ts";
import { settle } from "./fake-clock.ts";

export interface PausableClock extends Clock {
  pause(): void;
  /** Fires one after the other what fell due meanwhile, in that order; promises go on between them, as after a real pause. */
  resume(): Promise<void>;
}

export function pausableClock(clock: Clock): PausableClock {
  let held: (() => void)[] | undefined;
  const whenRunning = (run: () => void) => () => (held === undefined ? run() : void held.push(run));
  return {
    now: () => clock.now(),
    monotonic: () => clock.monotonic(),
    soon: (run) => clock.soon(whenRunning(run)),
    schedule(delayMs, run, keepAlive) {
      const state = { cancelled: false };
      const timer = clock.schedule(
        delayMs,
        whenRunning(() => !state.cancelled && run()),
        keepAlive,
      );
      return {
        cancel() {
          state.cancelled = true;
          timer.cancel();
        },
      };
    },
    pause() {
      held ??= [];
    },
    async resume() {
      const due = held ?? [];
      held = undefined;
      for (const run of due) {
        run();
        await settle();
      }
    },
  };
}
