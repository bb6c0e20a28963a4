// Callers and publishers that go on whatever happens, and remember how each call ended. They check nothing.

import { type ActorSystem, type Clock, isFlotillaError, sleep } from "../../runtime/index.ts";
import { waitUntil } from "../support/wait-until.ts";

export interface Ended {
  readonly id: string;
  /** "value", or the error's code. */
  readonly code: string;
  readonly ms: number;
}

/** So long a caller rests after a failure that came at once. */
const REST_MS = 10;

export class Load {
  readonly ended: Ended[] = [];
  readonly #clock: Clock;
  readonly #callers: Promise<void>[];
  #last = 0;
  #stopped = false;

  /** `callers` call one after the other, each with an id of its own for each call. */
  constructor(clock: Clock, callers: number, call: (id: string) => Promise<unknown>) {
    this.#clock = clock;
    this.#callers = Array.from({ length: callers }, () => this.#go(call));
  }

  async #go(call: (id: string) => Promise<unknown>): Promise<void> {
    while (!this.#stopped) {
      const id = `c-${++this.#last}`;
      const sinceMs = this.#clock.monotonic();
      const code = await call(id).then(
        () => "value",
        (error: unknown) => (isFlotillaError(error) ? error.code : String(error)),
      );
      this.ended.push({ id, code, ms: Math.round(this.#clock.monotonic() - sinceMs) });
      if (code !== "value") await sleep(this.#clock, REST_MS);
    }
  }

  /** Resolves once a call that ends from now on has its answer. */
  async succeeds(): Promise<void> {
    const from = this.ended.length;
    await waitUntil(
      "a call is answered again",
      () => this.ended.slice(from).some(({ code }) => code === "value"),
      30_000,
    );
  }

  async stop(): Promise<readonly Ended[]> {
    this.#stopped = true;
    await Promise.all(this.#callers);
    return this.ended;
  }
}

export interface TopicLoad {
  readonly published: number[];
  readonly seen: number[];
  /** Publishes no more, and resolves once all is seen. */
  stop(): Promise<void>;
}

/** Publishes rising numbers, each until it is accepted, and reads them as they come. */
export function topicLoad(system: ActorSystem, topic: string): TopicLoad {
  const published: number[] = [];
  const seen: number[] = [];
  let stopped = false;
  const subscription = system.subscribe<number>(topic);
  const reading = (async () => {
    for await (const { event } of subscription) seen.push(event);
  })();
  const publishing = (async () => {
    await subscription.ready();
    for (let next = 1; !stopped; await sleep(system.clock, REST_MS)) {
      try {
        await system.publish(topic, next, { key: String(next) });
        published.push(next++);
      } catch (error) {
        if (!isFlotillaError(error, "Unavailable")) throw error;
      }
    }
  })();
  return {
    published,
    seen,
    async stop() {
      stopped = true;
      await publishing;
      await waitUntil("all that was published is seen", () => seen.length >= published.length);
      await subscription.return?.();
      await reading;
    },
  };
}

/** Makes a call until it succeeds: after a fault, a busy machine may lose its next lease at once. Other failures than those that pass reject. */
export async function untilDone<T extends object>(what: string, call: () => Promise<T>): Promise<T> {
  return waitUntil(what, () =>
    call().catch((error: unknown) => {
      if (isFlotillaError(error) && error.retryable) return undefined;
      throw error;
    }),
  );
}
