// When the way between nodes breaks: every call ends once and for a reason, nothing goes on in vain, and nothing is left behind.

import { describe, expect, test } from "vitest";
import { actorContext, defineActor, FlotillaError } from "../../runtime/index.ts";
import { type BreakablePair, openPair } from "../support/breakable-pair.ts";
import { caught, codeOf } from "../support/caught.ts";
import { settleFrames } from "../support/places.ts";

interface Seen {
  runs: number;
  aborted: number;
  cleanedUp: number;
}

function open() {
  const seen: Seen = { runs: 0, aborted: 0, cleanedUp: 0 };
  const gates: PromiseWithResolvers<void>[] = [];
  const Remote = defineActor(
    "remote",
    class {
      ping(): string {
        seen.runs++;
        return "pong";
      }
      /** Answers when the test says so. */
      async gated(what: string): Promise<string> {
        seen.runs++;
        const { signal } = actorContext();
        signal.addEventListener("abort", () => seen.aborted++);
        const gate = Promise.withResolvers<void>();
        gates.push(gate);
        await gate.promise;
        return what;
      }
      async *ticks() {
        try {
          for (let tick = 0; ; tick++) yield tick;
        } finally {
          seen.cleanedUp++;
        }
      }
      fail(): void {
        actorContext().fail(new FlotillaError("Odd", "on purpose", { data: { when: new Date(5), call: () => 1 } }));
      }
      throws(): never {
        throw new FlotillaError("Odd", "on purpose", { data: { when: new Date(5), big: 7n } });
      }
    },
  );
  return { seen, gates, Remote };
}

async function start() {
  const parts = open();
  const pair = await openPair([parts.Remote]);
  const spawn = () => pair.north.spawn(parts.Remote, { node: "south", concurrency: 100 });
  return { ...parts, ...pair, pair, spawn, actor: await spawn() };
}

const both = async ({ network }: BreakablePair, node: string) => {
  network.cut(node);
  await settleFrames();
  network.mend(node);
  await settleFrames();
};

describe.each(["north", "south"])("%s is cut off and comes back", (side) => {
  test("a call that was under way is Unknown at once; one that had arrived is answered", async () => {
    const { actor, network, gates, pair, seen } = await start();
    await using _ = pair;
    const arrived = actor.gated("still here");
    await settleFrames();
    network.hold();
    const lost = codeOf(actor.ping());
    await settleFrames();
    network.cut(side);
    network.release();
    network.mend(side);
    expect(await lost).toBe("Unknown");
    gates[0]?.resolve();
    expect([await arrived, seen.runs]).toEqual(["still here", 1]);
  });

  test("an answer that was under way is Unknown at once; the call is not run again", async () => {
    const { actor, network, gates, pair, seen } = await start();
    await using _ = pair;
    const code = codeOf(actor.gated("lost"));
    await settleFrames();
    network.hold();
    gates[0]?.resolve();
    await settleFrames();
    network.cut(side);
    network.release();
    network.mend(side);
    expect([await code, seen.runs]).toEqual(["Unknown", 1]);
  });

  test("an answer made meanwhile waits and arrives", async () => {
    const { actor, network, gates, pair } = await start();
    await using _ = pair;
    network.cut(side);
    const refused = side === "north" ? await codeOf(actor.ping()) : undefined;
    network.mend(side);
    await settleFrames();
    const answer = actor.gated("made meanwhile");
    await settleFrames();
    network.cut("south");
    gates.at(-1)?.resolve();
    await settleFrames();
    network.mend("south");
    expect([refused, await answer]).toEqual([side === "north" ? "Unavailable" : undefined, "made meanwhile"]);
  });

  test("a cancel that was under way is made good: the work ends", async () => {
    const { actor, network, pair, seen } = await start();
    await using _ = pair;
    const giveUp = new AbortController();
    const code = codeOf(actor.with({ signal: giveUp.signal }).gated("nobody wants it"));
    await settleFrames();
    network.hold();
    giveUp.abort(new Error("enough"));
    expect(await code).toBe("Cancelled");
    await settleFrames();
    network.cut(side);
    network.release();
    network.mend(side);
    await settleFrames();
    expect(seen.aborted).toBe(1);
  });

  test("a stream that nobody reads any more ends, though word of that was lost and nothing more is sent", async () => {
    const { actor, network, pair, seen } = await start();
    await using _ = pair;
    const stream = actor.ticks();
    await stream.next();
    await settleFrames();
    network.hold();
    await stream.return?.();
    await settleFrames();
    network.cut(side);
    network.release();
    network.mend(side);
    await settleFrames();
    expect(seen.cleanedUp).toBe(1);
  });

  test("a stream goes on, or ends with StreamBroken when chunks were lost", async () => {
    const { actor, pair } = await start();
    await using _ = pair;
    const stream = actor.ticks();
    await stream.next();
    await both(pair, side);
    const items: unknown[] = [];
    const end = (async () => {
      for await (const item of stream) if (items.push(item) === 1_000) return "went on";
      return "ended";
    })().catch((error: FlotillaError) => error.code);
    expect(["went on", "StreamBroken"]).toContain(await end);
    expect(items).toEqual(items.map((_item, at) => at + 1));
  });

  test("an end that was told while the way was broken is heard of", async () => {
    const { actor, north, south, network, pair } = await start();
    await using _ = pair;
    const ends: string[] = [];
    north.watch(actor, ({ reason }) => ends.push(reason));
    await settleFrames();
    network.hold();
    await south.kill(actor);
    await settleFrames();
    network.cut(side);
    network.release();
    network.mend(side);
    await settleFrames();
    // Whoever asks again hears only that it is no more.
    expect(ends).toEqual(["unknown"]);
  });

  test("a watch whose asking was under way watches all the same, and once", async () => {
    const { actor, north, south, network, pair } = await start();
    await using _ = pair;
    const ends: string[] = [];
    network.hold();
    north.watch(actor, ({ reason }) => ends.push(reason));
    await settleFrames();
    network.cut(side);
    network.release();
    network.mend(side);
    await settleFrames();
    await both(pair, side);
    expect(ends).toEqual([]);
    await south.kill(actor);
    await settleFrames();
    expect(ends).toEqual(["killed"]);
  });

  test("a spawn and a stop under way end with Unknown, not with their time-outs", async () => {
    const { actor, spawn, north, network, pair } = await start();
    await using _ = pair;
    network.hold();
    const codes = Promise.all([codeOf(spawn()), codeOf(north.stop(actor))]);
    await settleFrames();
    network.cut(side);
    network.release();
    network.mend(side);
    expect(await codes).toEqual(["Unknown", "Unknown"]);
  });
});

