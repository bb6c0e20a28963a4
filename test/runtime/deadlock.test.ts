// Deadlock by call chain, and the two ways around it: reentrant and concurrency. Every case runs beside the actors and across nodes.

import { describe, expect, test } from "vitest";
import { actorContext, defineActor, type Handle } from "../../runtime/index.ts";
import { caught, codeOf } from "../support/caught.ts";
import { settle } from "../support/fake-clock.ts";
import { openStage, PLACES, settleFrames } from "../support/places.ts";

const Caller = defineActor(
  "caller",
  class {
    #open: (() => void) | undefined = undefined;
    readonly #log: string[] = [];

    /** Calls the first of the way, which calls the next. */
    async along(way: readonly Handle<typeof Caller>[], waitFirst = true): Promise<string> {
      const [next, ...rest] = way;
      if (waitFirst) await settle();
      return next === undefined ? "arrived" : next.along(rest, waitFirst);
    }

    /** Not async: returns the promise. */
    alongPlain(way: readonly Handle<typeof Caller>[]): Promise<string> | string {
      const [next, ...rest] = way;
      return next === undefined ? "arrived" : next.alongPlain(rest);
    }

    async self(): Promise<string> {
      return (actorContext().self as Handle<typeof Caller>).hello();
    }

    async selfStream(): Promise<number[]> {
      const items: number[] = [];
      for await (const item of (actorContext().self as Handle<typeof Caller>).count(2)) items.push(item);
      return items;
    }

    async *count(to: number) {
      for (let index = 0; index < to; index++) yield index;
    }

    hello(): string {
      return "hello";
    }

    /** Casts to the other, which casts back. */
    async castBack(other: Handle<typeof Caller>, rounds: number): Promise<void> {
      this.#log.push(`round ${rounds}`);
      await settle();
      if (rounds > 0) other.cast.castBack(actorContext().self as Handle<typeof Caller>, rounds - 1);
    }

    /** Ends at once and lets the other call back after that. */
    askLater(other: Handle<typeof Caller>): void {
      void (async () => {
        await settle();
        this.#log.push(await other.askBack(actorContext().self as Handle<typeof Caller>));
      })();
    }

    askBack(asker: Handle<typeof Caller>): Promise<string> {
      return asker.hello();
    }

    async busy(): Promise<void> {
      await new Promise<void>((resolve) => {
        this.#open = resolve;
      });
    }

    open(): void {
      this.#open?.();
    }

    log(): string[] {
      return this.#log;
    }
  },
);

describe.each(PLACES)("circles of calls, %s", (place) => {
  test.each([true, false])("A → B → A fails at once and names the path (after a wait: %s)", async (wait) => {
    await using stage = await openStage(place);
    const [a, b] = [await stage.here.spawn(Caller), await stage.spawn(Caller)];
    const error = await caught(a.along([b, a], wait));
    expect(error).toMatchObject({ code: "Deadlock", retryable: false });
    expect(error.data.path).toEqual([`${a}`, `${b}`, `${a}`]);
    expect(error.message).toContain(`${a} → ${b} → ${a}`);
    expect(await a.hello()).toBe("hello");
  });

  test("A → B → C → A, and A → A, through async and plain methods", async () => {
    await using stage = await openStage(place);
    const [a, b, c] = [await stage.here.spawn(Caller), await stage.spawn(Caller), await stage.here.spawn(Caller)];
    expect(await codeOf(a.along([b, c, a]))).toBe("Deadlock");
    expect(await codeOf(a.along([a]))).toBe("Deadlock");
    expect(await codeOf(a.alongPlain([b, c, a]))).toBe("Deadlock");
    expect(await codeOf(b.alongPlain([b]))).toBe("Deadlock");
    expect(await codeOf(b.self())).toBe("Deadlock");
    expect(await codeOf(b.selfStream())).toBe("Deadlock");
    expect(await a.along([b, c])).toBe("arrived");
  });

  test("with concurrency 2 one circle passes, and fails where it would fill the actor", async () => {
    await using stage = await openStage(place);
    const [a, b] = [await stage.here.spawn(Caller, { concurrency: 2 }), await stage.spawn(Caller, { concurrency: 2 })];
    expect(await a.along([b, a])).toBe("arrived");
    expect(await a.along([b, a, b])).toBe("arrived");
    expect(await codeOf(a.along([b, a, b, a]))).toBe("Deadlock");
  });

  test("a reentrant actor lets its own circle in, and nothing else before its turn", async () => {
    await using stage = await openStage(place);
    const [a, b] = [await stage.here.spawn(Caller, { reentrant: true }), await stage.spawn(Caller)];
    expect(await a.along([b, a])).toBe("arrived");
    expect(await a.along([a, a])).toBe("arrived");
    expect(await a.self()).toBe("hello");
    expect(await a.selfStream()).toEqual([0, 1]);
    // The circle passes those who wait; they run when it is done.
    const stranger = { answered: false };
    const circle = a.along([b, a]);
    const waiting = a.hello().then(() => {
      stranger.answered = true;
    });
    expect(await circle).toBe("arrived");
    await waiting;
    expect(stranger.answered).toBe(true);
  });

  test("casts in a circle are no deadlock", async () => {
    await using stage = await openStage(place);
    const [a, b] = [await stage.here.spawn(Caller), await stage.spawn(Caller)];
    await a.castBack(b, 5);
    await settleFrames();
    await settleFrames();
    expect([await a.log(), await b.log()]).toEqual([
      ["round 5", "round 3", "round 1"],
      ["round 4", "round 2", "round 0"],
    ]);
    expect(stage.there.deadLetters.count).toBe(0);
  });

  test("a call back after the first message has ended is no deadlock", async () => {
    await using stage = await openStage(place);
    const [a, b] = [await stage.here.spawn(Caller), await stage.spawn(Caller)];
    await a.askLater(b);
    await settleFrames();
    expect(await a.log()).toEqual(["hello"]);
  });

  test("an unrelated caller that finds a busy actor waits", async () => {
    await using stage = await openStage(place);
    const [a, b] = [await stage.here.spawn(Caller), await stage.spawn(Caller, { concurrency: 2 })];
    const busy = b.with({ timeoutMs: 60_000 }).busy();
    await settleFrames();
    const along = a.along([b]);
    await settleFrames();
    await b.open();
    expect(await along).toBe("arrived");
    await busy;
  });

  test("concurrency is a bound: never more at once, and never fewer while some wait", async () => {
    await using stage = await openStage(place);
    const gates: (() => void)[] = [];
    const Busy = defineActor(
      "busy",
      class {
        #started = 0;
        async work(): Promise<number> {
          const turn = this.#started++;
          await new Promise<void>((resolve) => void gates.push(resolve));
          return turn;
        }
      },
    );
    const actor = await stage.spawn(Busy, { concurrency: 3 });
    const turns = Array.from({ length: 9 }, () => actor.work());
    for (let done = 0; done < 9; done++) {
      await settleFrames();
      expect(gates.length).toBe(Math.min(9, done + 3));
      gates[done]?.();
    }
    expect(await Promise.all(turns)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8]);
  });
});
