// A large context graph for measuring: stories of about a hundred nodes each, written as the service writes.

import type { ContextChangeSet, ContextLedger } from "../actors/index.ts";

const TASKS = 10;
const CALLS = 5;
const DECISIONS = 10;
const MILESTONES = 18;

/** Nodes of one story. */
export const STORY_NODES = 2 + TASKS * (2 + CALLS) + DECISIONS + MILESTONES;

/** Writes `stories` stories: about 100,000 nodes and 180,000 edges for a thousand. */
export async function fillContextGraph(ledger: ContextLedger, stories: number): Promise<void> {
  await Promise.all(
    Array.from({ length: stories }, (_, index) => ledger.apply(`story ${index}`, storyOf(`s${index}`))),
  );
}

function storyOf(story: string): ContextChangeSet {
  const id = `story:${story}`;
  const plan = `plan:${story}/p1`;
  const tasks = range(TASKS).map((index) => taskOf(story, index));
  const decisions = range(DECISIONS).map((index) => `decision:${story}/d${index}`);
  const milestones = range(MILESTONES).map((index) => `milestone:${story}/m${index}`);
  return {
    storyId: story,
    nodes: [
      { id, set: { title: `Story ${story}`, description: words(120), criteria: ["Given …, then …"], state: "BUILD" } },
      { id: plan, set: { title: "A plan", rationale: words(40), status: "approved", at: 1 } },
      ...tasks.flatMap(({ nodes }) => nodes),
      ...decisions.map((decision, at) => ({
        id: decision,
        set: { title: `Decision ${at}`, text: words(60), status: "accepted", roles: [], at },
      })),
      ...milestones.map((milestone, at) => ({
        id: milestone,
        set: { title: `Milestone ${at}`, kind: "transition", at },
      })),
    ],
    edges: [
      { type: "HAS_PLAN", from: id, to: plan, set: {} },
      ...tasks.flatMap(({ edges }) => edges),
      ...decisions.flatMap((decision, index) => [
        { type: "CONTAINS" as const, from: id, to: decision, set: {} },
        { type: "AFFECTS" as const, from: decision, to: `task:${story}/t${index % TASKS}`, set: { reason: "so" } },
        ...(index === 0 ? [] : [{ type: "DEPENDS_ON" as const, from: decision, to: decisions[0] ?? "", set: {} }]),
      ]),
      ...milestones.map((milestone) => ({ type: "CONTAINS" as const, from: id, to: milestone, set: {} })),
    ],
    told: [],
  };
}

function taskOf(story: string, index: number): Pick<ContextChangeSet, "nodes" | "edges"> {
  const id = `task:${story}/t${index}`;
  const commit = `commit:${story}-${index}`;
  const calls = range(CALLS).map((call) => `execution:${story}/t${index}/1/${call}`);
  const role = index % 3 === 0 ? "QA" : "DEV";
  return {
    nodes: [
      { id, set: { title: `Task ${index}`, text: words(60), role, status: "done", priority: index % 10 } },
      { id: commit, set: { title: `Work on ${id}`, isWork: true, attempt: 1 } },
      ...calls.map((call) => ({ id: call, set: { title: "files.read: ok", tool: "files.read", outcome: "ok" } })),
    ],
    edges: [
      { type: "HAS_TASK", from: `story:${story}`, to: id, set: { reason: words(10) } },
      { type: "PART_OF", from: id, to: `plan:${story}/p1`, set: {} },
      { type: "PRODUCED", from: id, to: commit, set: { attempt: 1 } },
      ...calls.map((call) => ({ type: "EXECUTED" as const, from: id, to: call, set: { attempt: 1 } })),
      ...(index === 0 ? [] : [{ type: "DEPENDS_ON" as const, from: id, to: `task:${story}/t${index - 1}`, set: {} }]),
    ],
  };
}

const range = (length: number): readonly number[] => Array.from({ length }, (_, index) => index);
const words = (count: number): string => Array.from({ length: count }, (_, index) => `word${index % 17}`).join(" ");
