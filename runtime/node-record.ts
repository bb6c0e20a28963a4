// What a node tells the others of itself: what it is (once, and when that changes) and how it stands (its report, again and again).
// Plain data: membership stores it, placers choose by it, people read it. It is made by whoever knows the machine.

import type { Amounts } from "./resources.ts";

/** A node as it tells the others of itself: what membership stores and placers choose by. Plain data. */
export interface NodeRecord {
  /** The node's id: new for each life of its process. */
  readonly node: string;
  /** What people call it; at most one node of a fleet has it at a time. */
  readonly name: string;
  /** The node that started it to hold one actor: it is that one's part, and no place for others. */
  readonly parent?: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Actor types it can make. */
  readonly types: readonly { readonly type: string; readonly version: string }[];
  /** Whether it takes actors that others spawn. */
  readonly accepts: boolean;
  /** Whether it loads code that it is sent, and so any type. */
  readonly allowsCode: boolean;
  /** It will leave and takes nothing new. */
  readonly draining: boolean;
  /** Version of this package, and of the words on the wire. */
  readonly flotilla: string;
  readonly protocol: number;
  readonly pid: number;
  /** Milliseconds since the epoch, by its own clock. */
  readonly startedMs: number;
  /** What it has to grant, in all. Absent: nothing. */
  readonly resources?: Amounts;
  /** How it stands, told again whenever that changes, at most twice a second. Absent: it reports nothing. */
  readonly report?: NodeReport;
  /** Requests of its scripts and actors that wait for a place, longest first; the first few. */
  readonly waiting?: readonly WaitingPlacement[];
}

/** A request for an actor that waits for a place. */
export interface WaitingPlacement {
  readonly type: string;
  readonly name?: string;
  /** Milliseconds since the epoch. */
  readonly sinceMs: number;
  /** In one sentence, what stands against each node. */
  readonly why: string;
}

/** How a node stands. At most NODE_REPORT_MAX_BYTES as JSON. */
export interface NodeReport {
  /** Milliseconds since the epoch, by the node's own clock. */
  readonly atMs: number;
  /** Live actors. */
  readonly actors: number;
  /** What is not granted, of `resources`. */
  readonly free: Amounts;
  readonly gpus: readonly GpuReport[];
  readonly engines: readonly EngineReport[];
  /** What is wrong with it, in words: a GPU that fell off the bus. */
  readonly faults?: readonly string[];
  /** What did not fit, by what it is ("engines", "why"), with how many of it were shortened or left out. */
  readonly cut?: Readonly<Record<string, number>>;
}

/** A device and what is left of it. */
export interface GpuReport {
  /** As the driver names it: a UUID. */
  readonly id: string;
  /** The product: "NVIDIA H100 80GB HBM3". */
  readonly kind: string;
  /** Share that is not granted, 0 to 1. */
  readonly free: number;
  readonly memoryBytes: number;
  /** Memory neither granted nor used by anybody else. */
  readonly freeBytes: number;
}

export type EngineState = "loadable" | "starting" | "ready" | "busy" | "asleep" | "draining" | "dead";

/** A model server of a node as the others see it. */
export interface EngineReport {
  readonly model: string;
  readonly state: EngineState;
  /** Where it is reached from its own node: "http://127.0.0.1:8000". */
  readonly url?: string;
  /** Requests in hand and queued. */
  readonly running: number;
  readonly waiting: number;
  /** Requests it can have in hand at once. */
  readonly slots: number;
  /** Share of its cache in use, 0 to 1. */
  readonly kvUsage: number;
  /** Share of prompt tokens found in its cache lately, 0 to 1. */
  readonly hitRate?: number;
  /** Tokens generated a second, lately. */
  readonly tokensPerS?: number;
  /** Why it is in that state, when there is something to say. */
  readonly why?: string;
}

export const NODE_REPORT_MAX_BYTES = 1_024;
export const NODE_REPORT_MIN_MS = 500;
