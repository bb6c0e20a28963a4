// What leaves for one other node: envelopes wait here until the end of the tick and go out as one frame.
// It is not who waits for their answers (peer.ts).
//
//     post ─▶ waiting [e e e … ] ──end of tick, or cut──▶   frame ──▶ transport
//                 ▲                                            ├─ too large, alone ─▶ blobs, then a frame with its hash
//                 └── held until restored ◀── not connected ───┴─ asks: given back at once (OB2)
//
// OB1  Envelopes made in one tick leave as one frame, in the order they were made, cut at BATCH_MAX and near FRAME_TARGET_BYTES. While bytes
//      are on their way to blobs, what comes after them waits.
// OB2  What certainly will not arrive is given back with the reason. While the connection is down that is what asks for something (calls,
//      spawns, casts …); answers and cancels wait for it, at most HELD_MAX of them.

import type { Blobs } from "./blobs.ts";
import type { Codec } from "./codec.ts";
import type { Counts } from "./counts.ts";
import type { Envelope, WireError } from "./envelope.ts";
import { failure, failureOf } from "./failure.ts";
import type { Transport } from "./transport.ts";

const BATCH_MAX = 512;
/** Frames are cut near this size, by the size of the one before: large enough to be cheap, small enough to be on their way soon. */
const FRAME_TARGET_BYTES = 128 * 1024;
const HELD_MAX = 10_000;

/** Asks and watches that one frame may hold, by far. */
const RANGE_MAX = 100_000;
/** Room in a blob for the stamp beside what is stored. */
const STAMP_MAX_BYTES = 512;

/** What of an envelope is large, as its user knows it. */
const WHAT: Readonly<Partial<Record<Envelope["kind"], string>>> = {
  call: "the argument list",
  cast: "the argument list",
  spawn: "the argument list",
  reply: "the result",
  chunk: "a chunk of the stream",
  error: "the error that was thrown",
};

const NONE: readonly Envelope[] = [];

/** What an outbox needs of its node. */
export interface Way {
  readonly transport: Transport;
  readonly codec: Codec;
  readonly counts: Counts;
  /** Where frames too large to send are put; undefined where nodes share none. */
  readonly blobs: Blobs | undefined;
  /** This node. */
  readonly node: string;
  /** True between `broken` and `restored` of the transport. */
  readonly isBroken: boolean;
}

/** Takes back what will not arrive (OB2); answers what is to be sent in the place of an envelope that was too large. */
export type Undeliverable = (envelope: Envelope, why: WireError) => Envelope | undefined;

/** Numbers from `first` to `last`; none when `last` is below. */
export interface Range {
  readonly first: number;
  readonly last: number;
}

/** What a frame asked for, as the receipt that comes back when it is lost. Watches have numbers of their own. */
export interface Receipt {
  readonly asks: Range;
  readonly watches: Range;
  readonly casts: number;
  /** Said again until the node is there or gone for good. */
  readonly probes: number;
}

/** Whatever comes is a receipt: anybody might send one. */
export function readReceipt(receipt: string): Receipt {
  const numbers = receipt.split("-").map(Number);
  const at = (index: number): number => (Number.isSafeInteger(numbers[index]) ? (numbers[index] as number) : 0);
  const range = (index: number): Range => {
    const first = at(index);
    return { first, last: first > 0 ? Math.min(at(index + 1), first + RANGE_MAX) : 0 };
  };
  return {
    asks: range(0),
    watches: range(2),
    casts: Math.min(at(4), HELD_MAX),
    probes: at(5),
  };
}

const waitsForAnswer = ({ kind }: Envelope): boolean =>
  kind === "call" || kind === "spawn" || kind === "load" || kind === "stop";

const isAsk = (envelope: Envelope): boolean =>
  envelope.kind === "cast" || envelope.kind === "watch" || waitsForAnswer(envelope);

/** Numbers rise in the order in which envelopes are posted, so what lies between the first and the last is in this frame or settled. */
function receiptOf(batch: readonly Envelope[]): string {
  let [firstAsk, lastAsk, firstWatch, lastWatch, casts, probes] = [0, 0, 0, 0, 0, 0];
  for (const envelope of batch) {
    if (envelope.kind === "cast") casts++;
    else if (envelope.kind === "probe") probes++;
    else if (envelope.kind === "watch") {
      lastWatch = envelope.id;
      if (firstWatch === 0) firstWatch = lastWatch;
    } else if (waitsForAnswer(envelope)) {
      lastAsk = (envelope as { readonly id: number }).id;
      if (firstAsk === 0) firstAsk = lastAsk;
    }
  }
  return `${firstAsk}-${lastAsk}-${firstWatch}-${lastWatch}-${casts}-${probes}`;
}

export class Outbox {
  readonly #peer: string;
  readonly #way: Way;
  readonly #undeliverable: Undeliverable;
  #waiting: Envelope[] = [];
  #held: Envelope[] = [];
  #armed = false;
  /** Envelopes that make a frame of about FRAME_TARGET_BYTES. */
  #cutAt = BATCH_MAX;
  /** Bytes are on their way to blobs. */
  #storing = false;
  #lastStamp = 0;
  #closed = false;

  constructor(peer: string, way: Way, undeliverable: Undeliverable) {
    this.#peer = peer;
    this.#way = way;
    this.#undeliverable = undeliverable;
  }

