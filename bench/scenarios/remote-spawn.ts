// Actors spawned on another node, each with the answer to its first call: in the node's own process, and each in a process of its own.
// They are stopped between rounds, outside the measured time.

import { type Handle, sleep, systemClock } from "../../runtime/index.ts";
import { startFleet } from "../fleet.ts";
import { repeat } from "../load.ts";
import type { Bar, Scenario } from "../scenario.ts";
import { Counter, Meter } from "./actors.ts";

const BATCH = 500;
/** As many as bench/peers/ray-peer.py creates at once. */
const APART = { full: 12, quick: 4 } as const;
const POLL_MS = 20;
const MS_IN_S = 1_000;

export const remoteSpawnShared: Scenario = {
  id: "remote.spawn.shared",
  unit: "actors/s",
  bars: [{ of: "ray", atLeast: 1_000 }],
  async start({ roundMs, servers }) {
    const fleet = await startFleet(await servers());
    const [node] = fleet.nodes;
    const actors: Handle<typeof Counter>[] = [];
    const spawnOne = async () => {
      const counter = await fleet.system.spawn(Counter, { node });
      await counter.add({ by: 1 });
      actors.push(counter);
    };
    const spawnBatch = async () => {
      await Promise.all(Array.from({ length: BATCH }, spawnOne));
      return BATCH;
    };
    return {
      async round() {
        const sample = await repeat(roundMs, spawnBatch);
        await Promise.all(actors.splice(0).map((actor) => fleet.system.stop(actor)));
        return sample;
      },
      stop: () => fleet.close(),
    };
  },
};

/**
 * So many at once, each spawned, in a process of its own, and its first call answered: the number and the shape that Ray's row has.
 * They are stopped, and the node is given time to be as it was before, between the rounds and outside the measured time.
 *
 * `warm`: the node has as many processes ready as are wanted at once (`warmProcesses`), as an operator would who expects so many; it starts
 * others in their place while the round runs. Not warm: each process is started when its actor is spawned.
 */
const spawnApart = (id: string, bars: readonly Bar[], isWarm: boolean): Scenario => ({
  id,
  unit: "actors/s",
  bars,
  async start({ quick, servers }) {
    const count = quick ? APART.quick : APART.full;
    const warm = isWarm ? count : 0;
    const fleet = await startFleet(await servers(), 1, warm);
    const [node] = fleet.nodes;
    const meter = await fleet.system.spawn(Meter, { node });
    const settled = async () => {
      for (;;) {
        const { all, ready } = await meter.processes();
        if (all === warm && ready === warm) return;
        await sleep(systemClock, POLL_MS);
      }
    };
    const spawnOne = async () => {
      const counter = await fleet.system.spawn(Counter, { node, isolation: "process" });
      await counter.add({ by: 1 });
      return counter;
    };
    return {
      async round() {
        await settled();
        const startMs = systemClock.monotonic();
        const actors = await Promise.all(Array.from({ length: count }, spawnOne));
        const seconds = (systemClock.monotonic() - startMs) / MS_IN_S;
        await Promise.all(actors.map((actor) => fleet.system.stop(actor)));
        await settled();
        return { value: count / seconds };
      },
      stop: () => fleet.close(),
    };
  },
});

export const remoteSpawnProcess = spawnApart("remote.spawn.process", [{ of: "ray", atLeast: 4 }], true);
export const remoteSpawnProcessCold = spawnApart("remote.spawn.process.cold", [], false);
