// Tasks accepted durably, run on another node and their results recorded: 1,000 submitted at once, then all waited for.
// Beside it the same with every write on the disk before it is acknowledged.

import { startFleet } from "../fleet.ts";
import { repeat } from "../load.ts";
import type { Bar, Scenario } from "../scenario.ts";
import { BenchServer } from "../server.ts";
import { Counter } from "./actors.ts";

const BATCH = 1_000;

const scenario = (id: string, bars: readonly Bar[], mode: "fast" | "durable"): Scenario => ({
  id,
  unit: "tasks/s",
  bars,
  async start({ roundMs }) {
    // A server of its own: what tasks leave behind on it is nobody else's.
    const server = new BenchServer(mode);
    const fleet = await startFleet(await server.url());
    const stop = async () => {
      await fleet.close();
      await server[Symbol.asyncDispose]();
    };
    const { system } = fleet;
    const complete = async () => {
      const submitOne = () => system.submit(Counter, "add", [{ by: 1 }]);
      const ids = await Promise.all(Array.from({ length: BATCH }, submitOne));
      const { done } = await system.wait(ids);
      if (done.length !== BATCH) throw new Error(`${done.length} of ${BATCH} tasks ended`);
      return BATCH;
    };
    return { round: () => repeat(roundMs, complete), stop };
  },
});

export const tasks = scenario("task.completed", [{ of: "ray", atLeast: 5 }], "fast");
export const durableTasks = scenario("task.completed.durable", [], "durable");
