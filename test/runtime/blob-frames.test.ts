// What is too large for a frame goes by blob: whole, in order, and with a word to whoever waits when its bytes cannot be had.

import { describe, expect, test } from "vitest";
import { defineActor, FlotillaError, type HandleOf } from "../../runtime/index.ts";
import { openPair } from "../support/breakable-pair.ts";
import { caught, codeOf } from "../support/caught.ts";
import { settle } from "../support/fake-clock.ts";
import { settleFrames } from "../support/places.ts";

const FRAME = 16 * 1024;
const LARGE = 20_000;
const TOO_LARGE = 1024 * 1024;

function storeType() {
  const got: number[] = [];
  const Keeper = defineActor(
    "keeper",
    class {
      take(id: number, bytes: Uint8Array): number {
        got.push(id);
        return bytes.length;
      }
      give(bytes: number): Uint8Array {
        return new Uint8Array(bytes).fill(7);
      }
      async *chunks(...sizes: number[]) {
        for (const size of sizes) yield new Uint8Array(size);
      }
      fail(bytes: number): never {
        throw new FlotillaError("Odd", "x".repeat(bytes), { data: { size: new Map([["bytes", bytes]]) } });
      }
      same(value: unknown): unknown {
        return value;
      }
      async *sameItems(values: unknown[]) {
        yield* values;
      }
      async through(other: HandleOf<{ give(bytes: number): Uint8Array }>, bytes: number): Promise<number> {
        return (await other.give(bytes)).length;
      }
    },
  );
  return { got, Keeper };
}

async function start() {
  const { got, Keeper } = storeType();
  const pair = await openPair([Keeper], FRAME);
  const actor = await pair.north.spawn(Keeper, { node: "south", concurrency: 10 });
  const rest = async () => {
    for (let turn = 0; turn < 40; turn++) await settle();
  };
  return { got, Keeper, pair, actor, rest, ...pair };
}

describe("what is too large for a frame", () => {
  test("arrives, in every direction, and leaves no blob behind", async () => {
    const { actor, blobs, pair, rest } = await start();
    await using _ = pair;
    expect(await actor.take(1, new Uint8Array(LARGE))).toBe(LARGE);
    expect((await actor.give(LARGE)).every((byte) => byte === 7)).toBe(true);
    expect(await caught(actor.fail(LARGE))).toMatchObject({ code: "Odd", data: { size: new Map([["bytes", LARGE]]) } });
    const sizes: number[] = [];
    for await (const chunk of actor.chunks(1, LARGE, 2, LARGE, LARGE, 3)) sizes.push(chunk.length);
    expect(sizes).toEqual([1, LARGE, 2, LARGE, LARGE, 3]);
    await rest();
    expect([...blobs.kept]).toEqual([]);
  });

  test("comes in order with what is small, however they are mixed", async () => {
    const { actor, got, pair } = await start();
    await using _ = pair;
    const sizes = [1, LARGE, LARGE, 1, LARGE, LARGE, LARGE, 1, 1, LARGE];
    await Promise.all(sizes.map((size, id) => actor.take(id, new Uint8Array(size))));
    expect(got).toEqual(sizes.map((_size, id) => id));
  });

  test("is what it was when it was sent, though its bytes are used again at once", async () => {
    const { actor, pair } = await start();
    await using _ = pair;
    const bytes = new Uint8Array(LARGE).fill(1);
    // The text goes to blobs first, and the bytes wait behind it.
    const sent = [actor.same("x".repeat(LARGE)), actor.same(bytes), actor.same([bytes, 1])];
    bytes.fill(9);
    const [, alone, inside] = (await Promise.all(sent)) as [string, Uint8Array, [Uint8Array]];
    expect([alone.every((byte) => byte === 1), inside[0].every((byte) => byte === 1)]).toEqual([true, true]);
  });

  test("at the limits exactly: the largest frame, one byte more, the largest blob, one byte more", async () => {
    const { actor, blobs, pair } = await start();
    await using _ = pair;
    let puts = 0;
    blobs.before = (operation) => {
      if (operation === "put") puts++;
    };
    const fits = async (bytes: number) =>
      (await codeOf(actor.take(0, new Uint8Array(bytes))).catch(() => "fits")) ?? "";
    let [low, high] = [FRAME - 500, FRAME];
    while (low + 1 < high) {
      const middle = (low + high) >> 1;
      puts = 0;
      expect(await actor.take(0, new Uint8Array(middle))).toBe(middle);
      if (puts === 0) low = middle;
      else high = middle;
    }
    expect(high).toBeGreaterThan(FRAME - 500);
    expect([await fits(TOO_LARGE - 1_000), await fits(TOO_LARGE - 400), await fits(TOO_LARGE)]).toEqual([
      "fits",
      "PayloadTooLarge",
      "PayloadTooLarge",
    ]);
  });

  test("a result beyond every limit is a typed error for its caller and nobody else's trouble", async () => {
    const { actor, pair } = await start();
    await using _ = pair;
    const others = [actor.take(1, new Uint8Array(1)), actor.take(2, new Uint8Array(LARGE))];
    expect(await caught(actor.give(TOO_LARGE))).toMatchObject({
      code: "PayloadTooLarge",
      data: { maxBytes: expect.any(Number) },
    });
    expect(
      await codeOf(
        actor
          .chunks(1, TOO_LARGE)
          .next()
          .then(async () => actor.fail(TOO_LARGE)),
      ),
    ).toBe("PayloadTooLarge");
    expect(await Promise.all(others)).toEqual([1, LARGE]);
  });
});

