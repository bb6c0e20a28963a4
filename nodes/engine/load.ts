// What a model server has to do, as far as its node knows: requests counted here, and what others saw of it. It asks the server nothing.

import type { Clock, EngineReport } from "../../runtime/index.ts";

/** What somebody who reads its metrics, or sends it requests, has seen. */
export interface EngineLoad {
  readonly running: number;
  readonly waiting: number;
  /** Requests it can have in hand at once. */
  readonly slots?: number;
  readonly kvUsage?: number;
  readonly hitRate?: number;
  readonly tokensPerS?: number;
  /** Changes whenever the server makes progress: tokens computed so far. Spares it the questions by which a hang is found. */
  readonly progress?: number;
}

/** vLLM's own smallest: a server that says nothing of its slots is taken to have as many. */
const SLOTS = 256;
/** A refusal says nothing about a while later. */
const REFUSED_MS = 1_000;

export class Load {
  readonly #clock: Clock;
  readonly #slots: number | undefined;
  #seen: EngineLoad | undefined;
  #refusedUntilMs = 0;
  #uses = 0;
  #signs = 0;
  #usedAtMs: number;

  /** `slots`: by the options. */
  constructor(clock: Clock, slots: number | undefined) {
    this.#clock = clock;
    this.#slots = slots;
    this.#usedAtMs = clock.monotonic();
  }

  /** Requests that this node has in hand there. */
  get uses(): number {
    return this.#uses;
  }

  get isInHand(): boolean {
    return this.#uses > 0 || (this.#seen !== undefined && this.#seen.running + this.#seen.waiting > 0);
  }

  /** Changes with progress, as far as anybody tells of it. */
  get progress(): string {
    return `${this.#seen?.progress} ${this.#signs}`;
  }

  /** For how long nobody has wanted it. */
  get idleMs(): number {
    return this.isInHand ? 0 : this.#clock.monotonic() - this.#usedAtMs;
  }

  /** Why it can take no more; undefined: it can. */
  get full(): string | undefined {
    if (this.#clock.monotonic() < this.#refusedUntilMs) return "it answers 503";
    const { running, waiting, slots } = this.report();
    return this.#seen !== undefined && running + waiting >= slots ? "all its slots are taken" : undefined;
  }

  /** Somebody wants it, at this moment. */
  touch(): void {
    this.#usedAtMs = this.#clock.monotonic();
  }

  /** Counts a request until the function it answers is called, once or more. */
  use(): () => void {
    this.#uses += 1;
    let isOver = false;
    return () => {
      if (isOver) return;
      isOver = true;
      this.#uses -= 1;
      this.touch();
    };
  }

  sign(): void {
    this.#signs += 1;
  }

  see(load: EngineLoad): void {
    this.#seen = load;
    if (load.running + load.waiting > 0) this.touch();
  }

  /** It has just answered 503. */
  refused(): void {
    this.#refusedUntilMs = this.#clock.monotonic() + REFUSED_MS;
  }

  /** What was seen of another life says nothing of this one. */
  forget(): void {
    this.#seen = undefined;
    this.touch();
  }

  report(): Pick<EngineReport, "running" | "waiting" | "slots" | "kvUsage" | "hitRate" | "tokensPerS"> {
    const { running = 0, waiting = 0, slots, kvUsage = 0, hitRate, tokensPerS } = this.#seen ?? {};
    return {
      // What was sent there since it was last looked at is there as well.
      running: Math.max(running, this.#uses - waiting),
      waiting,
      slots: slots ?? this.#slots ?? SLOTS,
      kvUsage,
      ...(hitRate !== undefined && { hitRate }),
      ...(tokensPerS !== undefined && { tokensPerS }),
    };
  }
}
