// Calls within one process with one small argument, copied as always: with 1,000 outstanding, and one at a time.

import { connect, systemClock } from "../../runtime/index.ts";
import type { Scenario } from "../scenario.ts";
import { Counter } from "./actors.ts";

const OUTSTANDING = 1_000;
const CALLS = { full: 400_000, quick: 40_000 } as const;

type Call = () => Promise<number>;

async function pipelined(call: Call, calls: number): Promise<void> {
  const caller = async () => {
    for (let left = calls / OUTSTANDING; left > 0; left--) await call();
  };
  await Promise.all(Array.from({ length: OUTSTANDING }, caller));
}

async function sequential(call: Call, calls: number): Promise<void> {
  for (let left = calls; left > 0; left--) await call();
}

const scenario = (id: string, atLeast: number, drive: (call: Call, calls: number) => Promise<void>): Scenario => ({
  id,
  unit: "calls/s",
  bars: [{ of: "value", atLeast }],
  async start({ quick }) {
    const calls = quick ? CALLS.quick : CALLS.full;
    const system = await connect();
    const counter = await system.spawn(Counter);
    const call = () => counter.add({ by: 1 });
    return {
      async round() {
        const startMs = systemClock.monotonic();
        await drive(call, calls);
        return { value: calls / ((systemClock.monotonic() - startMs) / 1_000) };
      },
      stop: () => system.close(),
    };
  },
});

export const pipelinedCalls = scenario("local.call.pipelined", 1_500_000, pipelined);
export const sequentialCalls = scenario("local.call.sequential", 1_000_000, sequential);
