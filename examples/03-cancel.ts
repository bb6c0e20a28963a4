// A deadline and a cancel travel with the call: into the actor's method, and into every call that it makes.

import { actorContext, connect, defineActor, isFlotillaError } from "../runtime/index.ts";

const Sleeper = defineActor(
  "sleeper",
  class {
    #woken = 0;

    /** Never answers; counts that it was told to give up. */
    forever(): Promise<never> {
      const { signal } = actorContext();
      return new Promise((_, reject) => {
        signal.addEventListener("abort", () => {
          this.#woken++;
          reject(signal.reason);
        });
      });
    }

    woken(): number {
      return this.#woken;
    }
  },
);

const code = (error: unknown) => (isFlotillaError(error) ? error.code : error);

await using fleet = await connect();
const sleeper = await fleet.spawn(Sleeper);

await sleeper
  .with({ timeoutMs: 50 })
  .forever()
  .catch((error: unknown) => console.log("after 50 ms:", code(error)));

const stop = new AbortController();
const call = sleeper.with({ signal: stop.signal }).forever();
stop.abort();
await call.catch((error: unknown) => console.log("when aborted:", code(error)));

console.log("methods that were told to give up:", await sleeper.woken());
