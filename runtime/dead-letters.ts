// What nobody could take: the last few, counted, for people and tests to look at.
// It is not a retry queue: nothing here is delivered later (tasks have their own list).

import { type Address, formatAddress } from "./address.ts";
import type { WireError } from "./envelope.ts";

/** One message nobody took, and why. Arguments are not kept: they may be large or secret. */
export interface DeadLetter {
  readonly atMs: number;
  readonly to: string;
  readonly method: string;
  readonly code: string;
  readonly message: string;
}

const KEPT_MAX = 1_000;

export class DeadLetters {
  #kept: DeadLetter[] = [];
  #count = 0;

  /** All since the system began; `recent` holds the last 1,000. */
  get count(): number {
    return this.#count;
  }

  recent(): readonly DeadLetter[] {
    return this.#kept.slice(-KEPT_MAX);
  }

  add(atMs: number, to: Address, method: string, why: WireError): DeadLetter {
    const letter = { atMs, to: formatAddress(to), method, code: why.code, message: why.message };
    this.#count++;
    this.#kept.push(letter);
    // Cut in halves: shifting one by one would cost the whole list for each letter.
    if (this.#kept.length > KEPT_MAX * 2) this.#kept = this.#kept.slice(-KEPT_MAX);
    return letter;
  }
}
