// A message of a model server's KV-cache events → plain data. Both forms in use: events as maps (vLLM 0.32) and as arrays with a tag first
// (older vLLM, SGLang). It follows no sequence (kv-events.ts) and keeps nothing (prefix-view.ts).
//
//     frames   topic | sequence: 8 bytes, big-endian | MessagePack: [ts, events, dp_rank?]
//     map      { type: "BlockStored", block_hashes, parent_block_hash, token_ids, block_size, lora_id, medium, lora_name, extra_keys?, group_idx? … }
//     array    ["BlockStored", block_hashes, parent_block_hash, token_ids, block_size, lora_id, medium?, lora_name?, extra_keys?, group_idx? …]
//
// KB1  Bytes from outside never throw: what is no batch is refused with a reason.
// KB2  Hashes are BigInt whatever their size on the wire: as numbers, two of them above 2^53 could be taken for one.
// KB3  A batch is good or refused as a whole. An event of an unknown kind, or one whose tokens do not belong to its blocks one by one (a sliding
//      window leaves some out), is passed over and counted: it says nothing false about the others.

import { Unpackr } from "msgpackr";

/** Blocks that are now in the cache, in the order of the prompt. */
export interface BlocksStored {
  readonly kind: "stored";
  /** As the server names them, 64 bits. */
  readonly hashes: readonly bigint[];
  /** The block before the first of them; null at the beginning of a prompt. */
  readonly parent: bigint | null;
  /** Token ids of all of them: `blockSize` for each. */
  readonly tokens: readonly number[];
  readonly blockSize: number;
  /** What else than tokens decides over each block's content (LoRA, images, salt), as text; "" for nothing. */
  readonly extras: readonly string[];
  /** Where that copy lies: memory ("GPU", "CPU", …) and group of layers. */
  readonly copy: string;
}

export interface BlocksRemoved {
  readonly kind: "removed";
  readonly hashes: readonly bigint[];
  readonly copy: string;
}

export interface CacheCleared {
  readonly kind: "cleared";
}

export type KvEvent = BlocksStored | BlocksRemoved | CacheCleared;

export interface KvBatch {
  readonly kind: "batch";
  readonly topic: string;
  /** Counts the publisher's batches from 0. */
  readonly sequence: number;
  /** Seconds since the epoch, by the server's clock. */
  readonly atS: number;
  readonly events: readonly KvEvent[];
  /** Events passed over (KB3). */
  readonly passedOver: number;
  /** Which of the server's data-parallel engines. */
  readonly rank?: number;
}

/** What is no batch, and why (KB1). */
export interface KvRefusal {
  readonly kind: "refused";
  readonly reason: string;
  /** Which batch it would have been, when at least that can be read. */
  readonly sequence?: number;
}

/** A batch of one step of a large server is about a megabyte: 16 thousand tokens in each of its events. */
export const KV_BATCH_MAX_BYTES = 16 * 1024 * 1024;
/** A block holds 16 to some thousand tokens. */
const BLOCK_SIZE_MAX = 1 << 20;

/** Ends the work on a batch; never leaves this file (KB1). */
class NoBatch extends Error {}

function need(holds: boolean, what: string): asserts holds {
  if (!holds) throw new NoBatch(what);
}

/** `frames`: topic, sequence, payload; more frames before the topic are an envelope and not looked at. */
export function decodeKvBatch(frames: readonly Uint8Array[]): KvBatch | KvRefusal {
  const [topic, sequence, payload] = frames.slice(-3);
  if (topic === undefined || sequence === undefined || payload === undefined) {
    return { kind: "refused", reason: `a message of ${frames.length} frames instead of 3` };
  }
  const count = sequenceIn(sequence) ?? -1;
  if (count < 0) return { kind: "refused", reason: "the second frame is no sequence of 8 bytes" };
  const refused = (reason: string): KvRefusal => ({ kind: "refused", reason, sequence: count });
  if (payload.length > KV_BATCH_MAX_BYTES) {
    return refused(`a batch of ${payload.length} bytes; at most ${KV_BATCH_MAX_BYTES} are read`);
  }
  try {
    return { kind: "batch", topic: Buffer.from(topic).toString(), sequence: count, ...batchIn(payload) };
  } catch (error) {
    // The decoder's own errors are about the bytes as much as ours are.
    return refused(error instanceof NoBatch ? error.message : "the payload is no MessagePack");
  }
}

/** The number in a sequence frame, -1 for the mark that ends a replay; undefined when it is none. */
export function sequenceIn(frame: Uint8Array): number | undefined {
  if (frame.length !== 8) return undefined;
  const value = Buffer.from(frame.buffer, frame.byteOffset, 8).readBigInt64BE();
  return value >= -1n && value <= Number.MAX_SAFE_INTEGER ? Number(value) : undefined;
}

