// All ports in their memory forms, for a process that is alone: nothing to install, nothing to start.

import type { Clock } from "../clock.ts";
import type { Ports } from "../ports.ts";
import { MemoryBlobs } from "./blobs.ts";
import { MemoryEventLog } from "./event-log.ts";
import { LocalPlacer } from "./placer.ts";
import { MemoryQueue } from "./queue.ts";
import { MemoryStore } from "./store.ts";
import { MemoryNetwork } from "./transport.ts";

/** `given` in place of what would be made. */
export function memoryPorts(node: string, clock: Clock, given: Partial<Ports> = {}): Ports {
  return {
    ...given,
    transport: given.transport ?? new MemoryNetwork().join(node),
    store: given.store ?? new MemoryStore({ clock }),
    eventLog: given.eventLog ?? new MemoryEventLog({ clock }),
    results: given.results ?? new MemoryEventLog({ clock }),
    queue: given.queue ?? new MemoryQueue({ clock }),
    blobs: given.blobs ?? new MemoryBlobs(),
    placer: given.placer ?? new LocalPlacer(node),
  };
}
