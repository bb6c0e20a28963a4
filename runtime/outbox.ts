// What leaves for other nodes: envelopes wait here until the end of the tick and go out as one frame for each peer.
// It is not who waits for their answers (peers.ts).
//
// OB1  Envelopes for one peer made in one tick leave as one frame, in the order they were made, cut at BATCH_MAX and at the frame's size.
// OB2  What certainly will not arrive is given back with the reason.

import type { Codec } from "./codec.ts";
import type { Envelope, WireError } from "./envelope.ts";
import { failure } from "./failure.ts";
import type { Transport } from "./transport.ts";

const BATCH_MAX = 512;

/** Takes back what will not arrive (OB2); answers what is to be sent in the place of an envelope that was too large. */
export type Undeliverable = (peer: string, envelope: Envelope, why: WireError) => Envelope | undefined;

export class Outbox {
  readonly #transport: Transport;
  readonly #codec: Codec;
  readonly #undeliverable: Undeliverable;
  readonly #waiting = new Map<string, Envelope[]>();
  #closed = false;

  constructor(transport: Transport, codec: Codec, undeliverable: Undeliverable) {
    this.#transport = transport;
    this.#codec = codec;
    this.#undeliverable = undeliverable;
  }

  post(peer: string, envelope: Envelope): void {
    const waiting = this.#waiting.get(peer);
    if (waiting === undefined) {
      this.#waiting.set(peer, [envelope]);
      queueMicrotask(() => this.#flush(peer));
    } else if (waiting.push(envelope) >= BATCH_MAX) this.#flush(peer);
  }

  /** Sends what waits; later envelopes are given back with Closed. */
  close(): void {
    for (const peer of [...this.#waiting.keys()]) this.#flush(peer);
    this.#closed = true;
  }

  #flush(peer: string): void {
    const batch = this.#waiting.get(peer);
    this.#waiting.delete(peer);
    if (batch !== undefined) this.#send(peer, batch);
  }

  #send(peer: string, batch: readonly Envelope[]): void {
    const frame = this.#codec.encodeFrame(batch);
    if (frame.length > this.#transport.frameMaxBytes) return this.#split(peer, batch, frame.length);
    if (!this.#closed && this.#transport.send(peer, frame)) return;
    const why = this.#closed
      ? failure("Closed", "the system was closed")
      : failure("Unavailable", `node ${peer} cannot be reached now`, { node: peer });
    for (const envelope of batch) this.#undeliverable(peer, envelope, why);
  }

  #split(peer: string, batch: readonly Envelope[], bytes: number): void {
    const [only] = batch;
    if (batch.length > 1 || only === undefined) {
      const half = Math.ceil(batch.length / 2);
      this.#send(peer, batch.slice(0, half));
      this.#send(peer, batch.slice(half));
      return;
    }
    const maxBytes = this.#transport.frameMaxBytes;
    const why = `a ${only.kind} of ${bytes} bytes does not fit; at most ${maxBytes} do`;
    const smaller = this.#undeliverable(peer, only, failure("PayloadTooLarge", why, { bytes, maxBytes }));
    if (smaller !== undefined) this.#send(peer, [smaller]);
  }
}
