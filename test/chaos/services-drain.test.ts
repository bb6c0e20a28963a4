// 1,000 stories of 10 tasks each, in flight at once, through planning, context and orchestrator as they are, with agents that are done at once:
// no task is lost and none doubled. `npm run test:chaos` runs it; CHAOS_STORIES sets another number.

import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { agentRequests, agentResults, agileEvents, deadEvents } from "../../actors/events/channels.ts";
import { feed } from "../../actors/events/feed.ts";
import type { Story } from "../../actors/planning/story.ts";
import { planningOf, SERVICES } from "../../actors/service-handles.ts";
import { type ActorSystem, connect, type Handle, type SpawnOptions, sleep, systemClock } from "../../runtime/index.ts";
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
const LOOK_MS = 250;
const TICKS_PER_S = 100;
const NAMES = ["planning", "orchestrator", "context"] as const;

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

/** People, who plan stories and let everything pass as soon as it waits for them. */
class People {
  readonly done = new Set<string>();
  readonly ids = Array.from({ length: STORIES }, (_, at) => `s${at}`);
  readonly #system: ActorSystem;
  readonly #planning: ReturnType<typeof planningOf>;

  constructor(system: ActorSystem) {
    this.#system = system;
    this.#planning = planningOf(system, { timeoutMs: 60_000 });
  }

  async plan(repository: string): Promise<void> {
    await forAll(this.ids, async (id) => {
      const key = `plan ${id}`;
      await this.#planning.createStory({ ...storyDraft(repository), id, key: id });
      await this.move(id, "approve_scope");
      await this.#planning.proposePlan({ storyId: id, plan: structuredClone(PLAN) as never, by: TEAM.po, key });
    });
  }

  async move(id: string, event: string): Promise<void> {
    const by = event === "qa_passed" ? TEAM.qa : TEAM.po;
    const moved = await this.#planning.transition({ storyId: id, event, by, key: `${event} ${id}` });
    if (moved.kind === "blocked") throw new Error(`${id} ${event}: ${JSON.stringify(moved.blocked)}`);
  }

  /** Until the signal aborts, or something is blocked. */
  async decide(signal: AbortSignal): Promise<void> {
    const blocked = Promise.withResolvers<never>();
    const move = (id: string, event: string) => void this.move(id, event).catch(blocked.reject);
    const reading = async () => {
      for await (const fed of feed(this.#system, agileEvents, { from: 1, signal })) {
        if (fed.kind === "bad") throw new Error(fed.message);
        const { type, data } = fed.event;
        if (type === "story.transitioned" && data.to === "TEST") move(data.storyId, "qa_passed");
        if (type === "story.transitioned" && data.to === "DONE") this.done.add(data.storyId);
        const isNote = type === "task.changed" && data.taskId === `t${TASKS - 1}` && data.status === "done";
        if (isNote) move(data.storyId, "docs_ready");
      }
    };
    await Promise.race([reading(), blocked.promise]).catch((error: unknown) => {
      if (!signal.aborted) throw error;
    });
  }

  async stories(): Promise<readonly Story[]> {
    const all: Story[] = [];
    for (const id of this.ids) all.push(await this.#planning.story(id));
    return all;
  }
}

/** Every task was asked for, answered, merged and told of once. */
async function audit(system: ActorSystem, people: People, runner: Handle<typeof ScriptedRunner>): Promise<void> {
  const stories = await people.stories();
  expect(tally(stories.flatMap(({ tasks }) => tasks.map(({ status, attempt }) => `${status} ${attempt}`)))).toEqual({
    "done 1": STORIES * TASKS,
  });
  const work = people.ids.flatMap((id) => PLAN.steps.map((step) => `${id}-${step.id}`)).sort();
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
}

describe.skipIf(missing !== undefined)(`many stories at once (${missing ?? "there"})`, { timeout: 1_800_000 }, () => {
  test(`${STORIES} stories of ${TASKS} tasks are done, each task once`, async () => {
    await using fleet = await openServiceFleet();
    const { system, nats, repository } = fleet;
    await using place = await connect({ ...nats.options, name: "agents", accepts: true, actors: [ScriptedRunner] });
    const named = { name: "workspace-runner", namespace: SERVICES, concurrency: 256, node: "agents" };
    const runner = await place.spawn(ScriptedRunner, named as SpawnOptions<[]>);
    const hosts = await Promise.all(NAMES.map((only) => fleet.host("--only", only, "--rpc", "off")));
    const people = new People(system);
    const fromMs = performance.now();
    await people.plan(repository.path);
    const plannedMs = performance.now() - fromMs;
    const end = new AbortController();
    const deciding = people.decide(end.signal);
    await forAll(people.ids, (id) => people.move(id, "approve_design"));
    const isDone = async () => {
      await sleep(systemClock, LOOK_MS);
      return people.done.size === STORIES;
    };
    const draining = waitUntil("all stories are done", isDone, DRAIN_MS);
    await Promise.race([draining, deciding.then(() => draining)]).catch((error: unknown) => {
      for (const { command } of hosts) console.log(command.err.slice(-5_000));
      throw error;
    });
    const drainedMs = performance.now() - fromMs - plannedMs;
    end.abort();
    await deciding;
    const rate = (count: number) => Number(((1_000 * count) / drainedMs).toFixed(1));
    console.log("drain:", {
      ...{ stories: STORIES, storiesPerS: rate(STORIES), tasksPerS: rate(STORIES * TASKS) },
      ...{ plannedMs: Math.round(plannedMs), drainedMs: Math.round(drainedMs) },
      cpuSeconds: Object.fromEntries(NAMES.map((name, at) => [name, cpuOf(hosts[at]?.command.pid ?? 0)])),
      withoutContext: hosts[1]?.command.err.match(/goes without context/g)?.length ?? 0,
    });
    await audit(system, people, runner);
  });
});
