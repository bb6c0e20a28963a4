// Which shipped module is being loaded by the calling code, across its top-level awaits: so that a script which was shipped whole does
// not run a second time on the node.
//
// The AsyncLocalStorage below holds nothing itself, as the one of cell/running.ts: a load names its own module and ends with it.

import { AsyncLocalStorage } from "node:async_hooks";
import { codeError } from "./errors.ts";

const storage = new AsyncLocalStorage<string>();

/** Runs `load` as the loading of `label`, and of nothing else. */
export function whileLoading<T>(label: string, load: () => T): T {
  return storage.run(label, load);
}

/** Throws ConnectWhileLoading when the caller is the top level of a module that is being loaded. */
export function refuseWhileLoading(): void {
  const label = storage.getStore();
  if (label === undefined) return;
  throw codeError(
    "ConnectWhileLoading",
    `${label} connects while it is loaded on a node; move the actors into a module of their own`,
    { data: { code: label } },
  );
}
