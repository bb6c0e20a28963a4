// Grants for actors that get a process or thread of their own, by their names: what an admission decides, without one.

import { vi } from "vitest";
import type { Granted } from "../../runtime/index.ts";
import { ProcessPool } from "../../runtime/isolation/process-pool.ts";

export interface GrantedSpawns extends Disposable {
  /** The actor of this name will be granted that. */
  grant(name: string, granted: Partial<Granted>): void;
}

/** In force for every pool of this file's systems until it is disposed of. */
export function grantedSpawns(): GrantedSpawns {
  const grants = new Map<string | undefined, Granted>();
  const spawn = ProcessPool.prototype.spawn;
  const spy = vi.spyOn(ProcessPool.prototype, "spawn").mockImplementation(function (this: ProcessPool, request, given) {
    return spawn.call(this, request, grants.get(request.name) ?? given);
  });
  return {
    grant: (name, granted) => void grants.set(name, { resources: {}, devices: [], environment: {}, ...granted }),
    [Symbol.dispose]: () => spy.mockRestore(),
  };
}
