// How the flow calls other services: one thing at a time for each story, and patiently.
//
// FL1  Work on one story is done one after the other, in the order it came; stories do not wait for each other.
// FL2  What fails because a service is not there is tried for as long as it takes, whatever its error says of retrying: a service that is
//      away is no fault of the story (NOT_THERE).

import { type Clock, FlotillaError, isFlotillaError, type LogLevel, sleep } from "../../runtime/index.ts";

const PAUSE_MIN_MS = 50;
const PAUSE_MAX_MS = 5_000;

export type Log = (level: LogLevel, message: string, data?: Readonly<Record<string, unknown>>) => void;

/** FL1. */
export class StoryLanes {
  readonly #last = new Map<string, Promise<unknown>>();

  run<T>(storyId: string, work: () => Promise<T>): Promise<T> {
    const before = this.#last.get(storyId) ?? Promise.resolve();
    const working = before.then(work);
    const ended = working.catch(() => {});
    this.#last.set(storyId, ended);
    void ended.then(() => {
      if (this.#last.get(storyId) === ended) this.#last.delete(storyId);
    });
    return working;
  }
}

/** Said to be final of one call, and still no reason to give up on the service (FL2). Where it is the own system that closed, all ends by that. */
const NOT_THERE: ReadonlySet<string> = new Set(["NoSuchActor", "ActorEnded", "ActorStartFailed", "Closed"]);

export const isTransient = (error: unknown): boolean =>
  isFlotillaError(error) && (error.retryable || NOT_THERE.has(error.code));

/** The error as a consumer understands it: retryable where it is transient. */
export function forConsumer(error: unknown): unknown {
  if (!isFlotillaError(error) || error.retryable || !isTransient(error)) return error;
  return new FlotillaError("Unavailable", error.message, { retryable: true, data: { code: error.code }, cause: error });
}

export interface Patience {
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly log: Log;
}

/** Does `run` until it does not fail for want of a service. Rejects with any other error, and when the signal aborts. */
export async function patiently<T>({ clock, signal, log }: Patience, what: string, run: () => Promise<T>): Promise<T> {
  for (let failures = 0; ; failures++) {
    signal.throwIfAborted();
    try {
      return await run();
    } catch (error) {
      if (signal.aborted || !isTransient(error)) throw error;
      log("warn", `${what}: tried again`, { error: String(error) });
      await sleep(clock, Math.min(PAUSE_MAX_MS, PAUSE_MIN_MS * 2 ** Math.min(failures, 10)), signal);
    }
  }
}

/** What `promise` says, unless the signal aborts first: then it rejects, and whatever comes of the promise is nobody's. */
export async function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  let onAbort = () => {};
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(signal.reason);
    if (signal.aborted) onAbort();
    signal.addEventListener("abort", onAbort, { once: true });
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    promise.catch(() => {});
    signal.removeEventListener("abort", onAbort);
  }
}
