// A thousand stories in flight at once, ten tasks each, whose agents are done before they begin: how many tasks a second the services move,
// and whether each was asked for once, taken in once and is done.
//
// DR1  A task that is lost, doubled or dead is a failure of the row, not a slower figure.

import { loadServices } from "../../actors/index.ts";
import { systemClock, topicFilter } from "../../runtime/index.ts";
import { type PlayedFleet, startWithRunner } from "../instant-runner.ts";
import type { Scenario } from "../scenario.ts";
import { approvePlan, storyToApprove } from "../services.ts";

const STORIES = { full: 1_000, quick: 100 } as const;
const TASKS = 10;
const AT_ONCE = 32;
const MS_IN_S = 1_000;
/** Longer than that without a story that ends is no progress. */
const STILL_MAX_MS = 120_000;

/** From the first approval of a plan until the last story has left BUILD. */
export const drain: Scenario = {
  id: "services.drain",
  unit: "tasks/s",
  bars: [],
  once: true,
  async start({ quick, servers }) {
    const fleet = await startWithRunner(await servers());
    return {
      async round() {
        const { planning, runner } = fleet;
        const stories: string[] = [];
        await each(quick ? STORIES.quick : STORIES.full, async () => {
          stories.push(await storyToApprove(planning, TASKS));
        });
        const drained = watchDrain(fleet, new Set(stories));
        const answers = Promise.withResolvers<void>();
        runner.gate = answers.promise;
        const startMs = systemClock.monotonic();
        const waiting = [...stories];
        await each(stories.length, () => approvePlan(planning, waiting.pop() ?? ""));
        // All of them are in flight now.
        answers.resolve();
        const endMs = await drained;
        await check(fleet, stories);
        return { value: (stories.length * TASKS) / ((endMs - startMs) / MS_IN_S) };
      },
      stop: fleet.stop,
    };
  },
};

/** `work`, so many times, some of them at once. */
async function each(times: number, work: () => Promise<unknown>): Promise<void> {
  let left = times;
  const run = async () => {
    while (left-- > 0) await work();
  };
  await Promise.all(Array.from({ length: AT_ONCE }, run));
}

/** When the last of these has left BUILD. Rejects when none does for STILL_MAX_MS. */
async function watchDrain({ system }: PlayedFleet, open: Set<string>): Promise<number> {
  const { feed, agileEvents } = await loadServices();
  const ending = new AbortController();
  const total = open.size;
  const stuck = () => ending.abort(new Error(`${open.size} of ${total} stories do not leave BUILD`));
  let timer = systemClock.schedule(STILL_MAX_MS, stuck);
  try {
    for await (const fed of feed(system, agileEvents, { from: 1, signal: ending.signal })) {
      if (fed.kind !== "event" || fed.event.type !== "story.transitioned" || fed.event.data.from !== "BUILD") continue;
      if (!open.delete(fed.event.data.storyId)) continue;
      timer.cancel();
      timer = systemClock.schedule(STILL_MAX_MS, stuck);
      if (open.size === 0) return systemClock.monotonic();
    }
    throw ending.signal.reason;
  } finally {
    timer.cancel();
    ending.abort();
  }
}

/** DR1. */
async function check({ system, planning, runner }: PlayedFleet, stories: readonly string[]): Promise<void> {
  const { deadEvents } = await loadServices();
  const tasks = stories.length * TASKS;
  const merges = [...runner.merged.values()].reduce((sum, times) => sum + times, 0);
  const counts = { asked: runner.asked.size, repeated: runner.repeated, merged: runner.merged.size, merges };
  const expected = { asked: tasks, repeated: 0, merged: tasks, merges: tasks };
  if (JSON.stringify(counts) !== JSON.stringify(expected))
    throw new Error(`of ${tasks} tasks: ${JSON.stringify(counts)}`);
  const dead = await system.ports.eventLog.read(topicFilter(deadEvents.address), 1, 1);
  if (dead.length > 0) throw new Error("there are dead letters");
  for (const id of stories) {
    const built = (await planning.story(id)).tasks.filter(({ phase }) => phase === "BUILD");
    const isDone = built.every(({ status, attempt }) => status === "done" && attempt === 1);
    if (built.length !== TASKS || !isDone) throw new Error(`story ${id}: ${JSON.stringify(built)}`);
  }
}
