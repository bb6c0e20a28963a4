// Ends and watches an actor wherever it lives: here, on another node, or where it was moved to.
// It sends no messages to it (calls.ts).

import type { Address } from "./address.ts";
import type { Questions } from "./calls.ts";
import { type Clock, finishesWithin } from "./clock.ts";
import type { ActorEnd, WireError } from "./envelope.ts";
import { errorOf, failureOf } from "./failure.ts";
import type { Host } from "./host.ts";
import type { Peers } from "./peers.ts";
import type { Routes } from "./routes.ts";

/** What an actor that is alone in its process is given to answer beyond its time, before its process is ended. */
const FORCE_AFTER_MS = 1_000;

export interface ActorControlOptions {
  readonly node: string;
  readonly clock: Clock;
  /** The node that has started this one to hold one actor; undefined for any other. */
  readonly parentOf: (node: string) => string | undefined;
  /** Ends a process of this node, by its node id, whatever its actor does. */
  readonly endProcess: (node: string) => Promise<unknown>;
  readonly host: Host;
  readonly peers: Peers;
  readonly routes: Routes;
  readonly questions: Questions;
}

export class ActorControl {
  readonly #options: ActorControlOptions;

  constructor(options: ActorControlOptions) {
    this.#options = options;
  }

  /** Ends an actor in order; resolves when it has ended. Nothing when it is no more. */
  stop(address: Address, timeoutMs: number): Promise<void> {
    return this.#whereItLives(address, async (at) => {
      if (at.node === this.#options.node) return this.#options.host.stop(at, timeoutMs);
      // The other node takes up to twice timeoutMs: for what is in hand and for onStop.
      await this.#endElsewhere(at, "stop", timeoutMs, 2 * timeoutMs);
    });
  }

  /** Ends an actor now. */
  kill(address: Address): Promise<void> {
    return this.#whereItLives(address, async (at) => {
      if (at.node === this.#options.node) return this.#options.host.kill(at);
      await this.#endElsewhere(at, "kill", 0, 0);
    });
  }

  /** One that never lets go of its thread hears nothing of this: where it has a process to itself, the node of that ends it. */
  async #endElsewhere(at: Address, how: "stop" | "kill", timeoutMs: number, withinMs: number): Promise<void> {
    const { clock, questions, peers, parentOf } = this.#options;
    const parent = parentOf(at.node);
    const asked = questions.ask((sink) => peers.stop(at, how, timeoutMs, sink), withinMs);
    const answers = (done: () => void) => void asked.then(done, done);
    if (parent === undefined || (await finishesWithin(clock, withinMs + FORCE_AFTER_MS, answers))) await asked;
    else await this.#force(at, parent);
  }

  async #force(at: Address, parent: string): Promise<void> {
    const { node, questions, peers, endProcess } = this.#options;
    if (parent === node) await endProcess(at.node);
    else await questions.ask((sink) => peers.stop(at, "kill", 0, sink, parent));
  }

  /** Does `end` to an actor: at once where it is known to be, an actor may end itself. Nothing when it is no more. */
  async #whereItLives(address: Address, end: (at: Address) => Promise<void>): Promise<void> {
    const located = this.#options.routes.locate(address);
    if (!(located instanceof Promise)) return end(located);
    const found = await located;
    if (!("code" in found)) return end(found);
    if (found.code !== "NoSuchActor") throw errorOf(found);
  }

  /** Calls `onEnd` once when the actor ends. Answers how to take that back. */
  watch(address: Address, onEnd: (end: ActorEnd) => void): () => void {
    const located = this.#options.routes.locate(address);
    // At once where it can be: what is done to the actor next must not overtake its watch.
    if (!(located instanceof Promise)) return this.#watchAt(located, onEnd);
    let isWanted = true;
    let unwatch = () => {
      isWanted = false;
    };
    const start = (at: Address | WireError) => {
      if (!isWanted) return;
      if ("code" in at) onEnd({ address, reason: "unknown", error: at });
      else unwatch = this.#watchAt(at, onEnd);
    };
    located.then(start, (error: unknown) => start(failureOf(error, "looking it up")));
    return () => unwatch();
  }

  #watchAt(address: Address, onEnd: (end: ActorEnd) => void): () => void {
    return address.node === this.#options.node
      ? this.#options.host.watch(address, onEnd)
      : this.#options.peers.watch(address, onEnd);
  }
}
