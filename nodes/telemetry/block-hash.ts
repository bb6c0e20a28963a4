// Our own names for blocks of a prompt: the same tokens after the same tokens have the same name, whatever server they lie in and however
// that one computes its hashes. Compared with each other only, never with a server's.
//
// BH1  A block's name depends on its tokens, on what else decides over its content, and on the name of the block before it; on nothing else:
//      no seed, no machine, no server.
// BH2  It is cheap and no secret: 64 bits, two lanes of MurmurHash3 (Austin Appleby, public domain). Whoever can choose tokens can make two
//      prompts look alike; what follows is a request on a server that has less of it cached than was thought, and nothing worse.

/** Name before the first block of every prompt. */
export const ROOT = 0n;

const rotate = (value: number, by: number): number => (value << by) | (value >>> (32 - by));

/** Spreads every bit over the whole of a lane. */
function finish(lane: number): number {
  let value = lane ^ (lane >>> 16);
  value = Math.imul(value, 0x85ebca6b);
  value ^= value >>> 13;
  value = Math.imul(value, 0xc2b2ae35);
  return value ^ (value >>> 16);
}

/** Two lanes of 32 bits that numbers are put into. */
class Lanes {
  #one: number;
  #two: number;
  #count = 0;

  constructor(seed: bigint) {
    this.#one = Number(BigInt.asIntN(32, seed >> 32n));
    this.#two = Number(BigInt.asIntN(32, seed));
  }

  put(word: number): void {
    const one = Math.imul(rotate(Math.imul(word, 0x239b961b), 15), 0xab0e9789 | 0);
    this.#one = (Math.imul(rotate(this.#one ^ one, 19), 5) + 0x561ccd1b) | 0;
    const two = Math.imul(rotate(Math.imul(word, 0x38b34ae5), 16), 0xa1e38b93 | 0);
    this.#two = (Math.imul(rotate(this.#two ^ two, 17), 5) + 0x0bcaa747) | 0;
    this.#count++;
  }

  end(): bigint {
    let one = (this.#one ^ this.#count) + (this.#two ^ this.#count);
    let two = (this.#two ^ this.#count) + one;
    one = finish(one);
    two = finish(two);
    one = (one + two) | 0;
    two = (two + one) | 0;
    return (BigInt(one >>> 0) << 32n) | BigInt(two >>> 0);
  }
}

/** Name of a block's content by itself: `tokens` from `from` to before `to`, and what else decides over it. */
export function contentName(tokens: readonly number[], from: number, to: number, extra = ""): bigint {
  const lanes = new Lanes(ROOT);
  for (let at = from; at < to; at++) lanes.put(tokens[at] as number);
  // Apart from the tokens by the count of them: a token is not a character.
  if (extra !== "") lanes.put(to - from);
  for (let at = 0; at < extra.length; at++) lanes.put(extra.charCodeAt(at));
  return lanes.end();
}

/** Name of a block after the one called `parent` (BH1). */
export function chainedName(parent: bigint, content: bigint): bigint {
  const lanes = new Lanes(parent);
  lanes.put(Number(content >> 32n) | 0);
  lanes.put(Number(content & 0xffff_ffffn) | 0);
  return lanes.end();
}

/** Names of the full blocks of a prompt, in order: what a server's summary of prefixes is compared with. `extra`: see BlocksStored. */
export function promptNames(tokens: readonly number[], blockSize: number, extra = ""): bigint[] {
  const names: bigint[] = [];
  let parent = ROOT;
  for (let end = blockSize; end <= tokens.length; end += blockSize) {
    parent = chainedName(parent, contentName(tokens, end - blockSize, end, extra));
    names.push(parent);
  }
  return names;
}

/** A name as it travels: 16 hex digits. */
export const nameText = (name: bigint): string => name.toString(16).padStart(16, "0");
