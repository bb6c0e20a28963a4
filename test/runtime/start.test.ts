// An onStart that takes long, or for ever: its spawn and its restarts have a bound.

import { describe, expect, test } from "vitest";
import { actorContext, defineActor } from "../../runtime/index.ts";
import { caught, codeOf } from "../support/caught.ts";
import { openStage, PLACES, settleFrames } from "../support/places.ts";

/** How often it has started, and for how many starts it hangs from the `from`-th on. */
function hanger(from: number) {
  const seen = { starts: 0, finish: () => {} };
  const Hanger = defineActor(
    "hanger",
    class {
      async onStart(): Promise<void> {
        if (++seen.starts < from) return;
        await new Promise<void>((resolve) => {
          seen.finish = resolve;
        });
      }
      hi(): string {
        return "hi";
      }
      crash(): void {
        actorContext().fail(new Error("once"));
      }
    },
  );
  return { seen, Hanger };
}

describe.each(PLACES)("starting, %s", (place) => {
  test("an onStart beyond its time fails the spawn, frees the name and ends the actor", async () => {
    await using stage = await openStage(place);
    const { seen, Hanger } = hanger(1);
    const spawned = caught(stage.spawn(Hanger, { name: "h", startTimeoutMs: 500 }));
    await settleFrames();
    await stage.clock.advance(499);
    expect(stage.there.stats().actors).toBe(1);
    await stage.clock.advance(1);
    const error = await spawned;
    expect([error.code, error.message]).toEqual([
      "ActorStartFailed",
      "hanger could not start: onStart had not ended after 500 ms",
    ]);
    expect(stage.there.stats().actors).toBe(0);
    seen.finish();
    await settleFrames();
    expect(await codeOf(stage.here.get("h"))).toBe("NoSuchActor");
  });

  test("a start may be given longer than a call", async () => {
    await using stage = await openStage(place, { callTimeoutMs: 100 });
    const { seen, Hanger } = hanger(1);
    const spawned = stage.spawn(Hanger, { startTimeoutMs: 5_000 });
    await settleFrames();
    await stage.clock.advance(4_000);
    seen.finish();
    expect(await (await spawned).hi()).toBe("hi");
  });

  test("a restart that hangs uses up a restart", async () => {
    await using stage = await openStage(place);
    const { seen, Hanger } = hanger(2);
    const backoff = { firstMs: 10, factor: 1, maxMs: 10 };
    const actor = await stage.spawn(Hanger, {
      startTimeoutMs: 500,
      restart: { maxRestarts: 2, withinMs: 60_000, backoff },
    });
    actor.cast.crash();
    await settleFrames();
    const waiting = codeOf(actor.hi());
    await stage.clock.advance(2_000);
    expect(await waiting).toBe("ActorEnded");
    expect(seen.starts).toBe(3);
  });
});

test("without an option the system's call time-out is the bound", async () => {
  await using stage = await openStage("same node", { callTimeoutMs: 2_000 });
  const spawned = codeOf(stage.spawn(hanger(1).Hanger));
  await settleFrames();
  await stage.clock.advance(2_000);
  expect(await spawned).toBe("ActorStartFailed");
});

test("killing an actor that is starting ends its spawn", async () => {
  await using stage = await openStage("same node");
  const { Hanger } = hanger(1);
  const spawned = caught(stage.spawn(Hanger, { name: "h" }));
  await settleFrames();
  await stage.here.kill(await stage.here.get("h", Hanger));
  expect((await spawned).code).toBe("ActorStartFailed");
});

test.each(["stopped", "too late", "killed"] as const)("what starts all the same is stopped: %s", async (how) => {
  await using stage = await openStage("same node", { callTimeoutMs: 2_000 });
  const started = Promise.withResolvers<void>();
  const seen: string[] = [];
  const Slow = defineActor(
    "slow",
    class {
      async onStart(): Promise<void> {
        await started.promise;
        seen.push("started");
      }
      onStop(): void {
        seen.push("stopped");
      }
    },
  );
  const spawned = caught(stage.spawn(Slow, { name: "s" }));
  await settleFrames();
  const slow = await stage.here.get("s", Slow);
  if (how === "stopped") await stage.here.stop(slow);
  if (how === "too late") await stage.clock.advance(2_000);
  if (how === "killed") await stage.here.kill(slow);
  expect((await spawned).code).toBe("ActorStartFailed");
  started.resolve();
  await settleFrames();
  expect(seen).toEqual(how === "killed" ? ["started"] : ["started", "stopped"]);
});

test("a start that has been given up does not disturb the life after it", async () => {
  await using stage = await openStage("same node");
  const state = { starts: 0, reject: (_: Error) => {} };
  const Phoenix = defineActor(
    "phoenix",
    class {
      async onStart(): Promise<void> {
        if (++state.starts > 1) return;
        actorContext().fail(new Error("again"));
        await new Promise<void>((_, reject) => {
          state.reject = reject;
        });
      }
      hi(): string {
        return "hi";
      }
    },
  );
  const backoff = { firstMs: 1, factor: 1, maxMs: 1 };
  const spawned = stage.spawn(Phoenix, { restart: { maxRestarts: 1, withinMs: 60_000, backoff } });
  await settleFrames();
  await stage.clock.advance(10);
  state.reject(new Error("too late"));
  expect(await (await spawned).hi()).toBe("hi");
  expect(state.starts).toBe(2);
});

test("a time that is none is refused", async () => {
  await using stage = await openStage("same node");
  for (const startTimeoutMs of [0, -1, Number.NaN])
    expect(await codeOf(stage.spawn(hanger(9).Hanger, { startTimeoutMs }))).toBe("InvalidOption");
});
