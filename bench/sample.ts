// One round's outcome, here and in the lines that peers print.

/** `value` is in the row's unit. The latencies are there where calls are made one at a time. */
export interface Sample {
  readonly value: number;
  readonly p50Us?: number;
  readonly p99Us?: number;
}
