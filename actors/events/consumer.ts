// A durable consumer of a channel: every event is handled or dead-lettered before the position moves past it, across lives of whoever
// consumes. Positions are kept in the store under the consumer's name, or where the consumer says.
//
//     channel ─▶ feed ─▶ lanes by key, at most `concurrency` in hand ─▶ handle ─▶ position = everything below is done
//                                                                        └─ fails for good ─▶ deadletter
//
// EC1  At least once: after a crash what was in hand or done since the last save comes again, so `handle` acts once for each key.
// EC2  Events with the same lane are handled one after the other in order; others may overtake.
// EC3  A retryable failure (FlotillaError.retryable) is tried for as long as it takes: the cause is elsewhere, and no event is its fault.
//      Any other is tried ATTEMPTS_MAX times, then the event goes to the deadletter channel, and only then is it passed over.
// EC4  What is no event of the channel goes to deadletter at once, with the bytes.
// EC5  A consumer whose place in the log was dropped (ReaderLagged) goes on with the oldest that is kept, and says so in the log: whoever
//      consumes must be able to find out by other means what it missed (`onGap`).
// EC6  Where a consumer can take several events as one (`together`), what gathered in a lane while it was at work is offered so. When that
//      fails they are handled one after the other, as if it had not been tried: what of them was done is known by its key (EC1).

import { type ActorSystem, isFlotillaError, type LogLevel, sleep } from "../../runtime/index.ts";
import { type Channel, deadEvents } from "./channels.ts";
import { type ChannelEvent, type Fed, feed } from "./feed.ts";
import { postEvent } from "./post.ts";

const ATTEMPTS_MAX = 3;
const PAUSE_MIN_MS = 50;
const PAUSE_MAX_MS = 5_000;
const SAVE_EVERY_MS = 100;
/** Of one lane, taken as one. */
const TOGETHER_MAX = 32;
/** Of an event's bytes, in a dead letter. */
const RAW_MAX_BYTES = 64 * 1_024;
const LAGGED = "ReaderLagged";

/** Where a consumer keeps the first sequence that is not done. */
export interface ConsumerPosition {
  /** Undefined for a consumer that never was. */
  read(): Promise<number | undefined>;
  /** False when it was not kept; it is then tried again. */
  write(sequence: number): Promise<boolean>;
}

/** An event and where it was read. */
export interface Consumed<C extends Channel> {
  readonly event: ChannelEvent<C>;
  readonly sequence: number;
  readonly topic: string;
}

export interface ConsumerOptions<C extends Channel> {
  readonly system: ActorSystem;
  readonly channel: C;
  /** Of the consumer: letters, digits, _ and -. One live consumer has it at a time. */
  readonly name: string;
  /** Where a consumer begins that never was: `start` (default) or `new`. */
  readonly from?: "start" | "new";
  /** Acts on one event; rejects when it could not. */
  readonly handle: (event: ChannelEvent<C>, at: { readonly sequence: number; readonly topic: string }) => Promise<void>;
  /** EC6: acts on these of one lane, in their order; rejects when it could not do all. Default: there is no such way. */
  readonly together?: (events: readonly Consumed<C>[]) => Promise<void>;
  /** EC2. Default: all in one lane. */
  readonly laneOf?: (event: ChannelEvent<C>) => string;
  /** Events in hand at once. Default 1. */
  readonly concurrency?: number;
  readonly onGap?: () => Promise<void>;
  /** Default: the fleet's store. For one whose effects are elsewhere, and may be lost without the store: its position then lies beside them. */
  readonly position?: ConsumerPosition;
  readonly log: (level: LogLevel, message: string, data?: Readonly<Record<string, unknown>>) => void;
  readonly signal: AbortSignal;
}

/** Consumes until the signal aborts; then resolves, with what is done saved. Rejects with Closed. */
export function consume<C extends Channel>(options: ConsumerOptions<C>): Promise<void> {
  return new Consumer(options).run();
}

