// What must hold of stories that are done, whoever was killed while they were built: every task done once, every attempt asked for once and
// answered once, every commit on the branch once, everything that was said in the graph, nothing dead-lettered.

import { expect } from "vitest";
import {
  agentRequests,
  agentResults,
  agileEvents,
  type Channel,
  deadEvents,
  patternOf,
} from "../../actors/events/channels.ts";
import { type ChannelEvent, parse } from "../../actors/events/feed.ts";
import type { Story } from "../../actors/planning/story.ts";
import { contextOf, runnerOf } from "../../actors/service-handles.ts";
import { type ActorSystem, READ_MAX, topicFilter } from "../../runtime/index.ts";
import type { TestRepository } from "./git-repository.ts";
import { waitUntil } from "./wait-until.ts";

const NAMES = { hello: "helloWorld", bye: "goodBye", wave: "waveHand", notes: "releaseNotes" };
/** For the graph, which follows the events. */
const GRAPH_MS = 30_000;

/** Every event of a channel, in order; one that cannot be read fails the test. */
export async function eventsOf<C extends Channel>(
  system: ActorSystem,
  channel: C,
): Promise<readonly ChannelEvent<C>[]> {
  const all: ChannelEvent<C>[] = [];
  for (let from = 1; ; ) {
    const page = await system.ports.eventLog.read(topicFilter(patternOf(channel)), from, READ_MAX);
    for (const logged of page) {
      const fed = parse(channel, logged);
      if (fed.kind === "bad") throw new Error(`${fed.topic}: ${fed.message}`);
      all.push(fed.event);
    }
    const last = page.at(-1);
    if (last === undefined || page.length < READ_MAX) return all;
    from = last.sequence + 1;
  }
}

/** Those that are there more than once. */
export const repeated = (values: readonly string[]): readonly string[] => {
  const seen = new Set<string>();
  return values.filter((value) => seen.size === seen.add(value).size);
};

export interface Audit {
  readonly attempts: number;
  readonly retried: number;
}

/** Throws what does not hold. `stories`: all that there are, as they were seen last. */
export async function auditStories(
  system: ActorSystem,
  stories: readonly Story[],
  repository: TestRepository,
): Promise<Audit> {
  expect(await eventsOf(system, deadEvents)).toEqual([]);
  const attempts = await auditAttempts(system, stories);
  await auditTold(system, stories);
  for (const story of stories) {
    expect(story.state).toBe("DONE");
    expect(story.tasks.map(({ id, status }) => `${id} ${status}`)).toEqual(
      Object.keys(NAMES).map((id) => `${id} done`),
    );
    await auditBranch(story, repository);
    await auditGraph(system, story);
  }
  return { attempts, retried: attempts - stories.length * Object.keys(NAMES).length };
}

const jobOf = ({ storyId, taskId, attempt }: { storyId: string; taskId: string; attempt: number }) =>
  `${storyId}-${taskId}-${attempt}`;

/** Each attempt was asked for once, is one job that has ended, and was answered once. */
async function auditAttempts(system: ActorSystem, stories: readonly Story[]): Promise<number> {
  const wanted = stories.flatMap(({ id, tasks }) =>
    tasks.flatMap((task) =>
      Array.from({ length: task.attempt }, (_, at) => jobOf({ storyId: id, taskId: task.id, attempt: at + 1 })),
    ),
  );
  const requests = await eventsOf(system, agentRequests);
  const asked = requests.flatMap((event) => (event.type === "agent.requested" ? [jobOf(event.data)] : []));
  expect(asked.toSorted(), "attempts that were asked for").toEqual(wanted.toSorted());
  const jobs = await Promise.all(stories.map(({ id }) => runnerOf(system).jobs({ storyId: id })));
  expect(
    jobs
      .flat()
      .map(({ jobId }) => jobId)
      .toSorted(),
    "jobs",
  ).toEqual(wanted.toSorted());
  expect(jobs.flat().filter(({ endedAtMs }) => endedAtMs === undefined)).toEqual([]);
  const results = await eventsOf(system, agentResults);
  const told = results.map((event) =>
    event.type === "agent.result.missing" ? jobOf(event.data) : resultName(event.correlationId, event.idempotencyKey),
  );
  expect(repeated(told), "attempts that were answered twice").toEqual([]);
  expect(told.toSorted(), "attempts that were answered").toEqual(wanted.toSorted());
  return wanted.length;
}

