// Event topics: whoever publishes and whoever subscribes know a name and not each other; what was published can be read again.
// Written on the EventLog port, so it means the same in one process and on a fleet. It is not a queue: every subscriber gets every event,
// and nobody acknowledges (work that must be done once is a task).
//
//     publish ──▶ event log [ … 41 orders.new  42 jobs.x  43 orders.paid … ] ──▶ subscribe("orders.*", { from: 41 })  41, 43, …
//
// TO1  Events come in the order of their sequences, each once. Sequences grow over all topics, so those of one topic have gaps.
// TO2  A published event is plain data by the rules of a call's arguments (copy.ts), handles included; nobody shares it.
// TO3  A subscription gives no error for being ended: by its signal, by leaving the loop or by the system's close it is just over.
// TO4  Bytes that are no event of ours are counted and passed over: one bad publisher must not stop the readers.

import { createHash } from "node:crypto";
import type { ValueCodec } from "./codec.ts";
import type { Counts } from "./counts.ts";
import { runtimeError } from "./errors.ts";
import type { EventLog, LoggedEvent } from "./event-log.ts";
import { checkKnown, checkSignal } from "./options.ts";
import { checkSize, checkWhole, closedError } from "./port-errors.ts";
import { filterOf, subjectOf, topicOf } from "./topic-name.ts";

export interface PublishOptions {
  /** Names this event among those of its topic: published again within two minutes, it is kept once. */
  readonly key?: string;
}

export interface Published {
  readonly sequence: number;
  /** Whether an event with this key was there already; `sequence` is then that one's. */
  readonly duplicate: boolean;
}

export interface SubscribeOptions {
  /**
   * Where to begin: with what is published from now on, with the oldest event kept, or with that of a sequence (the last one seen, plus
   * one, goes on where a reader stopped). Default "new".
   */
  readonly from?: "new" | "start" | number;
  /** Ends the subscription when it aborts. */
  readonly signal?: AbortSignal;
}

/** One event as a subscriber gets it. */
export interface TopicEvent<Event = unknown> {
  readonly sequence: number;
  readonly topic: string;
  /** When it was published, milliseconds since the epoch by the event log's clock. */
  readonly atMs: number;
  readonly event: Event;
}

/** What a subscriber holds: iterate it once, from one place. */
export interface Subscription<Event = unknown> extends AsyncIterableIterator<TopicEvent<Event>>, AsyncDisposable {
  /** Resolves once the beginning is settled, with its sequence: with from "new", what is published after that is seen for certain. */
  ready(): Promise<number>;
}

/** What topics stand on. */
export interface TopicsOptions {
  readonly log: EventLog;
  readonly codec: ValueCodec;
  readonly counts: Counts;
}

const PUBLISH_OPTIONS: ReadonlySet<string> = new Set<keyof PublishOptions>(["key"]);
const SUBSCRIBE_OPTIONS: ReadonlySet<string> = new Set<keyof SubscribeOptions>(["from", "signal"]);

const DONE: IteratorReturnResult<undefined> = { done: true, value: undefined };

export class Topics {
  readonly #options: TopicsOptions;
  readonly #open = new Set<OpenSubscription>();
  #closed = false;

  constructor(options: TopicsOptions) {
    this.#options = options;
  }

