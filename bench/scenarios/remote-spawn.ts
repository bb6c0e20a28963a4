// Actors spawned on another node, each with the answer to its first call: in the node's own process, and each in a process of its own.
// They are stopped between rounds, outside the measured time.

import type { Handle } from "../../runtime/index.ts";
import { startFleet } from "../fleet.ts";
import { repeat } from "../load.ts";
import { NotMeasured, type Scenario } from "../scenario.ts";
import { Counter } from "./actors.ts";

const BATCH = 500;

export const remoteSpawnShared: Scenario = {
  id: "remote.spawn.shared",
  unit: "actors/s",
  bars: [{ of: "ray", atLeast: 1_000 }],
  async start({ roundMs, servers }) {
    const fleet = await startFleet(await servers());
    const [node] = fleet.nodes;
    const actors: Handle<typeof Counter>[] = [];
    const spawnOne = async () => {
      const counter = await fleet.system.spawn(Counter, { node });
      await counter.add({ by: 1 });
      actors.push(counter);
    };
    const spawnBatch = async () => {
      await Promise.all(Array.from({ length: BATCH }, spawnOne));
      return BATCH;
    };
    return {
      async round() {
        const sample = await repeat(roundMs, spawnBatch);
        await Promise.all(actors.splice(0).map((actor) => fleet.system.stop(actor)));
        return sample;
      },
      stop: () => fleet.close(),
    };
  },
};

export const remoteSpawnProcess: Scenario = {
  id: "remote.spawn.process",
  unit: "actors/s",
  bars: [{ of: "ray", atLeast: 4 }],
  async start() {
    throw new NotMeasured("comes with process isolation");
  },
};
