// Supervision: what a failure does to an actor, its callers, its children and its parent. Time moves by hand.

import { describe, expect, test } from "vitest";
import { actorContext, defineActor, type LogLine, type SpawnOptions } from "../../runtime/index.ts";
import { codeOf } from "../support/caught.ts";
import { settle } from "../support/fake-clock.ts";
import { openStage, PLACES, settleFrames } from "../support/places.ts";

interface Life {
  starts: number;
  failStarts: number;
  readonly journal: string[];
}

function fragile(life: Life) {
  return defineActor(
    "fragile",
    class {
      #count = 0;
      readonly #list: number[];

      constructor(list: number[] = []) {
        this.#list = list;
        life.starts++;
        if (life.failStarts > 0 && life.starts > 1) {
          life.failStarts--;
          throw new Error("cannot start");
        }
      }
      bump(): number {
        this.#list.push(this.#count);
        return ++this.#count;
      }
      list(): number[] {
        return this.#list;
      }
      incarnation(): number {
        return actorContext().address.incarnation;
      }
      crash(): void {
        throw new Error("crashed");
      }
      failSelf(): string {
        actorContext().fail(new Error("gave up"));
        return "unheard";
      }
      async failSelfLater(): Promise<string> {
        actorContext().fail(new Error("gave up"));
        await new Promise(() => {});
        return "never";
      }
      async stuck(): Promise<void> {
        await new Promise<void>((resolve) => actorContext().signal.addEventListener("abort", () => resolve()));
        life.journal.push("let go");
        // What an old life does later is nobody's business, least of all the new life's.
        actorContext().timers.after(10, () => life.journal.push("timer of the old life"));
        actorContext().fail(new Error("failure of the old life"));
        throw new Error("thrown by the old life");
      }
      async throwWhenAborted(): Promise<never> {
        const { signal } = actorContext();
        await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
        throw new Error("interrupted");
      }
      timer(delayMs: number, what: "throw" | "note"): void {
        actorContext().timers.after(delayMs, async () => {
          await settle();
          if (what === "throw") throw new Error("timer failed");
          life.journal.push("timer");
        });
      }
      ticks(periodMs: number): void {
        actorContext().timers.every(periodMs, () => life.journal.push("tick"));
      }
      onStop(): void {
        life.journal.push("onStop");
      }
    },
  );
}

const newLife = (): Life => ({ starts: 0, failStarts: 0, journal: [] });
const restart = (maxRestarts: number, withinMs = 60_000): SpawnOptions["restart"] & {} => ({
  maxRestarts,
  withinMs,
  backoff: { firstMs: 100, factor: 2, maxMs: 1_000 },
});

