// Maps over a pool: order, failures, bounds, hedging, lost members.

import { describe, expect, test } from "vitest";
import { actorContext, defineActor, type PoolOptions, sleep } from "../../../runtime/index.ts";
import { caught, codeOf } from "../../support/caught.ts";
import { openStage, PLACES, type Place, settleFrames } from "../../support/places.ts";

interface Item {
  readonly ms: number;
  readonly name?: string;
  /** Fails, or kills its actor, the first so many times. */
  readonly fails?: number;
  readonly kills?: number;
}

/** What all members of a test have seen: they are all in this process. */
interface Seen {
  runs: string[];
  cancelled: string[];
  now: number;
  most: number;
  byMember: Map<string, number>;
}

function workType(seen: Seen) {
  return defineActor(
    "work",
    class Work {
      async run({ ms, name = String(ms), fails = 0, kills = 0 }: Item): Promise<string> {
        const { address, clock, signal, fail } = actorContext();
        const count = seen.runs.push(name) && seen.runs.filter((run) => run === name).length;
        seen.byMember.set(address.id, (seen.byMember.get(address.id) ?? 0) + 1);
        seen.most = Math.max(seen.most, ++seen.now);
        try {
          await sleep(clock, ms, signal);
          if (count <= kills) fail(new Error(`${name} is deadly`));
          if (count <= fails) throw new RangeError(`${name} is no good`);
          return name;
        } catch (error) {
          if (signal.aborted) seen.cancelled.push(name);
          throw error;
        } finally {
          seen.now--;
        }
      }
    },
  );
}

async function openWork(place: Place, options: PoolOptions<[]>) {
  const seen: Seen = { runs: [], cancelled: [], now: 0, most: 0, byMember: new Map() };
  const Work = workType(seen);
  const stage = await openStage(place);
  stage.there.register(Work);
  const pool = await stage.here.pool(Work, { ...options, node: stage.there.node });
  return { seen, stage, pool, clock: stage.clock, [Symbol.asyncDispose]: () => stage[Symbol.asyncDispose]() };
}

const items = (...ms: number[]): Item[] => ms.map((each) => ({ ms: each }));

