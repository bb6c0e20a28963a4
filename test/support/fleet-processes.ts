// A fleet whose nodes are processes, over a real server: what tests of dying parts stand on. The script's side is in the test's process.
// Whatever a test does to it, disposing of it ends every process by its pid and removes the folder.
//
//     await using fleet = await openProcesses(module);
//     const [a, b] = await fleet.start("a", "b");        processes
//     const driver = await fleet.script();               an ActorSystem here

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type ActorSystem, type ConnectOptions, connect, type LogLine } from "../../runtime/index.ts";
import { LEASE_PROFILES } from "../../runtime/lease.ts";
import { makeFolder } from "./git-repository.ts";
import { openNats, type TestServer } from "./nats-server.ts";
import { type NodeProcess, startNode } from "./node-process.ts";
import { waitUntil } from "./wait-until.ts";

export const FAST = LEASE_PROFILES.fast;
/** Beyond what is promised, for a machine that is busy with other tests. */
export const BUSY_MS = 3_000;
/** What is promised: within the lease and two seconds. */
export const TAKEOVER_MS = FAST.ttlMs + 2_000;

export interface FleetProcesses extends AsyncDisposable {
  readonly server: TestServer;
  /** Starts nodes that take actors and run tasks; their names are used again when the last holder has ended. */
  start<Names extends readonly string[]>(...names: Names): Promise<{ [Key in keyof Names]: NodeProcess }>;
  /** Joins the fleet from this process. */
  script(options?: Partial<ConnectOptions>): Promise<ActorSystem & { readonly lines: LogLine[] }>;
  /** Path of a file that actors may write lines to. */
  file(name: string): string;
  /** The lines in that file. */
  lines(name: string): string[];
}

/** `module`: path of the module with the nodes' actor types. */
export async function openProcesses(module: string): Promise<FleetProcesses> {
  const server = await openNats();
  const folder = await makeFolder("flotilla-chaos-");
  const nodes: NodeProcess[] = [];
  const scripts: ActorSystem[] = [];
  const common = { ...server.options, lease: "fast" } as const;
  const file = (name: string) => join(folder.path, name);
  return {
    server,
    file,
    start: (async (...names: string[]) => {
      const one = async (name: string) => {
        const node = await startNode({ actors: module, connect: { ...common, name, accepts: true } });
        nodes.push(node);
        return node;
      };
      const started = await Promise.allSettled(names.map(one));
      return started.map((each) => {
        if (each.status === "rejected") throw each.reason;
        return each.value;
      });
    }) as FleetProcesses["start"],
    async script(options = {}) {
      const lines: LogLine[] = [];
      const system = await connect({ ...common, log: (line) => lines.push(line), ...options });
      scripts.push(system);
      return Object.assign(system, { lines });
    },
    lines(name) {
      try {
        return readFileSync(file(name), "utf8").split("\n").filter(Boolean);
      } catch {
        return [];
      }
    },
    async [Symbol.asyncDispose]() {
      // The nodes first: what they hold need not be handed over to anybody.
      await Promise.all(nodes.map((node) => node.kill()));
      await Promise.all(scripts.map((script) => script.close().catch(() => {})));
      await server[Symbol.asyncDispose]();
      await folder[Symbol.asyncDispose]();
    },
  };
}

/** Resolves once `system` sees exactly these nodes beside itself. */
export async function sees(system: ActorSystem, ...nodes: readonly Pick<NodeProcess, "node">[]): Promise<void> {
  const wanted = nodes.map(({ node }) => node).sort();
  await waitUntil(`the script sees ${wanted}`, () => {
    const seen = system.nodes().map(({ node }) => node);
    return seen.slice(1).sort().join() === wanted.join();
  });
}

/** Milliseconds that `what` takes. */
export async function timed(what: Promise<unknown>): Promise<number> {
  const sinceMs = performance.now();
  await what;
  return Math.round(performance.now() - sinceMs);
}

/** The lines of these logs in order of time, for a failed test to show. */
export function story(sinceMs: number, ...logs: readonly (readonly LogLine[])[]): string {
  return logs
    .flat()
    .filter(({ atMs }) => atMs >= sinceMs)
    .sort((one, other) => one.atMs - other.atMs)
    .map(({ atMs, node, message, data }) =>
      `${atMs - sinceMs} ${node} ${message} ${JSON.stringify(data)}`.slice(0, 300),
    )
    .join("\n");
}