/** The executor's key is "<agent> <attempt>". */
const resultName = (work: string, key: string) => `${work}-${/ (\d+)$/.exec(key)?.[1]}`;

/** Planning has told of every change, each once. */
async function auditTold(system: ActorSystem, stories: readonly Story[]): Promise<void> {
  const told = await eventsOf(system, agileEvents);
  expect(repeated(told.map(({ eventId }) => eventId)), "events that were told twice").toEqual([]);
  for (const { id, history, tasks } of stories) {
    const transitions = told.flatMap((event) =>
      event.type === "story.transitioned" && event.data.storyId === id ? [event.data.event] : [],
    );
    expect(transitions).toEqual(history.map(({ event }) => event));
    const derived = told.flatMap((event) =>
      event.type === "task.derived" && event.data.storyId === id ? [event.data.task.id] : [],
    );
    expect(derived.toSorted()).toEqual(tasks.map((task) => task.id).toSorted());
    const changed = told.flatMap((event) =>
      event.type === "task.changed" && event.data.storyId === id
        ? [`${event.data.taskId} ${event.data.status} ${event.data.attempt}`]
        : [],
    );
    const wanted = tasks.flatMap((task) => [
      ...Array.from({ length: task.attempt }, (_, at) => `${task.id} dispatched ${at + 1}`),
      ...Array.from({ length: task.attempt - 1 }, (_, at) => `${task.id} pending ${at + 1}`),
      `${task.id} done ${task.attempt}`,
    ]);
    expect(changed.toSorted(), `changes of tasks of ${id}`).toEqual(wanted.toSorted());
  }
}

/** Each task's commit is on the branch, once; so is what it wrote. */
async function auditBranch({ id, tasks }: Story, { git }: TestRepository): Promise<void> {
  const branch = `flotilla/${id}`;
  await waitUntil(`${branch} is delivered`, async () => (await git("branch", "--list", branch)) !== "", GRAPH_MS);
  const all = (await git("rev-list", `main..${branch}`)).split("\n");
  for (const { commit = "none" } of tasks) expect(all).toContain(commit);
  expect(new Set(tasks.map(({ commit }) => commit)).size).toBe(tasks.length);
  const authored = await git("log", "--no-merges", "--format=%ae %s", `main..${branch}`);
  expect(authored.split("\n"), `commits of ${id}`).toHaveLength(tasks.length);
  const merges = (await git("log", "--merges", "--format=%s", `main..${branch}`)).split("\n").filter(Boolean);
  expect(repeated(merges)).toEqual([]);
  const text = (await git("show", `${branch}:src/utils.js`)) + (await git("show", `${branch}:src/waves.js`));
  for (const name of Object.values(NAMES)) expect(text.split(`function ${name}(`), name).toHaveLength(2);
}

/** The graph has each of them once, as they ended, and says why each commit exists. */
async function auditGraph(system: ActorSystem, { id, title, tasks }: Story): Promise<void> {
  const context = contextOf(system);
  const around = await waitUntil(
    `the graph knows that ${id} is done`,
    async () => {
      const found = await context.relationships({ nodeId: `story:${id}`, depth: 1 });
      const own = found.nodes.filter(({ type }) => type === "Task");
      const isDone =
        found.node.properties.state === "DONE" && own.every(({ properties }) => properties.status === "done");
      return isDone && own.length >= tasks.length ? found : undefined;
    },
    GRAPH_MS,
  );
  const own = around.nodes.filter(({ type }) => type === "Task").map((node) => node.title);
  expect(own.toSorted()).toEqual(tasks.map((task) => task.title).toSorted());
  const edges = around.edges.map(({ from, to, type }) => `${from} ${type} ${to}`);
  expect(repeated(edges)).toEqual([]);
  for (const task of tasks) {
    const why = await waitUntil(
      `the graph knows ${task.commit}`,
      () => context.why(task.commit ?? "").catch(() => undefined),
      GRAPH_MS,
    );
    const titles = why.nodes.map((node) => `${node.type} ${node.title}`);
    expect(titles).toEqual(expect.arrayContaining([`Story ${title}`, `Task ${task.title}`]));
  }
}
