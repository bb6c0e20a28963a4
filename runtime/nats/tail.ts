// Reads a stream to its end and then on: the one way in which watches and followers see messages, each once and in order.
// It keeps nothing on the server: no consumer to expire, to leak or to be lost in a restart.
//
//     missed ──▶ pages from `next` on ──▶ the leader has no more ──▶ live: what the server tells of ─┐
//        ▲                                                                                          │
//        └──────────── the connection was lost, or more came than LIVE_MAX while nobody read ◀──────┘
//
// TA1  `next` is the sequence before which everything was given; whatever way a message comes, it is given when its sequence is not below.
// TA2  The subscription is there before the first page is asked for, so what is stored after a page is heard.
// TA3  At most LIVE_MAX messages or LIVE_BYTES wait in memory: the rest waits in the stream.

import type { Clock } from "../clock.ts";
import { sleep } from "../clock.ts";
import { isFlotillaError } from "../errors.ts";
import type { NatsStream, StoredMessage } from "./stream.ts";

const LIVE_MAX = 256;
const LIVE_BYTES = 4 * 1024 * 1024;
const PAGE_MAX = 500;
const RETRY_MS = 250;

/** `caught-up`: everything that was there is given; comes after each reading of pages. */
export type TailItem = { readonly kind: "message"; readonly message: StoredMessage } | { readonly kind: "caught-up" };

export interface TailOptions {
  readonly stream: NatsStream;
  readonly filter: string;
  readonly from: number;
  /** Ends the reading: the caller's wish, or the port's end. */
  readonly signal: AbortSignal;
  /** Called before pages are read because messages were missed, `sinceMs` ago at most; may throw ReaderLagged. */
  readonly missed?: (sinceMs: number) => void;
  /** Called when pages went on with another message than `next`; may throw ReaderLagged. */
  readonly skipped?: (next: number) => Promise<void>;
}

export async function* tail(options: TailOptions): AsyncGenerator<TailItem, void, undefined> {
  const live = new Live(options);
  try {
    yield* live.read();
  } finally {
    live.stop();
  }
}

class Live {
  readonly #options: TailOptions;
  readonly #clock: Clock;
  readonly #stops: (() => void)[] = [];
  #waiting: StoredMessage[] = [];
  #waitingBytes = 0;
  #next: number;
  /** Since when messages may have been missed, by the monotonic clock; undefined while none were. */
  #missedAtMs: number | undefined;
  #wake: () => void = () => {};

  constructor(options: TailOptions) {
    this.#options = options;
    const { connection } = options.stream;
    this.#clock = connection.clock;
    this.#next = options.from;
    this.#miss();
    this.#stops.push(options.stream.listen(options.filter, (message) => this.#hear(message)));
    this.#stops.push(
      connection.onState((isConnected) => {
        if (!isConnected) this.#miss();
        this.#wake();
      }),
    );
    const onAbort = () => this.#wake();
    options.signal.addEventListener("abort", onAbort);
    this.#stops.push(() => options.signal.removeEventListener("abort", onAbort));
  }

  stop(): void {
    for (const stop of this.#stops) stop();
  }

  async *read(): AsyncGenerator<TailItem, void, undefined> {
    const { signal } = this.#options;
    while (!signal.aborted) {
      if (this.#missedAtMs !== undefined) {
        yield* this.#catchUp();
        continue;
      }
      const message = this.#waiting.shift();
      if (message === undefined) await new Promise<void>((resolve) => (this.#wake = resolve));
      else {
        this.#waitingBytes -= message.data.byteLength;
        if (this.#pass(message)) yield { kind: "message", message };
      }
    }
  }

  async *#catchUp(): AsyncGenerator<TailItem, void, undefined> {
    const { stream, signal, missed } = this.#options;
    const missedAtMs = this.#missedAtMs ?? 0;
    await stream.connection.whenConnected(signal);
    if (signal.aborted) return;
    this.#missedAtMs = undefined;
    try {
      missed?.(this.#clock.monotonic() - missedAtMs);
      yield* this.#pages();
    } catch (error) {
      if (signal.aborted) return;
      if (!isFlotillaError(error, "Unavailable")) throw error;
      this.#missedAtMs = missedAtMs;
      await sleep(this.#clock, RETRY_MS, signal).catch(() => {});
      return;
    }
    if (!signal.aborted) yield { kind: "caught-up" };
  }

  async *#pages(): AsyncGenerator<TailItem, void, undefined> {
    const { stream, filter, signal, skipped } = this.#options;
    for (;;) {
      const { messages, isEnd } = await stream.next(filter, this.#next, PAGE_MAX);
      if (messages[0]?.sequence !== this.#next) await skipped?.(this.#next);
      for (const message of messages) {
        if (signal.aborted) return;
        if (this.#pass(message)) yield { kind: "message", message };
      }
      if (isEnd) return;
    }
  }

  #pass(message: StoredMessage): boolean {
    if (message.sequence < this.#next) return false;
    this.#next = message.sequence + 1;
    return true;
  }

  #hear(message: StoredMessage): void {
    this.#waiting.push(message);
    this.#waitingBytes += message.data.byteLength;
    if (this.#waiting.length > LIVE_MAX || this.#waitingBytes > LIVE_BYTES) this.#miss();
    this.#wake();
  }

  #miss(): void {
    this.#waiting = [];
    this.#waitingBytes = 0;
    this.#missedAtMs ??= this.#clock.monotonic();
  }
}
