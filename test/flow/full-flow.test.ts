// The full flow, as a team sees it: a story is created, coached and approved; its tasks are derived, run by agents with tools in workspaces,
// verified and committed; the graph answers why each commit exists; the story is DONE and its branch is in the repository.
// Once on the embedded graph, and once on a Neo4j where FLOTILLA_TEST_NEO4J names one.

import { readFile } from "node:fs/promises";
import { afterEach, describe, expect, test } from "vitest";
import { CHANNELS, type Channel, patternOf } from "../../actors/events/channels.ts";
import { type Fed, parse } from "../../actors/events/feed.ts";
import type { Story } from "../../actors/planning/story.ts";
import { contextOf, runnerOf } from "../../actors/service-handles.ts";
import { topicFilter } from "../../runtime/index.ts";
import { natsMissing } from "../support/nats-server.ts";
import {
  openServiceFleet,
  PLAN,
  type ServiceFleet,
  storyDraft,
  TEAM,
  workspacesLeft,
} from "../support/service-fleet.ts";
import { waitUntil } from "../support/wait-until.ts";

const neo4j = process.env.FLOTILLA_TEST_NEO4J;
const GRAPHS = [
  { graph: "embedded", args: [], missing: natsMissing() },
  {
    ...{ graph: "neo4j", args: ["--graph", neo4j ?? ""] },
    missing: natsMissing() ?? (neo4j ? undefined : "no Neo4j: FLOTILLA_TEST_NEO4J=bolt://127.0.0.1:7687"),
  },
];

let fleet: ServiceFleet | undefined;
afterEach(async () => {
  await fleet?.[Symbol.asyncDispose]();
  fleet = undefined;
});

/** Everything that was said on a channel. */
async function said(channel: Channel): Promise<readonly Fed[]> {
  const logged = await fleet?.system.ports.eventLog.read(topicFilter(patternOf(channel)), 1, 10_000);
  return (logged ?? []).map((event) => parse(channel, event));
}

/** Every task's commit is in the graph, with what led to it. */
async function whyEachCommit({ system }: ServiceFleet, { title, tasks }: Story): Promise<void> {
  const commits = tasks.flatMap(({ commit }) => commit ?? []);
  expect(commits).toHaveLength(tasks.length);
  for (const [index, commit] of commits.entries()) {
    // The graph follows the events; a server's may be a moment behind.
    const asked = () =>
      contextOf(system)
        .why(commit)
        .catch(() => undefined);
    const why = await waitUntil("the graph knows the commit", asked, 60_000);
    const titles = why.nodes.map((node) => `${node.type} ${node.title}`);
    expect(titles).toEqual(expect.arrayContaining([`Story ${title}`, `Task ${tasks[index]?.title}`]));
    for (const type of ["Epic", "Project", "Plan"]) expect(why.nodes.map((node) => node.type)).toContain(type);
  }
}

describe.each(GRAPHS)("from story to commit, graph $graph", ({ args, missing }) => {
  test.skipIf(missing !== undefined)(`works${missing ? ` (${missing})` : ""}`, { timeout: 180_000 }, async () => {
    fleet = await openServiceFleet();
    const { planning, repository, system, folder } = fleet;
    const { command, ready } = await fleet.host("--rpc", "127.0.0.1:0", ...args);
    expect(ready.rpc[0]?.services).toContain("planning");
    expect((await readFile(ready.tokenFile ?? "", "utf8")).length).toBeGreaterThan(16);

    const project = await planning.createProject({ title: "Site", description: "", by: TEAM.po });
    const epic = await planning.createEpic({ projectId: project.id, title: "Welcome", description: "", by: TEAM.po });
    const draft = { ...storyDraft(repository.path), epicId: epic.id };
    const story = await planning.createStory(draft);
    expect(story.readiness.score).toBeGreaterThanOrEqual(story.readiness.threshold);
    await fleet.decideUntil(story.id, "DESIGN");
    await planning.proposePlan({ storyId: story.id, plan: structuredClone(PLAN) as never, by: TEAM.po });
    const done = await fleet.decideUntil(story.id, "DONE");

    expect(done.tasks.map(({ id, status, attempt }) => [id, status, attempt])).toEqual([
      ["hello", "done", 1],
      ["bye", "done", 1],
      ["notes", "done", 1],
    ]);
    expect(done.history.map(({ event, by }) => `${event} by ${by.kind}`)).toEqual([
      "create_story by human",
      "approve_scope by human",
      "approve_design by human",
      "build_done by system",
      "qa_passed by human",
      "docs_ready by human",
    ]);
    // The work is in the user's repository, on a branch of its own.
    const branch = `flotilla/${story.id}`;
    await waitUntil("the branch is delivered", async () => (await repository.git("branch", "--list", branch)) !== "");
    const file = await repository.git("show", `${branch}:src/utils.js`);
    for (const name of ["helloWorld", "goodBye", "releaseNotes"]) expect(file).toContain(`function ${name}(`);
    // And it can be said why.
    await whyEachCommit(fleet, done);
    // Every task was asked for once and answered once; nothing that was said was unlike its schema or passed over.
    const told = new Map(
      await Promise.all(CHANNELS.map(async (channel) => [channel.address, await said(channel)] as const)),
    );
    const types = (address: string) =>
      (told.get(address) ?? []).map((fed) => (fed.kind === "event" ? fed.event.type : fed.message));
    expect(types("agent.requests")).toEqual(["agent.requested", "agent.requested", "agent.requested"]);
    expect(types("agent.results.{taskId}")).toEqual(["agent.result", "agent.result", "agent.result"]);
    expect(types("deadletter")).toEqual([]);
    for (const channel of CHANNELS)
      for (const fed of told.get(channel.address) ?? []) {
        if (fed.kind === "bad") throw new Error(`${fed.topic}: ${fed.message}`);
        expect([...channel.producers, "consumers"]).toContain(fed.event.producer.split("@")[0]);
      }
    const jobs = await runnerOf(system).jobs({ storyId: story.id });
    expect(jobs.map(({ state }) => state)).toEqual(["succeeded", "succeeded", "succeeded"]);
    await waitUntil("no workspace is left", async () => (await workspacesLeft(folder)).length === 0);
    command.signal("SIGTERM");
    expect(await command.ended, command.err).toBe(0);
  });
});
