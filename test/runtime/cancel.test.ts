// Deadlines and cancellation: absolute, and through any number of nested calls, also from node to node.

import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { actorContext, defineActor, type Handle } from "../../runtime/index.ts";
import { caught, codeOf } from "../support/caught.ts";
import { settle } from "../support/fake-clock.ts";
import { openStage, PLACES, settleFrames } from "../support/places.ts";

/** Rejects with the signal's reason when the message in hand is given up. */
const untilAborted = (): Promise<never> => {
  const { signal } = actorContext();
  return new Promise((_resolve, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason));
  });
};

const Link = defineActor(
  "link",
  class {
    readonly #log: string[] = [];
    #open: (() => void) | undefined = undefined;

    /** Passes the call on to the rest of the way; the last one waits for ever. */
    async pass(rest: readonly Handle<typeof Link>[]): Promise<void> {
      const [next, ...others] = rest;
      this.#log.push("started");
      try {
        if (next === undefined) await untilAborted();
        else await next.pass(others);
      } finally {
        this.#log.push(actorContext().signal.aborted ? "aborted" : "not aborted");
      }
    }

    async deadlines(rest: readonly Handle<typeof Link>[]): Promise<number[]> {
      const [next, ...others] = rest;
      const own = actorContext().deadlineMs;
      return next === undefined ? [own] : [own, ...(await next.with({ timeoutMs: 1_000_000 }).deadlines(others))];
    }

    /** Asks two at once and awaits one after the other. */
    async both(one: Handle<typeof Link>, other: Handle<typeof Link>): Promise<void> {
      const [first, second] = [one.pass([]), other.pass([])];
      await first;
      await second;
    }

    /** Goes on after its caller has gone, and asks again. */
    async stubborn(other: Handle<typeof Link>): Promise<void> {
      try {
        await untilAborted();
      } catch {
        await other.note("asked after the cancel").catch((error: Error & { code: string }) => this.note(error.code));
      }
    }

    async gate(): Promise<void> {
      await new Promise<void>((resolve) => {
        this.#open = resolve;
      });
    }

    /** Ends `gate` from outside: the actor must have room for it. */
    open(): void {
      this.#open?.();
    }

    note(what: string): void {
      this.#log.push(what);
    }

    log(): string[] {
      return this.#log;
    }
  },
);

const unhandled: unknown[] = [];
const onUnhandled = (reason: unknown): void => void unhandled.push(reason);
beforeEach(() => {
  unhandled.length = 0;
  process.on("unhandledRejection", onUnhandled);
});
afterEach(async () => {
  await settle();
  process.off("unhandledRejection", onUnhandled);
  expect(unhandled).toEqual([]);
});