  /** Appends an event to a topic. Throws InvalidOption (topic, key), NotSendable, ValueTooLarge, Closed. */
  async publish(topic: string, event: unknown, options: PublishOptions = {}): Promise<Published> {
    if (this.#closed) throw closedError("system");
    checkKnown(options, PUBLISH_OPTIONS);
    const { log, codec, counts } = this.#options;
    const subject = subjectOf(topic);
    const id = idOf(subject, options.key);
    const bytes = codec.encode(event, "event");
    checkSize(`the event for topic "${topic}"`, bytes, log.eventMaxBytes);
    const appended = await log.append(subject, bytes, id === undefined ? {} : { id });
    // Nothing was expected, so nothing can be in the way.
    if (appended.kind === "conflict") throw new Error(`an unconditional append to ${subject} met a conflict`);
    counts.eventsPublished++;
    return { sequence: appended.sequence, duplicate: appended.duplicate };
  }

  /** Events of the topics that `pattern` names. Throws InvalidOption; iterating rejects with ReaderLagged, Unavailable. */
  subscribe<Event>(pattern: string, options: SubscribeOptions = {}): Subscription<Event> {
    if (this.#closed) throw closedError("system");
    checkKnown(options, SUBSCRIBE_OPTIONS);
    checkSignal(options.signal);
    const filter = filterOf(pattern);
    const from = options.from ?? "new";
    if (typeof from !== "string") checkWhole("from", from, 1);
    else if (from !== "new" && from !== "start")
      throw runtimeError("InvalidOption", `from: expected "new", "start" or a sequence, got "${from}"`);
    const open = new OpenSubscription(this.#options, filter, from, options.signal, () => this.#open.delete(open));
    if (!options.signal?.aborted) this.#open.add(open);
    return open as Subscription<never>;
  }

  /** Ends every subscription; later uses are refused with Closed. */
  close(): void {
    this.#closed = true;
    for (const open of [...this.#open]) open.end();
  }
}

/** Ids are the whole log's and headers on a server: so they name the topic, and have no characters of a person's. */
function idOf(subject: string, key: string | undefined): string | undefined {
  if (key === undefined) return undefined;
  if (typeof key !== "string" || key === "")
    throw runtimeError("InvalidOption", `key: expected a text of at least one character, got ${JSON.stringify(key)}`);
  return `topic-${createHash("sha256").update(`${subject}\n${key}`).digest("base64url")}`;
}

class OpenSubscription implements Subscription {
  readonly #options: TopicsOptions;
  readonly #beginning: Promise<number>;
  readonly #ending = new AbortController();
  readonly #signal: AbortSignal | undefined;
  readonly #onEnd: () => void;
  readonly #events: AsyncIterator<TopicEvent>;

  constructor(
    options: TopicsOptions,
    filter: string,
    from: "new" | "start" | number,
    signal: AbortSignal | undefined,
    onEnd: () => void,
  ) {
    this.#options = options;
    this.#onEnd = onEnd;
    this.#signal = signal;
    // Asked for now and not at the first `next`: what is published in between is new, too.
    this.#beginning = beginning(options.log, from);
    // Who never iterates has no use for the error; who does gets it there.
    this.#beginning.catch(() => {});
    this.#events = this.#read(filter);
    if (signal?.aborted) this.#ending.abort();
    else signal?.addEventListener("abort", this.end);
  }

  ready(): Promise<number> {
    return this.#beginning;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<TopicEvent>> {
    return this.#events.next();
  }

  async return(): Promise<IteratorResult<TopicEvent>> {
    // First the abort: a `next` that waits would hold the generator's own return back until an event comes.
    this.end();
    await this.#events.return?.();
    return DONE;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }

  readonly end = (): void => {
    this.#ending.abort();
    this.#signal?.removeEventListener("abort", this.end);
    this.#onEnd();
  };

  async *#read(filter: string): AsyncGenerator<TopicEvent, void, undefined> {
    const { log, counts } = this.#options;
    const { signal } = this.#ending;
    try {
      if (signal.aborted) return;
      const from = await this.#beginning;
      if (signal.aborted) return;
      for await (const logged of log.follow(filter, from, signal)) {
        const event = this.#decoded(logged);
        if (signal.aborted) return;
        if (event === undefined) continue;
        counts.eventsDelivered++;
        yield event;
      }
    } catch (error) {
      // A log that was closed under a subscription that has ended is no news (TO3).
      if (!signal.aborted) throw error;
    } finally {
      this.end();
    }
  }

  #decoded({ sequence, subject, atMs, data }: LoggedEvent): TopicEvent | undefined {
    const { codec, counts } = this.#options;
    try {
      return { sequence, topic: topicOf(subject), atMs, event: codec.decode(data) };
    } catch {
      counts.badEvents++;
      return undefined;
    }
  }
}

async function beginning(log: EventLog, from: "new" | "start" | number): Promise<number> {
  if (from === "new") return (await log.lastSequence()) + 1;
  return from === "start" ? 1 : from;
}
