// One actor after the other in a daemon, each in a process or a thread of its own, until it has answered its first call: from a process that waits
// ready, from none, and in a thread. The daemon is as it was before, before the next one is asked for.

import { fileURLToPath } from "node:url";
import { connect, type Isolation, sleep, systemClock } from "../../runtime/index.ts";
import { startDaemon } from "../flotilla-process.ts";
import type { Scenario } from "../scenario.ts";
import { percentile } from "../stats.ts";
import { Counter, Meter } from "./actors.ts";

const ACTORS = fileURLToPath(new URL("./actors.ts", import.meta.url));
const EACH_ROUND = { full: 5, quick: 3 } as const;
const POLL_MS = 20;

const oneByOne = (id: string, atMostMs: number | undefined, isolation: Isolation, warm: number): Scenario => ({
  id,
  unit: "ms",
  bars: atMostMs === undefined ? [] : [{ of: "value", atMost: atMostMs }],
  async start({ quick, servers }) {
    const address = await servers();
    const { process, node } = await startDaemon(address, ["--actors", ACTORS, "--warm-processes", String(warm)]);
    const system = await connect({ servers: address });
    const meter = await system.spawn(Meter, { node });
    const settled = async () => {
      for (;;) {
        const { all, ready } = await meter.processes();
        if (all === warm && ready === warm) return;
        await sleep(systemClock, POLL_MS);
      }
    };
    return {
      async round() {
        const tookMs: number[] = [];
        for (let count = 0; count < (quick ? EACH_ROUND.quick : EACH_ROUND.full); count++) {
          await settled();
          const startMs = systemClock.monotonic();
          const counter = await system.spawn(Counter, { node, isolation });
          await counter.add({ by: 1 });
          tookMs.push(systemClock.monotonic() - startMs);
          await system.stop(counter);
        }
        return {
          value: percentile(
            tookMs.sort((a, b) => a - b),
            0.5,
          ),
        };
      },
      async stop() {
        await system.close();
        await process[Symbol.asyncDispose]();
      },
    };
  },
});

export const spawnWarm = oneByOne("daemon.spawn.process", 30, "process", 2);
export const spawnCold = oneByOne("daemon.spawn.process.cold", 250, "process", 0);
export const spawnThread = oneByOne("daemon.spawn.thread", undefined, "thread", 0);
