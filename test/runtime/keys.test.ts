// Calls with a key: made twice they run once, and both callers get the first outcome.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { actorContext, defineActor, FlotillaError, sleep } from "../../runtime/index.ts";
import { caught, codeOf, outcome } from "../support/caught.ts";
import { openStage, PLACES, settleFrames } from "../support/places.ts";

interface Run {
  readonly key: string;
  readonly from: number;
  to: number;
  end: "value" | "failed" | "cut";
}

const Bank = defineActor(
  "bank",
  class {
    readonly #runs: string[] = [];
    #isOpen = false;
    readonly #accounts = { total: 0 };

    pay(amount: number): { total: number } {
      this.#runs.push(`pay ${amount}`);
      this.#accounts.total += amount;
      return this.#accounts;
    }

    take(amount: number): number {
      this.#runs.push(`take ${amount}`);
      return this.#accounts.total - amount;
    }

    fail(retryable: boolean): never {
      this.#runs.push("fail");
      throw new FlotillaError("Bust", "no money", { retryable });
    }

    async slow(ms: number): Promise<string> {
      this.#runs.push(`slow ${ms}`);
      await sleep(actorContext().clock, ms, actorContext().signal);
      return `after ${ms}`;
    }

    odd(): unknown {
      this.#runs.push("odd");
      return { run: () => 1 };
    }

    async self(): Promise<string> {
      type Self = { with(options: object): { self(): Promise<string> } };
      return (actorContext().self as unknown as Self).with({ key: "self" }).self();
    }

    later(): string {
      this.#runs.push("later");
      if (this.#isOpen) return "done";
      actorContext().stash();
      return "dropped";
    }

    open(): void {
      this.#isOpen = true;
      actorContext().unstashAll();
    }

    async *stream(): AsyncGenerator<number> {
      yield 1;
    }

    crash(): void {
      actorContext().fail(new Error("robbed"));
    }

    runs(): string[] {
      return this.#runs;
    }
  },
);

const RESTART = { maxRestarts: 5, withinMs: 60_000, backoff: { firstMs: 1, factor: 1, maxMs: 1 } };

describe.each(PLACES)("keys, %s", (place) => {
  test("the same key and method give the first result; other keys, other methods and no key run", async () => {
    await using stage = await openStage(place);
    const bank = await stage.spawn(Bank);
    const once = bank.with({ key: "k" });
    expect(await once.pay(5)).toEqual({ total: 5 });
    expect(await bank.pay(1)).toEqual({ total: 6 });
    // The actor has changed what it answered with; the outcome is what it was.
    expect(await once.pay(99)).toEqual({ total: 5 });
    expect(await once.take(2)).toBe(4);
    expect(await bank.with({ key: "l" }).pay(2)).toEqual({ total: 8 });
    once.cast.pay(3);
    expect(await bank.runs()).toEqual(["pay 5", "pay 1", "take 2", "pay 2"]);
    // A cast counts as well.
    bank.with({ key: "m" }).cast.pay(10);
    expect(await bank.with({ key: "m" }).pay(20)).toEqual({ total: 18 });
  });

  test("a failure is an outcome unless a retry may help; so is a result that cannot be sent", async () => {
    await using stage = await openStage(place);
    const bank = await stage.spawn(Bank);
    for (const key of ["a", "a"]) expect(await codeOf(bank.with({ key }).fail(false))).toBe("Bust");
    for (const key of ["b", "b"]) expect(await codeOf(bank.with({ key }).fail(true))).toBe("Bust");
    for (const key of ["c", "c"]) expect(await codeOf(bank.with({ key }).odd())).toBe("NotSendable");
    expect(await bank.runs()).toEqual(["fail", "fail", "fail", "odd"]);
  });

  test("a call that still runs is joined; when its caller gives up, the next one runs", async () => {
    await using stage = await openStage(place);
    const bank = await stage.spawn(Bank, { concurrency: 4 });
    const controller = new AbortController();
    const once = bank.with({ key: "k" });
    const joined = Promise.all([once.slow(100), once.slow(200)]);
    const given = codeOf(bank.with({ key: "l", signal: controller.signal }).slow(300));
    const heir = bank.with({ key: "l" }).slow(400);
    await stage.clock.advance(150);
    expect(await joined).toEqual(["after 100", "after 100"]);
    controller.abort();
    expect(await given).toBe("Cancelled");
    await stage.clock.advance(500);
    expect(await heir).toBe("after 400");
    expect(await bank.runs()).toEqual(["slow 100", "slow 300", "slow 400"]);
  });

  test("who waits for a key holds a place in the mailbox until it gives up", async () => {
    await using stage = await openStage(place);
    const bank = await stage.spawn(Bank, { concurrency: 4, mailboxMax: 2 });
    const once = bank.with({ key: "k" });
    const first = once.slow(5_000);
    await settleFrames();
    const short = codeOf(once.with({ timeoutMs: 100 }).slow(5_000));
    const long = once.slow(5_000);
    await settleFrames();
    expect(await codeOf(bank.runs())).toBe("MailboxFull");
    await stage.clock.advance(200);
    expect(await short).toBe("DeadlineExceeded");
    expect(await bank.runs()).toEqual(["slow 5000"]);
    await stage.clock.advance(5_000);
    expect(await Promise.all([first, long])).toEqual(["after 5000", "after 5000"]);
  });

  test("a call that would wait for itself fails with Deadlock", async () => {
    await using stage = await openStage(place);
    const bank = await stage.spawn(Bank, { reentrant: true });
    expect((await caught(bank.with({ key: "self" }).self())).code).toBe("Deadlock");
  });

  test("outcomes outlive a restart, what was in hand does not; the end answers who waits", async () => {
    await using stage = await openStage(place);
    const bank = await stage.spawn(Bank, { restart: RESTART, concurrency: 3 });
    await bank.with({ key: "k" }).pay(5);
    const cut = codeOf(bank.with({ key: "slow" }).slow(1_000));
    const joined = bank.with({ key: "slow" }).slow(2_000);
    await settleFrames();
    bank.cast.crash();
    await stage.clock.advance(10);
    expect(await cut).toBe("ActorRestarted");
    expect(await bank.with({ key: "k" }).pay(7)).toEqual({ total: 5 });
    await stage.clock.advance(2_000);
    expect(await joined).toBe("after 2000");
    const ended = [1, 2].map(() => codeOf(bank.with({ key: "end" }).slow(1_000)));
    await settleFrames();
    await stage.here.kill(bank);
    expect(await Promise.all(ended)).toEqual(["ActorEnded", "ActorEnded"]);
  });

  test("a stashed call has no outcome yet", async () => {
    await using stage = await openStage(place);
    const bank = await stage.spawn(Bank);
    const waiting = [bank.with({ key: "k" }).later(), bank.with({ key: "k" }).later()];
    await settleFrames();
    await bank.open();
    expect(await Promise.all(waiting)).toEqual(["done", "done"]);
    expect(await bank.runs()).toEqual(["later", "later", "later"]);
  });

  test("kept are the last 1,000, for ten minutes", async () => {
    await using stage = await openStage(place);
    const bank = await stage.spawn(Bank);
    for (let index = 0; index < 1_002; index++) await bank.with({ key: `k${index}` }).take(index);
    expect(await bank.with({ key: "k2" }).take(-1)).toBe(-2);
    expect(await bank.with({ key: "k1" }).take(-1)).toBe(1);
    await stage.clock.advance(600_000);
    expect(await bank.with({ key: "k1001" }).take(-1)).toBe(1);
  });

  test("a stream cannot have one; a method that is not there keeps nothing", async () => {
    await using stage = await openStage(place);
    const bank = await stage.spawn(Bank);
    expect(await codeOf(Array.fromAsync(bank.with({ key: "k" }).stream()))).toBe("InvalidOption");
    const loose = bank.with({ key: "k" }) as unknown as { nothing(): Promise<void> };
    for (let turn = 0; turn < 2; turn++) expect(await codeOf(loose.nothing())).toBe("NoSuchMethod");
  });
});

const CALL = fc.record({
  key: fc.constantFrom("a", "b", "c"),
  atMs: fc.integer({ min: 0, max: 300 }),
  tookMs: fc.integer({ min: 0, max: 60 }),
  fails: fc.constantFrom("no", "no", "for good", "for now"),
  leavesAfterMs: fc.option(fc.integer({ min: 1, max: 80 }), { nil: undefined }),
});

/** An actor whose runs are written down outside of it. */
function recorder(runs: Run[]) {
  return defineActor(
    "recorder",
    class {
      async work(key: string, tookMs: number, fails: string): Promise<number> {
        const { clock, signal } = actorContext();
        const run: Run = { key, from: clock.now(), to: Number.POSITIVE_INFINITY, end: "cut" };
        const index = runs.push(run) - 1;
        try {
          if (tookMs > 0) await sleep(clock, tookMs, signal);
          if (fails !== "no") throw new FlotillaError("Bust", "", { retryable: fails === "for now" });
          run.end = "value";
          return index;
        } catch (error) {
          if (!signal.aborted && fails === "for good") run.end = "failed";
          throw error;
        } finally {
          run.to = clock.now();
        }
      }
    },
  );
}

test.each(PLACES)(
  "each key runs at most once while it is kept, and never twice at a time; all who get a value get the same one (%s)",
  async (place) => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(CALL, { maxLength: 25 }),
        fc.integer({ min: 1, max: 4 }),
        async (calls, concurrency) => {
          const runs: Run[] = [];
          await using stage = await openStage(place);
          const actor = await stage.spawn(recorder(runs), { concurrency });
          const made = calls.map(async ({ key, atMs, tookMs, fails, leavesAfterMs = 10_000 }) => {
            await sleep(stage.clock, atMs);
            return { key, end: await outcome(actor.with({ key, timeoutMs: leavesAfterMs }).work(key, tookMs, fails)) };
          });
          for (let step = 0; step < 100; step++) await stage.clock.advance(20);
          const ends = await Promise.all(made);
          for (const key of ["a", "b", "c"]) {
            const own = runs.filter((run) => run.key === key);
            const kept = own.findIndex(({ end }) => end !== "cut");
            expect(kept === -1 || kept === own.length - 1, "nothing runs after an outcome").toBe(true);
            own.forEach(
              (run, index) => void (index > 0 && expect(run.from).toBeGreaterThanOrEqual(own[index - 1]?.to ?? 0)),
            );
            const values = ends.flatMap((call) => (call.key === key && typeof call.end === "number" ? [call.end] : []));
            expect(new Set(values).size).toBeLessThanOrEqual(1);
          }
        },
      ),
      { numRuns: 60 },
    );
  },
);
