// What the store itself accepted of those who write past every check of their own (Keeper.forceOn): their fences, in order.

import { isFlotillaError, type Store } from "../../runtime/index.ts";

/** The fences of everything that the store accepted as state, in order. */
export function watchFences(store: Store, key: string) {
  const seen: number[] = [];
  const ending = new AbortController();
  const reading = (async () => {
    for await (const change of store.watch(key, ending.signal)) {
      if (change.kind === "put")
        seen.push((JSON.parse(new TextDecoder().decode(change.entry.value)) as { fence: number }).fence);
    }
  })().catch((error: unknown) => {
    if (!isFlotillaError(error, "Closed")) throw error;
  });
  return {
    async stop(): Promise<number[]> {
      ending.abort();
      await reading;
      return seen;
    },
  };
}
