// A daemon that has nothing to do: how soon it is ready, what it holds in memory and what it takes of a core. Without model servers, and beside
// one that is idle, too, whose metrics are read twice a second.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sleep, systemClock } from "../../runtime/index.ts";
import { startDaemon, startSim } from "../flotilla-process.ts";
import type { Bar, Running, Scenario, Setting } from "../scenario.ts";

const SETTLE_MS = { full: 10_000, quick: 3_000 } as const;
const WINDOW_MS = { full: 20_000, quick: 5_000 } as const;
const PERCENT = 100;

export const daemonStart: Scenario = {
  id: "daemon.start",
  unit: "ms",
  bars: [{ of: "value", atMost: 1_500 }],
  async start({ servers }) {
    const address = await servers();
    return {
      async round() {
        const { process } = await startDaemon(address);
        await using _ = process;
        return { value: process.readyMs };
      },
      async stop() {},
    };
  },
};

/** The first start after an installation: nothing is compiled yet. */
export const daemonFirstStart: Scenario = {
  id: "daemon.start.first",
  unit: "ms",
  bars: [],
  async start({ servers }) {
    const address = await servers();
    return {
      async round() {
        const folder = await mkdtemp(join(tmpdir(), "flotilla-bench-cache-"));
        try {
          const { process } = await startDaemon(address, [], { FLOTILLA_CACHE: folder });
          await process[Symbol.asyncDispose]();
          return { value: process.readyMs };
        } finally {
          await rm(folder, { recursive: true, force: true });
        }
      },
      async stop() {},
    };
  },
};

export const daemonMemory: Scenario = {
  id: "daemon.idle.rss",
  unit: "B",
  steady: true,
  bars: [{ of: "value", atMost: 120e6 }],
  async start({ quick, servers }) {
    const address = await servers();
    return {
      async round() {
        const { process } = await startDaemon(address);
        await using _ = process;
        await sleep(systemClock, quick ? SETTLE_MS.quick : SETTLE_MS.full);
        return { value: process.rssBytes() };
      },
      async stop() {},
    };
  },
};

const idleCpu = (id: string, bars: readonly Bar[], start: (setting: Setting) => Promise<Running>): Scenario => ({
  id,
  unit: "% of a core",
  steady: true,
  bars,
  start,
});

/** Of a daemon that was started with these flags. */
async function watchCpu({ quick, servers }: Setting, flags: readonly string[]): Promise<Running> {
  const { process } = await startDaemon(await servers(), flags);
  await sleep(systemClock, quick ? SETTLE_MS.quick : SETTLE_MS.full);
  return {
    async round() {
      const [beforeMs, cpuMs] = [systemClock.monotonic(), process.cpuMs()];
      await sleep(systemClock, quick ? WINDOW_MS.quick : WINDOW_MS.full);
      return { value: ((process.cpuMs() - cpuMs) / (systemClock.monotonic() - beforeMs)) * PERCENT };
    },
    stop: () => process[Symbol.asyncDispose](),
  };
}

export const daemonCpu = idleCpu("daemon.idle.cpu", [{ of: "value", atMost: 1 }], (setting) => watchCpu(setting, []));

export const daemonEngineCpu = idleCpu("daemon.idle.cpu.engine", [], async (setting) => {
  const sim = await startSim();
  const { round, stop } = await watchCpu(setting, ["--adopt", sim.url]);
  return {
    round,
    async stop() {
      await stop();
      await sim.process[Symbol.asyncDispose]();
    },
  };
});