describe("bytes that cannot be fetched", () => {
  test("of a call: it is Unavailable at once, and what came after it goes on", async () => {
    const { actor, blobs, got, pair, lines } = await start();
    await using _ = pair;
    blobs.before = (operation) => {
      if (operation === "get") throw new Error("the disk is away");
    };
    const codes = [codeOf(actor.take(1, new Uint8Array(LARGE))), actor.take(2, new Uint8Array(1))];
    expect(await Promise.all(codes)).toEqual(["Unavailable", 1]);
    expect(got).toEqual([2]);
    expect(
      lines.some(({ message, data }) => /large frame/.test(message) && /disk is away/.test(String(data?.error))),
    ).toBe(true);
  });

  test("of an answer: Unknown, because it ran; of a chunk: StreamBroken", async () => {
    const { actor, blobs, pair } = await start();
    await using _ = pair;
    blobs.before = (operation) => {
      if (operation === "get") throw new Error("the disk is away");
    };
    expect(await codeOf(actor.with({ retries: 5 }).give(LARGE))).toBe("Unknown");
    const stream = actor.chunks(1, LARGE, 1);
    await stream.next();
    expect(await codeOf(stream.next())).toBe("StreamBroken");
  });

  test("because somebody deleted them: the same", async () => {
    const { actor, blobs, pair } = await start();
    await using _ = pair;
    blobs.before = async (operation) => {
      if (operation === "get") for (const hash of blobs.kept) await blobs.delete(hash);
    };
    expect(await codeOf(actor.take(1, new Uint8Array(LARGE)))).toBe("Unavailable");
  });

  test("because they cannot be stored: the caller hears it, and of a result that it ran", async () => {
    const { actor, blobs, pair } = await start();
    await using _ = pair;
    blobs.before = (operation) => {
      if (operation === "put") throw new FlotillaError("Unavailable", "no blobs now", { retryable: true });
    };
    expect(await codeOf(actor.take(1, new Uint8Array(LARGE)))).toBe("Unavailable");
    expect(await codeOf(actor.give(LARGE))).toBe("Unknown");
    expect(await actor.take(2, new Uint8Array(1))).toBe(1);
  });

  test("in time: a call whose deadline passes while its bytes are on the way never starts", async () => {
    const { actor, blobs, clock, got, pair, rest } = await start();
    await using _ = pair;
    const gate = Promise.withResolvers<void>();
    blobs.before = (operation) => (operation === "get" ? gate.promise : undefined);
    const giveUp = new AbortController();
    const late = codeOf(actor.with({ timeoutMs: 100 }).take(1, new Uint8Array(LARGE)));
    const cancelled = codeOf(actor.with({ signal: giveUp.signal }).take(2, new Uint8Array(LARGE)));
    const behind = actor.take(3, new Uint8Array(1));
    await settleFrames();
    giveUp.abort(new Error("enough"));
    await clock.advance(200);
    expect([await late, await cancelled]).toEqual(["DeadlineExceeded", "Cancelled"]);
    gate.resolve();
    await rest();
    expect(await behind).toBe(1);
    // A cancel goes behind what it cancels: it may find it running, but what is late does not start.
    expect(got).not.toContain(1);
  });

  test("of a stranger's choosing: a frame that names other people's blobs deletes none of them", async () => {
    const { actor, blobs, network, pair, rest } = await start();
    await using _ = pair;
    const hash = await blobs.put(new TextEncoder().encode("somebody's module"));
    const { Codec } = await import("../../runtime/codec.ts");
    const stranger = network.join("stranger");
    stranger.send("south", new Codec().encodeFrame([{ kind: "blob", id: 1, of: "call", hash }]));
    stranger.send("south", new Codec().encodeFrame([{ kind: "blob", id: 1, of: "nonsense", hash: 5 as never }]));
    await rest();
    expect(blobs.kept.has(hash)).toBe(true);
    expect(await actor.take(1, new Uint8Array(1))).toBe(1);
  });
});

describe("values of every kind", () => {
  const values = [
    7n,
    new Map<unknown, unknown>([[{ a: 1 }, new Set([1n])]]),
    new Date(5),
    /x/gi,
    new Float64Array([1, 2]),
    [undefined, null, Number.NaN, Number.POSITIVE_INFINITY],
    new Uint8Array(LARGE),
    { deep: { map: new Map([["large", new Uint8Array(LARGE)]]) } },
  ];

  test("travel as arguments, results, chunks and inside errors, small and by blob; handles stay callable", async () => {
    const { actor, Keeper, north, pair } = await start();
    await using _ = pair;
    for (const value of values) expect(await actor.same(value)).toEqual(value);
    const items: unknown[] = [];
    for await (const item of actor.sameItems(values)) items.push(item);
    expect(items).toEqual(values);
    const here = await north.spawn(Keeper);
    const [back] = (await actor.same([here])) as [typeof here];
    expect((await back.give(3)).length).toBe(3);
    expect(await actor.through(here as never, LARGE)).toBe(LARGE);
    for await (const item of actor.sameItems([new Map([["handle", here]])])) {
      expect((await (item as Map<string, typeof here>).get("handle")?.give(2))?.length).toBe(2);
    }
  });

  test("that cannot travel are named by path, over the wire as at home", async () => {
    const { actor, pair } = await start();
    await using _ = pair;
    expect(await caught(actor.same({ list: [1, { call: () => 1 }] }))).toMatchObject({
      code: "NotSendable",
      message: "args[0].list[1].call cannot be sent: it is a function",
      data: { path: "args[0].list[1].call" },
    });
    expect(await caught(actor.same(new Map([["key", Symbol("s")]])))).toMatchObject({
      data: { path: "args[0].values[0]" },
    });
  });
});
