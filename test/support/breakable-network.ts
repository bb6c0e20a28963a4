// A network in this process that breaks as one over a server does: a node is cut off and comes back, frames under way are lost, and who
// sends to nobody is told with the frame's receipt.
//
//     send ──▶ under way ──(by itself, or by `step`)──▶ frame of the receiver
//                  │                                └─▶ nobody listens: `lost` of the sender, as a server's 503
//                  └── one end is cut: gone without a word

import type { Random } from "../../runtime/index.ts";
import type { Listener, Transport } from "../../runtime/transport.ts";

interface Flight {
  readonly from: string;
  readonly to: string;
  readonly bytes: Uint8Array;
  readonly receipt: string;
}

export interface BreakableOptions {
  readonly frameMaxBytes?: number;
  /** Frames move only when `step` says so. Default: each by itself, a little later. */
  readonly byHand?: boolean;
}

export class BreakableNetwork {
  readonly #frameMaxBytes: number;
  readonly #byHand: boolean;
  readonly #listeners = new Map<string, Listener>();
  readonly #cut = new Set<string>();
  #flights: Flight[] = [];
  #isHeld = false;

  constructor({ frameMaxBytes = 1024 * 1024, byHand = false }: BreakableOptions = {}) {
    this.#frameMaxBytes = frameMaxBytes;
    this.#byHand = byHand;
  }

  join(node: string): Transport {
    let isClosed = false;
    return {
      frameMaxBytes: this.#frameMaxBytes,
      listen: async (listener) => {
        this.#listeners.set(node, listener);
      },
      send: (to, frame, receipt = "-") => {
        if (isClosed || this.#cut.has(node)) return false;
        this.#flights.push({ from: node, to, bytes: frame.slice(), receipt });
        if (!this.#byHand) queueMicrotask(() => !this.#isHeld && this.step());
        return true;
      },
      close: async () => {
        isClosed = true;
        this.#listeners.delete(node);
      },
    };
  }

  /** Cuts a node off: what is under way from and to it is gone. */
  cut(node: string): void {
    if (this.#cut.has(node)) return;
    this.#cut.add(node);
    this.#flights = this.#flights.filter(({ from, to }) => from !== node && to !== node);
    this.#listeners.get(node)?.broken();
  }

  mend(node: string): void {
    if (this.#cut.delete(node)) this.#listeners.get(node)?.restored();
  }

  /** Tells a node that a frame of its found nobody, whether there was one or not. */
  tellLost(from: string, to: string, receipt: string): void {
    this.#listeners.get(from)?.lost(to, receipt);
  }

  /** Lets frames gather under way, until `release`. */
  hold(): void {
    this.#isHeld = true;
  }

  release(): void {
    this.#isHeld = false;
    while (this.step());
  }

  /** Loses what is under way from one node to another. Answers how many frames that were. */
  lose(from: string, to: string): number {
    const before = this.#flights.length;
    this.#flights = this.#flights.filter((flight) => flight.from !== from || flight.to !== to);
    return before - this.#flights.length;
  }

  /** Moves the first frame of one pair of nodes; of which one, `random` says. False when none is under way. */
  step(random?: Random): boolean {
    const firsts = this.#flights.filter(
      ({ from, to }, at) => at === this.#flights.findIndex((other) => other.from === from && other.to === to),
    );
    const flight = firsts[random?.below(firsts.length) ?? 0];
    if (flight === undefined) return false;
    this.#flights.splice(this.#flights.indexOf(flight), 1);
    const { from, to, bytes, receipt } = flight;
    const receiver = this.#cut.has(to) ? undefined : this.#listeners.get(to);
    if (receiver !== undefined) receiver.frame(from, bytes);
    else this.#listeners.get(from)?.lost(to, receipt);
    return true;
  }
}
