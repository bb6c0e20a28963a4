// Port: durable work, each item for one taker at a time. Tasks are built on it.
// It is not an event log: what is done is gone, and nobody reads it twice. It keeps no results and counts no failures for good.
//
// WQ1  An item whose `put` has resolved stays until it is acknowledged or removed, whoever dies meanwhile.
// WQ2  `put` of an id that is in the queue, or was put less than PUT_WINDOW_MS ago, adds nothing and answers `duplicate`, whatever else
//      it says. So a put whose answer was lost may be repeated.
// WQ3  At least once: an item that its taker neither acknowledges, gives back nor extends for `ackWaitMs` comes again, to any taker.
//      `delivery` counts from 1 and grows with each. An acknowledgement that comes late still counts.
// WQ4  An item given back with `retry(afterMs)` does not come again earlier than that.
// WQ5  Lanes: interactive before bulk, but every BULK_TURN-th look begins with bulk, so that it never starves. Items of one kind and lane
//      come first in the order of their puts.
// WQ6  A consumption has at most `maxInFlight` items in hand (given to `onItem`, neither acknowledged nor given back), and one more for
//      each of its kinds and lanes. `onItem` is never called within another call of the queue, must not throw, and is not called after `stop`.
// WQ7  `ack`, `retry` and `extend` neither wait nor fail: one that is lost on the way shows as another delivery.
// WQ8  Bytes are copied in and out. `close` may be called twice; it stops consumptions, gives nothing back, and every later use rejects
//      with `Closed`. Items of a durable form stay.
//
// `id` and `kind` are single tokens of subject.ts (no dots). Other errors: InvalidSubject, InvalidOption, ValueTooLarge, StorageFull, Unavailable.

import { portError } from "./port-errors.ts";

export type Lane = "interactive" | "bulk";

export const LANES: readonly Lane[] = ["interactive", "bulk"];

/** Durable forms forget an id this long after its put, once its item has gone (WQ2). */
export const PUT_WINDOW_MS = 120_000;

/** One look in so many begins with the bulk lane (WQ5). */
export const BULK_TURN = 8;

export interface WorkItem {
  /** Unique over all kinds and lanes. */
  readonly id: string;
  /** What a taker must be able to do. */
  readonly kind: string;
  readonly lane: Lane;
  readonly data: Uint8Array;
}

/** An item in somebody's hand. */
export interface Delivery extends WorkItem {
  /** 1 for the first time it is handed out (WQ3). */
  readonly delivery: number;
  /** Done: it never comes again. */
  ack(): void;
  /** Gives it back, to come again no earlier than `afterMs` from now. */
  retry(afterMs: number): void;
  /** Holds it for another `ackWaitMs`. */
  extend(): void;
}

export interface Consumption {
  /** Takes items of this kind as well. */
  add(kind: string): Promise<void>;
  /** Takes no more; what is in hand stays in hand. May be called twice. */
  stop(): void;
}

export interface ConsumeOptions {
  readonly maxInFlight: number;
}

export interface WorkQueue {
  /** Largest item it takes, in bytes. */
  readonly itemMaxBytes: number;
  /** Milliseconds after which an item comes again when nothing is heard of its taker (WQ3). */
  readonly ackWaitMs: number;
  put(item: WorkItem): Promise<"accepted" | "duplicate">;
  /** The item, while it is in the queue or in somebody's hand. */
  find(id: string): Promise<WorkItem | undefined>;
  /** Takes it out, also out of its taker's hand, who is not told. Removing what is not there does nothing. */
  remove(id: string): Promise<void>;
  consume(onItem: (delivery: Delivery) => void, options: ConsumeOptions): Consumption;
  close(): Promise<void>;
}

/** The lanes in the order in which look number `turn` (from 1) goes through them (WQ5). */
export function lanesAt(turn: number): readonly Lane[] {
  return turn % BULK_TURN === 0 ? ["bulk", "interactive"] : LANES;
}

const TOKEN = /^[\w=-]{1,120}$/;

/** Throws InvalidSubject unless `value` is one token of a subject, short enough for two of them. */
export function checkToken(what: "id" | "kind", value: string): void {
  if (TOKEN.test(value)) return;
  throw portError(
    "InvalidSubject",
    `not an item's ${what}: ${JSON.stringify(value.slice(0, 120))}; expected 1 to 120 letters, digits, _ = and -`,
    { data: { [what]: value.slice(0, 120) } },
  );
}
