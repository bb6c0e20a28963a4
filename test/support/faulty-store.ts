// A way to a shared store that can break: nothing gets through, or what was written is done and its answer lost.

import { FlotillaError, type Store } from "../../runtime/index.ts";

export interface FaultyStore {
  readonly store: Store;
  /** `down`: nothing reaches the store. `deaf`: writes are done, their answers are lost. */
  mode: "up" | "down" | "deaf";
}

const WRITES: ReadonlySet<string | symbol> = new Set(["create", "update", "delete", "putFenced", "deleteFenced"]);
const READS: ReadonlySet<string | symbol> = new Set(["get"]);

export function faultyStore(shared: Store): FaultyStore {
  const lost = () => new FlotillaError("Unavailable", "the store cannot be reached", { retryable: true });
  const faulty: FaultyStore = {
    mode: "up",
    store: new Proxy(shared, {
      get(target, name) {
        const value: unknown = Reflect.get(target, name);
        if (typeof value !== "function") return value;
        const does = value.bind(target);
        if (!WRITES.has(name) && !READS.has(name)) return name === "close" ? async () => {} : does;
        return async (...args: unknown[]) => {
          if (faulty.mode === "down") throw lost();
          const outcome = await does(...args);
          if (faulty.mode === "deaf" && WRITES.has(name)) throw lost();
          return outcome;
        };
      },
    }),
  };
  return faulty;
}