describe.each(PLACES)("a map, %s", (place) => {
  test("answers in the order of its items, however they end; one item a member at a time", async () => {
    await using work = await openWork(place, { size: 3, concurrency: 5 });
    const mapped = work.pool.map("run", items(300, 10, 200, 20, 100));
    await work.clock.advance(1_000);
    expect(await mapped).toEqual(["300", "10", "200", "20", "100"]);
    expect(work.seen.most).toBe(3);
    const two = work.pool.map("run", items(50, 51, 52, 53, 54, 55, 56), { concurrency: 2 });
    await work.clock.advance(1_000);
    expect((await two).length).toBe(7);
    expect(work.seen.most).toBe(6);
    expect(await work.pool.map("run", [])).toEqual([]);
  });

  test("unordered: each as it ends, with its place; leaving the loop cancels the rest", async () => {
    await using work = await openWork(place, { size: 3 });
    const ends: [number, string][] = [];
    const reading = (async () => {
      for await (const { index, value } of work.pool.mapUnordered("run", items(300, 10, 200, 20, 1_000, 2_000))) {
        ends.push([index, value]);
        if (ends.length === 4) break;
      }
    })();
    await work.clock.advance(400);
    await reading;
    expect(ends).toEqual([
      [1, "10"],
      [3, "20"],
      [2, "200"],
      [0, "300"],
    ]);
    await settleFrames();
    expect(work.seen.cancelled.sort()).toEqual(["1000", "2000"]);
  });

  test("fails with the first failure and cancels the rest; settled it answers for each", async () => {
    await using work = await openWork(place, { size: 2 });
    const list: Item[] = [{ ms: 500 }, { ms: 10, name: "bad", fails: 9 }, { ms: 20 }, { ms: 30 }];
    const failed = caught(work.pool.map("run", list));
    await work.clock.advance(15);
    expect(await failed).toMatchObject({ code: "ActorThrew", message: "work.run threw RangeError: bad is no good" });
    await settleFrames();
    expect(work.seen.cancelled).toContain("500");
    expect(work.seen.runs).not.toContain("30");
    const settled = work.pool.map("run", list, { settle: true });
    await work.clock.advance(1_000);
    expect(await settled).toMatchObject([
      { status: "fulfilled", value: "500" },
      { status: "rejected", reason: { code: "ActorThrew" } },
      { status: "fulfilled", value: "20" },
      { status: "fulfilled", value: "30" },
    ]);
  });

  test("a time-out is each item's own", async () => {
    await using work = await openWork(place, { size: 1 });
    const settled = work.pool.map("run", items(90, 80, 150, 70), { timeoutMs: 100, settle: true });
    await work.clock.advance(1_000);
    expect((await settled).map((each) => (each.status === "fulfilled" ? each.value : each.reason.code))).toEqual([
      "90",
      "80",
      "DeadlineExceeded",
      "70",
    ]);
  });

  test("a hedge: the straggler's item is sent to a second member, the first value wins, the other is cancelled", async () => {
    await using work = await openWork(place, { size: 2 });
    const slow = { ms: 10_000, name: "slow" };
    let asked = 0;
    // A slow first copy and a quick second: what the item says changes between them.
    const item = Object.defineProperty({ name: "slow" } as Item, "ms", {
      enumerable: true,
      get: () => (asked++ === 0 ? slow.ms : 50),
    });
    const mapped = work.pool.mapUnordered("run", [item, { ms: 90 }, { ms: 90 }, { ms: 90 }], { hedgeAfterMs: 100 });
    const first = mapped.next();
    await work.clock.advance(95);
    expect((await first).value).toEqual({ index: 1, value: "90" });
    const rest = Array.fromAsync(mapped);
    // The second copy is asked for at 100 ms and waits for an item there that began at 90: it ends at 230.
    await work.clock.advance(160);
    expect(work.seen.cancelled).toEqual(["slow"]);
    expect(work.seen.now).toBe(1);
    await work.clock.advance(200);
    expect((await rest).map(({ index }) => index).sort()).toEqual([0, 2, 3]);
    expect(work.seen.runs.filter((run) => run === "slow")).toHaveLength(2);
    const quick = work.pool.map("run", items(10, 20, 30), { hedgeAfterMs: 100 });
    await work.clock.advance(200);
    expect(await quick).toEqual(["10", "20", "30"]);
    expect(work.seen.runs.length).toBe(8);
  });

  test("a hedged item fails only when all its copies have, with what its method threw", async () => {
    await using work = await openWork(place, { size: 2 });
    const bad = caught(work.pool.map("run", [{ ms: 150, name: "bad", fails: 9 }], { hedgeAfterMs: 100 }));
    const both = [{ ms: 150, name: "both", kills: 1, fails: 9 }];
    const half = work.pool.map("run", [{ ms: 150, name: "half", fails: 1 }], { hedgeAfterMs: 100 });
    await work.clock.advance(1_000);
    expect((await bad).code).toBe("ActorThrew");
    expect(await half).toEqual(["half"]);
    const lost = caught(work.pool.map("run", both, { hedgeAfterMs: 100 }));
    await work.clock.advance(1_000);
    expect((await lost).code).toBe("ActorThrew");
    for (const name of ["bad", "both"]) expect(work.seen.runs.filter((run) => run === name)).toHaveLength(2);
  });

  test("the item of a lost member is done elsewhere, once; the member is replaced", async () => {
    await using work = await openWork(place, { size: 3 });
    const list: Item[] = [{ ms: 10, name: "deadly once", kills: 1 }, ...items(20, 30, 40, 50)];
    const mapped = work.pool.map("run", list);
    await work.clock.advance(1_000);
    expect(await mapped).toEqual(["deadly once", "20", "30", "40", "50"]);
    expect(work.pool.members).toHaveLength(3);
    const deadly = codeOf(work.pool.map("run", [{ ms: 10, name: "deadly", kills: 9 }]));
    await work.clock.advance(1_000);
    expect(await deadly).toBe("ActorEnded");
    expect(work.seen.runs.filter((run) => run === "deadly")).toHaveLength(2);
    expect(work.pool.members).toHaveLength(3);
  });

  test("a pool of one goes on with the replacement", async () => {
    await using work = await openWork(place, { size: 1 });
    const mapped = work.pool.map("run", [{ ms: 10, name: "deadly once", kills: 1 }, ...items(20, 30)]);
    await work.clock.advance(1_000);
    expect(await mapped).toEqual(["deadly once", "20", "30"]);
  });

  test("its signal ends it; so does the end of the pool", async () => {
    await using work = await openWork(place, { size: 2 });
    const controller = new AbortController();
    const aborted = codeOf(work.pool.map("run", items(500, 600, 700), { signal: controller.signal, settle: true }));
    await work.clock.advance(100);
    controller.abort();
    expect(await aborted).toBe("Cancelled");
    await settleFrames();
    expect(work.seen.cancelled.sort()).toEqual(["500", "600"]);
    const closed = codeOf(work.pool.map("run", items(500, 600, 700)));
    await settleFrames();
    const closing = work.pool.close();
    expect(await closed).toBe("Closed");
    await work.clock.advance(10_000);
    await closing;
  });
});

test("items are taken from their source as answers are read", async () => {
  await using work = await openWork("same node", { size: 2 });
  const source = { taken: 0, isClosed: false };
  function* endless(): Generator<Item> {
    try {
      for (;;) yield { ms: 1, name: String(source.taken++) };
    } finally {
      source.isClosed = true;
    }
  }
  await using answers = work.pool.mapUnordered("run", endless(), { concurrency: 2 });
  const first = answers.next();
  await work.clock.advance(100);
  expect((await first).value).toEqual({ index: 0, value: "0" });
  expect(source.taken).toBeLessThanOrEqual(8);
  for (let index = 1; index < 50; index++) {
    const next = answers.next();
    await work.clock.advance(2);
    expect((await next).done).toBe(false);
    expect(source.taken).toBeLessThanOrEqual(index + 9);
  }
  await answers.return(undefined);
  expect(source.isClosed).toBe(true);
});

test("options that are none are refused", async () => {
  await using work = await openWork("same node", { size: 1 });
  for (const options of [{ timeoutMs: 0 }, { hedgeAfterMs: -1 }, { concurrency: 0 }])
    expect(await codeOf(work.pool.map("run", items(1), options))).toBe("InvalidOption");
});
