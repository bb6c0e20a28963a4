// Items of one streamed reply from another process, read as fast as they come.

import { startFleet } from "../fleet.ts";
import { repeat } from "../load.ts";
import type { Scenario } from "../scenario.ts";
import { Counter } from "./actors.ts";

const ITEMS = 10_000;

export const remoteStream: Scenario = {
  id: "remote.stream",
  unit: "items/s",
  bars: [{ of: "ray", atLeast: 50 }],
  async start({ roundMs, servers }) {
    const fleet = await startFleet(await servers());
    const counter = await fleet.system.spawn(Counter, { node: fleet.nodes[0] });
    const read = async () => {
      let seen = 0;
      for await (const _ of counter.ticks(ITEMS)) seen++;
      if (seen !== ITEMS) throw new Error(`${seen} of ${ITEMS} items came`);
      return seen;
    };
    return { round: () => repeat(roundMs, read), stop: () => fleet.close() };
  },
};
