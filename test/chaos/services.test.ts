// The services of a fleet, their door, agents and the server between them, each killed ten times in the middle of stories that are built: every
// story still ends, once. `npm run test:chaos` runs it; CHAOS_SEED replays a run's order and CHAOS_KILLS sets another number.

import { describe, expect, test } from "vitest";
import { runnerOf, SERVICE_NAMES } from "../../actors/service-handles.ts";
import { seededRandom, systemRandom } from "../../runtime/index.ts";
import { natsMissing } from "../support/nats-server.ts";
import { openServiceFleet, type ServiceFleet } from "../support/service-fleet.ts";
import { ServiceProcesses, type Victim } from "../support/service-processes.ts";
import { auditStories } from "../support/story-audit.ts";
import { addSecondFile, StoryTeam } from "../support/story-team.ts";
import { waitUntil } from "../support/wait-until.ts";

const missing = natsMissing();
const KILLS = Number(process.env.CHAOS_KILLS ?? 10);
const SEED = Number(process.env.CHAOS_SEED ?? systemRandom.below(2 ** 31));
const LANES = 3;
/** Longest wait before a kill. */
const WAIT_MAX_MS = 1_500;
/** Between two looks at all processes. */
const LOOK_MS = 50;
const VICTIMS: readonly Victim[] = [...SERVICE_NAMES, "door", "executor", "supervisor", "nats"];

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

function shuffled<T>(values: readonly T[], random: { below(limit: number): number }): readonly T[] {
  const left = [...values];
  return values.map(() => left.splice(random.below(left.length), 1)[0] as T);
}

/** Asks until there is an answer. */
const answered = <T>(ask: () => Promise<T>) =>
  waitUntil("there is an answer", () => ask().catch(() => undefined), 60_000);

/** Resolves when its job was begun again, or its task has another attempt; or is done all the same. */
async function noticed({ system, planning }: ServiceFleet, jobId: string, place: string | undefined): Promise<void> {
  const [, storyId = "", taskId = "", attempt = ""] = /^(s\d+-\d+)-(\w+)-(\d+)$/.exec(jobId) ?? [];
  await waitUntil(
    `the end of ${jobId} was noticed`,
    async () => {
      await pause(LOOK_MS);
      const [job, story] = await Promise.all([
        runnerOf(system)
          .job(jobId)
          .catch(() => undefined),
        planning.story(storyId).catch(() => undefined),
      ]);
      if (job === undefined || job.endedAtMs === undefined) return job !== undefined && job.place !== place;
      const task = story?.tasks.find(({ id }) => id === taskId);
      return task?.status === "done" || (task?.attempt ?? 0) > Number(attempt);
    },
    120_000,
  );
}

describe.skipIf(missing !== undefined)(`services killed (${missing ?? "there"})`, { timeout: 1_800_000 }, () => {
  test(`kill -9 of each, ${KILLS} times: every story ends, once`, async () => {
    const random = seededRandom(SEED);
    console.log("seed:", SEED);
    await using fleet = await openServiceFleet();
    await addSecondFile(fleet.repository);
    const services = new ServiceProcesses(fleet);
    await services.start();
    const team = new StoryTeam(fleet, services);
    const working = team.work(LANES);
    working.catch(() => {});
    const took = new Map<Victim, number[]>(VICTIMS.map((victim) => [victim, []]));
    const order = shuffled(
      VICTIMS.flatMap((victim) => Array<Victim>(KILLS).fill(victim)),
      random,
    );
    const killed = new Set<string>();
    const killAgent = async (part: "executor" | "supervisor") => {
      // Three failed attempts at one task would be for a person to look at: each task is hit once.
      const isFresh = ({ jobId }: { jobId: string }) => !killed.has(jobId.replace(/-\d+$/, ""));
      const agents = await waitUntil(
        "an agent is at work",
        async () => {
          await pause(LOOK_MS);
          const found = services.agents().filter(isFresh);
          return found.length > 0 ? found : undefined;
        },
        120_000,
      );
      const agent = agents[random.below(agents.length)] as (typeof agents)[number];
      killed.add(agent.jobId.replace(/-\d+$/, ""));
      const { place } = await answered(() => runnerOf(fleet.system).job(agent.jobId));
      const fromMs = performance.now();
      process.kill(agent[part], "SIGKILL");
      await noticed(fleet, agent.jobId, place);
      return performance.now() - fromMs;
    };
    try {
      for (const [at, victim] of order.entries()) {
        const isFlowing = () => team.open.some(({ tasks }) => tasks.some(({ status }) => status === "dispatched"));
        await Promise.race([working, waitUntil("a task is out", isFlowing, 120_000)]);
        await pause(random.below(WAIT_MAX_MS));
        const states = team.open.map(
          ({ id, state, tasks }) => `${id} ${state} ${tasks.map(({ status }) => status.slice(0, 2)).join(" ")}`,
        );
        const times = took.get(victim) ?? [];
        const isTakenOver = times.length === Math.floor(KILLS / 2) && SERVICE_NAMES.some((name) => name === victim);
        const ms = await (victim === "executor" || victim === "supervisor"
          ? killAgent(victim)
          : services.kill(victim, isTakenOver));
        times.push(ms);
        took.set(victim, times);
        console.log(
          `${at + 1}/${order.length} ${victim}${isTakenOver ? ", taken over" : ""}: ${Math.round(ms)} ms; ${states.join(", ")}`,
        );
      }
      team.finish();
      await working;
      const stories = [...team.stories.values()];
      const audit = await auditStories(fleet.system, stories, fleet.repository);
      await services.end();
      console.log("stories:", { stories: stories.length, ...audit });
      for (const [victim, ms] of took) {
        const sorted = ms.toSorted((a, b) => a - b);
        console.log(
          `| ${victim} | ${ms.length} | ${Math.round(sorted[sorted.length >> 1] ?? 0)} | ${Math.round(sorted.at(-1) ?? 0)} |`,
        );
      }
      expect(services.left()).toEqual([]);
    } catch (error) {
      console.log(services.said().slice(-100_000));
      throw error;
    } finally {
      console.log([...new Set(services.complaints())].join("\n"));
    }
  });
});
