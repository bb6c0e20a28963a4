// Retries of a call: what is repeated, when, and until when.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { actorContext, defineActor, FlotillaError, type Handle } from "../../runtime/index.ts";
import { nextAttemptMs } from "../../runtime/retries.ts";
import { caught, codeOf } from "../support/caught.ts";
import { openStage, PLACES, settleFrames } from "../support/places.ts";

const Patient = defineActor(
  "patient",
  class {
    #asked = 0;

    never(): number {
      this.#asked++;
      throw new FlotillaError("Busy", "never", { retryable: true });
    }

    asked(): number {
      return this.#asked;
    }
  },
);

const Flaky = defineActor(
  "flaky",
  class {
    readonly #runs: string[] = [];

    /** Fails with `code` the first `times` times. */
    work(name: string, times: number, code: string, retryable: boolean): number {
      this.#runs.push(name);
      const count = this.#runs.filter((run) => run === name).length;
      if (count <= times) throw new FlotillaError(code, "not yet", { retryable });
      return count;
    }

    note(item: { text: string }): string {
      this.#runs.push(item.text);
      return item.text;
    }

    async block(): Promise<void> {
      this.#runs.push("block");
      await new Promise<void>((resolve) => actorContext().signal.addEventListener("abort", () => resolve()));
    }

    /** Asks another one again and again, for as long as somebody wants to know. */
    async relay(other: Handle<typeof Patient>): Promise<number> {
      return other.with({ key: "relayed", retries: 1_000, backoff: { firstMs: 100, factor: 1, maxMs: 100 } }).never();
    }

    runs(): string[] {
      return this.#runs;
    }
  },
);

/** Lives more than one life: what it has seen is outside of it. */
function crasher(crashes: number) {
  const seen = { runs: 0 };
  const Crasher = defineActor(
    "crasher",
    class {
      work(): number {
        if (++seen.runs <= crashes) actorContext().fail(new Error("broken"));
        return seen.runs;
      }
    },
  );
  return { seen, Crasher };
}

const RESTART = { maxRestarts: 10, withinMs: 60_000, backoff: { firstMs: 1, factor: 1, maxMs: 1 } };
const BACKOFF = { firstMs: 100, factor: 2, maxMs: 1_000 };

describe.each(PLACES)("retries without a key, %s", (place) => {
  test("a full mailbox: tried again after what it says, without a key", async () => {
    await using stage = await openStage(place);
    const flaky = await stage.spawn(Flaky, { mailboxMax: 1 });
    const blocker = new AbortController();
    const blocked = codeOf(flaky.with({ signal: blocker.signal }).block());
    await settleFrames();
    const waiting = flaky.note({ text: "waits" });
    expect(await codeOf(flaky.note({ text: "refused" }))).toBe("MailboxFull");
    const item = { text: "comes back" };
    const retried = flaky.with({ retries: 20, backoff: BACKOFF }).note(item);
    item.text = "changed meanwhile";
    await stage.clock.advance(1_000);
    blocker.abort();
    expect(await blocked).toBe("Cancelled");
    await stage.clock.advance(1_000);
    expect(await retried).toBe("comes back");
    expect(await waiting).toBe("waits");
  });

  test("what the actor's own code threw is not repeated without a key, whatever its code", async () => {
    await using stage = await openStage(place);
    const flaky = await stage.spawn(Flaky);
    const retrying = flaky.with({ retries: 5 });
    expect(await codeOf(retrying.work("a", 1, "MailboxFull", true))).toBe("MailboxFull");
    expect(await codeOf(retrying.work("b", 1, "Unavailable", true))).toBe("Unavailable");
    expect(await codeOf(retrying.work("c", 1, "Busy", true))).toBe("Busy");
    expect(await flaky.runs()).toEqual(["a", "b", "c"]);
  });
});