describe.each(PLACES)("deadlines and cancellation, %s", (place) => {
  test("a call ends at its deadline, not before, and its method sees the signal", async () => {
    await using stage = await openStage(place);
    const link = await stage.spawn(Link);
    const state = { code: "" };
    const ended = caught(link.with({ timeoutMs: 500 }).pass([])).then((error) => {
      state.code = error.code;
    });
    await stage.clock.advance(499);
    expect(state.code).toBe("");
    await stage.clock.advance(1 + 8);
    await ended;
    expect(state.code).toBe("DeadlineExceeded");
    await settleFrames();
    expect(await link.log()).toEqual(["started", "aborted"]);
  });

  test("without a time-out of its own a call has the system's", async () => {
    await using stage = await openStage(place, { callTimeoutMs: 2_000 });
    const link = await stage.spawn(Link);
    const ended = codeOf(link.pass([]));
    await stage.clock.advance(2_010);
    expect(await ended).toBe("DeadlineExceeded");
  });

  test("nested calls end no later than the outermost, whatever they ask for", async () => {
    await using stage = await openStage(place);
    const [a, b, c] = [await stage.here.spawn(Link), await stage.spawn(Link), await stage.here.spawn(Link)];
    const [first, ...others] = await a.with({ timeoutMs: 700 }).deadlines([b, c]);
    expect(first).toBe(stage.clock.now() + 700);
    expect(others).toEqual([first, first]);
  });

  test("the deadline of A reaches C through B", async () => {
    await using stage = await openStage(place);
    const [a, b, c] = [await stage.here.spawn(Link), await stage.spawn(Link), await stage.here.spawn(Link)];
    const ended = codeOf(a.with({ timeoutMs: 300 }).pass([b, c]));
    await stage.clock.advance(310);
    expect(await ended).toBe("DeadlineExceeded");
    await settleFrames();
    for (const link of [a, b, c]) expect(await link.log()).toEqual(["started", "aborted"]);
  });

  test("the caller's signal reaches the innermost; its reason is told", async () => {
    await using stage = await openStage(place);
    const [a, b, c] = [await stage.here.spawn(Link), await stage.spawn(Link), await stage.here.spawn(Link)];
    const controller = new AbortController();
    const ended = caught(a.with({ signal: controller.signal }).pass([b, c]));
    await settleFrames();
    controller.abort(new Error("changed my mind"));
    const error = await ended;
    expect(error.code).toBe("Cancelled");
    expect(error.message).toContain("changed my mind");
    await settleFrames();
    for (const link of [a, b, c]) expect(await link.log()).toEqual(["started", "aborted"]);
  });

  test("a signal that has aborted already sends nothing", async () => {
    await using stage = await openStage(place);
    const link = await stage.spawn(Link);
    expect(await codeOf(link.with({ signal: AbortSignal.abort() }).note("x"))).toBe("Cancelled");
    expect(await link.log()).toEqual([]);
  });

  test("a message whose deadline passes while it waits is never started", async () => {
    await using stage = await openStage(place);
    const link = await stage.spawn(Link, { concurrency: 1 });
    const opener = new AbortController();
    const first = codeOf(link.with({ signal: opener.signal }).pass([]));
    await settleFrames();
    const late = codeOf(link.with({ timeoutMs: 50 }).note("late"));
    link.with({ timeoutMs: 50 }).cast.note("late cast");
    await stage.clock.advance(100);
    expect(await late).toBe("DeadlineExceeded");
    opener.abort();
    await first;
    expect(await link.log()).toEqual(["started", "aborted"]);
    expect(stage.there.deadLetters.recent()).toMatchObject([{ method: "note", code: "DeadlineExceeded" }]);
  });

  test("a message cancelled while it waits is never started", async () => {
    await using stage = await openStage(place);
    const link = await stage.spawn(Link);
    const [opener, controller] = [new AbortController(), new AbortController()];
    const first = codeOf(link.with({ signal: opener.signal }).pass([]));
    await settleFrames();
    const waiting = codeOf(link.with({ signal: controller.signal }).note("cancelled"));
    await settleFrames();
    controller.abort();
    expect(await waiting).toBe("Cancelled");
    opener.abort();
    await first;
    expect(await link.log()).toEqual(["started", "aborted"]);
  });

  test("what a cancelled method awaits one after the other leaves no unhandled rejection", async () => {
    await using stage = await openStage(place);
    const [a, b, c] = [await stage.here.spawn(Link), await stage.spawn(Link), await stage.spawn(Link)];
    const ended = codeOf(a.with({ timeoutMs: 100 }).both(b, c));
    await stage.clock.advance(110);
    expect(await ended).toBe("DeadlineExceeded");
    await settleFrames();
    expect(await c.log()).toEqual(["started", "aborted"]);
  });

  test("a method whose caller has gone can ask nothing any more", async () => {
    await using stage = await openStage(place);
    const [a, b] = [await stage.spawn(Link), await stage.spawn(Link)];
    const controller = new AbortController();
    const ended = codeOf(a.with({ signal: controller.signal }).stubborn(b));
    await settleFrames();
    controller.abort();
    await ended;
    await settleFrames();
    expect(await b.log()).toEqual([]);
    expect(await a.log()).toHaveLength(1);
  });

  test("an answer after the deadline is dropped", async () => {
    await using stage = await openStage(place);
    const link = await stage.spawn(Link, { concurrency: 2 });
    const ended = codeOf(link.with({ timeoutMs: 100 }).gate());
    await stage.clock.advance(110);
    await link.open();
    expect(await ended).toBe("DeadlineExceeded");
    await settleFrames();
    expect(stage.here.stats().badFrames + stage.there.stats().badFrames).toBe(0);
  });
});

describe("what a turn knows of the time", () => {
  test("a deadline that passes during a turn, while an earlier message holds the thread, counts", async () => {
    await using stage = await openStage("same node");
    const ran: string[] = [];
    const { clock } = stage;
    const Busy = defineActor(
      "busy",
      class {
        hold(ms: number): void {
          // The thread is held: nothing else runs, only the clock goes on.
          clock.jump(ms);
        }
        note(what: string): void {
          ran.push(what);
        }
      },
    );
    const busy = await stage.spawn(Busy);
    const held = busy.hold(5_000);
    const late = codeOf(busy.with({ timeoutMs: 1_000 }).note("late"));
    const inTime = busy.with({ timeoutMs: 20_000 }).note("in time");
    await held;
    expect(await late).toBe("DeadlineExceeded");
    await inTime;
    expect(ran).toEqual(["in time"]);
  });

  test("work that a sync method leaves behind belongs to no later message", async () => {
    await using stage = await openStage("same node");
    const seen: number[] = [];
    const Leaver = defineActor(
      "leaver",
      class {
        leave(): void {
          void this.#later();
        }
        async #later(): Promise<void> {
          await settle();
          seen.push(actorContext().deadlineMs);
        }
        async work(): Promise<void> {
          await settle();
          await settle();
          seen.push(actorContext().deadlineMs);
        }
      },
    );
    const leaver = await stage.spawn(Leaver);
    const left = leaver.leave();
    const worked = leaver.with({ timeoutMs: 777 }).work();
    await Promise.all([left, worked]);
    expect(seen).toEqual([Number.POSITIVE_INFINITY, stage.clock.now() + 777]);
  });
});
