// A failed actor comes back with fresh state, at most so often within a time; after that it has ended, and callers are told at once.

import { connect, defineActor, isFlotillaError } from "../runtime/index.ts";

const Fragile = defineActor(
  "fragile",
  class {
    #calls = 0;

    call(): number {
      return ++this.#calls;
    }

    crash(): void {
      throw new Error("out of luck");
    }
  },
);

const code = (error: unknown) => (isFlotillaError(error) ? error.code : error);

await using fleet = await connect();
const fragile = await fleet.spawn(Fragile, {
  failOnThrow: true,
  restart: { maxRestarts: 2, withinMs: 60_000 },
});

await fragile.call();
console.log("calls so far:", await fragile.call());

for (const life of ["first", "second", "third"]) {
  await fragile.crash().catch((error: unknown) => console.log(`${life} life:`, code(error)));
  await fragile.call().then(
    (calls) => console.log("restarted with fresh state, calls so far:", calls),
    (error: unknown) => console.log("no more restarts:", code(error)),
  );
}
