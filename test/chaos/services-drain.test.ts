// 1,000 stories of 10 tasks each, in flight at once, through planning, context and orchestrator as they are, with agents that are done at once:
// no task is lost and none doubled. `npm run test:chaos` runs it; CHAOS_STORIES sets another number.

import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { agentRequests, agentResults, agileEvents, deadEvents } from "../../actors/events/channels.ts";
import { feed } from "../../actors/events/feed.ts";
import type { Story } from "../../actors/planning/story.ts";
import { planningOf, SERVICES } from "../../actors/service-handles.ts";
import { connect, isFlotillaError, type SpawnOptions } from "../../runtime/index.ts";
import { natsMissing } from "../support/nats-server.ts";
import { openServiceFleet, storyDraft, TEAM } from "../support/service-fleet.ts";
import { eventsOf, repeated } from "../support/story-audit.ts";
import { waitUntil } from "../support/wait-until.ts";
import { ScriptedRunner } from "./scripted-runner.ts";

const missing = natsMissing();
const STORIES = Number(process.env.CHAOS_STORIES ?? 1_000);
const TASKS = 10;
const CALLERS = 64;
const DRAIN_MS = 1_500_000;
const TICKS_PER_S = 100;

/** Three chains of three, and a note at the end. */
const PLAN = {
  title: "Ten tasks",
  text: "Three times three, and a note.",
  steps: Array.from({ length: TASKS }, (_, at) => ({
    ...{ id: `t${at}`, title: `Task ${at}`, text: `Add task${at}() function to src/utils.js`, role: "DEV" },
    phase: at === TASKS - 1 ? "DOCS" : "BUILD",
    dependsOn: at === TASKS - 1 || at < 3 ? [] : [`t${at - 3}`],
    priority: at % 3,
  })),
};

/** Runs `work` for all, so many at a time. */
async function forAll(ids: readonly string[], work: (id: string) => Promise<unknown>): Promise<void> {
  const left = [...ids];
  const caller = async () => {
    for (let id = left.shift(); id !== undefined; id = left.shift()) await work(id);
  };
  await Promise.all(Array.from({ length: CALLERS }, caller));
}

/** Seconds of processor time that a process has used. */
function cpuOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
  const fields = stat.slice(stat.lastIndexOf(") ") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_S;
}

const tally = (values: readonly string[]): Record<string, number> => {
  const counts: Record<string, number> = {};
  for (const value of values) counts[value] = (counts[value] ?? 0) + 1;
  return counts;
};