function batchIn(payload: Uint8Array): Omit<KvBatch, "kind" | "topic" | "sequence"> {
  // A new one for each batch: a hostile batch could teach it record types that the next would be read by.
  const value: unknown = new Unpackr({ useRecords: false, int64AsType: "bigint" }).unpack(payload);
  need(Array.isArray(value) && value.length >= 2, "the payload is no array of time and events");
  const [atS, all, rank] = value as unknown[];
  need(typeof atS === "number" && Number.isFinite(atS), "the batch has no time");
  need(Array.isArray(all), "the batch has no list of events");
  const events: KvEvent[] = [];
  for (const one of all) {
    const event = eventIn(one);
    if (event !== undefined) events.push(event);
  }
  const passedOver = all.length - events.length;
  return { atS, events, passedOver, ...(typeof rank === "number" && { rank }) };
}

/** Reads an event's fields in the order of the array form, by name or by place. */
type Fields = (name: string, place: number) => unknown;

function fieldsOf(event: unknown): { readonly tag: unknown; readonly field: Fields } {
  if (Array.isArray(event)) return { tag: event[0], field: (_, place) => event[place] };
  need(typeof event === "object" && event !== null, "an event is neither map nor array");
  const map = event as Readonly<Record<string, unknown>>;
  const field: Fields = (name) => (Object.hasOwn(map, name) ? map[name] : undefined);
  return { tag: field("type", 0), field };
}

function eventIn(value: unknown): KvEvent | undefined {
  const { tag, field } = fieldsOf(value);
  switch (tag) {
    case "BlockStored":
      return storedIn(field);
    case "BlockRemoved":
      return { kind: "removed", hashes: hashesIn(field), copy: copyIn(field("medium", 2), field("group_idx", 3)) };
    case "AllBlocksCleared":
      return { kind: "cleared" };
    default:
      need(typeof tag === "string", "an event has no type");
      return undefined;
  }
}

function storedIn(field: Fields): BlocksStored | undefined {
  const hashes = hashesIn(field);
  const parent = field("parent_block_hash", 2) ?? null;
  const tokens = field("token_ids", 3);
  const blockSize = field("block_size", 4);
  need(isCount(blockSize) && blockSize > 0 && blockSize <= BLOCK_SIZE_MAX, "a stored block has no block size");
  need(Array.isArray(tokens) && tokens.every(isCount), "token_ids is no list of token ids");
  if (hashes.length === 0 || tokens.length !== hashes.length * blockSize) return undefined;
  return {
    kind: "stored",
    hashes,
    parent: parent === null ? null : hashIn(parent),
    tokens,
    blockSize,
    extras: extrasIn(field, hashes.length),
    copy: copyIn(field("medium", 6), field("group_idx", 9)),
  };
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

function hashesIn(field: Fields): bigint[] {
  const hashes = field("block_hashes", 1);
  need(Array.isArray(hashes), "block_hashes is no list");
  return hashes.map(hashIn);
}

/** KB2; hashes as bytes (VLLM_KV_EVENTS_USE_INT_BLOCK_HASHES=0) are known by their last 8, as the server itself shortens them otherwise. */
function hashIn(value: unknown): bigint {
  if (typeof value === "bigint") return BigInt.asUintN(64, value);
  if (typeof value === "number" && Number.isSafeInteger(value)) return BigInt.asUintN(64, BigInt(value));
  need(value instanceof Uint8Array && value.length >= 8, "a block hash is neither a 64-bit number nor bytes");
  return Buffer.from(value.buffer, value.byteOffset + value.length - 8, 8).readBigUInt64BE();
}

/** Newer servers say per block what else went into its hash, the LoRA's name among it; older ones only tell the LoRA. */
function extrasIn(field: Fields, blocks: number): readonly string[] {
  const keys = field("extra_keys", 8);
  const lora = field("lora_name", 7) ?? field("lora_id", 5) ?? null;
  if (!Array.isArray(keys)) return new Array<string>(blocks).fill(lora === null ? "" : extraText([lora]));
  need(keys.length === blocks, "extra_keys are not one for each block");
  return keys.map((key) => (key === null || key === undefined ? "" : extraText(key)));
}

const extraText = (value: unknown): string =>
  JSON.stringify(value, (_, part: unknown) => (typeof part === "bigint" ? String(part) : part)) ?? "";

function copyIn(medium: unknown, group: unknown): string {
  const isMedium = medium === undefined || medium === null || (typeof medium === "string" && medium.length <= 64);
  need(isMedium, "medium is no short text");
  need(group === undefined || group === null || isCount(group), "group_idx is no number");
  return `${medium ?? "GPU"}/${group ?? 0}`;
}
