// A network that misbehaves by seed: whoever drives it says when a frame moves, and the seed says which one, and whether it is lost,
// overtaken or repeated. Nothing moves by itself, so a run is the same for the same seed.

import type { Random } from "../../runtime/index.ts";
import type { Listener, Transport } from "../../runtime/transport.ts";

export interface Faults {
  /** Chance that a frame is lost. */
  readonly drop: number;
  /** Chance that a frame overtakes others of its pair, which TP2 rules out: the runtime must bear it all the same. */
  readonly overtake: number;
  /** Chance that a frame arrives twice, which TP1 rules out. */
  readonly repeat: number;
}

interface Pair {
  readonly from: string;
  readonly to: string;
  readonly frames: Uint8Array[];
}

export class FaultyNetwork {
  readonly #random: Random;
  readonly #faults: Faults;
  readonly #receivers = new Map<string, Listener>();
  readonly #pairs = new Map<string, Pair>();

  constructor(random: Random, faults: Faults) {
    this.#random = random;
    this.#faults = faults;
  }

  join(node: string): Transport {
    return {
      frameMaxBytes: 1024 * 1024,
      listen: async (listener) => {
        this.#receivers.set(node, listener);
      },
      send: (to, frame) => {
        if (!this.#receivers.has(to) || !this.#receivers.has(node)) return false;
        this.#pair(node, to).frames.push(frame.slice());
        return true;
      },
      close: async () => {
        this.#receivers.delete(node);
      },
    };
  }

  /** Moves one frame, or loses it. False when none is under way. */
  step(): boolean {
    const waiting = [...this.#pairs.values()].filter(({ frames }) => frames.length > 0);
    const pair = waiting[this.#random.below(waiting.length)];
    if (pair === undefined) return false;
    const { drop, overtake, repeat } = this.#faults;
    const at = this.#random.next() < overtake ? this.#random.below(pair.frames.length) : 0;
    const [frame] = this.#random.next() < repeat ? pair.frames.slice(at, at + 1) : pair.frames.splice(at, 1);
    if (frame !== undefined && this.#random.next() >= drop) this.#receivers.get(pair.to)?.frame(pair.from, frame);
    return true;
  }

  #pair(from: string, to: string): Pair {
    const key = `${from} ${to}`;
    const pair = this.#pairs.get(key) ?? { from, to, frames: [] };
    this.#pairs.set(key, pair);
    return pair;
  }
}
