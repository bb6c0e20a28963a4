// Death watch and dead letters. Every case runs beside the actor and from another node.

import { describe, expect, test } from "vitest";
import { type ActorEnd, actorContext, defineActor, type Handle, type LogLine } from "../../runtime/index.ts";
import { settle } from "../support/fake-clock.ts";
import { openStage, PLACES, settleFrames } from "../support/places.ts";

const Mortal = defineActor(
  "mortal",
  class {
    crash(): void {
      throw new Error("crashed");
    }
    crashAtOnce(): string {
      actorContext().fail(new Error("gave up"));
      return "";
    }
    ping(): string {
      return "pong";
    }
  },
);

const Mourner = defineActor(
  "mourner",
  class {
    readonly #seen: string[] = [];
    #busy = false;

    follow(mortal: Handle<typeof Mortal>): void {
      actorContext().watch(mortal, async (end) => {
        this.#seen.push(`${end.reason}${this.#busy ? " while busy" : ""}`);
        await settle();
      });
    }
    followAndLeave(mortal: Handle<typeof Mortal>): void {
      actorContext()
        .watch(mortal, () => this.#seen.push("heard"))
        .cancel();
    }
    async busy(): Promise<void> {
      this.#busy = true;
      await settle();
      await settle();
      this.#busy = false;
    }
    crash(): void {
      throw new Error("crashed");
    }
    seen(): string[] {
      return this.#seen;
    }
  },
);

describe.each(PLACES)("death watch, %s", (place) => {
  test.each([
    ["stop", "stopped"],
    ["kill", "killed"],
    ["crash", "failed"],
  ])("a %s is told once as %s, with the address", async (how, reason) => {
    await using stage = await openStage(place);
    const mortal = await stage.spawn(Mortal);
    const ends: ActorEnd[] = [];
    stage.here.watch(mortal, (end) => ends.push(end));
    stage.here.watch(mortal, () => ends.push({ reason } as ActorEnd))();
    await settleFrames();
    if (how === "crash") mortal.cast.crash();
    else await stage.here[how as "stop" | "kill"](mortal);
    await settleFrames();
    expect(ends).toMatchObject([{ reason, address: { type: "mortal", node: stage.there.node } }]);
  });

  test("watching what is gone already tells so, not within the call", async () => {
    await using stage = await openStage(place);
    const mortal = await stage.spawn(Mortal);
    await stage.here.kill(mortal);
    const ends: string[] = [];
    stage.here.watch(mortal, ({ reason }) => ends.push(reason));
    expect(ends).toEqual([]);
    await settleFrames();
    expect(ends).toEqual(["unknown"]);
  });

  test("an actor's watch runs as the actor: not beside a message, and not after it was cancelled", async () => {
    await using stage = await openStage(place);
    const mortal = await stage.spawn(Mortal);
    const mourner = await stage.here.spawn(Mourner);
    await mourner.follow(mortal);
    await mourner.followAndLeave(mortal);
    await settleFrames();
    const busy = mourner.busy();
    await stage.here.kill(mortal);
    await busy;
    await settleFrames();
    expect(await mourner.seen()).toEqual(["killed"]);
  });

  test("watches end with the life that set them (CX1)", async () => {
    await using stage = await openStage(place);
    const mortal = await stage.spawn(Mortal);
    const mourner = await stage.here.spawn(Mourner, { restart: { maxRestarts: 1, withinMs: 1_000 } });
    await mourner.follow(mortal);
    mourner.cast.crash();
    await settleFrames();
    await stage.clock.advance(1_000);
    await stage.here.kill(mortal);
    await settleFrames();
    expect(await mourner.seen()).toEqual([]);
  });

  test("a watcher that throws harms neither the other watchers nor the system", async () => {
    const lines: LogLine[] = [];
    await using stage = await openStage(place, { log: (line) => lines.push(line) });
    const mortal = await stage.spawn(Mortal);
    const ends: string[] = [];
    stage.here.watch(mortal, () => {
      throw new Error("cannot cope");
    });
    stage.here.watch(mortal, ({ reason }) => ends.push(reason));
    await settleFrames();
    mortal.cast.crash();
    await settleFrames();
    expect(ends).toEqual(["failed"]);
    expect(lines.map(({ message }) => message)).toContain("a watcher threw");
    expect(await (await stage.spawn(Mortal)).ping()).toBe("pong");
  });

  test("what a watcher asks is not asked on behalf of the dead", async () => {
    await using stage = await openStage(place);
    const [mortal, other] = [await stage.spawn(Mortal), await stage.spawn(Mortal)];
    const answer = new Promise<string>((resolve, reject) => {
      stage.here.watch(mortal, () => void other.ping().then(resolve, reject));
    });
    await settleFrames();
    await mortal.crashAtOnce().catch(() => {});
    expect(await answer).toBe("pong");
  });
});

test("dead letters are counted, the last 1,000 kept, without arguments", async () => {
  await using stage = await openStage("same node");
  const mortal = await stage.spawn(Mortal);
  await stage.here.kill(mortal);
  for (let index = 0; index < 2_500; index++) mortal.cast.ping();
  const { count } = stage.here.deadLetters;
  const recent = stage.here.deadLetters.recent();
  expect([count, recent.length]).toEqual([2_500, 1_000]);
  expect(recent[0]).toEqual({
    atMs: stage.clock.now(),
    to: `${mortal}`,
    method: "ping",
    code: "NoSuchActor",
    message: expect.any(String),
  });
});