describe.each(PLACES)("failures, %s", (place) => {
  test("a cast that throws restarts the actor: fresh state, next incarnation, same address, waiting messages kept", async () => {
    const life = newLife();
    await using stage = await openStage(place);
    const actor = await stage.spawn(fragile(life), { restart: restart(3), args: [[7]] });
    await actor.bump();
    expect([await actor.incarnation(), await actor.list()]).toEqual([1, [7, 0]]);
    actor.cast.crash();
    const waiting = [actor.bump(), actor.incarnation()];
    await settleFrames();
    expect(life.starts).toBe(1);
    await stage.clock.advance(100);
    expect(await Promise.all(waiting)).toEqual([1, 2]);
    // The constructor's argument is fresh too.
    expect(await actor.list()).toEqual([7, 0]);
    expect(life.journal).toEqual([]);
  });

  test("the life after one that failed in a method that returned at once has timers and children like any other", async () => {
    await using stage = await openStage(place);
    const fired: string[] = [];
    const Ticker = defineActor(
      "ticker",
      class {
        crash() {
          throw new Error("crashed");
        }
        set() {
          actorContext().timers.after(10, () => fired.push("timer"));
        }
      },
    );
    const actor = await stage.spawn(Ticker, { restart: { maxRestarts: 1, withinMs: 60_000 } });
    actor.cast.crash();
    await settleFrames();
    await stage.clock.advance(100);
    await actor.set();
    await stage.clock.advance(10);
    expect(fired).toEqual(["timer"]);
  });

  test("restarts back off: 100, 200, 400 ms inside the window", async () => {
    const life = newLife();
    await using stage = await openStage(place);
    const actor = await stage.spawn(fragile(life), { restart: restart(3) });
    for (const [index, backoffMs] of [100, 200, 400].entries()) {
      actor.cast.crash();
      await settleFrames();
      await stage.clock.advance(backoffMs - 1);
      expect(life.starts).toBe(index + 1);
      await stage.clock.advance(1);
      expect(life.starts).toBe(index + 2);
    }
  });

  test("one failure more than the window allows ends the actor; watchers are told what it was", async () => {
    const life = newLife();
    await using stage = await openStage(place);
    const actor = await stage.spawn(fragile(life), { restart: restart(1) });
    const ends: unknown[] = [];
    stage.here.watch(actor, (end) => ends.push(end));
    actor.cast.crash();
    await settleFrames();
    await stage.clock.advance(100);
    expect(await actor.bump()).toBe(1);
    actor.cast.crash();
    const waiting = codeOf(actor.bump());
    expect(await waiting).toMatch(/^(ActorEnded|NoSuchActor)$/);
    await settleFrames();
    expect(ends).toMatchObject([
      { reason: "failed", error: { code: "ActorThrew", message: expect.stringContaining("crashed") } },
    ]);
    expect(await codeOf(actor.bump())).toBe("NoSuchActor");
  });

  test("failures further apart than the window go on for ever", async () => {
    const life = newLife();
    await using stage = await openStage(place);
    const actor = await stage.spawn(fragile(life), { restart: restart(1, 1_000) });
    for (let round = 1; round <= 5; round++) {
      actor.cast.crash();
      await settleFrames();
      await stage.clock.advance(1_001);
      expect(life.starts).toBe(1 + round);
    }
  });

  test("what a called method throws is its caller's; with failOnThrow the actor fails as well", async () => {
    const [calm, strict] = [newLife(), newLife()];
    await using stage = await openStage(place);
    const actor = await stage.spawn(fragile(calm), { restart: restart(3) });
    await actor.bump();
    expect(await codeOf(actor.crash())).toBe("ActorThrew");
    expect(await actor.bump()).toBe(2);
    await using other = await openStage(place);
    const failing = await other.spawn(fragile(strict), { restart: restart(3), failOnThrow: true });
    expect(await codeOf(failing.crash())).toBe("ActorThrew");
    await other.clock.advance(100);
    expect([await failing.bump(), strict.starts]).toEqual([1, 2]);
  });

  test("what a method throws because it was cancelled is no failure, with failOnThrow either", async () => {
    const life = newLife();
    await using stage = await openStage(place);
    const actor = await stage.spawn(fragile(life), { restart: restart(3), failOnThrow: true });
    const ended = codeOf(actor.with({ timeoutMs: 100 }).throwWhenAborted());
    await stage.clock.advance(1_000);
    expect([await ended, await actor.incarnation(), life.starts]).toEqual(["DeadlineExceeded", 1, 1]);
  });

  test("messages in hand fail with ActorRestarted and their late doings do not touch the new life", async () => {
    const life = newLife();
    await using stage = await openStage(place);
    const actor = await stage.spawn(fragile(life), { restart: restart(3), concurrency: 3 });
    const stuck = [codeOf(actor.stuck()), codeOf(actor.stuck())];
    await settleFrames();
    actor.cast.crash();
    expect(await Promise.all(stuck)).toEqual(["ActorRestarted", "ActorRestarted"]);
    await stage.clock.advance(100);
    expect([await actor.bump(), await actor.incarnation(), life.starts]).toEqual([1, 2, 2]);
    await stage.clock.advance(1_000);
    expect([life.journal, life.starts]).toEqual([["let go", "let go"], 2]);
  });

  test("ctx.fail gives the life up at once, also in a method that then waits for ever", async () => {
    const life = newLife();
    await using stage = await openStage(place);
    const actor = await stage.spawn(fragile(life), { restart: restart(3) });
    expect(await codeOf(actor.failSelf())).toBe("ActorRestarted");
    await stage.clock.advance(100);
    expect(await actor.incarnation()).toBe(2);
    expect(await codeOf(actor.failSelfLater())).toBe("ActorRestarted");
    await stage.clock.advance(200);
    expect(await actor.incarnation()).toBe(3);
  });

  test("a constructor that fails at a restart uses up the window like any failure", async () => {
    const life = newLife();
    await using stage = await openStage(place);
    const actor = await stage.spawn(fragile(life), { restart: restart(3) });
    life.failStarts = 2;
    actor.cast.crash();
    const waiting = actor.bump();
    await settleFrames();
    await stage.clock.advance(700);
    expect([await waiting, life.starts]).toEqual([1, 4]);
    life.failStarts = 9;
    actor.cast.crash();
    await settleFrames();
    expect(stage.there.stats().actors).toBe(0);
  });

  test("a timer that throws fails the actor; timers do not outlive their life", async () => {
    const life = newLife();
    await using stage = await openStage(place);
    const actor = await stage.spawn(fragile(life), { restart: restart(3) });
    await actor.ticks(10);
    await actor.timer(500, "note");
    await actor.timer(35, "throw");
    await stage.clock.advance(36);
    expect(life.journal).toEqual(["tick", "tick", "tick"]);
    await stage.clock.advance(1_000);
    expect([life.journal, life.starts]).toEqual([["tick", "tick", "tick"], 2]);
  });

  test("an actor that waits to be restarted can be stopped and killed", async () => {
    for (const how of ["stop", "kill"] as const) {
      const life = newLife();
      await using stage = await openStage(place);
      const actor = await stage.spawn(fragile(life), { restart: restart(3) });
      actor.cast.crash();
      const waiting = codeOf(actor.bump());
      await settleFrames();
      await stage.here[how](actor);
      expect(await waiting).toBe("ActorEnded");
      await stage.clock.advance(10_000);
      expect([life.starts, life.journal, stage.there.stats().actors]).toEqual([1, [], 0]);
    }
  });
});

