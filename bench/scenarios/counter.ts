// The actor that the local scenarios call: as little work as an actor can have, so that the runtime is what is measured.

import { defineActor } from "../../runtime/index.ts";

export const Counter = defineActor(
  "bench-counter",
  class {
    #count = 0;

    /** Takes an object, so that there is an argument to copy: a bare number would be passed as it is. */
    add({ by }: { readonly by: number }): number {
      this.#count += by;
      return this.#count;
    }

    async *ticks(count: number): AsyncGenerator<number> {
      for (let tick = 0; tick < count; tick++) yield tick;
    }
  },
);
