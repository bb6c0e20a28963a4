// Tasks through the users' door: actors do the work, in one process and on a fleet with a real server.

import { describe, expect, test } from "vitest";
import { type ActorSystem, actorContext, connect, defineActor } from "../../../runtime/index.ts";
import { caught } from "../../support/caught.ts";
import { natsForTests } from "../../support/nats-server.ts";
import { waitUntil } from "../../support/wait-until.ts";

const Counter = defineActor(
  "counter",
  class {
    #count = 0;
    add(by: number): number {
      this.#count += by;
      return this.#count;
    }
    attempt() {
      const { attempt, address } = actorContext();
      if ((attempt?.number ?? 0) < 2) throw new Error("only the second time");
      return { ...attempt, node: address.node };
    }
    async wait(): Promise<void> {
      const { signal } = actorContext();
      await new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
    }
    fails(): void {
      throw new RangeError("always");
    }
    unsendable(): unknown {
      return { deep: [() => {}] };
    }
  },
);

const nats = natsForTests();
const PLACES = ["one process", "a fleet"] as const;

/** Where tasks are submitted, and where they run. */
async function open(place: (typeof PLACES)[number]) {
  const all: ActorSystem[] = [];
  const add = async (options: Parameters<typeof connect>[0]) => {
    const system = await connect(options);
    all.push(system);
    return system;
  };
  const prefix = nats.prefix();
  const fleet = () => ({ ...nats.options, prefix, lease: "fast" }) as const;
  const there = await add(
    place === "one process" ? { actors: [Counter] } : { ...fleet(), name: "there", accepts: true, actors: [Counter] },
  );
  const here = place === "one process" ? there : await add({ ...fleet(), name: "here" });
  return {
    here,
    there,
    [Symbol.asyncDispose]: async () => {
      for (const system of all.reverse()) await system.close();
    },
  };
}

test("a process that is alone runs tasks of types that nobody told it of before", async () => {
  await using system = await connect();
  expect(await system.result(await system.submit(Counter, "add", [1]))).toBe(1);
  const Other = defineActor(
    "other",
    class {
      say() {
        return "hello";
      }
    },
  );
  const other = await system.spawn(Other);
  expect(await system.result(await system.submit(other, "say"))).toBe("hello");
});

describe.each(PLACES)("tasks, %s", (place) => {
  describe.skipIf(place === "a fleet" && nats.missing !== undefined)(nats.missing ?? "with actors", () => {
    test("run in a fresh actor of their type, or in the one they name", async () => {
      await using at = await open(place);
      const ids = await Promise.all([1, 2, 3].map((by) => at.here.submit(Counter, "add", [by])));
      expect(await Promise.all(ids.map((id) => at.here.result(id)))).toEqual([1, 2, 3]);
      const kept = await at.there.spawn(Counter);
      for (const sum of [2, 4]) {
        expect(await at.here.result(await at.here.submit(kept, "add", [2]))).toBe(sum);
      }
      expect(at.there.stats().actors).toBe(1);
    });

    test("know their attempt, and are tried again after a failure", async () => {
      await using at = await open(place);
      const id = await at.here.submit(Counter, "attempt", [], { backoff: { firstMs: 0 } });
      expect(await at.here.result(id)).toEqual({ id, number: 2, node: at.there.node });
    });

    test("see their signal when they are cancelled", async () => {
      await using at = await open(place);
      const id = await at.here.submit(Counter, "wait");
      await waitUntil("it runs", () => at.there.stats().actors === 1);
      expect(await at.here.cancel(id)).toBe(true);
      expect(await caught(at.here.result(id))).toMatchObject({ code: "TaskCancelled" });
      await waitUntil("its actor ends", () => at.there.stats().actors === 0);
    });

    test("that fail are dead letters with the reason, and can be replayed", async () => {
      await using at = await open(place);
      const codeOf = async (method: string) => {
        const id = await at.here.submit(Counter, method, [], { retries: 1, backoff: { firstMs: 0 } });
        const error = await caught(at.here.result(id, { timeoutMs: 20_000 }));
        return (error.data.history as { code: string }[]).map(({ code }) => code);
      };
      expect(await codeOf("fails")).toEqual(["ActorThrew", "ActorThrew"]);
      expect(await codeOf("missing")).toEqual(["NoSuchMethod"]);
      expect(await codeOf("unsendable")).toEqual(["NotSendable"]);
      await waitUntil("all are dead letters", async () => (await at.here.deadTasks.list()).length === 3);
    });
  });
});
