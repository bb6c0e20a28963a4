// Streamed replies: order, credit, ends of every kind. Every case runs beside the actor and from another node.

import { describe, expect, test } from "vitest";
import { actorContext, defineActor, type Handle } from "../../runtime/index.ts";
import { WINDOW } from "../../runtime/stream.ts";
import { caught, codeOf } from "../support/caught.ts";
import { settle } from "../support/fake-clock.ts";
import { openStage, PLACES, settleFrames } from "../support/places.ts";

const Source = defineActor(
  "source",
  class {
    #yielded = 0;
    #cleanedUp = 0;
    readonly #gates: (() => void)[] = [];

    *endless() {
      try {
        for (let index = 0; ; index++) {
          this.#yielded++;
          yield index;
        }
      } finally {
        this.#cleanedUp++;
      }
    }

    async *count(to: number) {
      for (let index = 0; index < to; index++) yield index;
    }

    *countInStep(to: number) {
      for (let index = 0; index < to; index++) yield index;
    }

    async *failing(after: number) {
      for (let index = 0; index < after; index++) yield index;
      throw new TypeError("the well is dry");
    }

    async *doubled(of: Handle<typeof Source>, to: number) {
      for await (const index of of.count(to)) yield index * 2;
    }

    async *unsendable() {
      yield 1;
      yield () => 2;
      // Nobody gives credit any more: without a cancel it would wait here for ever.
      for (;;) yield 3;
    }

    /** Yields when `step` lets it. */
    async *gated() {
      try {
        for (let index = 0; ; index++) {
          await new Promise<void>((resolve) => {
            this.#gates.push(resolve);
            actorContext().signal.addEventListener("abort", () => resolve());
          });
          yield index;
        }
      } finally {
        this.#cleanedUp++;
      }
    }

    one(): number {
      return 1;
    }

    stats() {
      return { yielded: this.#yielded, cleanedUp: this.#cleanedUp };
    }
  },
);

/** Lets a gated stream yield once, from outside its busy actor. */
const Gate = defineActor(
  "gate",
  class {
    #waiting: (() => void) | undefined = undefined;

    async wait(): Promise<void> {
      await new Promise<void>((resolve) => {
        this.#waiting = resolve;
      });
    }

    open(): boolean {
      this.#waiting?.();
      return this.#waiting !== undefined;
    }

    async *through(gate: Handle<typeof Gate>) {
      for (let index = 0; ; index++) {
        await gate.with({ timeoutMs: 1_000_000 }).wait();
        yield index;
      }
    }
  },
);

const numbers = (to: number) => Array.from({ length: to }, (_, index) => index);

async function all<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of stream) items.push(item);
  return items;
}

