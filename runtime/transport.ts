// Port: moves frames between nodes. A frame is opaque bytes here; codec.ts says what is in it.
//
// TP1  At most once: a frame arrives whole and unchanged, or not at all. Nothing is repeated. A frame is good until the end of
//      the event loop's turn in which it was sent: a form that needs it longer copies it.
// TP2  Frames of one sender to one receiver arrive in the order they were sent; between other pairs there is no order.
// TP3  `send` never blocks and never calls a receiver before it returns. It answers whether the frame was taken: false means that it
//      will certainly not arrive (not connected, closed, a peer known to be nobody), so a caller can fail at once instead of waiting.
//      True is no promise of arrival.
// TP4  `lost(peer, receipt)`: the frame that was sent with this receipt certainly did not arrive: nobody of that name listens now.
//      Forms that know it already when they are asked to send answer false instead.
// TP5  `broken()`: the connection broke, and frames under way in either direction may be gone. `restored()`: `send` takes frames again.
//      Forms that cannot break never call them.
// TP6  `listen` is called once, before the first frame is expected; the callbacks must not throw.
// TP7  `close` may be called twice; what was sent before it still leaves; after it nothing is delivered in either direction.

export interface Listener {
  frame(from: string, frame: Uint8Array): void;
  lost(peer: string, receipt: string): void;
  broken(): void;
  restored(): void;
}

export interface Transport {
  /** Largest frame it carries, in bytes. */
  readonly frameMaxBytes: number;
  listen(listener: Listener): Promise<void>;
  /** `receipt`: dotless text of letters, digits and "-", given back by `lost`. */
  send(to: string, frame: Uint8Array, receipt?: string): boolean;
  close(): Promise<void>;
}
