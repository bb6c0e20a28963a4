// What a service does beside its messages (consumers, jobs, timers of its own, an open graph) and how that ends with its life. An orderly end
// has onStop; one that is killed, or whose node has lost its lease, has none, and its process lives on: what it left running would act in the
// name of a service that lives elsewhere by then.

import { actorContext } from "../runtime/index.ts";

/** Called as the actor, before it begins anything: has `stop` run when this life is over, whichever way. After onStop it runs once more. */
export function stopWithLife(stop: () => Promise<void>): void {
  const { life, log } = actorContext();
  const end = () =>
    void stop().catch((error: unknown) =>
      log("warn", "a service's former life did not end well", { error: String(error) }),
    );
  if (life.aborted) end();
  else life.addEventListener("abort", end, { once: true });
}
