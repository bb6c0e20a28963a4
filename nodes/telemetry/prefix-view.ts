// Which prefixes of prompts one model server has in its cache, told by its events. It is one server's own state at second hand: it decides
// nothing, and where it cannot know (events were lost) it is cleared by whoever follows (kv-events.ts).
//
//     server's hash → Block        ROOT ── b1 ── b2 ─┬─ b3      linked: held, and so is all before it, up to the beginning of a prompt
//                                                    └─ b4      ends:   b2 (two ways on), b3, b4 (none)
//
// PV1  Only linked blocks count as a prefix: a server cannot use a block when one before it is gone. A block that was stored before what comes
//      before it is known waits, and is linked when that arrives.
// PV2  A block is held while any copy of it is: in GPU memory, beside it, in any group of layers.
// PV3  At most `blocksMax` blocks are kept; what comes beyond is dropped and counted, and dropping never makes a prefix longer than it is.
// PV4  A summary is plain data of at most PREFIX_SUMMARY_MAX_BYTES as JSON.

import { chainedName, contentName, nameText, ROOT } from "./block-hash.ts";
import type { BlocksStored, KvEvent } from "./kv-batch.ts";

/** The end of a cached prefix: where the cache has nothing more, or where prompts part. */
export interface PrefixEnd {
  /** Our own name of its last block (promptNames), 16 hex digits. */
  readonly name: string;
  /** Blocks from the beginning of the prompt to there. */
  readonly depth: number;
  /** Cached ways on from there: 0 at an end, 2 or more where prompts part. */
  readonly ways: number;
}

/** What placement is told about a server's cache. */
export interface PrefixSummary {
  /** Grows whenever the view began anew: depths of another generation say nothing about this one. */
  readonly generation: number;
  /** Tokens in a block; 0 before anything was stored. */
  readonly blockSize: number;
  /** Blocks and tokens that a prompt can use (PV1). */
  readonly blocks: number;
  readonly tokens: number;
  /** Those that spare the most first: by depth, times the ways on. */
  readonly ends: readonly PrefixEnd[];
  /** Ends that are not among them. */
  readonly left: number;
  /** Blocks that were not kept for want of room (PV3). */
  readonly dropped: number;
}

export const PREFIX_SUMMARY_MAX_BYTES = 8 * 1024;
/** Two million tokens in blocks of 16: more than fits beside a model on eight GPUs. */
const BLOCKS_MAX = 131_072;
/** Kinds of copies that are told apart; more share the last. */
const COPIES_MAX = 31;

interface Block {
  readonly hash: bigint;
  /** Bits of the copies held (PV2); 0: only known because others come after it. */
  copies: number;
  tokens: number;
  content: bigint;
  parent: Block | "root" | undefined;
  // Its children are a list through them: most blocks have one child, and a Set for each would cost more than the block.
  child: Block | undefined;
  next: Block | undefined;
  previous: Block | undefined;
  isLinked: boolean;
  /** While linked: its name, its depth and how many of its children are linked. */
  name: bigint;
  depth: number;
  ways: number;
}

/** Whether `one` is `other` or lies before it. */
function isBefore(one: Block, other: Block): boolean {
  // What is linked leads to a root, and `one` is not linked when this is asked.
  for (let at: Block | "root" | undefined = other; at !== undefined && at !== "root" && !at.isLinked; at = at.parent) {
    if (at === one) return true;
  }
  return false;
}

export class PrefixView {
  readonly #blocksMax: number;
  readonly #blocks = new Map<bigint, Block>();
  /** Linked blocks with no way on, or several. */
  readonly #ends = new Set<Block>();
  readonly #copyBits = new Map<string, number>();
  #generation = 0;
  #blockSize = 0;
  #linked = 0;
  #tokens = 0;
  #dropped = 0;

  constructor(blocksMax = BLOCKS_MAX) {
    this.#blocksMax = blocksMax;
  }

  apply(events: readonly KvEvent[]): void {
    for (const event of events) {
      if (event.kind === "cleared") this.clear();
      else if (event.kind === "stored") this.#store(event);
      else for (const hash of event.hashes) this.#remove(hash, this.#copyBit(event.copy));
    }
  }

  /** Forgets everything: the cache is empty, or what is in it cannot be known. */
  clear(): void {
    this.#blocks.clear();
    this.#ends.clear();
    this.#generation++;
    this.#linked = 0;
    this.#tokens = 0;
    this.#dropped = 0;
  }

