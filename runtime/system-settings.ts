// What a system is made from: `connect`'s options, resolved. It holds no system.

import type { Clock } from "./clock.ts";
import type { ProcessSettings } from "./isolation/process-pool.ts";
import type { LogSink } from "./log.ts";
import type { Membership } from "./membership.ts";
import type { NodeRecord } from "./node-record.ts";
import type { FleetFacts, Ports } from "./ports.ts";
import type { Random } from "./random.ts";
import type { Admission } from "./resources.ts";

/** `connect`'s options, complete. */
export interface SystemSettings {
  readonly node: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: LogSink;
  readonly callTimeoutMs: number;
  /** Whether spans are recorded; default: when a tracer provider is registered now (trace.ts). */
  readonly tracing?: boolean | undefined;
  readonly ports: Ports;
  /** The promises in force on a fleet. */
  readonly facts?: FleetFacts;
  /** Who else is there, without a membership. */
  readonly nodes?: () => readonly NodeRecord[];
  /** Whether the other nodes reach the same blobs. */
  readonly sharesBlobs?: boolean;
  /** Whether this process loads code that scripts bring: it runs with all of its rights. Default false. */
  readonly allowCode?: boolean;
  /** Whether this process runs tasks of the types it has. Default true. */
  readonly servesTasks?: boolean;
  /** How this node has processes for single actors; absent when it can have none. */
  readonly processes?: ProcessSettings;
  /** What this node grants to actors; absent: nothing. */
  readonly admission?: Admission;
  /** This node's place among others; absent when it is alone. The system joins and leaves with it. */
  readonly membership?: Membership;
}
