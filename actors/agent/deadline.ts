// Settles work by its deadline or soon after its signal aborts, whatever the work itself does (model.ts, L1).
// It does not end the work: the signal it passes on asks for that.

import type { Clock } from "../../runtime/index.ts";
import { fail } from "../errors.ts";

export interface Bounds {
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
  /** What is waited for, as the message names it: "the model server at http://…". */
  readonly awaited: string;
}

/** Runs `work` with a signal that aborts at the deadline; rejects with ModelTimeout or Cancelled even when `work` ignores it. */
export async function withinDeadline<T>(bounds: Bounds, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const { clock, signal, timeoutMs, awaited } = bounds;
  if (signal.aborted) throw cancelled(awaited);
  const inner = new AbortController();
  const ended = Promise.withResolvers<never>();
  const end = (error: Error) => {
    // Rejected first: the aborted work must not be the one that says why.
    ended.reject(error);
    inner.abort(error);
  };
  const timer = clock.schedule(timeoutMs, () => end(timedOut(awaited, timeoutMs)), true);
  const onAbort = () => end(cancelled(awaited));
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await Promise.race([ended.promise, work(inner.signal)]);
  } finally {
    timer.cancel();
    signal.removeEventListener("abort", onAbort);
  }
}

const cancelled = (awaited: string) => fail("Cancelled", `The request to ${awaited} was cancelled.`);

function timedOut(awaited: string, timeoutMs: number) {
  const message = `No complete answer from ${awaited} within ${timeoutMs / 1000} s. Allow more time or look at the server's load.`;
  return fail("ModelTimeout", message, { data: { timeoutMs } });
}
