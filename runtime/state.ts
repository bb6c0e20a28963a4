// What a named actor keeps between its lives: one small value, saved under its fence.
// It is not a database: no parts, no queries; large bytes go into blobs and their hash here.
//
// SE1  What `write` has acknowledged is what `read` answers, in this life and every later one of the name, on whatever node.
// SE2  It stays when the actor ends, and when it is stopped, until `clear`.

import type { FencedKeys } from "./fenced-keys.ts";

export interface ActorState {
  /** What was last written under this name; undefined when nothing was. Throws Unavailable. */
  read<Value = unknown>(): Promise<Value | undefined>;
  /**
   * Saves plain data (what may be sent, runtime/copy.ts) of at most the store's `valueMaxBytes`. Throws NotSendable, ValueTooLarge,
   * LeaseLost (another has the name: this actor ends), Unavailable (it may have been saved, or not).
   */
  write(value: unknown): Promise<void>;
  /** Deletes it. Throws as `write` does. */
  clear(): Promise<void>;
}

export function stateOf(keys: FencedKeys): ActorState {
  return {
    read: async <Value>() => (await keys.read("state")) as Value | undefined,
    async write(value) {
      keys.checkLife();
      await keys.write("state", value);
    },
    async clear() {
      keys.checkLife();
      await keys.clear("state");
    },
  };
}
