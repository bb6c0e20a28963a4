// Word from an engine or an API server that something of a job may have changed: one stream for all jobs wakes those who wait.
// It is not what has changed. Whoever is woken looks, and decides on what he sees then.
//
// NW1  News can be lost only while a stream is down: each time it stands again, everybody is woken.
// NW2  What comes between a listener's look and his next wait is kept for him.

import { type Clock, sleep } from "../../runtime/index.ts";

/** Names of what may have changed; `undefined`: the stream stands, and anything may have. Ends or throws when it breaks. */
export type NewsStream = (signal: AbortSignal) => AsyncIterable<string | undefined>;

export interface NewsListener {
  /** Resolves when there is news, after `withinMs` at the latest, or when all is closed. */
  next(withinMs: number): Promise<void>;
  close(): void;
}

const PAUSE_MIN_MS = 100;
const PAUSE_MAX_MS = 5_000;

export class News implements AsyncDisposable {
  readonly #streams: readonly NewsStream[];
  readonly #clock: Clock;
  readonly #closing = new AbortController();
  readonly #listeners = new Map<string, Set<() => void>>();
  #following: Promise<unknown> | undefined;

  constructor(streams: readonly NewsStream[], clock: Clock) {
    this.#streams = streams;
    this.#clock = clock;
  }

  /** The streams are opened for the first listener. */
  listen(name: string): NewsListener {
    const { signal } = this.#closing;
    let isNew = false;
    let woken = Promise.withResolvers<void>();
    const wake = () => {
      isNew = true;
      woken.resolve();
    };
    const wakes = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, wakes.add(wake));
    this.#following ??= Promise.all(this.#streams.map((open) => this.#follow(open)));
    return {
      next: async (withinMs) => {
        if (!isNew && !signal.aborted) {
          const timer = this.#clock.schedule(withinMs, wake, true);
          await woken.promise;
          timer.cancel();
        }
        isNew = false;
        woken = Promise.withResolvers();
      },
      close: () => {
        wakes.delete(wake);
        if (wakes.size === 0 && this.#listeners.get(name) === wakes) this.#listeners.delete(name);
      },
    };
  }

  async #follow(open: NewsStream): Promise<void> {
    const { signal } = this.#closing;
    let pauseMs = PAUSE_MIN_MS;
    while (!signal.aborted) {
      try {
        for await (const name of open(signal)) {
          pauseMs = PAUSE_MIN_MS;
          this.#wake(name);
        }
      } catch {
        // It is opened again, whatever broke it; who waits for what can be told looks for himself (NW1).
      }
      await sleep(this.#clock, pauseMs, signal).catch(() => {});
      pauseMs = Math.min(2 * pauseMs, PAUSE_MAX_MS);
    }
  }

  #wake(name: string | undefined): void {
    const woken = name === undefined ? [...this.#listeners.values()] : [this.#listeners.get(name) ?? []];
    for (const wakes of woken) for (const wake of wakes) wake();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    this.#wake(undefined);
    await this.#following;
  }
}
