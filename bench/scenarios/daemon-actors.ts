// Thousands of actors in one daemon, spawned over NATS by a script: how long until each has answered, and what one holds of the daemon's memory.

import { fileURLToPath } from "node:url";
import { type ActorSystem, connect } from "../../runtime/index.ts";
import { startDaemon } from "../flotilla-process.ts";
import { repeat } from "../load.ts";
import type { Scenario } from "../scenario.ts";
import { Counter, Meter } from "./actors.ts";

const ACTORS = fileURLToPath(new URL("./actors.ts", import.meta.url));
const COUNT = 5_000;

/** Spawns them all at once; resolves when each has answered one call. */
async function spawnAll(system: ActorSystem, node: string) {
  const spawnOne = async () => {
    const counter = await system.spawn(Counter, { node });
    await counter.add({ by: 1 });
    return counter;
  };
  return Promise.all(Array.from({ length: COUNT }, spawnOne));
}

async function startPair(servers: string) {
  const daemon = await startDaemon(servers, ["--actors", ACTORS]);
  const system = await connect({ servers });
  const stop = async () => {
    await system.close();
    await daemon.process[Symbol.asyncDispose]();
  };
  return { ...daemon, system, stop };
}

export const daemonActors: Scenario = {
  id: "daemon.actors",
  unit: "actors/s",
  bars: [],
  async start({ roundMs, servers }) {
    const { system, node, stop } = await startPair(await servers());
    return {
      async round() {
        const counters: Awaited<ReturnType<typeof spawnAll>> = [];
        const sample = await repeat(roundMs / 10, async () => {
          counters.push(...(await spawnAll(system, node)));
          return COUNT;
        });
        await Promise.all(counters.map((counter) => system.stop(counter)));
        return sample;
      },
      stop,
    };
  },
};

export const daemonActorMemory: Scenario = {
  id: "daemon.actors.memory",
  unit: "B/actor",
  steady: true,
  bars: [],
  async start({ servers }) {
    const address = await servers();
    return {
      async round() {
        const { system, node, stop } = await startPair(address);
        try {
          const meter = await system.spawn(Meter, { node });
          // The daemon's own lazy parts come with its first actors.
          await (await system.spawn(Counter, { node })).add({ by: 1 });
          const before = await meter.heapBytes();
          await spawnAll(system, node);
          return { value: ((await meter.heapBytes()) - before) / COUNT };
        } finally {
          await stop();
        }
      },
      async stop() {},
    };
  },
};