describe.skipIf(missing !== undefined)(`many stories at once (${missing ?? "there"})`, { timeout: 1_800_000 }, () => {
  test(`${STORIES} stories of ${TASKS} tasks are done, each task once`, async () => {
    await using fleet = await openServiceFleet();
    const { system, who } = fleet;
    const servers = {
      servers: who.FLOTILLA_SERVERS ?? "",
      user: who.FLOTILLA_USER ?? "",
      pass: who.FLOTILLA_PASS ?? "",
    };
    await using place = await connect({ ...servers, name: "agents", accepts: true, actors: [ScriptedRunner] });
    const named = { name: "workspace-runner", namespace: SERVICES, concurrency: 256, node: "agents" };
    const runner = await place.spawn(ScriptedRunner, named as SpawnOptions<[]>);
    const names = ["planning", "orchestrator", "context"] as const;
    const started = await Promise.all(names.map((only) => fleet.host("--only", only, "--rpc", "off")));
    const planning = planningOf(system, { timeoutMs: 60_000 });
    const ids = Array.from({ length: STORIES }, (_, at) => `s${at}`);
    const moves = async (id: string, event: string) => {
      const by = event === "qa_passed" ? TEAM.qa : TEAM.po;
      const moved = await planning.transition({ storyId: id, event, by, key: `${event} ${id}` });
      if (moved.kind === "blocked") throw new Error(`${id} ${event}: ${JSON.stringify(moved.blocked)}`);
      return moved.story;
    };
    const fromMs = performance.now();
    await forAll(ids, async (id) => {
      await planning.createStory({ ...storyDraft(fleet.repository.path), id, key: id });
      await moves(id, "approve_scope");
      await planning.proposePlan({ storyId: id, plan: structuredClone(PLAN) as never, by: TEAM.po, key: `plan ${id}` });
    });
    const plannedMs = performance.now() - fromMs;
    const done = new Set<string>();
    const end = new AbortController();
    /** People, who let everything pass as soon as it waits for them. */
    const people = async () => {
      for await (const fed of feed(system, agileEvents, { from: 1, signal: end.signal })) {
        if (fed.kind === "bad") throw new Error(fed.message);
        const { event } = fed;
        if (event.type === "story.transitioned" && event.data.to === "TEST")
          void moves(event.data.storyId, "qa_passed");
        if (event.type === "story.transitioned" && event.data.to === "DONE") done.add(event.data.storyId);
        const isNote =
          event.type === "task.changed" && event.data.taskId === `t${TASKS - 1}` && event.data.status === "done";
        if (isNote) void moves(event.data.storyId, "docs_ready");
      }
    };
    const deciding = people();
    deciding.catch(() => {});
    const builtFromMs = performance.now();
    await forAll(ids, (id) => moves(id, "approve_design"));
    let told = 0;
    await waitUntil(
      "all stories are done",
      async () => {
        await new Promise((resolve) => setTimeout(resolve, 1_000));
        if (++told % 10 === 0) console.log(`${Math.round(performance.now() - builtFromMs)} ms: ${done.size} done`);
        return done.size === STORIES;
      },
      DRAIN_MS,
    ).catch(async (error: Error) => {
      for (const { command } of started) console.log(command.err.slice(-5_000));
      const open = ids.filter((id) => !done.has(id)).slice(0, 3);
      console.log(JSON.stringify(await Promise.all(open.map((id) => planning.story(id)))).slice(0, 6_000));
      throw error;
    });
    const drainedMs = performance.now() - builtFromMs;
    end.abort();
    await deciding.catch((error: unknown) => {
      if (!isFlotillaError(error) && error !== end.signal.reason) throw error;
    });
    const cpu = names.map((name, at) => [name, cpuOf(started[at]?.command.pid ?? 0)]);
    const bare = started[1]?.command.err.match(/goes without context/g)?.length ?? 0;
    console.log("drain:", {
      ...{
        stories: STORIES,
        tasks: STORIES * TASKS,
        plannedMs: Math.round(plannedMs),
        drainedMs: Math.round(drainedMs),
      },
      storiesPerS: Number(((1_000 * STORIES) / drainedMs).toFixed(1)),
      ...{ cpuSeconds: Object.fromEntries(cpu), withoutContext: bare },
      tasksPerS: Number(((1_000 * STORIES * TASKS) / drainedMs).toFixed(1)),
    });

    const stories: Story[] = [];
    for (const id of ids) stories.push(await planning.story(id));
    expect(tally(stories.flatMap(({ tasks }) => tasks.map(({ status, attempt }) => `${status} ${attempt}`)))).toEqual({
      "done 1": STORIES * TASKS,
    });
    const work = ids.flatMap((id) => PLAN.steps.map((step) => `${id}-${step.id}`)).sort();
    const asked = await eventsOf(system, agentRequests);
    expect(asked.map(({ data }) => `${data.storyId}-${data.taskId}`).sort()).toEqual(work);
    const results = await eventsOf(system, agentResults);
    expect(tally(results.map(({ type }) => type))).toEqual({ "agent.result": STORIES * TASKS });
    expect(results.map(({ correlationId }) => correlationId).sort()).toEqual(work);
    const changes = (await eventsOf(system, agileEvents)).flatMap((event) =>
      event.type === "task.changed" ? [`${event.data.storyId}-${event.data.taskId} ${event.data.status}`] : [],
    );
    expect(repeated(changes)).toEqual([]);
    expect(changes).toHaveLength(2 * STORIES * TASKS);
    const { merged, delivered } = await runner.done();
    expect(merged.toSorted()).toEqual(work.map((name) => `${name}-1`).sort());
    expect(new Set(delivered).size).toBe(STORIES);
    expect(await eventsOf(system, deadEvents)).toEqual([]);
  });
});
