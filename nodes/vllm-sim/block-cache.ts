// The KV cache as vLLM keeps its books: a fixed number of blocks, found again by what lies in them and in all before them.
// It holds no keys and values, and decides nothing about requests (engine.ts).
//
//     hash(block) = first 8 bytes of SHA-256(hash(block before), its token ids)
//
//     free, oldest first ──take──▶ held by requests ──release──▶ free, newest last
//        └ still found by hash until taken for something else: that is the eviction
//
// B1  A held block is never taken from its holder; only free ones are, least recently released first.
// B2  Only full blocks have a hash. A request computes at least its last token: a prompt is never a hit as a whole.
// B3  Of two blocks with the same content one is found by hash; the other serves its holder and is then forgotten.
// B4  Every change of what is found by hash is told, in order.

import { hash } from "node:crypto";

/** What becomes or ceases to be found by its hash. Hashes are unsigned 64-bit numbers. */
export type CacheEvent =
  | {
      readonly kind: "stored";
      readonly hashes: readonly bigint[];
      /** Of the block before the first; null when there is none. */
      readonly parent: bigint | null;
      readonly tokens: readonly number[];
      readonly session: string | null;
    }
  | { readonly kind: "removed"; readonly hashes: readonly bigint[] }
  | { readonly kind: "cleared" };

interface Block {
  holders: number;
  /** Undefined: not found by hash (yet). */
  hash: bigint | undefined;
}

/** The blocks of one request, in the order of its tokens. */
export interface Holding {
  readonly blocks: Block[];
  /** Full blocks whose hash is known, from the first on. */
  readonly hashes: bigint[];
}

export class BlockCache {
  readonly size: number;
  readonly blockSize: number;
  readonly #tell: (event: CacheEvent) => void;
  /** In order of release: a set iterates in order of insertion. */
  readonly #free: Set<Block>;
  readonly #byHash = new Map<bigint, Block>();

  constructor(size: number, blockSize: number, tell: (event: CacheEvent) => void) {
    this.size = size;
    this.blockSize = blockSize;
    this.#tell = tell;
    this.#free = new Set(Array.from({ length: size }, () => ({ holders: 0, hash: undefined })));
  }

  /** Blocks held by requests. */
  get held(): number {
    return this.size - this.#free.size;
  }

  /** Blocks that are found by hash, held or free. */
  get found(): number {
    return this.#byHash.size;
  }

