// What a benchmark measures: one row of the table. measurement.ts says how often; a scenario only does the work once and says what came out.

import type { Sample } from "./sample.ts";

export type PeerName = "ray" | "nats" | "moleculer";

/** What is judged: the row's own figure, a latency of it, or how many times a peer's figure it is. */
export type Judged = "value" | "p50Us" | "p99Us" | PeerName;

/** What the issue asks of a row; printed beside it, never a reason to fail. */
export type Bar = { readonly of: Judged } & ({ readonly atLeast: number } | { readonly atMost: number });

export interface Setting {
  /** Asks for about a tenth of the work. */
  readonly quick: boolean;
  /** About how long a round takes, where it is measured by time. */
  readonly roundMs: number;
  /** Address of the benchmark's nats-server, started when first asked for. */
  servers(): Promise<string>;
}

export interface Scenario {
  /** "local.call.pipelined": stable, so that results of years can be compared. */
  readonly id: string;
  /** "calls/s", "B/actor". */
  readonly unit: string;
  readonly bars: readonly Bar[];
  /** It counts bytes and takes no times, so that few rounds tell as much as many. */
  readonly steady?: true;
  /** One round without a warm-up: it takes minutes, and counts so much that others would tell little more. */
  readonly once?: true;
  /** Builds what the rounds need, outside the measured time. Throws NotMeasured where the row cannot be measured here. */
  start(setting: Setting): Promise<Running>;
}

export interface Running {
  /** One sample, in the scenario's unit. */
  round(): Promise<Sample>;
  stop(): Promise<void>;
}

/** Another system that can do some rows. It does nothing between rounds. */
export interface Peer {
  /** Ids of the rows it can do. */
  readonly rows: readonly string[];
  readonly versions: Readonly<Record<string, string>>;
  running(row: string, setting: Setting): Running;
}

/** Why there is no figure: printed in its place. A figure that was not measured is never guessed. */
export class NotMeasured extends Error {}
