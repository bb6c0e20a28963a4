// Memory: of an idle actor here and on another node, its handle's included, and of a call that waits for its answer.

import { type ActorSystem, connect, type Handle, sleep, systemClock } from "../../runtime/index.ts";
import { startFleet } from "../fleet.ts";
import { heapBytes } from "../heap.ts";
import type { Scenario } from "../scenario.ts";
import { Counter, Holder, Meter } from "./actors.ts";

const ACTORS = { full: 100_000, quick: 20_000 } as const;
const OUTSTANDING = { full: 100_000, quick: 20_000 } as const;
const BATCH = 1_000;
const POLL_MS = 20;
const HOLD_MAX_MS = 120_000;

/** Actors that were each called once, so that lazy parts exist. */
async function idleActors(system: ActorSystem, count: number, node?: string): Promise<Handle<typeof Counter>[]> {
  const handles: Handle<typeof Counter>[] = [];
  const options = node === undefined ? {} : { node };
  for (let done = 0; done < count; done += BATCH) {
    const batch = await Promise.all(Array.from({ length: BATCH }, () => system.spawn(Counter, options)));
    await Promise.all(batch.map((handle) => handle.add({ by: 1 })));
    handles.push(...batch);
  }
  return handles;
}

export const localActorMemory: Scenario = {
  id: "local.memory.actor",
  unit: "B/actor",
  steady: true,
  bars: [{ of: "value", atMost: 1_024 }],
  async start({ quick }) {
    const count = quick ? ACTORS.quick : ACTORS.full;
    return {
      async round() {
        await using system = await connect();
        const before = heapBytes();
        const handles = await idleActors(system, count);
        const bytes = heapBytes() - before;
        if (handles.length !== count) throw new Error(`${handles.length} of ${count} actors came`);
        return { value: bytes / count };
      },
      async stop() {},
    };
  },
};

/** The node's memory, not the caller's. */
export const remoteActorMemory: Scenario = {
  id: "memory.actor",
  unit: "B/actor",
  steady: true,
  bars: [{ of: "value", atMost: 1_536 }],
  async start({ quick, servers }) {
    const count = quick ? ACTORS.quick : ACTORS.full;
    const address = await servers();
    return {
      async round() {
        const fleet = await startFleet(address);
        const [node] = fleet.nodes;
        try {
          const meter = await fleet.system.spawn(Meter, { node });
          // The node's own lazy parts come with its first actors.
          await idleActors(fleet.system, BATCH, node);
          const before = await meter.heapBytes();
          await idleActors(fleet.system, count, node);
          return { value: ((await meter.heapBytes()) - before) / count };
        } finally {
          await fleet.close();
        }
      },
      async stop() {},
    };
  },
};

/** The caller's memory for calls to an actor on another node that does not answer yet. */
export const outstandingMemory: Scenario = {
  id: "memory.outstanding",
  unit: "B/call",
  steady: true,
  bars: [{ of: "value", atMost: 1_024 }],
  async start({ quick, servers }) {
    const count = quick ? OUTSTANDING.quick : OUTSTANDING.full;
    const fleet = await startFleet(await servers());
    // Reentrant, because the node would look for circles among all that wait each time one of them begins to.
    const options = { node: fleet.nodes[0], concurrency: 2 * count, mailboxMax: 2 * count, reentrant: true };
    return {
      async round() {
        const holder = (await fleet.system.spawn(Holder, options)).with({ timeoutMs: HOLD_MAX_MS });
        const before = heapBytes();
        const calls = Array.from({ length: count }, () => holder.hold());
        try {
          // All have arrived: nothing of them waits in a buffer of this side.
          while ((await holder.waiting()) < count) await sleep(systemClock, POLL_MS);
          const bytes = heapBytes() - before;
          await holder.release();
          return { value: bytes / count };
        } finally {
          // Only now: a listener on each of them would be measured.
          await Promise.allSettled(calls);
          await fleet.system.stop(holder);
        }
      },
      stop: () => fleet.close(),
    };
  },
};
