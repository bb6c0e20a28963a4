// Closing a system: everything settles, nothing is left, and the others hear of it.

import { describe, expect, test } from "vitest";
import { actorContext, connect, defineActor } from "../../runtime/index.ts";
import { caught, codeOf } from "../support/caught.ts";
import { FakeClock, settle } from "../support/fake-clock.ts";
import { closeWithin, settleFrames } from "../support/places.ts";
import { openSystems } from "../support/systems.ts";
import { waitUntil } from "../support/wait-until.ts";

const journal = (log: string[]) =>
  defineActor(
    "journal",
    class {
      readonly #name: string;
      constructor(name = "it") {
        this.#name = name;
      }
      async stuck(): Promise<void> {
        await new Promise(() => {});
      }
      async *endless() {
        for (let index = 0; ; index++) {
          yield index;
          await settle();
        }
      }
      ping(): string {
        return "pong";
      }
      timers(): void {
        const { timers } = actorContext();
        timers.every(10, () => {});
        timers.after(1_000_000, () => {});
      }
      onStop(): void {
        log.push(this.#name);
      }
    },
  );

describe("close", () => {
  test("ends actors in reverse order, twice without harm, and leaves no timer", async () => {
    const [log, clock] = [[] as string[], new FakeClock()];
    const system = await connect({ clock });
    const Journal = journal(log);
    for (const name of ["a", "b", "c"]) await (await system.spawn(Journal, { args: [name] })).timers();
    const [first, second] = [system.close(), system.close()];
    await Promise.all([first, second]);
    await system.close();
    expect(log).toEqual(["c", "b", "a"]);
    expect([clock.pending, system.stats().actors]).toEqual([0, 0]);
  });

  test("everything that waits is answered: calls, streams, queued messages", async () => {
    const clock = new FakeClock();
    const systems = await openSystems(["north", "south"], { clock });
    const [north, south] = [systems.at(0), systems.at(1)];
    const Journal = journal([]);
    south.register(Journal);
    const handles = [await north.spawn(Journal), await north.spawn(Journal, { node: "south" })];
    const codes = handles.flatMap((handle) => [
      codeOf(handle.stuck()),
      codeOf(handle.ping()),
      codeOf(handle.endless().next()),
      codeOf(handle.with({ timeoutMs: 5 }).stuck()),
    ]);
    await settleFrames();
    await closeWithin(systems, clock);
    for (const code of await Promise.all(codes)) {
      expect(code).toMatch(/^(ActorEnded|Closed|NoSuchActor|Unavailable|DeadlineExceeded)$/);
    }
    expect(clock.pending).toBe(0);
  });

  test("takes no longer than 2 × 5 s, however many actors are stuck", async () => {
    const clock = new FakeClock();
    const system = await connect({ clock });
    const Journal = journal([]);
    const codes: Promise<string>[] = [];
    for (let index = 0; index < 50; index++) codes.push(codeOf((await system.spawn(Journal)).stuck()));
    await settleFrames();
    const state = { closed: false };
    const closing = system.close().then(() => {
      state.closed = true;
    });
    await clock.advance(10_000);
    expect(state.closed).toBe(true);
    await closing;
    expect(new Set(await Promise.all(codes))).toEqual(new Set(["ActorEnded"]));
    expect(clock.pending).toBe(0);
  });

  test("after it everything is refused at once and sets no timer", async () => {
    const clock = new FakeClock();
    await using systems = await openSystems(["north", "south"], { clock });
    const [north, south] = [systems.at(0), systems.at(1)];
    const Journal = journal([]);
    south.register(Journal);
    const here = await north.spawn(Journal);
    const there = await north.spawn(Journal, { node: "south" });
    const far = await south.spawn(Journal);
    await north.close();
    expect(await codeOf(here.ping())).toBe("NoSuchActor");
    expect(await codeOf(there.ping())).toBe("Closed");
    expect(await codeOf(there.endless().next())).toBe("Closed");
    expect(await codeOf(north.spawn(Journal))).toBe("Closed");
    expect(await codeOf(north.spawn(Journal, { node: "south" }))).toBe("Closed");
    expect(await codeOf(north.stop(there))).toBe("Closed");
    expect(() => there.cast.ping()).not.toThrow();
    // The other node is as alive as before, and sees that this one has gone.
    expect(await far.ping()).toBe("pong");
    expect(await south.stats().actors).toBe(2);
    expect(await codeOf(south.spawn(Journal, { node: "north" }))).toBe("Unavailable");
    await settleFrames();
    await south.close();
    expect(clock.pending).toBe(0);
  });

  test("watchers on other nodes hear of the end, callers get theirs before the way is gone", async () => {
    const clock = new FakeClock();
    await using systems = await openSystems(["north", "south"], { clock });
    const [north, south] = [systems.at(0), systems.at(1)];
    const Journal = journal([]);
    south.register(Journal);
    const there = await north.spawn(Journal, { node: "south" });
    const ends: string[] = [];
    north.watch(there, ({ reason }) => ends.push(reason));
    await settleFrames();
    await south.close();
    await settleFrames();
    expect(ends).toEqual(["stopped"]);
  });

  test("what an actor's code does after the end sets no timer and no watch", async () => {
    const clock = new FakeClock();
    const system = await connect({ clock });
    const Late = defineActor(
      "late",
      class {
        async work(): Promise<void> {
          const { timers, watch, self } = actorContext();
          await new Promise<void>((resolve) => void clock.schedule(60_000, resolve));
          timers.after(1_000_000, () => {});
          timers.every(1_000_000, () => {});
          watch(self, () => {}).cancel();
        }
      },
    );
    const code = codeOf((await system.spawn(Late)).work());
    await settleFrames();
    const closing = system.close();
    await clock.advance(61_000);
    await closing;
    expect([await code, clock.pending]).toEqual(["ActorEnded", 0]);
  });

  test("an actor may close its system", async () => {
    const clock = new FakeClock();
    const system = await connect({ clock });
    const Closer = defineActor(
      "closer",
      class {
        async close(): Promise<string> {
          void actorContext().system.close();
          await settle();
          return "closing";
        }
      },
    );
    const closer = await system.spawn(Closer);
    expect(await closer.close()).toBe("closing");
    await system.close();
    expect([clock.pending, system.stats().actors]).toEqual([0, 0]);
  });

  test("two systems in one process do not meet", async () => {
    await using one = await connect({ node: "one" });
    await using two = await connect({ node: "two" });
    const Journal = journal([]);
    const actor = await one.spawn(Journal, { name: "it" });
    expect(await codeOf(two.get("it"))).toBe("NoSuchActor");
    expect(await caught(two.stop(actor))).toMatchObject({ code: "Unavailable", data: { node: "one" } });
  });
});

describe("fairness, on the real clock", () => {
  test("actors that call each other for ever do not starve the event loop", async () => {
    await using system = await connect();
    const state = { on: true, rounds: 0 };
    const Player = defineActor(
      "player",
      class {
        hit(): void {
          state.rounds++;
        }
      },
    );
    const [a, b] = [await system.spawn(Player), await system.spawn(Player)];
    const rally = async (): Promise<void> => {
      while (state.on) {
        await a.hit();
        await b.hit();
      }
    };
    const rallies = [rally(), rally(), rally()];
    for (let turn = 0; turn < 20; turn++) await settle();
    await waitUntil("the actors had their turns too", () => state.rounds > 1_000);
    state.on = false;
    await Promise.all(rallies);
  });

  test("one pair alone, and casts that never end, do not either", async () => {
    await using system = await connect();
    const state = { on: true };
    const Echo = defineActor(
      "echo",
      class {
        hit(): void {}
        again(): void {
          if (state.on) (actorContext().self as unknown as { cast: { again(): void } }).cast.again();
        }
      },
    );
    const [a, b] = [await system.spawn(Echo), await system.spawn(Echo)];
    b.cast.again();
    const rally = (async () => {
      while (state.on) await a.hit();
    })();
    for (let turn = 0; turn < 20; turn++) await settle();
    state.on = false;
    await rally;
  });
});