  post(envelope: Envelope): void {
    if (this.#waiting.push(envelope) >= this.#cutAt) this.flush();
    else if (!this.#armed) {
      this.#armed = true;
      // After every microtask of this tick: what actors do one after the other then leaves together.
      process.nextTick(this.#flushLater);
    }
  }

  /** Whether what is posted leaves with the next flush. Otherwise it waits, and must not share bytes with anybody. */
  get isReady(): boolean {
    return !this.#storing && !this.#closed && !this.#way.isBroken;
  }

  /** The connection is there again: what was held goes first. */
  restored(): void {
    if (this.#held.length === 0) return;
    this.#waiting = [...this.#held, ...this.#waiting];
    this.#held = [];
    this.flush();
  }

  /** Sends what waits; later envelopes are given back with Closed. */
  close(): void {
    this.flush();
    this.#closed = true;
  }

  readonly #flushLater = (): void => {
    this.#armed = false;
    this.flush();
  };

  /** Sends what waits now instead of at the end of the tick. `hasLent`: because it shares bytes with others. */
  flush(hasLent = false): void {
    if (this.#storing || this.#waiting.length === 0) return;
    const batch = this.#waiting;
    this.#waiting = [];
    const left = this.#send(batch, hasLent);
    if (left.length > 0) this.#waiting = [...(hasLent ? this.#owned(left) : left), ...this.#waiting];
  }

  /** The same envelopes with bytes of their own: what waits must not share any with anybody. */
  #owned(envelopes: readonly Envelope[]): readonly Envelope[] {
    const { codec } = this.#way;
    return codec.decodeFrame(codec.encodeFrame(envelopes))?.envelopes ?? envelopes;
  }

  /** Answers what has to wait because bytes that go before it are on their way to blobs. */
  #send(batch: readonly Envelope[], hasLent = false): readonly Envelope[] {
    const { transport, codec } = this.#way;
    const frame = hasLent ? codec.encodeBrief(batch) : codec.encodeFrame(batch);
    this.#cutAt = Math.ceil(Math.min(BATCH_MAX, (FRAME_TARGET_BYTES * batch.length) / frame.length));
    if (frame.length > transport.frameMaxBytes) return this.#sendLarge(batch, frame);
    if (!this.#transmit(frame, batch)) for (const envelope of batch) this.#refused(envelope);
    return NONE;
  }

  #transmit(frame: Uint8Array, batch: readonly Envelope[]): boolean {
    const { transport, counts } = this.#way;
    if (this.#closed || !transport.send(this.#peer, frame, receiptOf(batch))) return false;
    counts.framesOut++;
    counts.bytesOut += frame.length;
    return true;
  }

  #refused(envelope: Envelope): void {
    if (!isAsk(envelope) && this.#way.isBroken && !this.#closed && this.#held.length < HELD_MAX) {
      this.#held.push(envelope);
      return;
    }
    const why = this.#closed
      ? failure("Closed", "the system was closed")
      : this.#way.isBroken
        ? failure("Unavailable", "the connection to the fleet is down; it was not sent", { node: this.#peer })
        : failure("Unavailable", `node ${this.#peer} cannot be reached now`, { node: this.#peer });
    this.#undeliverable(envelope, why);
  }

  #sendLarge(batch: readonly Envelope[], frame: Uint8Array): readonly Envelope[] {
    const [only] = batch;
    if (only !== undefined && batch.length === 1) {
      this.#sendByBlob(only, frame.length);
      return NONE;
    }
    const half = Math.ceil(batch.length / 2);
    const left = this.#send(batch.slice(0, half));
    const rest = batch.slice(half);
    return this.#storing ? [...left, ...rest] : this.#send(rest);
  }

  #sendByBlob(envelope: Envelope, bytes: number): void {
    const { blobs, transport, codec, node } = this.#way;
    const maxBytes = blobs === undefined ? transport.frameMaxBytes : blobs.blobMaxBytes - STAMP_MAX_BYTES;
    if (blobs === undefined || bytes > maxBytes || this.#closed) {
      const why = `${WHAT[envelope.kind] ?? "what is sent"} has ${bytes} bytes; at most ${maxBytes} fit`;
      return this.#replace(envelope, failure("PayloadTooLarge", why, { bytes, maxBytes }));
    }
    this.#storing = true;
    const stored = (then: () => void) => {
      this.#storing = false;
      then();
      this.flush();
    };
    const stamp = { kind: "stamp", id: ++this.#lastStamp, by: `${node} ${this.#peer}` } as const;
    blobs.put(codec.encodeFrame([envelope, stamp])).then(
      (hash) => stored(() => this.#sendHash(envelope, hash)),
      (error: unknown) => stored(() => this.#replace(envelope, failureOf(error, "blobs"))),
    );
  }

  #sendHash(envelope: Envelope, hash: string): void {
    const { codec, blobs } = this.#way;
    const id = "id" in envelope ? envelope.id : 0;
    const frame = codec.encodeFrame([{ kind: "blob", id, of: envelope.kind, hash }]);
    if (this.#transmit(frame, [envelope])) return;
    // Nobody will ever load it.
    blobs?.delete(hash).catch(() => {});
    this.#refused(envelope);
  }

  #replace(envelope: Envelope, why: WireError): void {
    const smaller = this.#undeliverable(envelope, why);
    if (smaller !== undefined) this.#send([smaller]);
  }
}
