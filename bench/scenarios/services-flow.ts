// How soon the services act on what people do: a story that is created is seen, a plan that is approved is out as requests for agents.
// The services are a process of their own; this one calls, and reads the channels as a further reader of them.

import { loadServices } from "../../actors/index.ts";
import { sleep, systemClock, systemRandom } from "../../runtime/index.ts";
import { startWithRunner } from "../instant-runner.ts";
import type { Scenario } from "../scenario.ts";
import { approvePlan, draftOf, startServices, storyToApprove } from "../services.ts";
import { percentile } from "../stats.ts";

const STORIES = { full: 50, quick: 10 } as const;
const PLANS = { full: 5, quick: 2 } as const;
const TASKS = 10;
const POLL_MS = 20;
const US_IN_MS = 1_000;

const summed = (tookMs: number[]) => {
  const sorted = tookMs.sort((one, other) => one - other);
  return { value: percentile(sorted, 0.5), p99Us: percentile(sorted, 0.99) * US_IN_MS };
};

/** From the call that creates a story, of this process, until a reader of agile.events here has it. */
export const storySeen: Scenario = {
  id: "services.story.seen",
  unit: "ms",
  bars: [{ of: "value", atMost: 20 }],
  async start({ quick, servers }) {
    const services = await startServices(await servers());
    const { system, planning } = services;
    const { feed, agileEvents } = await loadServices();
    const seen = new Map<string, PromiseWithResolvers<number>>();
    const ending = new AbortController();
    const reading = (async () => {
      for await (const fed of feed(system, agileEvents, { from: 1, signal: ending.signal }))
        if (fed.kind === "event" && fed.event.type === "case.created")
          seen.get(fed.event.data.storyId)?.resolve(systemClock.monotonic());
    })().catch(() => {});
    return {
      async round() {
        const tookMs: number[] = [];
        for (let count = 0; count < (quick ? STORIES.quick : STORIES.full); count++) {
          const id = systemRandom.id();
          const arrived = Promise.withResolvers<number>();
          seen.set(id, arrived);
          const startMs = systemClock.monotonic();
          const [seenMs] = await Promise.all([arrived.promise, planning.createStory(draftOf(id, "/repository"))]);
          tookMs.push(seenMs - startMs);
          seen.delete(id);
        }
        return summed(tookMs);
      },
      async stop() {
        ending.abort();
        await reading;
        await services[Symbol.asyncDispose]();
      },
    };
  },
};

/** From the call that approves a plan of ten tasks until the last of their requests was read here: each with its context. */
export const planDispatched: Scenario = {
  id: "services.plan.dispatched",
  unit: "ms",
  bars: [{ of: "value", atMost: 200 }],
  async start({ quick, servers }) {
    const { planning, runner, stop } = await startWithRunner(await servers());
    const dispatch = async () => {
      const storyId = await storyToApprove(planning, TASKS);
      const answers = Promise.withResolvers<void>();
      const out = Promise.withResolvers<number>();
      let requests = 0;
      runner.gate = answers.promise;
      runner.onRequest = (request) => {
        if (request.storyId === storyId && ++requests === TASKS) out.resolve(systemClock.monotonic());
      };
      const startMs = systemClock.monotonic();
      const [outMs] = await Promise.all([out.promise, approvePlan(planning, storyId)]);
      answers.resolve();
      // Nothing of it is left to do when the next one is approved.
      while ((await planning.story(storyId)).state === "BUILD") await sleep(systemClock, POLL_MS);
      return outMs - startMs;
    };
    return {
      async round() {
        const tookMs: number[] = [];
        for (let count = 0; count < (quick ? PLANS.quick : PLANS.full); count++) tookMs.push(await dispatch());
        return summed(tookMs);
      },
      stop,
    };
  },
};
