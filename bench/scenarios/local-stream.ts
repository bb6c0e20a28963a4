// Items of one streamed reply within one process, read as fast as they come.

import { connect, systemClock } from "../../runtime/index.ts";
import type { Scenario } from "../scenario.ts";
import { Counter } from "./actors.ts";

const ITEMS = { full: 400_000, quick: 40_000 } as const;

export const localStream: Scenario = {
  id: "local.stream",
  unit: "items/s",
  bars: [{ of: "value", atLeast: 1_000_000 }],
  async start({ quick }) {
    const items = quick ? ITEMS.quick : ITEMS.full;
    const system = await connect();
    const counter = await system.spawn(Counter);
    return {
      async round() {
        let seen = 0;
        const startMs = systemClock.monotonic();
        for await (const _ of counter.ticks(items)) seen++;
        const seconds = (systemClock.monotonic() - startMs) / 1_000;
        if (seen !== items) throw new Error(`${seen} of ${items} items came`);
        return { value: items / seconds };
      },
      stop: () => system.close(),
    };
  },
};
