// The Transport port inside one process: a network is a table of nodes, a frame is a copied byte array delivered on a later microtask.

import type { Listener, Transport } from "../transport.ts";

const FRAME_MAX_BYTES = 8 * 1024 * 1024;

/** Nodes of one process that can reach each other. Two networks never meet. */
export class MemoryNetwork {
  readonly #receivers = new Map<string, Listener>();

  /** The transport of the node with this name. */
  join(node: string): Transport {
    const receivers = this.#receivers;
    let closed = false;
    return {
      frameMaxBytes: FRAME_MAX_BYTES,
      async listen(listener) {
        receivers.set(node, listener);
      },
      send(to, frame) {
        if (closed || !receivers.has(to)) return false;
        // A receiver must not be called inside send (TP3), nor share bytes with the sender.
        const copy = frame.slice();
        queueMicrotask(() => receivers.get(to)?.frame(node, copy));
        return true;
      },
      async close() {
        closed = true;
        receivers.delete(node);
      },
    };
  }
}
