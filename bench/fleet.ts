// Two processes and one nats-server, the shape of every remote row: this process calls, others host.

import { fileURLToPath } from "node:url";
import { type ActorSystem, connect, systemRandom } from "../runtime/index.ts";
import { startProcess } from "./second-process.ts";

const NODE = fileURLToPath(new URL("./remote-node.ts", import.meta.url));

export interface Fleet {
  readonly system: ActorSystem;
  /** Names of the nodes that host, each a process. */
  readonly nodes: readonly [string, ...string[]];
  close(): Promise<void>;
}

/** Starts `count` nodes and connects to them. */
export async function startFleet(servers: string, count = 1): Promise<Fleet> {
  const run = systemRandom.id();
  const name = (index: number) => `bench-${run}-${index}`;
  const nodes = [name(0), ...Array.from({ length: count - 1 }, (_, index) => name(index + 1))] as const;
  await using processes = new AsyncDisposableStack();
  await Promise.all(nodes.map(async (node) => processes.use(await startProcess(NODE, servers, node))));
  const system = await connect({ servers });
  processes.use(system);
  const kept = processes.move();
  return { system, nodes: [nodes[0], ...nodes.slice(1)], close: () => kept.disposeAsync() };
}