describe("families", () => {
  function family(journal: string[]) {
    const Child = defineActor(
      "child",
      class {
        readonly #name: string;
        constructor(name: string) {
          this.#name = name;
          journal.push(`${name} born`);
        }
        crash(): void {
          throw new Error(`${this.#name} crashed`);
        }
      },
    );
    const Parent = defineActor(
      "parent",
      class {
        constructor() {
          journal.push("parent born");
        }
        async raise(name: string, options: { escalate?: boolean } = {}) {
          const child = await actorContext().spawn(Child, { args: [name], ...options });
          actorContext().watch(child, (end) => journal.push(`${name} ${end.reason}`));
          return child;
        }
        crash(): void {
          throw new Error("parent crashed");
        }
      },
    );
    return { Parent };
  }

  test("a child's failure escalates to its parent, whose restart ends the other children", async () => {
    const journal: string[] = [];
    await using stage = await openStage("same node");
    const parent = await stage.spawn(family(journal).Parent, { restart: restart(3) });
    const child = await parent.raise("a", { escalate: true });
    const sibling = await parent.raise("b");
    child.cast.crash();
    await settleFrames();
    expect(await codeOf(sibling.crash())).toBe("NoSuchActor");
    await stage.clock.advance(100);
    expect(journal).toEqual(["parent born", "a born", "b born", "parent born"]);
    expect(stage.here.stats().actors).toBe(1);
  });

  test("without escalate the parent hears of the end by its watch alone", async () => {
    const journal: string[] = [];
    await using stage = await openStage("same node");
    const parent = await stage.spawn(family(journal).Parent, { restart: restart(3) });
    (await parent.raise("a")).cast.crash();
    await settleFrames();
    expect(journal).toEqual(["parent born", "a born", "a failed"]);
  });

  test("failures are logged with what follows", async () => {
    const lines: LogLine[] = [];
    await using stage = await openStage("same node", { log: (line) => lines.push(line) });
    const actor = await stage.spawn(fragile(newLife()), { restart: restart(1) });
    actor.cast.crash();
    await settleFrames();
    await stage.clock.advance(100);
    actor.cast.crash();
    await settleFrames();
    const told = lines.filter(({ level }) => level === "error").map(({ data }) => data?.directive);
    expect(told).toEqual(["restart", "stop"]);
  });

  test("a failure while onStart of a restart waits is one failure, and one life comes of it", async () => {
    const journal: string[] = [];
    await using stage = await openStage("same node");
    const Child = defineActor(
      "frail",
      class {
        crash(): void {
          throw new Error("crashed");
        }
      },
    );
    const Slow = defineActor(
      "slow",
      class {
        async onStart(): Promise<void> {
          const { clock, address } = actorContext();
          const child = await actorContext().spawn(Child, { escalate: true });
          if (address.incarnation === 2) child.cast.crash();
          await new Promise<void>((resolve) => void clock.schedule(1_000, resolve));
          journal.push(`started ${address.incarnation}`);
        }
        crash(): void {
          throw new Error("crashed");
        }
        incarnation(): number {
          return actorContext().address.incarnation;
        }
      },
    );
    const spawning = stage.here.spawn(Slow, { restart: restart(5), name: "slow" });
    await stage.clock.advance(1_000);
    const slow = await spawning;
    slow.cast.crash();
    await stage.clock.advance(20_000);
    expect(await slow.incarnation()).toBe(3);
    expect(stage.here.stats().actors).toBe(2);
  });
});
