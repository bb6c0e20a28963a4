// How soon others see that something of a daemon is lost: its model server, and itself. A node of another process asks its own view of the
// fleet every few milliseconds; the time runs from the signal.

import { connect } from "../../runtime/index.ts";
import { engineState, recordOf, until } from "../fleet-view.ts";
import { SIM_MODEL, startDaemon } from "../flotilla-process.ts";
import type { Scenario } from "../scenario.ts";

/** A fresh daemon with a fresh server for each round: what was lost before makes a daemon wait longer with the next start. */
const engineLoss = (id: string, atMostMs: number, signal: NodeJS.Signals): Scenario => ({
  id,
  unit: "ms",
  bars: [{ of: "value", atMost: atMostMs }],
  async start({ servers }) {
    const address = await servers();
    const system = await connect({ servers: address });
    return {
      async round() {
        const { process: daemon, node } = await startDaemon(address, ["--vllm-sim", SIM_MODEL]);
        await using _ = daemon;
        const isReady = () => /ready|busy/.test(engineState(system, node));
        await until("the model server is ready", isReady);
        const [pid] = daemon.children("vllm-sim");
        if (pid === undefined) throw new Error("the daemon has no process of a model server");
        process.kill(pid, signal);
        return { value: await until(`the model server is lost after ${signal}`, () => !isReady()) };
      },
      stop: () => system.close(),
    };
  },
});

export const engineExit = engineLoss("engine.loss.exit", 1_000, "SIGKILL");
export const engineHang = engineLoss("engine.loss.hang", 3_000, "SIGSTOP");

export const daemonLoss: Scenario = {
  id: "daemon.loss",
  unit: "ms",
  bars: [{ of: "value", atMost: 4_000 }],
  async start({ servers }) {
    const address = await servers();
    const system = await connect({ servers: address, lease: "fast" });
    return {
      async round() {
        const { process: daemon, node } = await startDaemon(address, ["--lease", "fast"]);
        await using _ = daemon;
        await until("the daemon is there", () => recordOf(system, node) !== undefined);
        daemon.kill();
        return { value: await until("the daemon is lost", () => recordOf(system, node) === undefined) };
      },
      stop: () => system.close(),
    };
  },
};
