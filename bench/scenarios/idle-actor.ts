// Heap that one idle actor costs, its handle included: 100,000 of them, each called once so that lazy parts exist.

import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { connect, type Handle } from "../../runtime/index.ts";
import type { Scenario } from "../scenario.ts";
import { Counter } from "./counter.ts";

const ACTORS = { full: 100_000, quick: 20_000 } as const;
const BATCH = 1_000;

/** The collector's own entry, had without a flag on the command line. */
function collector(): () => void {
  setFlagsFromString("--expose-gc");
  return runInNewContext("gc");
}

export const idleActor: Scenario = {
  id: "memory.actor",
  unit: "B/actor",
  bar: { atMost: 1_024 },
  async start(quick) {
    const actors = quick ? ACTORS.quick : ACTORS.full;
    const collect = collector();
    const heapUsed = () => {
      collect();
      return process.memoryUsage().heapUsed;
    };
    return {
      async round() {
        await using system = await connect();
        const handles: Handle<typeof Counter>[] = [];
        const before = heapUsed();
        for (let done = 0; done < actors; done += BATCH) {
          const batch = await Promise.all(Array.from({ length: BATCH }, () => system.spawn(Counter)));
          await Promise.all(batch.map((handle) => handle.add({ by: 1 })));
          handles.push(...batch);
        }
        const bytes = heapUsed() - before;
        if (handles.length !== actors) throw new Error(`${handles.length} of ${actors} actors came`);
        return bytes / actors;
      },
      async stop() {},
    };
  },
};
