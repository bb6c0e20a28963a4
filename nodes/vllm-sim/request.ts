// One request while the engine has it: what it asks for, how far it is, and who is told. When it runs is engine.ts's part.

import type { Holding } from "./block-cache.ts";

/** Why a request ended: all its tokens were made, the engine was put to sleep, its client left, the engine died. */
export type End = "done" | "abort" | "left" | "dead";

export interface Listener {
  /** `made`: tokens of the reply made so far. */
  progress(made: number): void;
  end(reason: End): void;
}

export interface Work {
  readonly prompt: readonly number[];
  readonly output: readonly number[];
  /** How a whole reply ends, for the metrics. */
  readonly finish: "stop" | "length";
  readonly delayMs: number;
  readonly session: string | null;
}

/** One request in the engine's hands. */
export class Request {
  readonly work: Work;
  readonly listener: Listener;
  readonly arrivedMs: number;
  holding: Holding | undefined;
  /** Tokens of prompt and reply whose keys and values are in the cache. */
  computed = 0;
  /** Prompt tokens that were found in the cache; undefined before the first admission. */
  cached: number | undefined;
  made = 0;
  told = 0;
  readyAtMs = 0;
  admittedMs = 0;
  firstTokenMs = 0;
  lastTokenMs = 0;
  ended: End | undefined;

  constructor(work: Work, listener: Listener, arrivedMs: number) {
    this.work = work;
    this.listener = listener;
    this.arrivedMs = arrivedMs;
  }

  get length(): number {
    return this.work.prompt.length + this.made;
  }

  get tokens(): readonly number[] {
    return this.made === 0 ? this.work.prompt : [...this.work.prompt, ...this.work.output.slice(0, this.made)];
  }

  at(index: number): number {
    const { prompt, output } = this.work;
    return (index < prompt.length ? prompt[index] : output[index - prompt.length]) ?? 0;
  }
}