  /** Holds room for `tokens`, the longest known prefix first; `cached`: its length in tokens. Undefined: too few free blocks. */
  hold(tokens: readonly number[]): { readonly holding: Holding; readonly cached: number } | undefined {
    const known = this.#known(tokens);
    const freeKnown = known.filter(({ block }) => block.holders === 0).length;
    const needed = Math.ceil(tokens.length / this.blockSize);
    if (needed - known.length > this.#free.size - freeKnown) return undefined;
    const holding: Holding = { blocks: [], hashes: [] };
    for (const { block, hash } of known) {
      if (block.holders === 0) this.#free.delete(block);
      block.holders += 1;
      holding.blocks.push(block);
      holding.hashes.push(hash);
    }
    this.#take(needed - known.length, holding);
    return { holding, cached: known.length * this.blockSize };
  }

  /** Makes room for a sequence of `length` tokens; false: there is no free block. */
  grow(holding: Holding, length: number): boolean {
    const missing = Math.ceil(length / this.blockSize) - holding.blocks.length;
    if (missing > this.#free.size) return false;
    this.#take(missing, holding);
    return true;
  }

  /** Tells that the first `computed` of these tokens are computed: full blocks are found from now on. `at(i)` is token i. */
  commit(holding: Holding, computed: number, at: (index: number) => number, session: string | null): void {
    const first = holding.hashes.length;
    const full = Math.floor(computed / this.blockSize);
    if (full <= first) return;
    const parent = holding.hashes.at(-1) ?? null;
    const tokens = Array.from({ length: (full - first) * this.blockSize }, (_, i) => at(first * this.blockSize + i));
    const stored: bigint[] = [];
    for (let index = first; index < full; index += 1) {
      const start = (index - first) * this.blockSize;
      const hash = blockHash(holding.hashes.at(-1), tokens.slice(start, start + this.blockSize));
      holding.hashes.push(hash);
      const block = holding.blocks[index];
      // B3
      if (block === undefined || this.#byHash.has(hash)) continue;
      block.hash = hash;
      this.#byHash.set(hash, block);
      stored.push(hash);
    }
    const isWhole = stored.length === full - first;
    if (isWhole) this.#tell({ kind: "stored", hashes: stored, parent, tokens, session });
    else this.#tellOneByOne(holding, first, stored, tokens, session);
  }

  /** Gives the blocks back, the last first: a prefix outlives what follows it. */
  release(holding: Holding): void {
    for (const block of holding.blocks.toReversed()) {
      block.holders -= 1;
      if (block.holders === 0) this.#free.add(block);
    }
    holding.blocks.length = 0;
  }

  /** Forgets all content; false, and nothing is forgotten, while requests hold blocks. */
  clear(): boolean {
    if (this.held > 0) return false;
    for (const block of this.#byHash.values()) block.hash = undefined;
    this.#byHash.clear();
    this.#tell({ kind: "cleared" });
    return true;
  }

  #known(tokens: readonly number[]): { block: Block; hash: bigint }[] {
    const known: { block: Block; hash: bigint }[] = [];
    // B2
    const fullBlocks = Math.floor((tokens.length - 1) / this.blockSize);
    for (let index = 0; index < fullBlocks; index += 1) {
      const slice = tokens.slice(index * this.blockSize, (index + 1) * this.blockSize);
      const hash = blockHash(known.at(-1)?.hash, slice);
      const block = this.#byHash.get(hash);
      if (block === undefined) break;
      known.push({ block, hash });
    }
    return known;
  }

  /** The caller made sure that there are enough (B1). */
  #take(count: number, holding: Holding): void {
    const evicted: bigint[] = [];
    const free = this.#free.values();
    for (let taken = 0; taken < count; taken += 1) {
      const block = free.next().value;
      if (block === undefined) return;
      this.#free.delete(block);
      if (block.hash !== undefined) {
        this.#byHash.delete(block.hash);
        evicted.push(block.hash);
        block.hash = undefined;
      }
      block.holders = 1;
      holding.blocks.push(block);
    }
    if (evicted.length > 0) this.#tell({ kind: "removed", hashes: evicted });
  }

  /** Some of the blocks were there already, computed by a request beside this one: each new one names its own parent. */
  #tellOneByOne(
    holding: Holding,
    first: number,
    stored: readonly bigint[],
    tokens: readonly number[],
    session: string | null,
  ) {
    const fresh: ReadonlySet<bigint> = new Set(stored);
    for (let index = first; index < holding.hashes.length; index += 1) {
      const hash = holding.hashes[index];
      if (hash === undefined || !fresh.has(hash)) continue;
      const start = (index - first) * this.blockSize;
      const own = tokens.slice(start, start + this.blockSize);
      this.#tell({ kind: "stored", hashes: [hash], parent: holding.hashes[index - 1] ?? null, tokens: own, session });
    }
  }
}

/** Of a full block; `parent` undefined: it is the first. */
export function blockHash(parent: bigint | undefined, tokens: readonly number[]): bigint {
  const bytes = Buffer.alloc(8 + tokens.length * 4);
  if (parent !== undefined) bytes.writeBigUInt64BE(parent);
  for (let index = 0; index < tokens.length; index += 1) bytes.writeUInt32BE(tokens[index] ?? 0, 8 + index * 4);
  return hash("sha256", bytes, "buffer").readBigUInt64BE();
}