class Consumer<C extends Channel> {
  readonly #options: ConsumerOptions<C>;
  readonly #inHand = new Map<number, Promise<void>>();
  readonly #lanes = new Map<string, Promise<void>>();
  /** By lane: what waits for its turn and may be joined. */
  readonly #gathering = new Map<string, { readonly all: Fed<C>[]; readonly working: Promise<void> }>();
  readonly #position: ConsumerPosition;
  #next = 0;
  #saved = 0;
  #saving: Promise<void> | undefined;

  constructor(options: ConsumerOptions<C>) {
    this.#options = options;
    this.#position = options.position ?? new StorePosition(options.system.ports.store, `consumer.${options.name}`);
  }

  async run(): Promise<void> {
    const { signal, log, channel, name, system } = this.#options;
    await this.#again(() => this.#load());
    for (let failures = 0; !signal.aborted; ) {
      try {
        for await (const fed of feed(system, channel, { from: this.#next, signal })) {
          failures = 0;
          await this.#take(fed);
        }
      } catch (error) {
        if (signal.aborted) break;
        if (isFlotillaError(error, "Closed")) throw error;
        log("warn", `consumer ${name} reads on after a failure`, { error: String(error) });
        if (isFlotillaError(error, LAGGED)) await this.#skipGap();
        await this.#pause(++failures);
      }
    }
    await Promise.allSettled(this.#inHand.values());
    await this.#save().catch(() => {});
  }

  async #load(): Promise<void> {
    const { system, from = "start" } = this.#options;
    const start = from === "start" ? 1 : (await system.ports.eventLog.lastSequence()) + 1;
    this.#next = (await this.#position.read()) ?? start;
    this.#saved = this.#next;
  }

  /** Waits for room, then begins with the event; what came before it in its lane is done first. */
  async #take(fed: Fed<C>): Promise<void> {
    const { concurrency = 1, laneOf, signal } = this.#options;
    while (this.#inHand.size >= concurrency && !signal.aborted) await Promise.race(this.#inHand.values());
    if (signal.aborted) return;
    const lane = (fed.kind === "event" ? laneOf?.(fed.event) : undefined) ?? "";
    const working = this.#inLane(lane, fed);
    this.#lanes.set(lane, working);
    this.#inHand.set(fed.sequence, working);
    this.#next = fed.sequence + 1;
    working.then(
      () => {
        if (signal.aborted) return;
        this.#inHand.delete(fed.sequence);
        if (this.#lanes.get(lane) === working) this.#lanes.delete(lane);
        this.#saving ??= this.#saveSoon();
      },
      // Closed, in the middle of a burial: what reads the log ends by the same, and the event stays in hand.
      () => {},
    );
  }

  /** What works on the event when its turn has come; the same for all that are taken together (EC6). */
  #inLane(lane: string, fed: Fed<C>): Promise<void> {
    const max = this.#options.together === undefined ? 1 : TOGETHER_MAX;
    const gathering = this.#gathering.get(lane);
    if (gathering !== undefined && gathering.all.length < max) {
      gathering.all.push(fed);
      return gathering.working;
    }
    const all = [fed];
    const before = this.#lanes.get(lane) ?? Promise.resolve();
    const next = { all, working: before.then(() => this.#workAll(lane, all)) };
    this.#gathering.set(lane, next);
    return next.working;
  }

  async #workAll(lane: string, all: readonly Fed<C>[]): Promise<void> {
    if (this.#gathering.get(lane)?.all === all) this.#gathering.delete(lane);
    const { together, log, name } = this.#options;
    const events = all.flatMap((fed) => (fed.kind === "event" ? [fed] : []));
    if (together !== undefined && all.length > 1 && events.length === all.length) {
      try {
        return await together(events);
      } catch (error) {
        log("info", `consumer ${name} takes events one by one`, { events: all.length, error: String(error) });
      }
    }
    for (const fed of all) await this.#work(fed);
  }

  /** Resolves when the event is handled or dead-lettered, or the consumer ends. */
  async #work(fed: Fed<C>): Promise<void> {
    if (fed.kind === "bad") return this.#again(() => this.#bury(fed, fed, 1));
    const { handle, signal, log, name } = this.#options;
    for (let attempt = 1; !signal.aborted; attempt++) {
      try {
        return await handle(fed.event, fed);
      } catch (error) {
        if (signal.aborted) return;
        const why = reasonOf(error);
        log("warn", `consumer ${name} could not handle an event`, { type: fed.event.type, attempt, ...why });
        const mayPass = isFlotillaError(error) && error.retryable;
        if (!mayPass && attempt >= ATTEMPTS_MAX) return this.#again(() => this.#bury(fed, why, attempt));
        await this.#pause(attempt);
      }
    }
  }

  async #bury(fed: Fed<C>, { code, message }: { code: string; message: string }, attempts: number): Promise<void> {
    const { system, name, log } = this.#options;
    log("error", `consumer ${name} passes over an event`, { topic: fed.topic, sequence: fed.sequence, code, message });
    await postEvent(system, name, deadEvents, {
      type: "event.dead",
      key: `${name} ${fed.sequence}`,
      correlationId: fed.kind === "event" ? fed.event.correlationId : `sequence-${fed.sequence}`,
      data: {
        ...{ consumer: name, topic: fed.topic, sequence: fed.sequence, attempts },
        reason: { code, message: message.slice(0, 2_000) },
        raw: Buffer.from(fed.raw.subarray(0, RAW_MAX_BYTES)).toString("base64"),
        rawBytes: fed.raw.length,
      },
    });
  }

  async #skipGap(): Promise<void> {
    const { onGap, log, name } = this.#options;
    log("error", `consumer ${name} was left behind: events before the oldest kept are gone`, { at: this.#next });
    await Promise.allSettled(this.#inHand.values());
    this.#next = 1;
    await onGap?.();
  }

  async #saveSoon(): Promise<void> {
    const { system, signal, log, name } = this.#options;
    try {
      await sleep(system.clock, SAVE_EVERY_MS, signal).catch(() => {});
      await this.#save();
    } catch (error) {
      log("warn", `consumer ${name} could not save its position`, { error: String(error) });
    } finally {
      this.#saving = undefined;
    }
  }

  /** Saves the lowest sequence that is not done. */
  async #save(): Promise<void> {
    const position = Math.min(this.#next, ...this.#inHand.keys());
    if (position === this.#saved) return;
    if (await this.#position.write(position)) this.#saved = position;
  }

  /** Does `run` until it is done or the consumer ends. */
  async #again(run: () => Promise<void>): Promise<void> {
    const { signal, log, name } = this.#options;
    for (let failures = 0; !signal.aborted; ) {
      try {
        return await run();
      } catch (error) {
        if (signal.aborted) return;
        if (isFlotillaError(error, "Closed")) throw error;
        log("warn", `consumer ${name} tries again`, { error: String(error) });
        await this.#pause(++failures);
      }
    }
  }

  async #pause(failures: number): Promise<void> {
    const { system, signal } = this.#options;
    const pauseMs = Math.min(PAUSE_MAX_MS, PAUSE_MIN_MS * 2 ** Math.min(failures, 10));
    await sleep(system.clock, pauseMs, signal).catch(() => {});
  }
}

class StorePosition implements ConsumerPosition {
  readonly #store: ActorSystem["ports"]["store"];
  readonly #key: string;
  #revision: number | undefined;

  constructor(store: ActorSystem["ports"]["store"], key: string) {
    this.#store = store;
    this.#key = key;
  }

  async read(): Promise<number | undefined> {
    const entry = await this.#store.get(this.#key);
    this.#revision = entry?.revision;
    return entry === undefined ? undefined : Number(new TextDecoder().decode(entry.value));
  }

  /** Whoever stands in the way is this consumer's next or former life; whatever it kept, events come at least once (EC1). */
  async write(sequence: number): Promise<boolean> {
    const value = new TextEncoder().encode(String(sequence));
    const written =
      this.#revision === undefined
        ? await this.#store.create(this.#key, value)
        : await this.#store.update(this.#key, value, this.#revision);
    this.#revision = written.kind === "written" ? written.revision : written.current?.revision;
    return written.kind === "written";
  }
}

const reasonOf = (error: unknown): { readonly code: string; readonly message: string } => ({
  code: isFlotillaError(error) ? error.code : "HandlerFailed",
  message: error instanceof Error ? error.message : String(error),
});
