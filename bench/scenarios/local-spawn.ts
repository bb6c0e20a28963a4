// Actors spawned and ready within one process, 1,000 spawns outstanding. They are stopped between rounds, outside the measured time.

import { connect, systemClock } from "../../runtime/index.ts";
import type { Scenario } from "../scenario.ts";
import { Counter } from "./actors.ts";

const BATCH = 1_000;
const SPAWNS = { full: 50_000, quick: 10_000 } as const;

export const localSpawn: Scenario = {
  id: "local.spawn",
  unit: "actors/s",
  bars: [{ of: "value", atLeast: 200_000 }],
  async start({ quick }) {
    const spawns = quick ? SPAWNS.quick : SPAWNS.full;
    return {
      async round() {
        await using system = await connect();
        const startMs = systemClock.monotonic();
        for (let done = 0; done < spawns; done += BATCH) {
          await Promise.all(Array.from({ length: BATCH }, () => system.spawn(Counter)));
        }
        return { value: spawns / ((systemClock.monotonic() - startMs) / 1_000) };
      },
      async stop() {},
    };
  },
};
