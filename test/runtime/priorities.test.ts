// Interactive and bulk calls of one actor: who overtakes whom, within which bound, and what is inherited.

import { describe, expect, test } from "vitest";
import { actorContext, type CallOptions, defineActor, type Handle } from "../../runtime/index.ts";
import { codeOf } from "../support/caught.ts";
import { openStage, PLACES, settleFrames } from "../support/places.ts";

const Queue = defineActor(
  "queue",
  class {
    readonly #log: string[] = [];

    note(what: string): void {
      this.#log.push(what);
    }

    async *stream(what: string): AsyncGenerator<string> {
      this.#log.push(what);
      yield what;
    }

    async block(): Promise<void> {
      await new Promise<void>((resolve) => actorContext().signal.addEventListener("abort", () => resolve()));
    }

    log(): string[] {
      return this.#log;
    }
  },
);

const Relay = defineActor(
  "relay",
  class {
    /** Passes what it is given on: by call, cast or stream. */
    async pass(to: Handle<typeof Queue>, what: string, how: string, options?: CallOptions): Promise<void> {
      const target = options === undefined ? to : to.with(options);
      if (how === "cast") target.cast.note(what);
      else if (how === "stream") await Array.fromAsync(target.stream(what));
      else await target.note(what);
    }

    async nested(self: Handle<typeof Relay>): Promise<string> {
      return self.answer();
    }

    answer(): string {
      return "re-entered";
    }
  },
);

/** An actor that is busy until `free` is called. */
async function busyQueue(stage: Awaited<ReturnType<typeof openStage>>, mailboxMax = 10_000) {
  const queue = await stage.spawn(Queue, { mailboxMax });
  const blocker = new AbortController();
  const blocked = codeOf(queue.with({ signal: blocker.signal }).block());
  await settleFrames();
  const free = async () => {
    blocker.abort();
    await blocked;
  };
  return { queue, free };
}

describe.each(PLACES)("priorities, %s", (place) => {
  test("interactive goes first, order holds within a lane, and bulk gets one turn in seventeen", async () => {
    await using stage = await openStage(place);
    const { queue, free } = await busyQueue(stage);
    const bulk = queue.with({ priority: "bulk" });
    for (let index = 0; index < 4; index++) bulk.cast.note(`b${index}`);
    for (let index = 0; index < 40; index++) queue.cast.note(`i${index}`);
    await free();
    const log = await bulk.log();
    const of = (lane: string) => log.filter((what) => what.startsWith(lane));
    expect(of("i")).toEqual(Array.from({ length: 40 }, (_, index) => `i${index}`));
    expect(of("b")).toEqual(["b0", "b1", "b2", "b3"]);
    expect(of("b").map((what) => log.indexOf(what))).toEqual([16, 33, 42, 43]);
  });

  test("calls, casts and keys of all callers and both lanes share one bound", async () => {
    await using stage = await openStage(place);
    const { queue, free } = await busyQueue(stage, 4);
    queue.cast.note("cast");
    const called = queue.note("call");
    const bulk = queue.with({ priority: "bulk" }).note("bulk");
    const keyed = queue.with({ key: "k" }).note("keyed");
    for (const options of [{}, { priority: "bulk" }, { key: "k" }] as const)
      expect(await codeOf(queue.with(options).note("one more"))).toBe("MailboxFull");
    queue.cast.note("one more");
    await settleFrames();
    expect(stage.there.deadLetters.recent()).toMatchObject([{ method: "note", code: "MailboxFull" }]);
    await free();
    await Promise.all([called, bulk, keyed]);
    expect(await queue.log()).toEqual(["cast", "call", "keyed", "bulk"]);
  });

  test.each(["call", "cast", "stream"])(
    "what a bulk message starts by %s is bulk, unless it says otherwise",
    async (how) => {
      await using stage = await openStage(place);
      const { queue, free } = await busyQueue(stage);
      const relay = await stage.spawn(Relay, { concurrency: 10 });
      const bulk = relay.with({ priority: "bulk" });
      const passed = [
        bulk.pass(queue, "inherited", how),
        bulk.pass(queue, "with a time-out", how, { timeoutMs: 20_000 }),
        bulk.pass(queue, "said otherwise", how, { priority: "interactive" }),
        relay.pass(queue, "interactive", how),
      ];
      await settleFrames();
      await free();
      await Promise.all(passed);
      const log = await queue.with({ priority: "bulk" }).log();
      expect(log.slice(0, 2).sort()).toEqual(["interactive", "said otherwise"]);
      expect(log.slice(2)).toEqual(["inherited", "with a time-out"]);
    },
  );

  test("a re-entrant call gets in from either lane", async () => {
    await using stage = await openStage(place);
    const relay = await stage.spawn(Relay, { reentrant: true });
    expect(await relay.with({ priority: "bulk" }).nested(relay)).toBe("re-entered");
    expect(await relay.nested(relay)).toBe("re-entered");
  });
});
