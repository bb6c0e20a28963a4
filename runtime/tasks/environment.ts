// What tasks stand on, given by whoever makes them: ports, and the few things of an actor system that they need.
// Plain functions instead of the system itself, so that tasks are tested without a network and without actors.

import type { Blobs } from "../blobs.ts";
import type { Clock } from "../clock.ts";
import type { EventLog } from "../event-log.ts";
import type { LogLevel } from "../log.ts";
import type { WorkQueue } from "../queue.ts";
import type { Random } from "../random.ts";
import type { Store } from "../store.ts";
import type { TaskAttempt, TaskRequest } from "./task.ts";

export interface TaskEnvironment {
  readonly node: string;
  readonly queue: WorkQueue;
  /** Outcomes, failed attempts and cancellations; keeps them longer than anybody asks for a result. */
  readonly results: EventLog;
  readonly store: Store;
  readonly blobs: Blobs;
  readonly clock: Clock;
  readonly random: Random;
  log(level: LogLevel, message: string, data?: Readonly<Record<string, unknown>>): void;
  /** Any value that may be sent as bytes; `root` begins the path in an error. Throws NotSendable. */
  encode(value: unknown, root: string): Uint8Array;
  decode(bytes: Uint8Array): unknown;
  /** Does the work. Must settle soon once the signal aborts. */
  run(request: TaskRequest, signal: AbortSignal, attempt: TaskAttempt): Promise<unknown>;
}
