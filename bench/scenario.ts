// What a benchmark measures: one row of the table. run.ts says how often; a scenario only does the work once and says what came out.

/** What the issue asks of a row; printed beside it, never a reason to fail. */
export type Bar = { readonly atLeast: number } | { readonly atMost: number };

export interface Scenario {
  /** "local.call.pipelined": stable, so that results of years can be compared. */
  readonly id: string;
  /** "calls/s", "B/actor". */
  readonly unit: string;
  readonly bar?: Bar;
  /** Builds what the rounds need, outside the measured time. `quick` asks for about a tenth of the work. */
  start(quick: boolean): Promise<Running>;
}

export interface Running {
  /** One sample, in the scenario's unit. */
  round(): Promise<number>;
  stop(): Promise<void>;
}