describe.each(PLACES)("streams, %s", (place) => {
  test.each([0, 1, WINDOW - 1, WINDOW, WINDOW + 1, 3 * WINDOW])("%i items come in order, then the end", async (to) => {
    await using stage = await openStage(place);
    const source = await stage.spawn(Source);
    expect(await all(source.count(to))).toEqual(numbers(to));
    expect(await all(source.countInStep(to))).toEqual(numbers(to));
    expect(await source.one()).toBe(1);
  });

  test("the producer is never more than WINDOW ahead of its reader (ST1)", async () => {
    await using stage = await openStage(place);
    const source = await stage.spawn(Source, { concurrency: 2 });
    const stream = source.endless();
    for (let read = 1; read <= 3 * WINDOW; read++) {
      await stream.next();
      if (read % 50 !== 0) continue;
      await settleFrames();
      const { yielded } = await source.stats();
      expect(yielded).toBeGreaterThanOrEqual(read);
      expect(yielded).toBeLessThanOrEqual(read + WINDOW);
    }
    await stream.return?.();
  });

  test("a reader that has not begun has caused nothing", async () => {
    await using stage = await openStage(place);
    const source = await stage.spawn(Source);
    const stream = source.endless();
    await settleFrames();
    expect(await source.stats()).toEqual({ yielded: 0, cleanedUp: 0 });
    await stream.return?.();
    expect(await stream.next()).toEqual({ done: true, value: undefined });
    expect(await source.stats()).toEqual({ yielded: 0, cleanedUp: 0 });
  });

  test.each(["break", "throw"] as const)(
    "leaving the loop by %s runs the producer's finally and frees the actor (ST3)",
    async (how) => {
      await using stage = await openStage(place);
      const source = await stage.spawn(Source);
      const read = async () => {
        for await (const item of source.endless()) {
          if (item < 3) continue;
          if (how === "break") break;
          throw new Error("seen enough");
        }
      };
      if (how === "break") await read();
      else await expect(read()).rejects.toThrow("seen enough");
      expect((await source.stats()).cleanedUp).toBe(1);
    },
  );

  test("a failure comes after the chunks before it, once (ST2)", async () => {
    await using stage = await openStage(place);
    const source = await stage.spawn(Source);
    const stream = source.failing(WINDOW + 10);
    const got: number[] = [];
    const error = await caught(
      (async () => {
        for await (const item of stream) got.push(item);
      })(),
    );
    expect(error.code).toBe("ActorThrew");
    expect(error.message).toContain("the well is dry");
    expect(got).toEqual(numbers(WINDOW + 10));
    expect(await stream.next()).toEqual({ done: true, value: undefined });
  });

  test("the reader's stack names the function that read", async () => {
    await using stage = await openStage(place);
    const source = await stage.spawn(Source);
    async function readingToTheEnd(): Promise<void> {
      for await (const _item of source.failing(2));
    }
    expect((await caught(readingToTheEnd())).stack).toContain("readingToTheEnd");
  });

  test("a stream made of a stream passes on items and ends", async () => {
    await using stage = await openStage(place);
    const [source, middle] = [await stage.spawn(Source), await stage.here.spawn(Source)];
    expect(await all(middle.doubled(source, 2 * WINDOW))).toEqual(numbers(2 * WINDOW).map((item) => item * 2));
  });

  test("a chunk that cannot be sent ends the stream and frees the actor", async () => {
    await using stage = await openStage(place);
    const source = await stage.spawn(Source);
    const stream = source.unsendable();
    expect(await stream.next()).toEqual({ done: false, value: 1 });
    expect(await caught(stream.next())).toMatchObject({ code: "NotSendable", data: { path: "chunk" } });
    expect(await source.one()).toBe(1);
  });

  test("an unsendable argument rejects the first next", async () => {
    await using stage = await openStage(place);
    const source = await stage.spawn(Source);
    const stream = source.doubled((() => 1) as never, 1);
    const first = stream.next();
    expect(await codeOf(first)).toBe("NotSendable");
    expect(await stream.next()).toEqual({ done: true, value: undefined });
  });

  test("a next that waits is answered when the stream is returned", async () => {
    await using stage = await openStage(place);
    const source = await stage.spawn(Source);
    const stream = source.gated();
    const waiting = stream.next();
    await settleFrames();
    await stream.return?.();
    expect(await waiting).toEqual({ done: true, value: undefined });
    await settleFrames();
    expect((await source.stats()).cleanedUp).toBe(1);
  });

  test("two nexts at once: the second is refused, the first is answered", async () => {
    await using stage = await openStage(place);
    const source = await stage.spawn(Source);
    const stream = source.count(2);
    const [first, second] = [stream.next(), stream.next()];
    expect(await codeOf(second)).toBe("WrongKind");
    expect(await first).toEqual({ done: false, value: 0 });
    await stream.return?.();
  });

  test("the wait for one chunk is bounded by the call time-out, to the full length each time (ST4)", async () => {
    await using stage = await openStage(place, { callTimeoutMs: 30_000 });
    const gates = await stage.here.spawn(Gate, { concurrency: 10 });
    const source = await stage.spawn(Gate);
    const stream = source.through(gates);
    // Each wait is shorter than the time-out, all together are longer.
    for (let index = 0; index < 5; index++) {
      const step = stream.next();
      await settleFrames();
      await stage.clock.advance(index % 2 === 0 ? 14_000 : 29_000);
      expect(await gates.open()).toBe(true);
      expect(await step).toEqual({ done: false, value: index });
    }
    const last = codeOf(stream.next());
    await stage.clock.advance(31_000);
    expect(await last).toBe("DeadlineExceeded");
  });

  test("a slow reader is no silent producer: chunks wait for it as long as it likes", async () => {
    await using stage = await openStage(place, { callTimeoutMs: 1_000 });
    const source = await stage.spawn(Source);
    const stream = source.count(3);
    expect(await stream.next()).toEqual({ done: false, value: 0 });
    await stage.clock.advance(100_000);
    expect(await all(stream)).toEqual([1, 2]);
  });

  test("a timeoutMs of the caller's bounds the whole stream, and the reader's own slowness counts (ST4)", async () => {
    await using stage = await openStage(place, { callTimeoutMs: 1_000 });
    const source = await stage.spawn(Source);
    const stream = source.with({ timeoutMs: 60_000 }).endless();
    await stream.next();
    await stage.clock.advance(59_000);
    expect((await stream.next()).done).toBe(false);
    await stage.clock.advance(1_100);
    // What had come before the end may still be read.
    expect(await codeOf(all(stream))).toBe("DeadlineExceeded");
    await settleFrames();
    expect((await source.stats()).cleanedUp).toBe(1);
  });

  test("an abort ends the stream at both sides", async () => {
    await using stage = await openStage(place);
    const source = await stage.spawn(Source);
    const controller = new AbortController();
    const stream = source.with({ signal: controller.signal }).gated();
    const waiting = codeOf(stream.next());
    await settleFrames();
    controller.abort(new Error("enough"));
    expect(await waiting).toBe("Cancelled");
    await settleFrames();
    expect((await source.stats()).cleanedUp).toBe(1);
  });

  test("killing the producer ends the stream after what has come", async () => {
    await using stage = await openStage(place);
    const source = await stage.spawn(Source);
    const stream = source.endless();
    await stream.next();
    await settle();
    await stage.here.kill(source);
    await settleFrames();
    const got: number[] = [];
    const code = await codeOf(
      (async () => {
        for await (const item of stream) got.push(item);
      })(),
    );
    expect(code).toBe("ActorEnded");
    expect(got).toEqual(numbers(got.length).map((item) => item + 1));
  });
});
