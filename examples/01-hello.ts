// An actor is an object with private state that handles one message at a time. Nothing to install, nothing to start: it lives in this process.

import { connect, defineActor } from "../runtime/index.ts";

const Counter = defineActor(
  "counter",
  class {
    #count: number;

    constructor(start: number) {
      this.#count = start;
    }

    add(by: number): number {
      this.#count += by;
      return this.#count;
    }
  },
);

await using fleet = await connect();

const hits = await fleet.spawn(Counter, { args: [40] });
console.log("after add(2):", await hits.add(2));

// A cast wants no answer; calls and casts of one caller arrive in order.
hits.cast.add(100);
console.log("after a cast of 100:", await hits.add(0));

// A hundred callers at once: no locks, and no increase is lost.
await Promise.all(Array.from({ length: 100 }, () => hits.add(1)));
console.log("after 100 concurrent calls:", await hits.add(0));
