// How actors end: stop, kill, children, onStop, and the ends of those who wait. Every case runs beside the actor and from another node.

import { describe, expect, test } from "vitest";
import { actorContext, defineActor, type Handle } from "../../runtime/index.ts";
import { codeOf, outcome } from "../support/caught.ts";
import { settle } from "../support/fake-clock.ts";
import { openStage, PLACES, settleFrames } from "../support/places.ts";

/** What actors of one test have done, in order. */
type Journal = string[];

function childType(journal: Journal) {
  return defineActor(
    "child",
    class {
      readonly #name: string;
      readonly #stop: "at once" | "never";
      constructor(name: string, stop: "at once" | "never" = "at once") {
        this.#name = name;
        this.#stop = stop;
      }
      async onStop(): Promise<void> {
        journal.push(`${this.#name} stopping`);
        if (this.#stop === "never") await new Promise(() => {});
        await settle();
        journal.push(`${this.#name} stopped`);
      }
      async stuck(): Promise<void> {
        await new Promise(() => {});
      }
      ping(): string {
        return "pong";
      }
    },
  );
}

function actors(journal: Journal) {
  const Child = childType(journal);
  const Parent = defineActor(
    "parent",
    class {
      #gate: (() => void) | undefined = undefined;

      async raise(names: readonly string[], stop: "at once" | "never" = "at once"): Promise<Handle<typeof Child>[]> {
        const children: Handle<typeof Child>[] = [];
        for (const name of names) children.push(await actorContext().spawn(Child, { args: [name, stop] }));
        return children;
      }
      async gate(): Promise<string> {
        await new Promise<void>((resolve) => {
          this.#gate = resolve;
          actorContext().signal.addEventListener("abort", () => journal.push("gate aborted"));
        });
        journal.push("gate passed");
        return "passed";
      }
      open(): void {
        this.#gate?.();
      }
      note(what: string): void {
        journal.push(what);
      }
      async stopSelf(how: "stop" | "kill", wait: boolean): Promise<string> {
        const { system, self } = actorContext();
        if (wait) await settle();
        await system[how](self);
        journal.push("after the request");
        await settle();
        journal.push("at the end");
        return "ended myself";
      }
      stopSelfAtOnce(how: "stop" | "kill"): string {
        const { system, self } = actorContext();
        void system[how](self);
        return "ended myself";
      }
      /** Its end comes while the child's name is being claimed. */
      raiseAndDie(): void {
        const { system, self, spawn } = actorContext();
        void spawn(Child, { args: ["orphan"], name: "orphan" }).catch((error: Error & { code: string }) => {
          journal.push(error.code);
        });
        void system.kill(self);
      }
      async lateChild(): Promise<void> {
        await new Promise<void>((resolve) => actorContext().signal.addEventListener("abort", () => resolve()));
        const spawned = await outcome(actorContext().spawn(Child, { args: ["late"] }));
        journal.push("code" in spawned ? String(spawned.code) : "spawned");
      }
      onStop(): void {
        journal.push("parent stopped");
      }
    },
  );
  return { Child, Parent };
}

describe.each(PLACES)("ends, %s", (place) => {
  test("stop lets the message in hand finish, answers the waiting ones, then runs onStop", async () => {
    const journal: Journal = [];
    await using stage = await openStage(place);
    const parent = await stage.spawn(actors(journal).Parent, { concurrency: 2 });
    const gates = [codeOf(parent.gate()), codeOf(parent.gate())];
    await settleFrames();
    const waiting = [codeOf(parent.note("never")), codeOf(parent.note("never"))];
    const stopping = stage.here.stop(parent);
    expect(await Promise.all(waiting)).toEqual(["ActorEnded", "ActorEnded"]);
    expect(await codeOf(parent.note("too late"))).toMatch(/NoSuchActor/);
    expect(journal).toEqual([]);
    await stage.clock.advance(5_100);
    await stopping;
    expect(await Promise.all(gates)).toEqual(["ActorEnded", "ActorEnded"]);
    expect(journal).toEqual(["gate aborted", "gate aborted", "parent stopped"]);
    expect(stage.there.stats().actors).toBe(0);
  });

  test("stop waits for the message in hand as long as it is given", async () => {
    const journal: Journal = [];
    await using stage = await openStage(place);
    const other = defineActor(
      "slow",
      class {
        async work(): Promise<string> {
          const { clock } = actorContext();
          await new Promise<void>((resolve) => void clock.schedule(2_000, resolve));
          journal.push("worked");
          return "done";
        }
        onStop(): void {
          journal.push("stopped");
        }
      },
    );
    const slow = await stage.spawn(other);
    const work = slow.work();
    await settleFrames();
    const stopping = stage.here.stop(slow, { timeoutMs: 3_000 });
    await stage.clock.advance(2_100);
    await stopping;
    expect(await work).toBe("done");
    expect(journal).toEqual(["worked", "stopped"]);
  });

  test("children stop before their parent, the last made first", async () => {
    const journal: Journal = [];
    await using stage = await openStage(place);
    const { Parent } = actors(journal);
    const parent = await stage.spawn(Parent);
    await parent.raise(["a", "b", "c"]);
    await stage.here.stop(parent);
    expect(journal).toEqual([
      ...["c stopping", "c stopped", "b stopping", "b stopped", "a stopping", "a stopped"],
      "parent stopped",
    ]);
  });

  test("a stop takes no longer than twice its timeoutMs, whatever hangs below", async () => {
    const journal: Journal = [];
    await using stage = await openStage(place);
    const { Parent } = actors(journal);
    const parent = await stage.spawn(Parent, { concurrency: 2 });
    const children = await parent.raise(["a", "b", "c"], "never");
    const stuck = [codeOf(parent.gate()), ...children.map((child) => codeOf(child.stuck()))];
    await settleFrames();
    const state = { stopped: false };
    const stopping = stage.here.stop(parent, { timeoutMs: 1_000 }).then(() => {
      state.stopped = true;
    });
    await stage.clock.advance(2_100);
    expect(state.stopped).toBe(true);
    await stopping;
    expect(await Promise.all(stuck)).toEqual(stuck.map(() => "ActorEnded"));
    expect(stage.there.stats().actors).toBe(0);
  });

  test("children that hang share their parent's time, however many they are", async () => {
    const journal: Journal = [];
    await using stage = await openStage(place);
    const parent = await stage.spawn(actors(journal).Parent);
    const children = await parent.raise(["a", "b", "c", "d"]);
    const stuck = children.map((child) => codeOf(child.stuck()));
    await settleFrames();
    const state = { stopped: false };
    const stopping = stage.here.stop(parent, { timeoutMs: 1_000 }).then(() => {
      state.stopped = true;
    });
    await stage.clock.advance(1_000);
    for (let step = 0; step < 20; step++) await stage.clock.advance(5);
    expect(state.stopped).toBe(true);
    await stopping;
    expect(await Promise.all(stuck)).toEqual(stuck.map(() => "ActorEnded"));
    expect(journal).toContain("parent stopped");
  });

  test("a stop in a hurry overtakes a patient one; twice does no harm", async () => {
    const journal: Journal = [];
    await using stage = await openStage(place);
    const parent = await stage.spawn(actors(journal).Parent);
    const gate = codeOf(parent.gate());
    await settleFrames();
    const patient = stage.here.stop(parent, { timeoutMs: 60_000 });
    const hurried = stage.here.stop(parent, { timeoutMs: 100 });
    await stage.clock.advance(300);
    await Promise.all([patient, hurried]);
    expect(await gate).toBe("ActorEnded");
    await stage.here.stop(parent);
    await stage.here.kill(parent);
  });

  test("kill ends at once: nothing is waited for, no onStop runs, children go too", async () => {
    const journal: Journal = [];
    await using stage = await openStage(place);
    const parent = await stage.spawn(actors(journal).Parent, { concurrency: 2 });
    const [child] = await parent.raise(["a"], "never");
    const gate = codeOf(parent.gate());
    await settleFrames();
    await stage.here.kill(parent);
    expect(await gate).toBe("ActorEnded");
    expect(await codeOf((child as NonNullable<typeof child>).ping())).toBe("NoSuchActor");
    await settleFrames();
    expect(journal).toEqual(["gate aborted"]);
    expect(stage.there.stats().actors).toBe(0);
  });

  test.each([false, true])(
    "an actor may stop itself, before or after a wait (%s): its message still finishes",
    async (wait) => {
      const journal: Journal = [];
      await using stage = await openStage(place);
      const parent = await stage.spawn(actors(journal).Parent);
      expect(await parent.stopSelf("stop", wait)).toBe("ended myself");
      await settleFrames();
      expect(journal).toEqual(["after the request", "at the end", "parent stopped"]);
      expect(stage.there.stats().actors).toBe(0);
    },
  );

  test("a method that returns at once may stop its actor and is answered", async () => {
    const journal: Journal = [];
    await using stage = await openStage(place);
    const parent = await stage.spawn(actors(journal).Parent);
    expect(await parent.stopSelfAtOnce("stop")).toBe("ended myself");
    await settleFrames();
    expect(journal).toEqual(["parent stopped"]);
  });

  test.each([false, true])(
    "an actor that kills itself (after a wait: %s) answers ActorEnded, promptly",
    async (wait) => {
      const journal: Journal = [];
      await using stage = await openStage(place);
      const { Parent } = actors(journal);
      const parent = await stage.spawn(Parent);
      expect(await codeOf(parent.stopSelf("kill", wait))).toBe("ActorEnded");
      expect(stage.there.stats().actors).toBe(0);
      const other = await stage.spawn(Parent);
      await codeOf(other.stopSelfAtOnce("kill"));
      expect(stage.there.stats().actors).toBe(0);
    },
  );

  test("what a dead actor's code does later makes no children", async () => {
    const journal: Journal = [];
    await using stage = await openStage(place);
    const parent = await stage.spawn(actors(journal).Parent);
    const late = codeOf(parent.lateChild());
    await settleFrames();
    await stage.here.kill(parent);
    await late;
    await settleFrames();
    expect(journal).toEqual(["ActorEnded"]);
    expect(stage.there.stats().actors).toBe(0);
  });
});

test("a child whose parent dies while its name is claimed is not made, and the name is free", async () => {
  const journal: Journal = [];
  await using stage = await openStage("same node");
  const { Parent, Child } = actors(journal);
  const parent = await stage.spawn(Parent);
  await codeOf(parent.raiseAndDie());
  await settleFrames();
  expect([journal, stage.here.stats().actors]).toEqual([["ActorEnded"], 0]);
  await stage.here.spawn(Child, { args: ["next"], name: "orphan" });
});

describe("starts", () => {
  test("a constructor or onStart that throws fails the spawn with its cause and leaves nothing", async () => {
    await using stage = await openStage("same node");
    const Broken = defineActor(
      "broken",
      class {
        readonly #where: string;
        constructor(where: string) {
          this.#where = where;
          if (where === "constructor") throw new TypeError("bad args");
        }
        async onStart(): Promise<void> {
          await settle();
          if (this.#where === "onStart") throw new RangeError("bad start");
        }
      },
    );
    for (const where of ["constructor", "onStart"]) {
      expect(await codeOf(stage.here.spawn(Broken, { args: [where], name: "it" }))).toBe("ActorStartFailed");
    }
    expect(stage.here.stats().actors).toBe(0);
    await stage.here.spawn(Broken, { args: ["nowhere"], name: "it" });
  });

  test("messages sent while onStart waits are kept for after it", async () => {
    await using stage = await openStage("same node");
    const order: string[] = [];
    const Slow = defineActor(
      "slow",
      class {
        async onStart(): Promise<void> {
          await settle();
          order.push("started");
        }
        note(what: string): void {
          order.push(what);
        }
      },
    );
    const spawning = stage.here.spawn(Slow, { name: "slow" });
    await Promise.resolve();
    const early = (await stage.here.get("slow", Slow)).note("early");
    await spawning;
    await early;
    expect(order).toEqual(["started", "early"]);
  });

  test("unsendable and wrong options are refused by name", async () => {
    await using stage = await openStage("same node");
    const Plain = defineActor("plain", class {});
    expect(await codeOf(stage.here.spawn(Plain, { args: [() => 1] as never }))).toBe("NotSendable");
    for (const options of [
      { concurrency: 0 },
      { mailboxMax: 1.5 },
      { nmae: "x" },
      { restart: { maxRestarts: -1, withinMs: 1 } },
    ]) {
      const [name] = Object.keys(options);
      const error = await stage.here.spawn(Plain, options as never).then(
        () => undefined,
        (thrown: Error) => thrown,
      );
      expect(error).toMatchObject({ code: "InvalidOption" });
      expect(error?.message).toContain(name);
    }
    expect(() =>
      defineActor(
        "plain",
        class {
          with(): void {}
        },
      ),
    ).toThrow(/with/);
    expect(() => defineActor("", class {})).toThrow(/type/);
    expect(await codeOf(stage.here.spawn(Plain, { node: "nowhere" }))).toBe("Unplaceable");
    expect(await codeOf(stage.here.spawn(Plain, { node: "there" }))).toBe("UnknownActorType");
    expect(await codeOf(stage.here.spawn(defineActor("plain", class {})))).toBe("InvalidOption");
  });
});
