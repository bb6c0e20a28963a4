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

/** Which asks a frame held, as the receipt that comes back when it is lost: "first-last-casts-again". */
export interface Receipt {
  /** Ids of calls, spawns and stops; 0 when there were none. */
  readonly first: number;
  readonly last: number;
  readonly casts: number;
  /** Watches and probes: they are sent again, until the node is there or gone for good. */
  readonly again: number;
}

export function readReceipt(receipt: string): Receipt {
  const [first = 0, last = 0, casts = 0, again = 0] = receipt.split("-").map(Number);
  return { first, last, casts, again };
}

const waitsForAnswer = ({ kind }: Envelope): boolean =>
  kind === "call" || kind === "spawn" || kind === "load" || kind === "stop" || kind === "watch";

function receiptOf(batch: readonly Envelope[]): string {
  let first = 0;
  let last = 0;
  let casts = 0;
  let again = 0;
  for (const envelope of batch) {
    if (envelope.kind === "cast") casts++;
    // Not by their ids: those of watches are another count than those of calls.
    else if (envelope.kind === "watch" || envelope.kind === "probe") again++;
    else if (waitsForAnswer(envelope)) {
      last = envelope.id;
      if (first === 0) first = last;
    }
  }
  return `${first}-${last}-${casts}-${again}`;
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
    this.#send(batch, hasLent);
  }

  #send(batch: readonly Envelope[], hasLent = false): void {
    const { transport, codec } = this.#way;
    const frame = hasLent ? codec.encodeBrief(batch) : codec.encodeFrame(batch);
    this.#cutAt = Math.ceil(Math.min(BATCH_MAX, (FRAME_TARGET_BYTES * batch.length) / frame.length));
    if (frame.length > transport.frameMaxBytes) return this.#sendLarge(batch, frame);
    if (!this.#transmit(frame, batch)) for (const envelope of batch) this.#refused(envelope);
  }

  #transmit(frame: Uint8Array, batch: readonly Envelope[]): boolean {
    const { transport, counts } = this.#way;
    if (this.#closed || !transport.send(this.#peer, frame, receiptOf(batch))) return false;
    counts.framesOut++;
    counts.bytesOut += frame.length;
    return true;
  }

  #refused(envelope: Envelope): void {
    const isAsk = envelope.kind === "cast" || waitsForAnswer(envelope);
    if (!isAsk && this.#way.isBroken && !this.#closed && this.#held.length < HELD_MAX) {
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

  #sendLarge(batch: readonly Envelope[], frame: Uint8Array): void {
    const [only] = batch;
    if (only !== undefined && batch.length === 1) return this.#sendByBlob(only, frame.length);
    const half = Math.ceil(batch.length / 2);
    this.#send(batch.slice(0, half));
    const rest = batch.slice(half);
    if (this.#storing) this.#waiting = [...rest, ...this.#waiting];
    else this.#send(rest);
  }

  #sendByBlob(envelope: Envelope, bytes: number): void {
    const { blobs, transport, codec, node } = this.#way;
    const maxBytes = blobs === undefined ? transport.frameMaxBytes : blobs.blobMaxBytes;
    if (blobs === undefined || bytes > maxBytes || this.#closed) {
      const why = `a ${envelope.kind} of ${bytes} bytes does not fit; at most ${maxBytes} do`;
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
    const frame = this.#way.codec.encodeFrame([{ kind: "blob", id: 0, hash }]);
    if (!this.#transmit(frame, [envelope])) this.#refused(envelope);
  }

  #replace(envelope: Envelope, why: WireError): void {
    const smaller = this.#undeliverable(envelope, why);
    if (smaller !== undefined) this.#send([smaller]);
  }
}
