// Makes what a fleet keeps on a server, as whoever may make it, so that nodes with lesser rights find it there. It joins no fleet.
//
// PP1  The client of NATS is loaded by the call: the door of runtime/ names this file, and a process that is alone does not pay for it.

import { systemClock } from "../clock.ts";
import { LEASE_PROFILES } from "../lease.ts";
import type { FleetFacts } from "../ports.ts";
import { systemRandom } from "../random.ts";
import type { NatsOptions } from "./connection.ts";

export interface PreparationOptions extends Omit<NatsOptions, "name"> {
  /** Begins every name on the server. Default "flotilla". */
  readonly prefix?: string;
  /** Copies of each stream that is made, on a cluster of servers. Default 1. */
  readonly replicas?: number;
}

/** Makes the fleet's streams where they are missing, and mends those that differ. Throws what connectNats and ensureStream throw. */
export async function prepareFleet(options: PreparationOptions): Promise<FleetFacts> {
  const { openNatsPorts } = await import("./ports.ts");
  const { clock = systemClock } = options;
  const node = `setup-${systemRandom.id()}`;
  const ports = await openNatsPorts({ ...options, clock, node, ackWaitMs: LEASE_PROFILES.normal.ttlMs });
  await ports.close?.();
  return ports.facts;
}
