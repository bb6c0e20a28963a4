// What `await using` ends when its block is left: an actor, a stream begun or not, a pool, a system.

import { describe, expect, test } from "vitest";
import { connect, defineActor } from "../../runtime/index.ts";
import { openStage, PLACES, settleFrames } from "../support/places.ts";

const seen = { begun: 0, left: 0 };

const Source = defineActor(
  "source",
  class Source {
    async *endless(): AsyncGenerator<number> {
      seen.begun++;
      try {
        for (let index = 0; ; index++) yield index;
      } finally {
        seen.left++;
      }
    }

    hi(): string {
      return "hi";
    }
  },
);

describe.each(PLACES)("await using, %s", (place) => {
  test("a stream begun is left: its generator ends and its actor is free", async () => {
    await using stage = await openStage(place);
    const source = await stage.spawn(Source);
    const before = { ...seen };
    {
      await using stream = source.endless();
      expect((await stream.next()).value).toBe(0);
    }
    expect(await source.hi()).toBe("hi");
    expect([seen.begun - before.begun, seen.left - before.left]).toEqual([1, 1]);
  });

  test("a stream never asked for anything has nothing to end", async () => {
    await using stage = await openStage(place);
    const source = await stage.spawn(Source);
    const before = { ...seen };
    {
      await using stream = source.endless();
      expect(stream).toBeDefined();
    }
    await settleFrames();
    expect(seen).toEqual(before);
  });

  test("a handle ends its actor, a pool its members", async () => {
    await using stage = await openStage(place);
    {
      await using source = await stage.spawn(Source);
      await using pool = await stage.here.pool(Source, { size: 2, node: stage.there.node });
      expect([await source.hi(), await pool.handle.hi(), stage.there.stats().actors]).toEqual(["hi", "hi", 3]);
    }
    expect(stage.there.stats().actors).toBe(0);
  });
});

test("a system ends all of its own", async () => {
  const system = await connect();
  {
    await using own = system;
    await own.spawn(Source);
  }
  expect(system.stats().actors).toBe(0);
});
