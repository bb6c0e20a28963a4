// Port: ordered events that stay. Results, task histories and topics with replay are built on it.
// It is not a queue: reading takes nothing away, and nobody acknowledges.
//
// EL1  Each event has a sequence: whole numbers from 1 that only grow over the whole log. Readers see events in that order, once each.
// EL2  `append` with `expectedSequence` is refused with `conflict` unless the last kept event of the same subject has that sequence; 0 means
//      that none is kept. Of any number of appends that expect the same, exactly one wins: expecting 0 records exactly one result.
// EL3  `append` with an `id` already used, less than DEDUPE_WINDOW_MS ago and whose event is still kept, appends nothing and answers with
//      the first sequence and `duplicate: true`, whatever else it expects. So an append whose answer was lost may be repeated.
// EL4  The log keeps at most so many events and bytes, for so long, as it was made with; the oldest go first and an append is never refused
//      for lack of room. What a promise rests on must be kept longer than the promise.
// EL5  `read` and `follow` begin at `from`, or at the oldest event kept when that is later. A follower whose unread events were dropped
//      ends with `ReaderLagged` instead of skipping them.
// EL6  `follow` gives what is there and then what comes; it ends when its signal aborts or the log closes.
// EL7  Bytes are copied in and out. `close` may be called twice; every later use rejects with `Closed`. Events of a durable form stay.
//
// Subjects and filters are those of subject.ts. Other errors: InvalidSubject, InvalidOption, ValueTooLarge.

export const DEDUPE_WINDOW_MS = 120_000;

/** Most events one `read` answers with. */
export const READ_MAX = 10_000;

export interface LoggedEvent {
  readonly sequence: number;
  readonly subject: string;
  /** When it was appended, milliseconds since the epoch by the log's own clock. */
  readonly atMs: number;
  readonly data: Uint8Array;
}

export interface AppendOptions {
  readonly expectedSequence?: number;
  /** Chosen by the caller, unique for each event it means (EL3). */
  readonly id?: string;
}

/** `conflict`: nothing was appended; `lastSequence` is the subject's at some moment after the refusal. */
export type Appended =
  | { readonly kind: "appended"; readonly sequence: number; readonly duplicate: boolean }
  | { readonly kind: "conflict"; readonly lastSequence: number };

export interface EventLog {
  /** Largest event it takes, in bytes. */
  readonly eventMaxBytes: number;
  append(subject: string, data: Uint8Array, options?: AppendOptions): Promise<Appended>;
  /** Events from `from` on whose subject the filter takes, at most `max` (1 to READ_MAX). Fewer means: no more there now. */
  read(filter: string, from: number, max: number): Promise<readonly LoggedEvent[]>;
  follow(filter: string, from: number, signal?: AbortSignal): AsyncIterable<LoggedEvent>;
  /** Sequence of the newest event ever appended, kept or not; 0 when there was none. Following from one more sees only what is new. */
  lastSequence(): Promise<number>;
  close(): Promise<void>;
}
