// Counts as data: what is counted where, beside the actor and from another node.

import { describe, expect, test } from "vitest";
import { Counts } from "../../runtime/counts.ts";
import { connect, defineActor } from "../../runtime/index.ts";
import { codeOf } from "../support/caught.ts";
import { settle } from "../support/fake-clock.ts";
import { openStage, PLACES, settleFrames } from "../support/places.ts";

const Busy = defineActor(
  "busy",
  class {
    #release: (() => void)[] = [];

    one(): number {
      return 1;
    }

    fails(): void {
      throw new TypeError("no");
    }

    *items(count: number) {
      for (let at = 0; at < count; at++) yield at;
    }

    *breaks(): Generator<number> {
      yield 1;
      throw new TypeError("broken");
    }

    async waits(): Promise<void> {
      await new Promise<void>((resolve) => this.#release.push(resolve));
    }

    release(): void {
      for (const resolve of this.#release) resolve();
    }
  },
);

const all = async (items: AsyncIterable<unknown>): Promise<void> => {
  for await (const _item of items);
};

describe.each(PLACES)("counts, %s", (place) => {
  test("calls, casts and streams are counted where they are made, by how they end", async () => {
    await using stage = await openStage(place);
    const busy = await stage.spawn(Busy);
    const under = busy.waits();
    expect(stage.here.stats().calls).toEqual({ started: 1, answered: 0, failed: 0 });
    const queued = [busy.one(), busy.one()];
    const failing = codeOf(busy.fails());
    await settleFrames();
    expect(stage.there.stats().waiting).toBe(3);
    await stage.here.kill(busy);
    expect(await codeOf(under)).toBe("ActorEnded");
    expect(await Promise.all([...queued.map(codeOf), failing])).toEqual(["ActorEnded", "ActorEnded", "ActorEnded"]);

    const other = await stage.spawn(Busy);
    await other.one();
    expect(await codeOf(other.fails())).toBe("ActorThrew");
    other.cast.one();
    await all(other.items(5));
    for await (const _item of other.items(9)) break;
    expect(await codeOf(all(other.breaks()))).toBe("ActorThrew");
    const stats = stage.here.stats();
    expect(stats.calls).toEqual({ started: 6, answered: 1, failed: 5 });
    expect(stats.casts).toBe(1);
    expect(stats.streams).toEqual({ started: 3, answered: 2, failed: 1 });
    expect(stats.chunks).toBeGreaterThanOrEqual(6);
    expect(stats.failures).toEqual({ ActorEnded: 4, ActorThrew: 2 });
    // Two spawns and a kill.
    const asked = place === "same node" ? 0 : 3;
    expect(stats.questions).toEqual({ started: asked, answered: asked, failed: 0 });
    expect(stage.there.stats()).toMatchObject({ actors: 1, spawned: 2, restarted: 0, waiting: 0 });
  });

  test("a life after a failure is counted where the actor is", async () => {
    await using stage = await openStage(place);
    const busy = await stage.spawn(Busy, { restart: { maxRestarts: 1, withinMs: 60_000 }, failOnThrow: true });
    expect(await codeOf(busy.fails())).toBe("ActorThrew");
    await stage.clock.advance(1_000);
    expect(await busy.one()).toBe(1);
    expect(stage.there.stats()).toMatchObject({ actors: 1, spawned: 1, restarted: 1 });
    expect(await codeOf(busy.fails())).toBe("ActorThrew");
    expect(stage.there.stats()).toMatchObject({ actors: 0, spawned: 1, restarted: 1 });
  });
});

test("what an actor does not take is counted by its code", async () => {
  await using fleet = await connect();
  const busy = await fleet.spawn(Busy, { mailboxMax: 1 });
  const held = busy.waits();
  await settle();
  const queued = busy.release();
  expect(await codeOf(busy.one())).toBe("MailboxFull");
  busy.cast.one();
  expect(fleet.stats()).toMatchObject({ refused: { MailboxFull: 2 }, deadLetters: 1, waiting: 1 });
  await fleet.kill(busy);
  expect(await Promise.all([codeOf(held), codeOf(queued)])).toEqual(["ActorEnded", "ActorEnded"]);
});

test("a stream that nobody began is no stream", async () => {
  await using fleet = await connect();
  const busy = await fleet.spawn(Busy);
  await busy.items(3).return?.();
  expect(fleet.stats().streams).toEqual({ started: 0, answered: 0, failed: 0 });
});

test("a snapshot is JSON and does not change afterwards (CN2)", async () => {
  await using fleet = await connect();
  const busy = await fleet.spawn(Busy);
  await codeOf(busy.fails());
  const before = fleet.stats();
  const text = JSON.stringify(before);
  await codeOf(busy.fails());
  busy.cast.one();
  expect(JSON.stringify(before)).toBe(text);
  expect(JSON.parse(text)).toEqual(before);
  expect(fleet.stats().failures).toEqual({ ActorThrew: 2 });
});

test("codes that others make up are counted together beyond a hundred", () => {
  const counts = new Counts();
  for (let at = 0; at < 150; at++) counts.calls.fail(`Code${at}`);
  const { failures, calls } = counts.snapshot({ actors: 0, waiting: 0, deadLetters: 0, peers: 0, underWay: 0 });
  expect(Object.keys(failures)).toHaveLength(101);
  expect(failures.other).toBe(50);
  expect(calls.failed).toBe(150);
});
