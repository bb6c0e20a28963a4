// Port: moves frames between nodes. A frame is opaque bytes here; codec.ts says what is in it.
//
// TP1  At most once: a frame arrives whole and unchanged, or not at all. Nothing is repeated.
// TP2  Frames of one sender to one receiver arrive in the order they were sent; between other pairs there is no order.
// TP3  `send` never blocks and never calls a receiver before it returns. It answers whether the frame was taken: false means that it
//      will certainly not arrive (unknown peer, not connected, closed), so a caller can fail at once instead of waiting.
//      True is no promise of arrival.
// TP4  `listen` is called once, before the first frame is expected; the callback must not throw.
// TP5  `close` may be called twice; after it nothing is delivered in either direction.

export type Receive = (from: string, frame: Uint8Array) => void;

export interface Transport {
  /** Largest frame it carries, in bytes. */
  readonly frameMaxBytes: number;
  listen(receive: Receive): Promise<void>;
  send(to: string, frame: Uint8Array): boolean;
  close(): Promise<void>;
}
