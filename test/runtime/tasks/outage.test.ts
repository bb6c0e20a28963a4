// Tasks while the server is killed and started again: whatever was accepted has exactly one outcome, and those who wait hear of it.

import { expect, test } from "vitest";
import { connect, defineActor, sleep, systemClock } from "../../../runtime/index.ts";
import { natsMissing, openNats } from "../../support/nats-server.ts";
import { waitUntil } from "../../support/wait-until.ts";

const Counter = defineActor(
  "counter",
  class {
    double(n: number): number {
      if (n % 10 === 0) throw new Error("always");
      return 2 * n;
    }
  },
);

const TASKS_MIN = 400;

test.skipIf(natsMissing() !== undefined)(
  "kill -9 of the server during tasks: none lost, one outcome each",
  async () => {
    await using server = await openNats();
    const fleet = { ...server.options, lease: "fast" } as const;
    await using there = await connect({ ...fleet, accepts: true, actors: [Counter] });
    await using here = await connect(fleet);
    const accepted = new Map<string, number>();
    const results = new Map<string, unknown>();
    let isOver = false;
    const submitAll = async (from: number) => {
      for (let n = from; !isOver; n += 8) {
        const id = `t${n}`;
        try {
          await here.submit(Counter, "double", [n], { id, retries: 1, backoff: { firstMs: 1 } });
          accepted.set(id, n);
          const result = await here.result(id).catch((error) => error.code as string);
          results.set(id, result);
        } catch {
          // Not known to be accepted: it may run all the same, but nobody was promised anything.
          await sleep(systemClock, 20);
        }
      }
    };
    const submitting = Promise.all(Array.from({ length: 8 }, (_, at) => submitAll(at + 1)));
    for (let round = 1; round <= 2; round++) {
      await waitUntil("tasks flow", () => results.size > (round * TASKS_MIN) / 4);
      await server.kill();
      await server.restart();
    }
    await waitUntil("tasks flow again", () => results.size > TASKS_MIN, 20_000);
    isOver = true;
    await submitting;
    const wrong = [...accepted].filter(([id, n]) => results.get(id) !== (n % 10 === 0 ? "TaskFailed" : 2 * n));
    expect(wrong.map(([id]) => [id, results.get(id)])).toEqual([]);
    const recorded = await here.ports.results.read("result.*", 1, 10_000);
    const subjects = recorded.map(({ subject }) => subject);
    expect(subjects.length).toBe(new Set(subjects).size);
    expect(subjects.length).toBeGreaterThanOrEqual(accepted.size);
    const dead = await here.deadTasks.list();
    expect(dead.filter(({ id }) => Number(id.slice(1)) % 10 !== 0)).toEqual([]);
    expect(there.stats().actors).toBe(0);
  },
);
