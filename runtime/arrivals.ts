// Frames as they come from other nodes: judged, fetched where their bytes are in blobs, and handed on in the order they came.
// It is not what they say (peers.ts, peer.ts).
//
// AR1  Bytes that are no frame of ours are counted and dropped, and never disturb what else is under way.
// AR2  Frames of one peer are taken in the order they came, also while one of them is fetched from blobs.
// AR3  When a frame's bytes cannot be had, whoever waits for what was in it is told.

import type { Blobs } from "./blobs.ts";
import type { Codec, Frame } from "./codec.ts";
import type { Counts } from "./counts.ts";
import type { Envelope } from "./envelope.ts";
import { failure } from "./failure.ts";
import type { LogLevel } from "./log.ts";
import type { Peer } from "./peer.ts";

export interface ArrivalsOptions {
  /** This node. */
  readonly node: string;
  readonly codec: Codec;
  readonly counts: Counts;
  readonly blobs: Blobs | undefined;
  readonly log: (level: LogLevel, message: string, data: Readonly<Record<string, unknown>>) => void;
  readonly take: (peer: Peer, frame: Frame) => void;
}

type Blob = Extract<Envelope, { readonly kind: "blob" }>;

export class Arrivals {
  readonly #options: ArrivalsOptions;
  /** Frames that came while an earlier one of their peer is fetched (AR2). */
  readonly #stalled = new Map<Peer, Uint8Array[]>();

  constructor(options: ArrivalsOptions) {
    this.#options = options;
  }

  receive(peer: Peer, bytes: Uint8Array): void {
    const stalled = this.#stalled.get(peer);
    if (stalled !== undefined) {
      stalled.push(bytes);
      return;
    }
    const { counts, codec, take } = this.#options;
    counts.framesIn++;
    counts.bytesIn += bytes.length;
    const frame = codec.decodeFrame(bytes);
    if (frame === undefined) {
      counts.badFrames++;
      return;
    }
    const [first] = frame.envelopes;
    if (first?.kind === "blob") void this.#takeBlob(peer, first);
    else take(peer, frame);
  }

  /** The node has left or died: what waits of it is nobody's. */
  gone(peer: Peer): void {
    this.#stalled.delete(peer);
  }

  async #takeBlob(peer: Peer, blob: Blob): Promise<void> {
    const stalled: Uint8Array[] = [];
    this.#stalled.set(peer, stalled);
    const found = await this.#fetch(blob.hash).catch((error: unknown) => error as Error);
    // It may have gone meanwhile, and whoever waited for it has been told.
    if (this.#stalled.get(peer) !== stalled) return;
    this.#stalled.delete(peer);
    if (found instanceof Error) this.#missing(peer, blob, found);
    else this.#options.take(peer, found);
    // If another one of its kind is among them, what came after that one goes on waiting.
    for (const bytes of stalled) this.receive(peer, bytes);
  }

  #missing(peer: Peer, { of, id }: Blob, error: Error): void {
    const { log, node } = this.#options;
    log("warn", "a large frame could not be fetched", { from: peer.node, error: String(error) });
    const why = `it was too large for a frame, and its bytes could not be fetched from blobs: ${error.message}`;
    peer.unreadable(of, id, failure("Unavailable", why, { node }));
  }

  /** The frame in a blob, which is nobody else's and goes with that. */
  async #fetch(hash: string): Promise<Frame> {
    const { blobs, codec, counts, log } = this.#options;
    const bytes = await blobs?.get(hash);
    if (bytes === undefined) throw new Error("they are not there");
    const frame = codec.decodeFrame(bytes);
    if (frame === undefined) {
      counts.badFrames++;
      throw new Error("they are no frame");
    }
    // Not waited for: it is read, and at worst it stays.
    blobs?.delete(hash).catch((error: unknown) => {
      log("warn", "the blob of a large frame was left behind", { hash, error: String(error) });
    });
    return frame;
  }
}
