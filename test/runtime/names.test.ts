// Named actors: one holder for each name in a namespace, on whatever node, free again when it ends.

import { describe, expect, test } from "vitest";
import { actorContext, defineActor } from "../../runtime/index.ts";
import { caught, codeOf } from "../support/caught.ts";
import { openStage, PLACES, settleFrames } from "../support/places.ts";

const Counter = defineActor(
  "counter",
  class {
    #count = 0;
    add(): number {
      return ++this.#count;
    }
    where(): string {
      return actorContext().address.node;
    }
    *upTo(to: number) {
      for (let index = 0; index < to; index++) yield index;
    }
    crash(): void {
      throw new Error("crashed");
    }
  },
);
const Other = defineActor("other", class {});

describe.each(PLACES)("names, %s", (place) => {
  test("are found from every node, typed or not", async () => {
    await using stage = await openStage(place);
    const hits = await stage.spawn(Counter, { name: "hits" });
    await hits.add();
    expect(await (await stage.here.get("hits", Counter)).add()).toBe(2);
    const items: number[] = [];
    for await (const item of (await stage.here.get("hits", Counter)).upTo(2)) items.push(item);
    expect(items).toEqual([0, 1]);
  });

  test("are taken while their holder lives; the error says by whom", async () => {
    await using stage = await openStage(place);
    const hits = await stage.spawn(Counter, { name: "hits" });
    const error = await caught(stage.here.spawn(Counter, { name: "hits" }));
    expect(error).toMatchObject({ code: "NameTaken", data: { name: "hits", by: `${hits}` } });
    expect(stage.here.stats().actors + stage.there.stats().actors).toBe(place === "same node" ? 2 : 1);
  });

  test("with getIfExists the holder is the answer, if it is of the type", async () => {
    await using stage = await openStage(place);
    const hits = await stage.spawn(Counter, { name: "hits" });
    await hits.add();
    expect(await (await stage.here.spawn(Counter, { name: "hits", getIfExists: true })).add()).toBe(2);
    expect(await codeOf(stage.here.spawn(Other, { name: "hits", getIfExists: true }))).toBe("NameTaken");
    expect(await (await stage.here.spawn(Counter, { name: "new", getIfExists: true })).add()).toBe(1);
  });

  test("an unknown name is NoSuchActor; namespaces do not meet", async () => {
    await using stage = await openStage(place);
    await stage.spawn(Counter, { name: "hits", namespace: "one" });
    expect(await codeOf(stage.here.get("hits"))).toBe("NoSuchActor");
    const two = await stage.spawn(Counter, { name: "hits", namespace: "two" });
    await two.add();
    expect(await (await stage.here.get("hits", Counter, "one")).add()).toBe(1);
    await stage.spawn(Counter, { name: "a.b", namespace: "c" });
    await stage.spawn(Counter, { name: "b", namespace: "c.a" });
    await stage.spawn(Counter, { name: "*>é 名\u0000/.." });
    expect(await (await stage.here.get("*>é 名\u0000/..", Counter)).add()).toBe(1);
  });

  test.each(["stop", "kill", "failure"])("are free again after a %s, before a watcher hears of it", async (how) => {
    await using stage = await openStage(place);
    const hits = await stage.spawn(Counter, { name: "hits" });
    const heard = new Promise<unknown>((resolve) => {
      stage.here.watch(hits, () => resolve(stage.spawn(Counter, { name: "hits" })));
    });
    if (how === "failure") hits.cast.crash();
    else await stage.here[how as "stop" | "kill"](hits);
    expect(`${await heard}`).toMatch(/^counter\//);
  });

  test("of 1,000 who want one name, one gets it", async () => {
    await using stage = await openStage(place);
    stage.there.register(Counter);
    const results = await Promise.allSettled(
      Array.from({ length: 1_000 }, (_, index) =>
        stage.here.spawn(Counter, { name: "one", ...(index % 2 === 0 && { node: stage.there.node }) }),
      ),
    );
    const won = results.filter(({ status }) => status === "fulfilled");
    const codes = results.flatMap((result) => (result.status === "rejected" ? [result.reason.code] : []));
    expect([won.length, new Set(codes)]).toEqual([1, new Set(["NameTaken"])]);
    expect(stage.here.stats().actors + stage.there.stats().actors).toBe(place === "same node" ? 2 : 1);
  });
});

test("a name that is being claimed while its system closes is not held for ever", async () => {
  await using stage = await openStage("other node");
  stage.there.register(Counter);
  const spawning = codeOf(stage.there.spawn(Counter, { name: "late" }));
  const closing = stage.there.close();
  expect(await spawning).toBe("Closed");
  await closing;
  await settleFrames();
  expect(stage.there.stats().actors).toBe(0);
  await stage.here.spawn(Counter, { name: "late" });
});
