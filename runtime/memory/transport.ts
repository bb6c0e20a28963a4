// The Transport port inside one process: a network is a table of nodes, a frame is a copied byte array delivered on a later microtask.

import type { Receive, Transport } from "../transport.ts";

const FRAME_MAX_BYTES = 8 * 1024 * 1024;

/** Nodes of one process that can reach each other. Two networks never meet. */
export class MemoryNetwork {
  readonly #receivers = new Map<string, Receive>();

  /** The transport of the node with this name. */
  join(node: string): Transport {
    const receivers = this.#receivers;
    let closed = false;
    return {
      frameMaxBytes: FRAME_MAX_BYTES,
      async listen(receive) {
        receivers.set(node, receive);
      },
      send(to, frame) {
        if (closed || !receivers.has(to)) return false;
        // The sender may reuse its buffer, and a receiver must not be called inside send (TP3).
        const copy = frame.slice();
        queueMicrotask(() => {
          if (!closed) receivers.get(to)?.(node, copy);
        });
        return true;
      },
      async close() {
        closed = true;
        receivers.delete(node);
      },
    };
  }
}
