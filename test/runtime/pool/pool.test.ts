// Pools: who gets a call, what a lost member means, and that a pool ends.

import { describe, expect, test } from "vitest";
import { actorContext, defineActor, type PoolOptions } from "../../../runtime/index.ts";
import { caught, codeOf } from "../../support/caught.ts";
import { openStage, PLACES, type Stage, settleFrames } from "../../support/places.ts";
import { openSystems } from "../../support/systems.ts";

const Member = defineActor(
  "member",
  class Member {
    readonly #id = actorContext().address.id;
    #count = 0;

    id(): string {
      this.#count++;
      return this.#id;
    }

    count(): number {
      return this.#count;
    }

    async busy(): Promise<string> {
      await new Promise<void>((resolve) => actorContext().signal.addEventListener("abort", () => resolve()));
      return this.#id;
    }

    async *ids(): AsyncGenerator<string> {
      for (;;) yield this.#id;
    }

    die(): void {
      void actorContext().system.kill(actorContext().self);
    }
  },
);

const openPool = (stage: Stage, options: PoolOptions<[]>) => {
  stage.there.register(Member);
  return stage.here.pool(Member, { ...options, node: stage.there.node });
};

describe.each(PLACES)("a pool, %s", (place) => {
  test("in turn: every member gets as many calls, casts among them", async () => {
    await using stage = await openStage(place);
    await using pool = await openPool(stage, { size: 3 });
    expect([pool.size, pool.members.length, stage.there.stats().actors]).toEqual([3, 3, 3]);
    const ids = await Promise.all(Array.from({ length: 9 }, () => pool.handle.id()));
    for (const id of new Set(ids)) expect(ids.filter((other) => other === id)).toHaveLength(3);
    for (let index = 0; index < 3; index++) pool.handle.cast.id();
    expect(await Promise.all(pool.members.map((member) => member.count()))).toEqual([4, 4, 4]);
  });

  test("the least busy: those that work on a call or stream get none", async () => {
    await using stage = await openStage(place);
    await using pool = await openPool(stage, { size: 3, strategy: "least-busy", concurrency: 10 });
    const controller = new AbortController();
    const called = codeOf(pool.handle.with({ signal: controller.signal }).busy());
    const stream = pool.handle.ids();
    const { value: streaming } = await stream.next();
    await settleFrames();
    const free = await pool.handle.id();
    for (let index = 0; index < 5; index++) expect(await pool.handle.id()).toBe(free);
    expect(streaming).not.toBe(free);
    controller.abort();
    expect(await called).toBe("Cancelled");
    await stream.return?.();
    await settleFrames();
    const ids = await Promise.all([pool.handle.id(), pool.handle.id(), pool.handle.id()]);
    expect(new Set(ids).size).toBe(3);
  });

  test("by hash: one key, one member, also after others have gone; a call without is refused", async () => {
    await using stage = await openStage(place);
    await using pool = await openPool(stage, { size: 4, strategy: "hash" });
    const of = (hashKey: string) => pool.handle.with({ hashKey }).id();
    const homes = await Promise.all(["a", "b", "c", "d", "e"].map(of));
    expect(await Promise.all(["a", "b", "c", "d", "e"].map(of))).toEqual(homes);
    expect(await codeOf(pool.handle.id())).toBe("InvalidOption");
    const victim = homes[0];
    await stage.there.kill(pool.members.find((member) => JSON.stringify(member).includes(`/${victim}@`)) as never);
    await settleFrames();
    const after = await Promise.all(["a", "b", "c", "d", "e"].map(of));
    expect(after.map((id, index) => id === homes[index])).toEqual(homes.map((id) => id !== victim));
    // The place is the same, its holder is new.
    expect(await of("a")).toBe(after[0]);
  });

  test("a member that ends is replaced; until then others get its calls", async () => {
    await using stage = await openStage(place);
    await using pool = await openPool(stage, { size: 2 });
    const ids = await Promise.all([pool.handle.id(), pool.handle.id()]);
    const lost = codeOf(pool.handle.busy());
    await settleFrames();
    await stage.there.kill(pool.members[0] as never);
    expect(await lost).toBe("ActorEnded");
    expect(ids).toContain(await pool.handle.id());
    await settleFrames();
    expect(pool.members).toHaveLength(2);
    const now = await Promise.all([pool.handle.id(), pool.handle.id()]);
    expect(now.filter((id) => ids.includes(id))).toHaveLength(1);
  });

  test("close ends every member and what is under way; it may come twice", async () => {
    await using stage = await openStage(place);
    const pool = await openPool(stage, { size: 3 });
    const busy = codeOf(pool.handle.busy());
    await settleFrames();
    const closing = pool.close();
    await stage.clock.advance(6_000);
    expect(await busy).toBe("ActorEnded");
    await Promise.all([closing, pool.close()]);
    expect([stage.there.stats().actors, pool.members.length]).toEqual([0, 0]);
    expect(await codeOf(pool.handle.id())).toBe("Closed");
    await stage.clock.advance(60_000);
    expect(stage.there.stats().actors).toBe(0);
  });
});

