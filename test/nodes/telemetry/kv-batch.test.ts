// Messages of KV-cache events: recorded, of older servers, and hostile.

import fc from "fast-check";
import { Packr } from "msgpackr";
import { describe, expect, it } from "vitest";
import { decodeKvBatch, KV_BATCH_MAX_BYTES, type KvBatch, sequenceIn } from "../../../nodes/telemetry/kv-batch.ts";
import { kvFrames, recordedFrames, sequenceFrame, storedMap } from "./kv-frames.ts";

function read(frames: readonly Uint8Array[]): KvBatch {
  const batch = decodeKvBatch(frames);
  if (batch.kind === "refused") throw new Error(batch.reason);
  return batch;
}
const refusal = (frames: readonly Uint8Array[]) => {
  const batch = decodeKvBatch(frames);
  return batch.kind === "refused" ? batch.reason : undefined;
};
const HUGE = 0xffff_ffff_ffff_fff1n;

it("reads what a real vLLM sent", () => {
  const batches = recordedFrames().map(read);
  expect(batches.map(({ sequence }) => sequence)).toEqual([...batches.keys()]);
  expect(batches[0]).toMatchObject({ topic: "kv", rank: 0, passedOver: 0 });
  const [first] = batches[0]?.events ?? [];
  if (first?.kind !== "stored") throw new Error("the first event stores blocks");
  expect(first).toMatchObject({ parent: null, blockSize: 128, copy: "GPU/0" });
  expect(first.hashes).toHaveLength(12);
  expect(first.tokens).toHaveLength(12 * 128);
  expect(first.extras).toEqual(new Array(12).fill(""));
  const salted = batches
    .flatMap(({ events }) => events)
    .filter((event) => event.kind === "stored" && event.extras[0] !== "");
  expect(salted).toMatchObject([{ extras: ['["salty"]'] }]);
  const removed = batches.flatMap(({ events }) => events.filter(({ kind }) => kind === "removed"));
  expect(removed.length).toBeGreaterThan(30);
});

describe("the array form of older servers", () => {
  it("says the same", () => {
    const events = [
      ["BlockStored", [HUGE, 7n], null, [1, 2, 3, 4], 2, null],
      ["BlockStored", [9n], HUGE, [5, 6], 2, 3, "CPU", "tuned", [["tuned"]], 1],
      ["BlockRemoved", [7n]],
      ["BlockRemoved", [9n], "CPU", 1],
      ["AllBlocksCleared"],
    ];
    expect(read(kvFrames(5, events)).events).toEqual([
      {
        kind: "stored",
        hashes: [HUGE, 7n],
        parent: null,
        tokens: [1, 2, 3, 4],
        blockSize: 2,
        extras: ["", ""],
        copy: "GPU/0",
      },
      {
        kind: "stored",
        hashes: [9n],
        parent: HUGE,
        tokens: [5, 6],
        blockSize: 2,
        extras: ['["tuned"]'],
        copy: "CPU/1",
      },
      { kind: "removed", hashes: [7n], copy: "GPU/0" },
      { kind: "removed", hashes: [9n], copy: "CPU/1" },
      { kind: "cleared" },
    ]);
  });

  it("a LoRA is named alike in both, with or without extra keys", () => {
    const named = read(kvFrames(0, [["BlockStored", [1n], null, [1, 2], 2, 3, "GPU", "tuned"]])).events[0];
    const keyed = read(kvFrames(0, [{ ...storedMap([1n], null, [1, 2]), lora_name: "tuned", extra_keys: [["tuned"]] }]))
      .events[0];
    expect(named).toEqual(keyed);
  });
});

it("hashes are BigInt, also small ones, negative ones and bytes (KB2)", () => {
  const bytes = Buffer.concat([Buffer.alloc(24, 0xaa), sequenceFrame(258)]);
  const hashes = read(kvFrames(0, [{ type: "BlockRemoved", block_hashes: [1, HUGE, -1n, bytes], medium: null }]))
    .events[0];
  expect(hashes).toEqual({ kind: "removed", hashes: [1n, HUGE, 0xffff_ffff_ffff_ffffn, 258n], copy: "GPU/0" });
});

it("passes over what it does not know and what it cannot tell apart (KB3)", () => {
  const events = [
    { type: "BlockMoved", to: "moon" },
    storedMap([1n, 2n], null, [1, 2, 3]),
    storedMap([3n], null, [1, 2]),
  ];
  expect(read(kvFrames(0, events))).toMatchObject({ passedOver: 2, events: [{ hashes: [3n] }] });
});

