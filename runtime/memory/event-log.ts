// The EventLog port inside one process. Nothing survives it.
//
//     events  [ . . . e41 e42 e43 ]     sequences have no gaps, so an event's place is its sequence less the first one's
//               └ first kept: e41       dropped places are given back once they are half of the array
//
// M1  Age is looked at when the log is used; no timer runs for it.

import type { Clock } from "../clock.ts";
import {
  type Appended,
  type AppendOptions,
  DEDUPE_WINDOW_MS,
  type EventLog,
  type LoggedEvent,
  READ_MAX,
} from "../event-log.ts";
import { checkSize, checkWhole, closedError, portError } from "../port-errors.ts";
import { checkFilter, checkSubject, matchesSubject } from "../subject.ts";
import { Bell } from "./bell.ts";

export interface MemoryEventLogOptions {
  readonly clock: Clock;
  /** What is kept (EL4). */
  readonly maxEvents?: number;
  readonly maxBytes?: number;
  readonly maxAgeMs?: number;
}

const EVENT_MAX_BYTES = 512 * 1024;
const MAX_EVENTS = 100_000;
const MAX_BYTES = 256 * 1024 * 1024;
const MAX_AGE_MS = 24 * 60 * 60 * 1_000;

interface Kept extends LoggedEvent {
  readonly id: string | undefined;
}

const copied = ({ sequence, subject, atMs, data }: Kept): LoggedEvent => ({
  sequence,
  subject,
  atMs,
  data: data.slice(),
});

export class MemoryEventLog implements EventLog {
  readonly eventMaxBytes = EVENT_MAX_BYTES;
  readonly #clock: Clock;
  readonly #maxEvents: number;
  readonly #maxBytes: number;
  readonly #maxAgeMs: number;
  readonly #bell = new Bell();
  readonly #lastOf = new Map<string, number>();
  readonly #sequenceOfId = new Map<string, number>();
  #events: Kept[] = [];
  /** Places at the head of `#events` that were dropped. */
  #dropped = 0;
  #bytes = 0;
  #last = 0;
  #closed = false;

  constructor(options: MemoryEventLogOptions) {
    this.#clock = options.clock;
    this.#maxEvents = options.maxEvents ?? MAX_EVENTS;
    this.#maxBytes = options.maxBytes ?? MAX_BYTES;
    this.#maxAgeMs = options.maxAgeMs ?? MAX_AGE_MS;
  }

  async append(subject: string, data: Uint8Array, options: AppendOptions = {}): Promise<Appended> {
    this.#checkOpen();
    checkSubject(subject);
    checkSize(`the event for ${subject}`, data, Math.min(this.eventMaxBytes, this.#maxBytes));
    this.#dropOld();
    const first = this.#firstOf(options.id);
    if (first !== undefined) return { kind: "appended", sequence: first, duplicate: true };
    const lastSequence = this.#lastOf.get(subject) ?? 0;
    if (options.expectedSequence !== undefined && options.expectedSequence !== lastSequence) {
      return { kind: "conflict", lastSequence };
    }
    const sequence = this.#keep(subject, data.slice(), options.id);
    this.#dropOld();
    this.#bell.ring();
    return { kind: "appended", sequence, duplicate: false };
  }

  async read(filter: string, from: number, max: number): Promise<readonly LoggedEvent[]> {
    this.#checkRange(filter, from);
    checkWhole("max", max, 1, READ_MAX);
    this.#dropOld();
    const found: LoggedEvent[] = [];
    for (let sequence = Math.max(from, this.#first); sequence <= this.#last && found.length < max; sequence++) {
      const event = this.#at(sequence);
      if (event !== undefined && matchesSubject(filter, event.subject)) found.push(copied(event));
    }
    return found;
  }

  async *follow(filter: string, from: number, signal?: AbortSignal): AsyncGenerator<LoggedEvent, void, undefined> {
    this.#checkRange(filter, from);
    this.#dropOld();
    let next = Math.max(from, this.#first);
    while (!signal?.aborted && !this.#closed) {
      this.#dropOld();
      if (next < this.#first) throw this.#lagged(next);
      const event = this.#at(next);
      if (event === undefined) {
        await this.#bell.heard(signal);
        continue;
      }
      next++;
      if (matchesSubject(filter, event.subject)) yield copied(event);
    }
  }

  async lastSequence(): Promise<number> {
    this.#checkOpen();
    return this.#last;
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#events = [];
    this.#lastOf.clear();
    this.#sequenceOfId.clear();
    this.#bell.ring();
  }

  /** Sequence of the oldest event kept; one more than the newest when none is. */
  get #first(): number {
    return this.#last - (this.#events.length - this.#dropped) + 1;
  }

  #at(sequence: number): Kept | undefined {
    return sequence < this.#first ? undefined : this.#events[this.#dropped + sequence - this.#first];
  }

  #keep(subject: string, data: Uint8Array, id: string | undefined): number {
    const sequence = ++this.#last;
    this.#events.push({ sequence, subject, atMs: this.#clock.now(), data, id });
    this.#bytes += data.byteLength;
    this.#lastOf.set(subject, sequence);
    if (id !== undefined) this.#sequenceOfId.set(id, sequence);
    return sequence;
  }

  /** The sequence first recorded for this id, while it counts (EL3). */
  #firstOf(id: string | undefined): number | undefined {
    const sequence = id === undefined ? undefined : this.#sequenceOfId.get(id);
    const event = sequence === undefined ? undefined : this.#at(sequence);
    return event !== undefined && this.#clock.now() - event.atMs < DEDUPE_WINDOW_MS ? sequence : undefined;
  }

  #dropOld(): void {
    const oldestMs = this.#clock.now() - this.#maxAgeMs;
    for (;;) {
      const event = this.#events[this.#dropped];
      if (event === undefined) break;
      const kept = this.#events.length - this.#dropped;
      if (kept <= this.#maxEvents && this.#bytes <= this.#maxBytes && event.atMs > oldestMs) break;
      this.#forget(event);
      this.#dropped++;
    }
    if (this.#dropped * 2 > this.#events.length) {
      this.#events.splice(0, this.#dropped);
      this.#dropped = 0;
    }
  }

  #forget({ sequence, subject, data, id }: Kept): void {
    this.#bytes -= data.byteLength;
    if (this.#lastOf.get(subject) === sequence) this.#lastOf.delete(subject);
    if (id !== undefined && this.#sequenceOfId.get(id) === sequence) this.#sequenceOfId.delete(id);
  }

  #lagged(next: number): Error {
    return portError("ReaderLagged", `events from ${next} were dropped unread; the oldest kept is ${this.#first}`, {
      data: { next, first: this.#first },
    });
  }

  #checkRange(filter: string, from: number): void {
    this.#checkOpen();
    checkFilter(filter);
    checkWhole("from", from, 1);
  }

  #checkOpen(): void {
    if (this.#closed) throw closedError("event log");
  }
}
