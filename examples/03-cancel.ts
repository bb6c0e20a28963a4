// A deadline and a cancel travel with the call: they abort the signal of the actor's method, and of every method it has called in turn.

import { actorContext, connect, defineActor, isFlotillaError, sleep, systemClock } from "../runtime/index.ts";

const Sleeper = defineActor(
  "sleeper",
  class {
    #woken = 0;

    async forever(): Promise<void> {
      const { signal, clock } = actorContext();
      const wake = () => this.#woken++;
      signal.addEventListener("abort", wake);
      await sleep(clock, 3_600_000, signal);
    }

    woken(): number {
      return this.#woken;
    }
  },
);

const tell = (when: string) => (error: unknown) => console.log(when, isFlotillaError(error) ? error.code : error);

await using fleet = await connect();
const sleeper = await fleet.spawn(Sleeper);

await sleeper.with({ timeoutMs: 500 }).forever().catch(tell("after half a second:"));

const stop = new AbortController();
const call = sleeper.with({ signal: stop.signal }).forever();
await sleep(systemClock, 100);
stop.abort();
await call.catch(tell("when aborted:"));

console.log("methods that were told to give up:", await sleeper.woken());
