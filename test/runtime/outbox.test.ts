// What leaves for one node: in order, whole, and what does not leave is given back.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Blobs } from "../../runtime/blobs.ts";
import { Codec } from "../../runtime/codec.ts";
import { Counts } from "../../runtime/counts.ts";
import type { Envelope, WireError } from "../../runtime/envelope.ts";
import { MemoryBlobs } from "../../runtime/memory/blobs.ts";
import { Outbox, readReceipt } from "../../runtime/outbox.ts";
import { settle } from "../support/fake-clock.ts";

const to = { node: "south", id: "1", type: "part", incarnation: 1 };
const call = (id: number, bytes = 0): Envelope => ({
  kind: "call",
  id,
  to,
  method: "m",
  args: [new Uint8Array(bytes)],
  deadlineMs: 1,
  chain: [],
});
const reply = (id: number, bytes = 0): Envelope => ({ kind: "reply", id, value: new Uint8Array(bytes) });
const cast: Envelope = { kind: "cast", to, method: "m", args: [], deadlineMs: 1 };
const watch = (id: number): Envelope => ({ kind: "watch", id, to });

interface State {
  isBroken: boolean;
  /** Whether the transport takes frames. */
  takes: boolean;
}

function open(blobs: Blobs | undefined = new MemoryBlobs(), frameMaxBytes = 1_000) {
  const state: State = { isBroken: false, takes: true };
  const codec = new Codec();
  const frames: Envelope[][] = [];
  const receipts: string[] = [];
  const back: { envelope: Envelope; why: WireError }[] = [];
  const transport = {
    frameMaxBytes,
    listen: async () => {},
    send(_to: string, frame: Uint8Array, receipt = "") {
      if (!state.takes) return false;
      frames.push([...(codec.decodeFrame(frame)?.envelopes ?? [])]);
      receipts.push(receipt);
      return true;
    },
    close: async () => {},
  };
  const way = {
    transport,
    codec,
    counts: new Counts(),
    blobs,
    node: "north",
    get isBroken() {
      return state.isBroken;
    },
  };
  const outbox = new Outbox("south", way, (envelope, why) => {
    back.push({ envelope, why });
    return envelope.kind === "reply" ? { kind: "error", id: envelope.id, error: why } : undefined;
  });
  /** Ids in the order in which they left, those in blobs included. */
  const left = () => frames.flat().map((envelope) => ("id" in envelope ? envelope.id : 0));
  return { outbox, state, frames, receipts, back, left };
}

describe("order (OB1)", () => {
  test("any mix of small and large envelopes leaves in the order it was made", async () => {
    const sizes = fc.array(fc.constantFrom(0, 0, 300, 2_000), { maxLength: 24 });
    await fc.assert(
      fc.asyncProperty(sizes, sizes, async (first, second) => {
        const { outbox, left } = open();
        let id = 0;
        for (const bytes of first) outbox.post(call(++id, bytes));
        await settle();
        for (const bytes of second) outbox.post(id % 2 === 0 ? call(++id, bytes) : reply(++id, bytes));
        for (let turn = 0; turn < 60; turn++) await settle();
        expect(left()).toEqual(Array.from({ length: id }, (_, at) => at + 1));
      }),
      { numRuns: 60 },
    );
  });

  test("four large ones of one tick do", async () => {
    const { outbox, left } = open();
    for (let id = 1; id <= 4; id++) outbox.post(call(id, 2_000));
    for (let turn = 0; turn < 20; turn++) await settle();
    expect(left()).toEqual([1, 2, 3, 4]);
  });

  test("what was held while the connection was down goes before what came later", async () => {
    const { outbox, state, left, back } = open();
    Object.assign(state, { isBroken: true, takes: false });
    outbox.post(reply(1));
    outbox.post(call(2));
    outbox.post({ kind: "cancel", id: 3, reason: "" });
    await settle();
    expect(back.map(({ envelope, why }) => [envelope.kind, why.code])).toEqual([["call", "Unavailable"]]);
    Object.assign(state, { isBroken: false, takes: true });
    outbox.post(reply(4));
    outbox.restored();
    await settle();
    expect(left()).toEqual([1, 3, 4]);
  });
});

describe("what will not arrive is given back (OB2)", () => {
  test("bytes that cannot be stored, and what waited behind them goes on", async () => {
    const blobs = new MemoryBlobs({ maxBytes: 100 });
    const { outbox, back, left } = open(blobs);
    outbox.post(call(1, 2_000));
    outbox.post(reply(2, 2_000));
    outbox.post(call(3));
    for (let turn = 0; turn < 20; turn++) await settle();
    expect(back.map(({ why }) => why.code)).toEqual(["StorageFull", "StorageFull"]);
    expect(left()).toEqual([2, 3]);
  });

  test("a frame whose bytes were stored when the way was lost leaves no blob", async () => {
    const inner = new MemoryBlobs();
    const stored = Promise.withResolvers<void>();
    const deleted: string[] = [];
    const blobs: Blobs = {
      blobMaxBytes: inner.blobMaxBytes,
      get: (hash) => inner.get(hash),
      has: (hash) => inner.has(hash),
      close: () => inner.close(),
      put: async (bytes) => {
        await stored.promise;
        return inner.put(bytes);
      },
      delete: async (hash) => void deleted.push(hash),
    };
    const { outbox, state, back } = open(blobs);
    outbox.post(call(1, 2_000));
    await settle();
    Object.assign(state, { isBroken: true, takes: false });
    stored.resolve();
    await settle();
    await settle();
    expect(back.map(({ why }) => why.code)).toEqual(["Unavailable"]);
    expect(deleted).toHaveLength(1);
  });

  test("everything, once it is closed; what was on its way to blobs as well", async () => {
    const { outbox, back, left } = open();
    outbox.post(call(1));
    outbox.post(call(2, 2_000));
    await settle();
    outbox.close();
    outbox.post(call(3));
    for (let turn = 0; turn < 20; turn++) await settle();
    expect(left().at(0)).toBe(1);
    expect(back.map(({ envelope, why }) => ["id" in envelope && envelope.id, why.code])).toContainEqual([3, "Closed"]);
  });
});

describe("receipts", () => {
  test("name asks, watches and casts each by their own numbers", async () => {
    const { outbox, receipts } = open();
    for (const envelope of [watch(3), call(1_000), cast, reply(7), call(1_001), watch(5), cast]) outbox.post(envelope);
    await settle();
    expect(readReceipt(receipts[0] ?? "")).toEqual({
      asks: { first: 1_000, last: 1_001 },
      watches: { first: 3, last: 5 },
      casts: 2,
      probes: 0,
    });
  });

  test("whatever comes as one costs little (anybody may send one)", () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.array(fc.oneof(fc.integer(), fc.double()), { maxLength: 6 }).map((all) => all.join("-")),
        ),
        (text) => {
          const { asks, watches, casts } = readReceipt(text);
          for (const { first, last } of [asks, watches]) expect(last - first).toBeLessThanOrEqual(100_000);
          expect(casts).toBeLessThanOrEqual(10_000);
        },
      ),
    );
    expect(readReceipt(`1-${2 ** 52}-1-${2 ** 52}-${2 ** 52}`).asks.last).toBeLessThan(200_000);
  });
});
