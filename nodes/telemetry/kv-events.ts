// Follows a model server's KV-cache events over ZeroMQ, so that a view of its cache is right or empty, never wrong.
// It decodes no bytes (kv-batch.ts) and keeps no blocks (prefix-view.ts). One follower for each publisher: engines of a data-parallel server
// have one each, on ports that follow each other.
//
//     sequence expected       → applied
//     higher: some were lost  → replay from the expected one, when the server answers replays; else reset, then applied
//     seen before             → the server began anew: reset, then as above from 0 on; what a replay had brought already is passed over
//     connection lost         → the server is gone and its cache with it: reset
//
// KF1  Batches are applied in the order of their sequence, each once, and none after a gap that was neither filled nor answered by a reset.
// KF2  A batch that cannot be read is a gap that nothing fills: reset.
// KF3  After `close` has resolved nothing is told, and no socket and no timer is left. Closing twice does no harm.

import { Subscriber } from "zeromq";
import type { Clock } from "../../runtime/index.ts";
import { decodeKvBatch, KV_BATCH_MAX_BYTES, type KvBatch, type KvEvent } from "./kv-batch.ts";
import { replay } from "./kv-replay.ts";

/** Why a view was cleared. */
export type ResetReason = "joined-late" | "gap" | "restarted" | "disconnected" | "unreadable";

/** Who follows: a PrefixView, as a rule. */
export interface KvFollower {
  apply(events: readonly KvEvent[]): void;
  /** What was known holds no longer. */
  clear(): void;
}

export interface KvEventsOptions {
  /** Where the server publishes: "tcp://127.0.0.1:5557". */
  readonly endpoint: string;
  /** Where it answers replays, if it does (`replay_endpoint` of --kv-events-config). */
  readonly replayEndpoint?: string;
  /** Only topics that begin so. Default "": all. */
  readonly topic?: string;
  readonly clock: Clock;
  readonly follower: KvFollower;
  /** Told after every reset. */
  readonly onReset?: (reason: ResetReason) => void;
  /** How long a replay may be silent. Default 2,000. */
  readonly replayTimeoutMs?: number;
}

/** Counts since the start. */
export interface KvEventsStats {
  readonly batches: number;
  readonly events: number;
  /** Events of unknown kinds, and those whose tokens cannot be told from each other. */
  readonly passedOver: number;
  /** Batches that came by replay. */
  readonly replayed: number;
  /** Batches that could not be read, and why the last could not. */
  readonly refused: number;
  readonly refusal?: string;
  readonly resets: number;
  /** Of the last batch applied; -1 before any. */
  readonly sequence: number;
}

const NONE = -1;
/** Batches that wait in memory while a replay goes on; the server drops at as many. */
const WAITING_MAX = 100_000;
/** Soon enough for a server that is back, and no load while it is not. */
const RECONNECT_MS = 200;

type Counts = { -readonly [Key in keyof KvEventsStats]: KvEventsStats[Key] };

