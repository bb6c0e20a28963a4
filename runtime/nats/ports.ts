// All ports in their NATS forms over one connection, and what is known of the server that they rest on.

import type { Clock } from "../clock.ts";
import type { FleetFacts, Ports } from "../ports.ts";
import { openNatsBlobs } from "./blobs.ts";
import { connectNats, type NatsOptions } from "./connection.ts";
import { openNatsEventLog } from "./event-log.ts";
import { openNatsQueue } from "./queue.ts";
import { openNatsStore } from "./store.ts";
import { fleetNames } from "./subjects.ts";
import { NatsTransport } from "./transport.ts";

/** Tasks at full rate make thousands a second, and a result must be there for as long as anybody may ask for it (a week, or these bounds). */
const RESULTS = { maxEvents: 10_000_000, maxBytes: 1024 * 1024 * 1024 };

export interface NatsPortsOptions extends NatsOptions {
  readonly node: string;
  readonly clock: Clock;
  /** Begins every name on the server; processes with the same prefix are one fleet. Default "flotilla". */
  readonly prefix?: string;
  /** How long an item of work or of membership may be silent before it counts as lost. */
  readonly ackWaitMs: number;
  /** Copies of each stream when it is made, on a cluster of servers. Default 1. */
  readonly replicas?: number;
}

export type NatsPorts = Omit<Ports, "placer"> & { readonly facts: FleetFacts };

/** Throws what connectNats and ensureStream throw. */
export async function openNatsPorts(options: NatsPortsOptions): Promise<NatsPorts> {
  const { node, prefix, ackWaitMs, replicas = 1 } = options;
  const names = fleetNames(prefix);
  const connection = await connectNats({ ...options, name: node });
  try {
    const common = { connection, replicas };
    const [store, eventLog, results, queue, blobs] = await Promise.all([
      openNatsStore({ ...common, names: names.store }),
      openNatsEventLog({ ...common, names: names.events }),
      openNatsEventLog({ ...common, names: names.results, ...RESULTS }),
      openNatsQueue({ ...common, names: names.queue, ackWaitMs }),
      openNatsBlobs({ ...common, names: names.blobs }),
    ]);
    const { durability } = store.provision;
    return {
      transport: new NatsTransport(connection, names, node),
      store,
      eventLog,
      results,
      queue,
      blobs,
      close: () => connection.close(),
      facts: { server: connection.server, durability, replicas: store.provision.replicas },
    };
  } catch (error) {
    await connection.close();
    throw error;
  }
}