it("an envelope before the topic is not looked at", () => {
  expect(read([Buffer.from("id"), Buffer.alloc(0), ...kvFrames(3, [])]).sequence).toBe(3);
});

it("knows the end of a replay", () => {
  expect([sequenceIn(Buffer.alloc(8, 0xff)), sequenceIn(sequenceFrame(7)), sequenceIn(Buffer.alloc(7))]).toEqual([
    -1,
    7,
    undefined,
  ]);
  expect(sequenceIn(Buffer.from("ff".repeat(7).concat("f0"), "hex"))).toBeUndefined();
});

describe("refuses, and says why (KB1)", () => {
  const pack = (value: unknown) => new Packr({ useRecords: false }).pack(value);
  const withPayload = (payload: Uint8Array) => [Buffer.from("kv"), sequenceFrame(1), payload];
  it.each<[string, readonly Uint8Array[], RegExp]>([
    ["two frames", [Buffer.from("kv"), Buffer.alloc(8)], /2 frames/],
    ["a short sequence", [Buffer.from("kv"), Buffer.alloc(4), pack([1, []])], /sequence/],
    ["a sequence that is a mark", [Buffer.from("kv"), Buffer.alloc(8, 0xff), pack([1, []])], /sequence/],
    ["nothing", withPayload(Buffer.alloc(0)), /MessagePack/],
    ["text", withPayload(Buffer.from("hello")), /MessagePack|array/],
    ["half a batch", withPayload(pack([1, [storedMap([1n], null, [1, 2])]]).subarray(0, 30)), /MessagePack/],
    ["a map", withPayload(pack({ ts: 1 })), /array/],
    ["no time", withPayload(pack(["now", []])), /time/],
    ["no events", withPayload(pack([1, 7])), /list of events/],
    ["an event that is a number", kvFrames(1, [7]), /neither map nor array/],
    ["an event without a type", kvFrames(1, [{ block_hashes: [] }]), /type/],
    ["hashes that are text", kvFrames(1, [["BlockRemoved", ["a"]]]), /hash/],
    ["a hash that is half a number", kvFrames(1, [["BlockRemoved", [0.5]]]), /hash/],
    ["hashes in a map", kvFrames(1, [["BlockRemoved", { 0: 1 }]]), /list/],
    ["tokens that are text", kvFrames(1, [["BlockStored", [1], null, "ab", 2, null]]), /token/],
    ["a negative token", kvFrames(1, [["BlockStored", [1], null, [-1, 2], 2, null]]), /token/],
    ["blocks of nothing", kvFrames(1, [["BlockStored", [1], null, [], 0, null]]), /block size/],
    ["keys for other blocks", kvFrames(1, [{ ...storedMap([1n], null, [1, 2]), extra_keys: [] }]), /extra_keys/],
    ["more than is read", withPayload(Buffer.alloc(KV_BATCH_MAX_BYTES + 1)), /at most/],
    ["a list said to be endless", withPayload(Buffer.from("92cb3ff0000000000000ddffffffff", "hex")), /MessagePack/],
    ["lists in lists in lists", withPayload(Buffer.alloc(1_000_000, 0x91)), /MessagePack/],
  ])("%s", (_, frames, reason) => {
    expect(refusal(frames)).toMatch(reason);
  });

  it("tells which batch it was, where that can be read", () => {
    expect(decodeKvBatch(withPayload(Buffer.from("hello")))).toMatchObject({ kind: "refused", sequence: 1 });
  });
});

it("no bytes throw, and none change how the next are read", () => {
  const [, real] = recordedFrames().map((frames) => frames[2] as Buffer);
  const small = kvFrames(0, [storedMap([HUGE], null, [1, 2]), ["BlockRemoved", [3n], "GPU"]])[2] as Buffer;
  const good = read(kvFrames(0, [storedMap([HUGE], null, [1, 2])]));
  const changes = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 6 });
  fc.assert(
    fc.property(fc.constantFrom(real as Buffer, small), changes, (payload, at) => {
      const bytes = Buffer.from(payload);
      for (const [place, value] of at) bytes[place % bytes.length] = value;
      decodeKvBatch([Buffer.from("kv"), sequenceFrame(0), bytes]);
      expect(read(kvFrames(0, [storedMap([HUGE], null, [1, 2])]))).toEqual(good);
    }),
    { numRuns: 500 },
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => void decodeKvBatch([bytes, sequenceFrame(0), bytes])),
  );
});
