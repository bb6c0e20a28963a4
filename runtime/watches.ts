// Who watches actors across nodes: ours on others, and others' on ours.
// It is not the watching of one actor on its own node (host.ts, cell/life.ts).
//
// WS1  A watcher hears one end: that of the actor, or why nothing more will be heard of it.
// WS2  Watching is asked for again whenever word of an end may have been lost; asking twice does nothing.

import type { Address } from "./address.ts";
import type { ReviveHandle } from "./codec.ts";
import type { ActorEnd, WireError } from "./envelope.ts";
import { failure } from "./failure.ts";
import type { Host } from "./host.ts";
import type { Range } from "./outbox.ts";
import { errorIn, type Peer } from "./peer.ts";
import { sendable } from "./remote-reply.ts";
import { type DeathCause, departed } from "./roll.ts";

interface Watch {
  /** Undefined when the node was gone before it could be asked. */
  readonly peer: Peer | undefined;
  readonly to: Address;
  readonly onEnd: (end: ActorEnd) => void;
  /** Not asked for a second time yet. */
  isNew: boolean;
}

export interface WatchesOptions {
  readonly host: Host;
  readonly revive: ReviveHandle;
  /** The way to a node; undefined when it is known to have departed. */
  readonly find: (node: string) => Peer | undefined;
}

export class Watches {
  readonly #options: WatchesOptions;
  readonly #ours = new Map<number, Watch>();
  /** A peer's watches of actors here, by its numbers: how to take them back. */
  readonly #theirs = new Map<Peer, Map<number, () => void>>();
  #lastId = 0;

  constructor(options: WatchesOptions) {
    this.#options = options;
  }

  // Ours --------------------------------------------------------------------------------------------------------------------

  watch(to: Address, onEnd: (end: ActorEnd) => void): () => void {
    const id = ++this.#lastId;
    const peer = this.#options.find(to.node);
    this.#ours.set(id, { peer, to, onEnd, isNew: true });
    if (peer === undefined) this.end(id, nodeLost(to.node));
    else peer.post({ kind: "watch", id, to });
    return () => {
      if (this.#ours.delete(id)) peer?.post({ kind: "unwatch", id, to });
    };
  }

  /** Frames from or to the peer may have been lost (WS2). */
  again(peer: Peer): void {
    for (const [id, watch] of this.#ours) {
      if (watch.peer !== peer) continue;
      // The node may be about to come back itself, and will then ask for this again: that it is not there now is no end.
      watch.isNew = false;
      peer.post({ kind: "watch", id, to: watch.to });
    }
  }

  /** A frame with these watches in it found nobody. */
  lost(node: string, { first, last }: Range, why: WireError): void {
    for (let id = first; id <= last; id++) {
      const watch = this.#ours.get(id);
      if (watch?.isNew && watch.to.node === node) this.end(id, why);
    }
  }

  /** Nothing more will be heard. In a microtask, as a host does: whoever has just begun to watch holds the way to take it back by then. */
  end(id: number, error: WireError): void {
    queueMicrotask(() => {
      const watch = this.#ours.get(id);
      if (this.#ours.delete(id)) watch?.onEnd({ address: watch.to, reason: "unknown", error });
    });
  }

  /** The peer says that an actor has ended. */
  hear(peer: Peer, id: number, { address, reason, error }: ActorEnd, isTagged: boolean): void {
    const watch = this.#ours.get(id);
    if (watch?.peer !== peer) return;
    const end = { address, reason, ...(error && { error: errorIn(error, isTagged, this.#options.revive) }) };
    this.#ours.delete(id);
    watch.onEnd(end);
  }

  // Theirs ------------------------------------------------------------------------------------------------------------------

  take(peer: Peer, id: number, to: Address): void {
    const watched = this.#theirs.get(peer) ?? new Map<number, () => void>();
    if (watched.has(id)) return;
    const unwatch = this.#options.host.watch(to, ({ address, reason, error }) => {
      watched.delete(id);
      peer.post({ kind: "signal", id, end: { address, reason, ...(error && { error: sendable(error) }) } });
    });
    watched.set(id, unwatch);
    this.#theirs.set(peer, watched);
  }

  drop(peer: Peer, id: number): void {
    const watched = this.#theirs.get(peer);
    watched?.get(id)?.();
    watched?.delete(id);
  }

  /** The node has left or died. */
  gone(peer: Peer, cause?: DeathCause): void {
    for (const unwatch of this.#theirs.get(peer)?.values() ?? []) unwatch();
    this.#theirs.delete(peer);
    for (const [id, watch] of this.#ours) if (watch.peer === peer) this.end(id, nodeLost(peer.node, cause));
  }
}

const nodeLost = (node: string, cause?: DeathCause): WireError =>
  failure("NodeLost", departed(node, cause), { node, ...(cause && { why: cause.code }) });
