// Why actors are where they are: the placer's decision for each actor of this node, and of its processes, that somebody may ask about.
// Kept while the actor lives.

import type { Address } from "./address.ts";
import type { ActorEnd } from "./envelope.ts";
import type { Decision } from "./placer.ts";

/** With more, the oldest are forgotten: why is a question about what was spawned lately. */
const KEPT_MAX = 10_000;

export class Decisions {
  readonly #watch: (address: Address, onEnd: (end: ActorEnd) => void) => unknown;
  readonly #kept = new Map<string, Decision>();

  /** `watch` calls back once when the actor has ended, wherever it lives. */
  constructor(watch: (address: Address, onEnd: (end: ActorEnd) => void) => unknown) {
    this.#watch = watch;
  }

  keep(address: Address, decision: Decision): void {
    const key = keyOf(address);
    // The holder of a name that was asked for again: it is where it was.
    if (this.#kept.has(key)) return;
    this.#kept.set(key, decision);
    const [oldest] = this.#kept.keys();
    if (oldest !== undefined && this.#kept.size > KEPT_MAX) this.#kept.delete(oldest);
    this.#watch(address, () => this.#kept.delete(key));
  }

  /** Undefined when nobody said why, or the actor has ended. */
  of(address: Pick<Address, "node" | "id">): Decision | undefined {
    return this.#kept.get(keyOf(address));
  }
}

const keyOf = ({ node, id }: Pick<Address, "node" | "id">): string => `${node}/${id}`;