test.each(PLACES)(
  "a call with a key goes to the member that knows its outcome, whatever the strategy (%s)",
  async (place) => {
    await using stage = await openStage(place);
    await using pool = await openPool(stage, { size: 4 });
    const keyed = pool.handle.with({ key: "k" });
    const first = await keyed.id();
    for (let index = 0; index < 5; index++) expect(await keyed.id()).toBe(first);
    const counts = await Promise.all(pool.members.map((member) => member.count()));
    expect(counts.sort()).toEqual([0, 0, 0, 1]);
  },
);

test("members that cannot be started: calls fail at once, and it is tried again with growing pauses", async () => {
  await using stage = await openStage("same node");
  const state = { broken: false, starts: 0 };
  const Fragile = defineActor(
    "fragile",
    class Fragile {
      constructor() {
        state.starts++;
        if (state.broken) throw new Error("no licence");
      }
      hi(name: string): string {
        return `hi ${name}`;
      }
    },
  );
  await using pool = await stage.here.pool(Fragile, { size: 1 });
  state.broken = true;
  await stage.here.kill(pool.members[0] as never);
  await settleFrames();
  const error = await caught(pool.handle.hi("x"));
  expect([error.code, error.retryable]).toEqual(["Unavailable", true]);
  expect(error.message).toContain("no licence");
  expect(await codeOf(pool.map("hi", ["x"]))).toBe("Unavailable");
  await stage.clock.advance(3_000);
  // After 0, 100, 300, 700, 1,500 ms: the next one is at 3,100.
  expect(state.starts).toBe(6);
  state.broken = false;
  await stage.clock.advance(200);
  expect(await pool.handle.hi("y")).toBe("hi y");
});

test("a pool one of whose members cannot be started is not opened, and leaves nothing behind", async () => {
  await using stage = await openStage("same node");
  const state = { starts: 0 };
  const Third = defineActor(
    "third",
    class Third {
      constructor() {
        if (++state.starts === 3) throw new Error("three is too many");
      }
    },
  );
  expect(await codeOf(stage.here.pool(Third, { size: 3 }))).toBe("ActorStartFailed");
  expect(stage.here.stats().actors).toBe(0);
});

test("a pool that closes while a member is being replaced ends the replacement as well", async () => {
  await using stage = await openStage("same node");
  const state = { starts: 0, finish: () => {} };
  const Slow = defineActor(
    "slow",
    class Slow {
      async onStart(): Promise<void> {
        if (++state.starts === 1) return;
        await new Promise<void>((resolve) => {
          state.finish = resolve;
        });
      }
    },
  );
  const pool = await stage.here.pool(Slow, { size: 1 });
  await stage.here.kill(pool.members[0] as never);
  await settleFrames();
  expect([state.starts, stage.here.stats().actors]).toEqual([2, 1]);
  const closing = pool.close();
  await settleFrames();
  state.finish();
  await closing;
  expect(stage.here.stats().actors).toBe(0);
});

test("options that are none are refused; a pool cannot be sent", async () => {
  await using stage = await openStage("same node");
  for (const size of [0, -1, 1.5, 10_001])
    expect(await codeOf(stage.here.pool(Member, { size }))).toBe("InvalidOption");
  expect(await codeOf(stage.here.pool(Member, { size: 1, strategy: "x" as "hash" }))).toBe("InvalidOption");
  await using pool = await stage.here.pool(Member, { size: 1 });
  expect(() => pool.handle.with({ retries: -1 })).toThrow(/retries/);
  expect(() => pool.handle.with({ hashKey: "" })).toThrow(/hashKey/);
  const loose = pool.handle as unknown as { id(value: unknown): Promise<string> };
  expect(await codeOf(loose.id(pool.handle))).toBe("NotSendable");
});

test("a system that closes takes its pools along, without replacing anybody", async () => {
  const systems = await openSystems(["one"]);
  const pool = await systems.at(0).pool(Member, { size: 3 });
  await systems[Symbol.asyncDispose]();
  expect(pool.members).toHaveLength(0);
  await pool.close();
});
