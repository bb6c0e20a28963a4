// What an agent is told, from a graph of 100,000 nodes: asked of the service where it is, and as an actor on another process's node.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ContextApi, contextOf, loadServices } from "../../actors/index.ts";
import { connect, systemClock, systemRandom } from "../../runtime/index.ts";
import { fillContextGraph, STORY_NODES } from "../context-graph.ts";
import type { Scenario } from "../scenario.ts";
import { startServices } from "../services.ts";
import { percentile } from "../stats.ts";

const NODES = { full: 100_000, quick: 10_000 } as const;
const CALLS = { full: 100, quick: 20 } as const;
/** A step through the stories that comes by all of them. */
const STRIDE = 37;
const US_IN_MS = 1_000;

type Asking = Pick<ContextApi, "getContext">;

/** A folder with a graph, as a host of services has it. */
async function filledFolder(stories: number): Promise<string> {
  const { contextOn, LadybugGraph } = await loadServices();
  const folder = await mkdtemp(join(tmpdir(), "flotilla-bench-graph-"));
  const graph = new LadybugGraph({ folder: join(folder, "context") });
  await using system = await connect();
  const { ledger } = await contextOn({ system, graph, random: systemRandom });
  await fillContextGraph(ledger, stories);
  await graph.close();
  return folder;
}

const asked = (
  id: string,
  open: (folder: string, servers: () => Promise<string>) => Promise<{ asking: Asking; close: () => Promise<void> }>,
): Scenario => ({
  id,
  unit: "ms",
  bars: [{ of: "value", atMost: 30 }],
  async start({ quick, servers }) {
    const stories = Math.ceil((quick ? NODES.quick : NODES.full) / STORY_NODES);
    const folder = await filledFolder(stories);
    const { asking, close } = await open(folder, servers);
    let at = 0;
    return {
      async round() {
        const tookMs: number[] = [];
        for (let count = 0; count < (quick ? CALLS.quick : CALLS.full); count++) {
          at = (at + STRIDE) % stories;
          const startMs = systemClock.monotonic();
          await asking.getContext({ storyId: `s${at}`, role: "DEV", phase: "BUILD", taskId: "t1" });
          tookMs.push(systemClock.monotonic() - startMs);
        }
        const sorted = tookMs.sort((one, other) => one - other);
        return { value: percentile(sorted, 0.5), p99Us: percentile(sorted, 0.99) * US_IN_MS };
      },
      async stop() {
        await close();
        await rm(folder, { recursive: true, force: true });
      },
    };
  },
});

export const contextHere = asked("services.context.100k", async (folder) => {
  const { contextOn, LadybugGraph } = await loadServices();
  const system = await connect();
  const graph = new LadybugGraph({ folder: join(folder, "context") });
  const { service } = await contextOn({ system, graph, random: systemRandom });
  const close = async () => {
    await graph.close();
    await system.close();
  };
  return { asking: service, close };
});

export const contextActor = asked("services.context.100k.actor", async (folder, servers) => {
  const services = await startServices(await servers(), { flags: ["--rpc", "off", "--only", "context"], folder });
  return { asking: contextOf(services.system), close: async () => services[Symbol.asyncDispose]() };
});
