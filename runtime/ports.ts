// Everything a system stands on: one form of each port. connect.ts chooses them.

import type { Blobs } from "./blobs.ts";
import type { EventLog } from "./event-log.ts";
import type { Placer } from "./placer.ts";
import type { WorkQueue } from "./queue.ts";
import type { Store } from "./store.ts";
import type { Transport } from "./transport.ts";

/** What a fleet rests on: for people, printed at start. */
export interface FleetFacts {
  /** Of the NATS server that answers. */
  readonly server: {
    readonly name: string;
    /** `host:port`, without credentials. */
    readonly address: string;
    readonly version: string;
    readonly apiLevel: number;
  };
  /** How far an acknowledged write is safe: `fast` survives any process, `durable` a power cut too, `replicated` the loss of a machine. */
  readonly durability: "fast" | "durable" | "replicated";
  readonly replicas: number;
}

export interface Ports {
  readonly transport: Transport;
  readonly store: Store;
  /** Topics. */
  readonly eventLog: EventLog;
  /** Outcomes of tasks: apart from topics, so that a busy topic cannot push them out. */
  readonly results: EventLog;
  readonly queue: WorkQueue;
  readonly blobs: Blobs;
  readonly placer: Placer;
  /** Called last, when all of them are closed: ends what they share. */
  readonly close?: () => Promise<void>;
}