describe("a frame that found nobody (TP4)", () => {
  test("fails exactly the calls it held, whatever watches and casts were in it", async () => {
    const { actor, north, network, gates, pair } = await start();
    await using _ = pair;
    const running = actor.gated("delivered before");
    await settleFrames();
    const ends: string[] = [];
    network.hold();
    north.watch(actor, ({ reason, error }) => ends.push(`${reason} ${error?.code}`));
    const codes = [codeOf(actor.ping()), codeOf(actor.ping())];
    actor.cast.ping();
    await settleFrames();
    // South is away from its server for a moment: north's frame comes back, and south's own connection is whole.
    network.cut("south");
    const again = [codeOf(actor.ping())];
    await settleFrames();
    network.release();
    expect(await Promise.all(again)).toEqual(["Unavailable"]);
    network.mend("south");
    expect(await Promise.all(codes)).toEqual(["Unknown", "Unknown"]);
    expect(ends).toEqual([]);
    gates[0]?.resolve();
    expect(await running).toBe("delivered before");
  });

  test("ends its watches and makes its casts dead letters; those that stood before go on standing", async () => {
    const { actor, north, south, network, pair, seen } = await start();
    await using _ = pair;
    const ends: string[] = [];
    north.watch(actor, ({ reason }) => ends.push(`stood ${reason}`));
    await settleFrames();
    network.cut("south");
    north.watch(actor, ({ error }) => ends.push(`new ${error?.code}`));
    actor.cast.ping();
    const code = codeOf(actor.ping());
    await settleFrames();
    expect([await code, ends, seen.runs]).toEqual(["Unavailable", ["new Unavailable"], 0]);
    expect(north.deadLetters.recent()).toMatchObject([{ code: "Unavailable" }]);
    network.mend("south");
    await settleFrames();
    await south.kill(actor);
    await settleFrames();
    expect(ends).toEqual(["new Unavailable", "stood killed"]);
  });

  test("is no end of what stood when it is only the other side that comes back later", async () => {
    const { actor, north, south, network, gates, pair } = await start();
    await using _ = pair;
    const ends: string[] = [];
    north.watch(actor, ({ reason }) => ends.push(reason));
    const running = actor.gated("through a restart of the server");
    await settleFrames();
    network.cut("north");
    network.cut("south");
    network.mend("north");
    await settleFrames();
    network.mend("south");
    await settleFrames();
    expect(ends).toEqual([]);
    gates[0]?.resolve();
    expect(await running).toBe("through a restart of the server");
    await south.kill(actor);
    await settleFrames();
    expect(ends).toEqual(["killed"]);
  });

  test("is nothing when it was forged: calls that are under way go on", async () => {
    const { actor, network, gates, pair } = await start();
    await using _ = pair;
    const running = actor.gated("undisturbed");
    await settleFrames();
    const before = performance.now();
    // From nobody's frame, about nothing: a server with permissions does not let others say it (NT1), and it must not hang us.
    for (const receipt of ["", "-", "x", `0-${2 ** 52}-0-${2 ** 52}-0`, `${2 ** 40}-${2 ** 52}-1-${2 ** 52}-0`])
      network.tellLost("north", "south", receipt);
    expect(performance.now() - before).toBeLessThan(1_000);
    gates[0]?.resolve();
    expect(await running).toBe("undisturbed");
  });
});

describe("errors with data that does not travel as it is", () => {
  test("arrive whole where they can, bare where they cannot", async () => {
    const { actor, north, pair } = await start();
    await using _ = pair;
    expect(await caught(actor.throws())).toMatchObject({ code: "Odd", data: { when: new Date(5), big: 7n } });
    const ends: unknown[] = [];
    north.watch(actor, ({ reason, error }) => ends.push([reason, error?.code, error?.data]));
    await settleFrames();
    expect(await codeOf(actor.fail())).toBe("ActorEnded");
    await settleFrames();
    expect(ends).toEqual([["failed", "Odd", {}]]);
  });
});