export class KvEvents {
  readonly #options: KvEventsOptions;
  readonly #socket: Subscriber;
  readonly #closing = new AbortController();
  /** Ends what was asked of a life of the server when that is over, and when we close. */
  #life = new AbortController();
  readonly #done: Promise<void>;
  readonly #counts: Counts = {
    batches: 0,
    events: 0,
    passedOver: 0,
    replayed: 0,
    refused: 0,
    resets: 0,
    sequence: NONE,
  };
  /** Of the last batch that was published to us, applied or not: the same again means a new life of the server. */
  #published = NONE;

  /** Begins at once. A server that is not there yet is waited for. Throws for an endpoint that is no address. */
  constructor(options: KvEventsOptions) {
    this.#options = options;
    this.#socket = new Subscriber({
      linger: 0,
      receiveHighWaterMark: WAITING_MAX,
      reconnectInterval: RECONNECT_MS,
      // Larger ones never reach our memory: the connection ends, which is told.
      maxMessageSize: 4 * KV_BATCH_MAX_BYTES,
    });
    this.#socket.events.on("disconnect", () => this.#begunAnew("disconnected"));
    try {
      this.#socket.connect(options.endpoint);
      this.#socket.subscribe(options.topic ?? "");
    } catch (error) {
      this.#socket.close();
      throw error;
    }
    this.#done = this.#follow();
  }

  stats(): KvEventsStats {
    return { ...this.#counts };
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#life.abort();
    this.#socket.close();
    await this.#done;
  }

  async #follow(): Promise<void> {
    // What a server has cached before we came it tells nobody unasked.
    if (this.#options.replayEndpoint !== undefined) await this.#fill(0);
    try {
      while (!this.#closing.signal.aborted) await this.#take(await this.#socket.receive());
    } catch (error) {
      if (!this.#closing.signal.aborted) throw error;
    }
  }

  async #take(frames: readonly Buffer[]): Promise<void> {
    if (this.#closing.signal.aborted) return;
    const batch = this.#read(frames);
    if (batch === undefined) return;
    const { sequence } = batch;
    if (sequence <= this.#published) this.#begunAnew("restarted");
    this.#published = sequence;
    // While a gap is mended the server may go, and this batch with it; or we are closed (KF3).
    const { signal } = this.#life;
    if (sequence > this.#next) await this.#mend(sequence, signal);
    // A replay may have brought it already.
    if (sequence === this.#next && !signal.aborted) this.#apply(batch);
  }

  get #next(): number {
    return this.#counts.sequence + 1;
  }

  /** Fills the gap before `sequence`, or gives up what was known. */
  async #mend(sequence: number, signal: AbortSignal): Promise<void> {
    if (this.#options.replayEndpoint !== undefined) await this.#fill(this.#next);
    if (sequence > this.#next && !signal.aborted) this.#skipTo(sequence);
  }

  /** What is before `sequence` and was not applied is lost. */
  #skipTo(sequence: number): void {
    this.#reset(this.#next === 0 ? "joined-late" : "gap");
    this.#counts.sequence = sequence - 1;
  }

  /** Asks for what was published from `from` on. What is no longer kept leaves a gap: reset, then the rest. */
  async #fill(from: number): Promise<void> {
    const { replayEndpoint: endpoint = "", clock, replayTimeoutMs: timeoutMs = 2_000 } = this.#options;
    const { signal } = this.#life;
    await replay({ endpoint, from, clock, timeoutMs, signal }, (frames) => {
      if (signal.aborted) return;
      const batch = this.#read(frames);
      if (batch === undefined || batch.sequence < this.#next) return;
      if (batch.sequence > this.#next) this.#skipTo(batch.sequence);
      this.#counts.replayed++;
      this.#apply(batch);
    });
  }

  #read(frames: readonly Buffer[]): KvBatch | undefined {
    const batch = decodeKvBatch(frames);
    if (batch.kind === "batch") return batch;
    this.#counts.refused++;
    this.#counts.refusal = batch.reason;
    this.#reset("unreadable");
    // Nothing brings it: what comes next is no gap.
    const { sequence = NONE } = batch;
    this.#counts.sequence = Math.max(this.#counts.sequence, sequence);
    return undefined;
  }

  #apply({ sequence, events, passedOver }: KvBatch): void {
    this.#counts.sequence = sequence;
    this.#counts.batches++;
    this.#counts.events += events.length;
    this.#counts.passedOver += passedOver;
    this.#options.follower.apply(events);
  }

  #begunAnew(reason: ResetReason): void {
    if (this.#closing.signal.aborted) return;
    const knewSomething = this.#counts.sequence !== NONE;
    this.#life.abort();
    this.#life = new AbortController();
    this.#published = NONE;
    this.#counts.sequence = NONE;
    if (knewSomething) this.#reset(reason);
  }

  #reset(reason: ResetReason): void {
    this.#counts.resets++;
    this.#options.follower.clear();
    this.#options.onReset?.(reason);
  }
}
