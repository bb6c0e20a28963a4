// Watches of actors across nodes: ours of theirs, and theirs of ours.
//
//     watch here ──watch──▶ their host ── the actor ends ──signal──▶ onEnd here
//
// RW1  A watch hears one end: the actor's, or that its node is gone, or that the node could not be asked.
// RW2  A watch that is said again replaces itself: after a loss nobody knows whether it, or the word that it waits for, has arrived.

import type { Address } from "./address.ts";
import type { ActorEnd, WireError } from "./envelope.ts";
import type { Host } from "./host.ts";
import type { Peer } from "./peer.ts";

interface Watch {
  readonly peer: Peer;
  readonly to: Address;
  readonly onEnd: (end: ActorEnd) => void;
}

export class RemoteWatches {
  readonly #host: Host;
  /** Ours, by our number. */
  readonly #own = new Map<number, Watch>();
  /** Each peer's, by its number: how to take it back. */
  readonly #theirs = new Map<Peer, Map<number, () => void>>();
  #lastId = 0;

  constructor(host: Host) {
    this.#host = host;
  }

  /** Calls `onEnd` once. Answers how to take that back. */
  watch(peer: Peer, to: Address, onEnd: (end: ActorEnd) => void): () => void {
    const id = ++this.#lastId;
    this.#own.set(id, { peer, to, onEnd });
    peer.post({ kind: "watch", id, to });
    return () => {
      if (this.#own.delete(id)) peer.post({ kind: "unwatch", id, to });
    };
  }

  /** Says all of ours again, or those of one peer (RW2). */
  again(of?: Peer): void {
    for (const [id, { peer, to }] of this.#own)
      if (of === undefined || of === peer) peer.post({ kind: "watch", id, to });
  }

  /** One of ours could not be said. */
  failed(id: number, error: WireError): void {
    const watch = this.#own.get(id);
    this.#own.delete(id);
    watch?.onEnd({ address: watch.to, reason: "unknown", error });
  }

  takeSignal(peer: Peer, id: number, end: ActorEnd): void {
    const watch = this.#own.get(id);
    if (watch?.peer !== peer) return;
    this.#own.delete(id);
    watch.onEnd(end);
  }

  take(peer: Peer, id: number, to: Address): void {
    const theirs = this.#theirs.get(peer) ?? new Map<number, () => void>();
    this.#theirs.set(peer, theirs);
    theirs.get(id)?.();
    const unwatch = this.#host.watch(to, (end) => {
      theirs.delete(id);
      peer.post({ kind: "signal", id, end });
    });
    theirs.set(id, unwatch);
  }

  takeBack(peer: Peer, id: number): void {
    this.#theirs.get(peer)?.get(id)?.();
    this.#theirs.get(peer)?.delete(id);
  }

  /** The peer is gone: its watches end, and ours of its actors are told. */
  gone(peer: Peer, error: WireError): void {
    for (const unwatch of this.#theirs.get(peer)?.values() ?? []) unwatch();
    this.#theirs.delete(peer);
    for (const [id, watch] of [...this.#own]) if (watch.peer === peer) this.failed(id, error);
  }
}