describe.each(PLACES)("retries with a key, %s", (place) => {
  test("with a key everything retryable is, as often as was said", async () => {
    await using stage = await openStage(place);
    const flaky = await stage.spawn(Flaky);
    const first = flaky.with({ retries: 3, backoff: BACKOFF, key: "1" }).work("a", 3, "Busy", true);
    const second = codeOf(flaky.with({ retries: 3, backoff: BACKOFF, key: "2" }).work("b", 4, "Busy", true));
    const third = codeOf(flaky.with({ retries: 3, backoff: BACKOFF, key: "3" }).work("c", 4, "Broken", false));
    for (let step = 0; step < 20; step++) await stage.clock.advance(50);
    expect([await first, await second, await third]).toEqual([4, "Busy", "Broken"]);
    const runs = await flaky.runs();
    expect(["a", "b", "c"].map((name) => runs.filter((run) => run === name).length)).toEqual([4, 4, 1]);
  });

  test("a restart in the middle of it: repeated with a key, not without", async () => {
    await using stage = await openStage(place);
    const { seen, Crasher } = crasher(2);
    const actor = await stage.spawn(Crasher, { restart: RESTART });
    expect(await codeOf(actor.with({ retries: 5 }).work())).toBe("ActorRestarted");
    await stage.clock.advance(10);
    const retried = actor.with({ retries: 5, key: "once" }).work();
    await stage.clock.advance(1_000);
    expect([await retried, seen.runs]).toEqual([3, 3]);
    expect(await actor.with({ key: "once" }).work()).toBe(3);
  });

  test("ends with the message it was made for", async () => {
    await using stage = await openStage(place);
    const [flaky, patient] = [await stage.spawn(Flaky), await stage.spawn(Patient)];
    const controller = new AbortController();
    const relayed = codeOf(flaky.with({ signal: controller.signal }).relay(patient));
    await stage.clock.advance(500);
    controller.abort();
    expect(await relayed).toBe("Cancelled");
    const asked = await patient.asked();
    expect(asked).toBeGreaterThan(3);
    await stage.clock.advance(5_000);
    expect(await patient.asked()).toBe(asked);
  });

  test("never outlives the deadline or its caller's signal", async () => {
    await using stage = await openStage(place);
    const flaky = await stage.spawn(Flaky);
    const controller = new AbortController();
    const endless = { retries: 1_000, backoff: { firstMs: 100, factor: 1, maxMs: 100 } };
    const bounded = caught(flaky.with({ ...endless, key: "1", timeoutMs: 1_000 }).work("a", 1e9, "Busy", true));
    const aborted = codeOf(
      flaky.with({ ...endless, key: "2", signal: controller.signal }).work("b", 1e9, "Busy", true),
    );
    await stage.clock.advance(450);
    controller.abort();
    expect(await aborted).toBe("Cancelled");
    const before = (await flaky.runs()).filter((run) => run === "b").length;
    await stage.clock.advance(1_000);
    // The last failure, not a time-out: it says more.
    expect((await bounded).code).toBe("Busy");
    const runs = await flaky.runs();
    expect(runs.filter((run) => run === "b").length).toBe(before);
    expect(runs.filter((run) => run === "a").length).toBeGreaterThan(9);
    await stage.clock.advance(60_000);
    expect(await flaky.runs()).toEqual(runs);
  });

  test("refuses options that are none", async () => {
    await using stage = await openStage(place);
    const flaky = await stage.spawn(Flaky);
    const wrong: readonly object[] = [
      { retries: -1 },
      { retries: 1.5 },
      { key: "" },
      { key: "x".repeat(201) },
      { key: 7 },
      { priority: "urgent" },
      { backoff: { factor: 0 } },
      { backoff: { firstMs: -1 } },
      { timeoutMs: Number.NaN },
      { signal: "stop" },
      { timeout: 5 },
    ];
    for (const options of wrong) {
      expect(() => flaky.with(options), JSON.stringify(options)).toThrow(
        expect.objectContaining({
          code: "InvalidOption",
          message: expect.stringContaining(Object.keys(options)[0] ?? ""),
        }),
      );
    }
  });
});

test("waits grow by the factor up to their maximum, half of each by chance, and never end before what the actor asked for", () => {
  const failure = fc.record({ retryAfterMs: fc.option(fc.integer({ min: 0, max: 5_000 }), { nil: undefined }) });
  const spread = fc.float({ min: 0, max: Math.fround(0.99), noNaN: true });
  fc.assert(
    fc.property(
      failure,
      fc.integer({ min: 1, max: 30 }),
      fc.integer({ min: 0, max: 30 }),
      spread,
      (data, attempt, retries, chance) => {
        const why = { code: "MailboxFull", message: "", retryable: true, data };
        const waitMs = nextAttemptMs(why, attempt, { retries, backoff: BACKOFF, hasKey: false }, chance);
        if (attempt > retries) {
          expect(waitMs).toBeUndefined();
          return;
        }
        const fullMs = Math.min(BACKOFF.maxMs, BACKOFF.firstMs * BACKOFF.factor ** (attempt - 1));
        expect(waitMs).toBeGreaterThanOrEqual(Math.max(fullMs / 2, data.retryAfterMs ?? 0));
        expect(waitMs).toBeLessThanOrEqual(Math.max(fullMs, data.retryAfterMs ?? 0));
      },
    ),
  );
});