  /** At most `endsMax` ends, and never more than fit (PV4). */
  summary(endsMax = Number.POSITIVE_INFINITY): PrefixSummary {
    const worth = ({ depth, ways }: Block) => depth * Math.max(1, ways);
    const best = [...this.#ends].sort((a, b) => worth(b) - worth(a) || b.depth - a.depth || (a.name < b.name ? -1 : 1));
    const frame = {
      generation: this.#generation,
      blockSize: this.#blockSize,
      blocks: this.#linked,
      tokens: this.#tokens,
      dropped: this.#dropped,
    };
    // The numbers that are not known yet are no longer than this one.
    let room = PREFIX_SUMMARY_MAX_BYTES - JSON.stringify({ ...frame, left: best.length, ends: [] }).length;
    const ends: PrefixEnd[] = [];
    for (const { name, depth, ways } of best.slice(0, Math.max(0, endsMax))) {
      const end = { name: nameText(name), depth, ways };
      room -= JSON.stringify(end).length + 1;
      if (room < 0) break;
      ends.push(end);
    }
    return { ...frame, ends, left: best.length - ends.length };
  }

  #store({ hashes, parent, tokens, blockSize, extras, copy }: BlocksStored): void {
    this.#blockSize = blockSize;
    const bit = this.#copyBit(copy);
    let before: Block | "root" | undefined = parent === null ? "root" : this.#known(parent);
    for (const [index, hash] of hashes.entries()) {
      const block = before === undefined ? undefined : this.#known(hash);
      if (block === undefined || before === undefined) {
        // Without room for a block, those after it could never be linked.
        this.#dropped += hashes.length - index;
        break;
      }
      if (block.copies === 0) {
        if (!this.#attach(block, before)) break;
        block.tokens = blockSize;
        block.content = contentName(tokens, index * blockSize, (index + 1) * blockSize, extras[index]);
      }
      block.copies |= bit;
      this.#link(block);
      before = block;
    }
    if (before !== undefined && before !== "root") this.#forget(before);
  }

  /** The block of that hash, made when there is room for it. */
  #known(hash: bigint): Block | undefined {
    const known = this.#blocks.get(hash);
    if (known !== undefined || this.#blocks.size >= this.#blocksMax) return known;
    const block: Block = {
      hash,
      copies: 0,
      tokens: 0,
      content: ROOT,
      parent: undefined,
      child: undefined,
      next: undefined,
      previous: undefined,
      isLinked: false,
      name: ROOT,
      depth: 0,
      ways: 0,
    };
    this.#blocks.set(hash, block);
    return block;
  }

  /** Puts a block that was not held after another; false when that would close a ring, as no real cache has. */
  #attach(block: Block, before: Block | "root"): boolean {
    if (before !== "root" && isBefore(block, before)) return false;
    const { parent } = block;
    this.#detach(block);
    if (parent !== undefined && parent !== "root") this.#forget(parent);
    block.parent = before;
    if (before === "root") return true;
    block.next = before.child;
    if (block.next !== undefined) block.next.previous = block;
    before.child = block;
    return true;
  }

  #detach(block: Block): void {
    const { parent, next, previous } = block;
    if (parent !== undefined && parent !== "root" && parent.child === block) parent.child = next;
    if (previous !== undefined) previous.next = next;
    if (next !== undefined) next.previous = previous;
    block.parent = undefined;
    block.next = undefined;
    block.previous = undefined;
  }

  #remove(hash: bigint, bit: number): void {
    const block = this.#blocks.get(hash);
    if (block === undefined) return;
    block.copies &= ~bit;
    if (block.copies !== 0) return;
    if (block.isLinked) this.#unlink(block);
    this.#forget(block);
  }

  /** Drops what is neither held nor needed by those after it, and then the one before it likewise. */
  #forget(block: Block): void {
    let one: Block | "root" | undefined = block;
    while (one !== undefined && one !== "root" && one.copies === 0 && one.child === undefined) {
      const before: Block | "root" | undefined = one.parent;
      this.#detach(one);
      this.#blocks.delete(one.hash);
      one = before;
    }
  }

  /** Links a block when what is before it is, and then all that waited for it (PV1). */
  #link(first: Block): void {
    const waiting = [first];
    for (let block = waiting.pop(); block !== undefined; block = waiting.pop()) {
      const { parent } = block;
      if (block.isLinked || block.copies === 0 || parent === undefined || (parent !== "root" && !parent.isLinked))
        continue;
      block.isLinked = true;
      block.name = chainedName(parent === "root" ? ROOT : parent.name, block.content);
      block.depth = parent === "root" ? 1 : parent.depth + 1;
      block.ways = 0;
      this.#linked++;
      this.#tokens += block.tokens;
      this.#ends.add(block);
      if (parent !== "root") this.#setWays(parent, parent.ways + 1);
      for (let child = block.child; child !== undefined; child = child.next) waiting.push(child);
    }
  }

  #unlink(first: Block): void {
    if (first.parent !== undefined && first.parent !== "root") this.#setWays(first.parent, first.parent.ways - 1);
    const going = [first];
    for (let block = going.pop(); block !== undefined; block = going.pop()) {
      block.isLinked = false;
      this.#linked--;
      this.#tokens -= block.tokens;
      this.#ends.delete(block);
      for (let child = block.child; child !== undefined; child = child.next) if (child.isLinked) going.push(child);
    }
  }

  #setWays(block: Block, ways: number): void {
    block.ways = ways;
    if (ways === 1) this.#ends.delete(block);
    else this.#ends.add(block);
  }

  #copyBit(copy: string): number {
    let bit = this.#copyBits.get(copy);
    if (bit === undefined) {
      bit = 1 << Math.min(this.#copyBits.size, COPIES_MAX - 1);
      if (this.#copyBits.size < COPIES_MAX) this.#copyBits.set(copy, bit);
    }
    return bit;
  }
}
