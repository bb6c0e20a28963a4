// An actor's timers: run as the actor, in its turn, and gone with it.

import { describe, expect, test } from "vitest";
import { actorContext, defineActor } from "../../runtime/index.ts";
import { codeOf } from "../support/caught.ts";
import { settle } from "../support/fake-clock.ts";
import { openStage, settleFrames } from "../support/places.ts";

const Clockwork = defineActor(
  "clockwork",
  class {
    readonly #log: string[] = [];
    #busy = false;
    #timer: { cancel(): void } | undefined = undefined;

    after(delayMs: number): void {
      this.#timer = actorContext().timers.after(delayMs, () => this.#note("after"));
    }
    every(periodMs: number, workMs = 0): void {
      const { clock, timers } = actorContext();
      this.#timer = timers.every(periodMs, async () => {
        this.#note("begin");
        if (workMs > 0) await new Promise<void>((resolve) => void clock.schedule(workMs, resolve));
        this.#note("end");
      });
    }
    cancel(): void {
      this.#timer?.cancel();
      this.#timer?.cancel();
    }
    async busy(): Promise<void> {
      const { clock } = actorContext();
      this.#busy = true;
      await new Promise<void>((resolve) => void clock.schedule(100, resolve));
      this.#busy = false;
    }
    note(): void {
      this.#note("message");
    }
    #note(what: string): void {
      this.#log.push(this.#busy ? `${what} beside a message` : what);
    }
    log(): string[] {
      return this.#log;
    }
    who(): Promise<string> {
      const { promise, resolve } = Promise.withResolvers<string>();
      const { timers, address } = actorContext();
      timers.after(1, () => resolve(String(actorContext().address.id === address.id && actorContext().deadlineMs)));
      return promise;
    }
  },
);

describe("timers", () => {
  test("after fires once, every goes on until it is cancelled", async () => {
    await using stage = await openStage("same node");
    const actor = await stage.spawn(Clockwork);
    await actor.after(50);
    await stage.clock.advance(200);
    expect(await actor.log()).toEqual(["after"]);
    await actor.every(10);
    await stage.clock.advance(35);
    await actor.cancel();
    await stage.clock.advance(100);
    expect(await actor.log()).toEqual(["after", "begin", "end", "begin", "end", "begin", "end"]);
  });

  test("the next period begins when the last run is done", async () => {
    await using stage = await openStage("same node");
    const actor = await stage.spawn(Clockwork, { concurrency: 2 });
    await actor.every(10, 25);
    await stage.clock.advance(10 + 25 + 10 + 1);
    expect(await actor.log()).toEqual(["begin", "end", "begin"]);
  });

  test("a timer waits for the message in hand and goes before waiting work", async () => {
    await using stage = await openStage("same node");
    const actor = await stage.spawn(Clockwork);
    await actor.after(50);
    const busy = actor.busy();
    const waiting = actor.note();
    await stage.clock.advance(110);
    await Promise.all([busy, waiting]);
    expect(await actor.log()).toEqual(["after", "message"]);
  });

  test("its code finds the actor's context, and no deadline", async () => {
    await using stage = await openStage("same node");
    const actor = await stage.spawn(Clockwork, { concurrency: 2 });
    const who = actor.who();
    await stage.clock.advance(10);
    expect(await who).toBe("Infinity");
  });

  test.each(["stop", "kill"] as const)(
    "none fires after a %s, also not the one whose run was under way",
    async (how) => {
      await using stage = await openStage("same node");
      const actor = await stage.spawn(Clockwork);
      await actor.every(10, 25);
      await stage.clock.advance(15);
      const ending = stage.here[how](actor);
      await stage.clock.advance(60_000);
      await ending;
      expect(stage.clock.pending).toBe(0);
      expect(await codeOf(actor.log())).toBe("NoSuchActor");
      await settleFrames();
    },
  );
});

test("actorContext outside of every actor is refused", async () => {
  await settle();
  expect(() => actorContext()).toThrow(/only inside an actor/);
});
