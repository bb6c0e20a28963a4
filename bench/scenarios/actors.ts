// The actors that scenarios call: as little work as an actor can have, so that the runtime is what is measured.

import { actorContext, defineActor, type Handle } from "../../runtime/index.ts";
import { heapBytes } from "../heap.ts";

export const Counter = defineActor(
  "bench-counter",
  class {
    #count = 0;

    /** Takes an object, so that there is an argument to copy: a bare number would be passed as it is. */
    add({ by }: { readonly by: number }): number {
      this.#count += by;
      return this.#count;
    }

    echo(payload: Uint8Array): Uint8Array {
      return payload;
    }

    async *ticks(count: number): AsyncGenerator<number> {
      for (let tick = 0; tick < count; tick++) yield tick;
    }
  },
);

/** Makes calls from where it lives, all outstanding at once. */
export const Caller = defineActor(
  "bench-caller",
  class {
    async work(counters: readonly Handle<typeof Counter>[], calls: number): Promise<void> {
      const argument = { by: 1 };
      await Promise.all(Array.from({ length: calls }, (_, call) => counters[call % counters.length]?.add(argument)));
    }
  },
);

/** Lets calls wait until it is told to answer them; needs as much concurrency as calls that shall wait. */
export const Holder = defineActor(
  "bench-holder",
  class {
    readonly #gate = Promise.withResolvers<void>();
    #waiting = 0;

    hold(): Promise<void> {
      this.#waiting++;
      return this.#gate.promise;
    }

    waiting(): number {
      return this.#waiting;
    }

    release(): void {
      this.#gate.resolve();
    }
  },
);

/** Says what the node it lives on uses. */
export const Meter = defineActor(
  "bench-meter",
  class {
    heapBytes(): number {
      return heapBytes();
    }

    /** Processes for single actors: all, and those that wait for one. */
    processes(): { readonly all: number; readonly ready: number } {
      const { processes: all, processesReady: ready } = actorContext().system.stats();
      return { all, ready };
    }
  },
);

export const BENCH_ACTORS = [Counter, Caller, Holder, Meter];
