// Hosts in the test's own process: a daemon with its place in a fleet, and simulated model servers for it to adopt. What a user starts is a
// process of its own: running-daemons.ts.

import {
  type DaemonEngine,
  type DaemonOptions,
  openDaemon,
  startVllmSim,
  type VllmSimOptions,
} from "../../nodes/index.ts";
import { type ConnectOptions, connect, type LogLine, systemClock } from "../../runtime/index.ts";
import type { TestServer } from "./nats-server.ts";

type Fleet = TestServer["options"] & { readonly prefix: string };

export interface HostParts {
  readonly engines?: readonly DaemonEngine[];
  readonly daemon?: Partial<DaemonOptions>;
  readonly connect?: Partial<ConnectOptions>;
}

/** A member of the fleet that has opened a daemon; everything ends in order when it is disposed of. */
export async function openHost(
  fleet: Fleet,
  name: string,
  { engines = [], daemon: more, connect: own }: HostParts = {},
) {
  const logged: string[] = [];
  const lines: LogLine[] = [];
  const log: DaemonOptions["log"] = (level, message) => void logged.push(`${level} ${message}`);
  const daemon = await openDaemon({ clock: systemClock, gpus: "none", engines, log, ...more });
  const { admission, machine } = daemon;
  const system = await connect({
    ...{ ...fleet, name, lease: "fast", accepts: true, admission, resources: machine.amounts },
    ...{ log: (line) => void lines.push(line), ...own },
  });
  await daemon.attach(system);
  return {
    daemon,
    system,
    logged,
    lines,
    async [Symbol.asyncDispose]() {
      await system.close();
      await daemon.close();
    },
  };
}

/** A simulated model server in this process; `adopted` is how a daemon takes it. */
export async function openSim(options: Partial<VllmSimOptions> = {}) {
  const sim = await startVllmSim({ model: "tiny", ...options });
  const watch = { everyMs: 50, timeoutMs: 2_000 };
  const adopted: DaemonEngine = { kind: "adopted", url: sim.url, watch };
  return Object.assign(sim, { adopted });
}
