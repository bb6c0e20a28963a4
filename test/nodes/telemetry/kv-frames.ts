// Messages of KV-cache events for tests: those a vLLM 0.32 sent, recorded, and others made up. It publishes nothing (publisher.ts).

import { readFileSync } from "node:fs";
import { Packr } from "msgpackr";

/** What a vLLM with room for 200 blocks of 128 tokens sent from its start on: 26 batches, in which blocks come and go. */
export function recordedFrames(): Buffer[][] {
  const path = new URL("../../fixtures/vllm/kv-frames.jsonl", import.meta.url);
  const lines = readFileSync(path, "utf8").trim().split("\n");
  return lines.map((line) => (JSON.parse(line) as string[]).map((frame) => Buffer.from(frame, "base64")));
}

export function sequenceFrame(sequence: number): Buffer {
  const frame = Buffer.alloc(8);
  frame.writeBigInt64BE(BigInt(sequence));
  return frame;
}

/** One batch with `events` as they lie on the wire. */
export function kvFrames(sequence: number, events: unknown, more: { rank?: number; topic?: string } = {}): Buffer[] {
  const payload = new Packr({ useRecords: false }).pack([1_700_000_000.5, events, more.rank ?? 0]);
  return [Buffer.from(more.topic ?? "kv"), sequenceFrame(sequence), Buffer.from(payload)];
}

/** A stored event in vLLM's map form, of blocks of two tokens. */
export function storedMap(hashes: readonly bigint[], parent: bigint | null, tokens: readonly number[]): object {
  return {
    type: "BlockStored",
    block_hashes: hashes,
    parent_block_hash: parent,
    token_ids: tokens,
    block_size: 2,
    lora_id: null,
    medium: "GPU",
    lora_name: null,
  };
}
