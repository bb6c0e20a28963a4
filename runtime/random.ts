// Randomness, passed in: ids, jitter and tie-breaks come from here, so a test can replay a failure from its seed.
// It is not for secrets: use node:crypto directly for those.

import { randomInt } from "node:crypto";

export interface Random {
  /** A number in [0, 1). */
  next(): number;
  /** A whole number in [0, below). */
  below(below: number): number;
  /** A short id of lower-case letters and digits, 12 characters: 62 bits. */
  id(): string;
}

const ID_LENGTH = 12;
const ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz";

function fromSource(next: () => number): Random {
  const below = (limit: number) => Math.floor(next() * limit);
  const id = () => Array.from({ length: ID_LENGTH }, () => ALPHABET[below(ALPHABET.length)]).join("");
  return { next, below, id };
}

/** From randomInt, which draws from a pool: randomBytes asks the system each time, and ids then cost a sixth of a task's time. */
export const systemRandom: Random = fromSource(() => randomInt(2 ** 48 - 1) / 2 ** 48);

/** The same numbers for the same seed (mulberry32 by Tommy Ettinger: 32 bits of state, passes gjrand). */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  return fromSource(() => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  });
}
