// The EventLog port on one JetStream stream. Events and results are two logs: each has its own stream and limits.
//
// L1  Sequences are the stream's.
// L2  The server looks at `expectedSequence` before it looks at ids (2.15.2), so an append that is refused and has an id asks once more
//     what became of the id (EL3).
// L3  The server remembers ids for DEDUPE_WINDOW_MS or for as long as events are kept, whichever is shorter.
// L4  A follower of few subjects in a busy log may be told that it lagged although none of its own events were dropped: when nothing came
//     for it for as long as the log keeps events, and then the connection was lost.

import {
  type Appended,
  type AppendOptions,
  DEDUPE_WINDOW_MS,
  type EventLog,
  type LoggedEvent,
  READ_MAX,
} from "../event-log.ts";
import { checkSize, checkWhole, closedError, portError } from "../port-errors.ts";
import { type Random, systemRandom } from "../random.ts";
import { checkFilter, checkSubject } from "../subject.ts";
import type { Connection } from "./connection.ts";
import { commonShape, ensureStream, type Provision } from "./provision.ts";
import { NatsStream, type StoredMessage } from "./stream.ts";
import type { StreamNames } from "./subjects.ts";
import { tail } from "./tail.ts";

export interface NatsEventLogOptions {
  readonly connection: Connection;
  readonly names: StreamNames;
  /** What is kept (EL4), when the stream is made. */
  readonly maxEvents?: number;
  readonly maxBytes?: number;
  readonly maxAgeMs?: number;
  readonly replicas?: number;
  readonly random?: Random;
}

const EVENT_MAX_BYTES = 512 * 1024;
const MAX_EVENTS = 1_000_000;
const MAX_BYTES = 512 * 1024 * 1024;
const MAX_AGE_MS = 7 * 24 * 60 * 60 * 1_000;
const NS_PER_MS = 1_000_000;

/** Opens the log, making its stream when it is not there. Throws what ensureStream throws. */
export async function openNatsEventLog(options: NatsEventLogOptions): Promise<NatsEventLog> {
  const { connection, names, replicas = 1 } = options;
  const { maxEvents = MAX_EVENTS, maxBytes = MAX_BYTES, maxAgeMs = MAX_AGE_MS } = options;
  const shape = { ...commonShape(names), discard: "old" };
  const limits = {
    max_msgs: maxEvents,
    max_bytes: maxBytes,
    max_age: maxAgeMs * NS_PER_MS,
    duplicate_window: Math.min(DEDUPE_WINDOW_MS, maxAgeMs) * NS_PER_MS,
    num_replicas: replicas,
  };
  const provision = await ensureStream(connection, names, shape, limits);
  return new NatsEventLog(new NatsStream(connection, names, options.random ?? systemRandom), provision);
}

const eventOf = ({ key, sequence, atMs, data }: StoredMessage): LoggedEvent => ({ sequence, subject: key, atMs, data });

export class NatsEventLog implements EventLog {
  readonly eventMaxBytes = EVENT_MAX_BYTES;
  readonly provision: Provision;
  readonly #stream: NatsStream;
  readonly #end = new AbortController();

  constructor(stream: NatsStream, provision: Provision) {
    this.#stream = stream;
    this.provision = provision;
  }

  async append(subject: string, data: Uint8Array, options: AppendOptions = {}): Promise<Appended> {
    this.#checkOpen();
    checkSubject(subject);
    checkSize(`the event for ${subject}`, data, this.eventMaxBytes);
    const { expectedSequence, id } = options;
    // Callers' ids must not meet the stream's own, and a header has no line breaks.
    const sent = id === undefined ? undefined : `u.${encodeURIComponent(id)}`;
    const conditions = expectedSequence === undefined ? {} : { expectedSequence };
    const stored = await this.#stream.write(subject, data.slice(), conditions, sent);
    if (stored.kind === "stored") {
      return { kind: "appended", sequence: stored.sequence, duplicate: sent !== undefined && stored.isDuplicate };
    }
    const first = sent === undefined ? undefined : await this.#stream.sequenceOfId(subject, sent);
    if (first !== undefined) return { kind: "appended", sequence: first, duplicate: true };
    return { kind: "conflict", lastSequence: (await this.#stream.last(subject))?.sequence ?? 0 };
  }

  async read(filter: string, from: number, max: number): Promise<readonly LoggedEvent[]> {
    this.#checkRange(filter, from);
    checkWhole("max", max, 1, READ_MAX);
    const found: LoggedEvent[] = [];
    for (let next = from; found.length < max; ) {
      const { messages, isEnd } = await this.#stream.next(filter, next, max - found.length);
      found.push(...messages.map(eventOf));
      if (isEnd) break;
      next = (messages.at(-1)?.sequence ?? next) + 1;
    }
    return found;
  }

  async *follow(filter: string, from: number, signal?: AbortSignal): AsyncGenerator<LoggedEvent, void, undefined> {
    this.#checkRange(filter, from);
    const end = signal === undefined ? this.#end.signal : AbortSignal.any([signal, this.#end.signal]);
    if (end.aborted) return;
    const { first } = await this.#stream.state();
    const skipped = (next: number) => this.#checkLag(next);
    for await (const item of tail({
      stream: this.#stream,
      filter,
      from: Math.max(from, first),
      signal: end,
      skipped,
    })) {
      if (item.kind === "message") yield eventOf(item.message);
    }
  }

  async lastSequence(): Promise<number> {
    this.#checkOpen();
    return (await this.#stream.state()).last;
  }

  /** Ends followers. The connection is somebody else's and stays. */
  async close(): Promise<void> {
    this.#end.abort();
  }

  async #checkLag(next: number): Promise<void> {
    const { first } = await this.#stream.state();
    if (first <= next) return;
    throw portError("ReaderLagged", `events from ${next} were dropped unread; the oldest kept is ${first}`, {
      data: { next, first },
    });
  }

  #checkRange(filter: string, from: number): void {
    this.#checkOpen();
    checkFilter(filter);
    checkWhole("from", from, 1);
  }

  #checkOpen(): void {
    if (this.#end.signal.aborted) throw closedError("event log");
  }
}
