// The one place where a system is put together: chooses the forms of its ports and starts it.

import type { ActorType } from "./actor.ts";
import { type Clock, systemClock } from "./clock.ts";
import { type LogSink, silentLog } from "./log.ts";
import { MemoryBlobs } from "./memory/blobs.ts";
import { MemoryEventLog } from "./memory/event-log.ts";
import { LocalPlacer } from "./memory/placer.ts";
import { MemoryStore } from "./memory/store.ts";
import { MemoryNetwork } from "./memory/transport.ts";
import { milliseconds, plainName } from "./options.ts";
import { type Random, systemRandom } from "./random.ts";
import { ActorSystem, type Ports } from "./system.ts";

export interface ConnectOptions {
  /** This process's name among the nodes; must be new for each life of it. Default: a random one. */
  readonly node?: string;
  /** Actor types that others may spawn here by name; those this process spawns itself need not be listed. */
  readonly actors?: readonly ActorType[];
  /** Milliseconds until a call without its own time-out fails with DeadlineExceeded. Default 30,000. */
  readonly callTimeoutMs?: number;
  /** Takes log lines. Default: nowhere. */
  readonly log?: LogSink;
  readonly clock?: Clock;
  readonly random?: Random;
  /** Forms of the ports in place of the memory ones; they become the system's and are closed with it. */
  readonly ports?: Partial<Ports>;
}

const CALL_TIMEOUT_MS = 30_000;

/** An actor system in this process: nothing to install, nothing to start. Throws InvalidOption. */
export async function connect(options: ConnectOptions = {}): Promise<ActorSystem> {
  const clock = options.clock ?? systemClock;
  const random = options.random ?? systemRandom;
  const node = plainName("node", options.node ?? `node-${random.id()}`);
  const ports: Ports = {
    transport: options.ports?.transport ?? new MemoryNetwork().join(node),
    store: options.ports?.store ?? new MemoryStore({ clock }),
    eventLog: options.ports?.eventLog ?? new MemoryEventLog({ clock }),
    blobs: options.ports?.blobs ?? new MemoryBlobs(),
    placer: options.ports?.placer ?? new LocalPlacer(node),
  };
  const callTimeoutMs = milliseconds("callTimeoutMs", options.callTimeoutMs ?? CALL_TIMEOUT_MS, 1);
  const system = new ActorSystem({
    node,
    clock,
    random,
    log: options.log ?? silentLog,
    callTimeoutMs,
    ports,
    sharesBlobs: false,
  });
  for (const type of options.actors ?? []) system.register(type);
  await system.listen();
  return system;
}
