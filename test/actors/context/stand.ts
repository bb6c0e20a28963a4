// A context service for tests: ports in memory, a real embedded graph in a folder that goes with it, and planning's, agents' and runners'
// events made by hand.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { AgentResult } from "../../../actors/agent/result.ts";
import { consumeForContext } from "../../../actors/context/context-consumers.ts";
import { contextOn } from "../../../actors/context/context-parts.ts";
import type { ContextService } from "../../../actors/context/context-service.ts";
import type { Graph } from "../../../actors/context/graph.ts";
import { LadybugGraph } from "../../../actors/context/ladybug-graph.ts";
import type { Ledger } from "../../../actors/context/ledger.ts";
import {
  agentResults,
  agileEvents,
  contextUpdates,
  type DataOf,
  deadEvents,
  workspaceJobs,
} from "../../../actors/events/channels.ts";
import { parse } from "../../../actors/events/feed.ts";
import { postEvent } from "../../../actors/events/post.ts";
import type { TaskDraft } from "../../../actors/planning/story.ts";
import { type ActorSystem, connect, systemRandom } from "../../../runtime/index.ts";
import { agentResult } from "../../support/agent-result.ts";
import { waitUntil } from "../../support/wait-until.ts";

type Agile = (typeof agileEvents)["types"];

export const PO = { kind: "human", id: "ada", role: "po" } as const;

export interface Stand {
  readonly system: ActorSystem;
  readonly graph: Graph;
  readonly ledger: Ledger;
  readonly service: ContextService;
  readonly lines: readonly string[];
  /** Ends the consumers and the graph; the system stays. */
  end(): Promise<void>;
  close(): Promise<void>;
}

export const graphFolder = () => mkdtemp(join(tmpdir(), "flotilla-context-"));

export interface StandOptions {
  readonly system?: ActorSystem;
  readonly folder?: string;
  /** Around the graph, or in its place. */
  readonly graph?: (own: Graph) => Graph;
}

export async function openStand(options: StandOptions = {}): Promise<Stand> {
  const system = options.system ?? (await connect());
  const folder = options.folder ?? (await graphFolder());
  const own = new LadybugGraph({ folder });
  const graph = options.graph?.(own) ?? own;
  const parts = await contextOn({ system, graph, random: systemRandom });
  const ending = new AbortController();
  const lines: string[] = [];
  const log = (_: string, message: string, data?: object) => void lines.push(`${message} ${JSON.stringify(data)}`);
  const consuming = consumeForContext({ ...parts, system, log, signal: ending.signal });
  const end = async () => {
    ending.abort();
    await consuming;
    await graph.close();
  };
  const close = async () => {
    await end();
    await system.close();
    await rm(folder, { recursive: true, force: true });
  };
  return { ...parts, system, graph, lines, end, close };
}

export const agile = <T extends keyof Agile & string>(
  system: ActorSystem,
  type: T,
  data: DataOf<typeof agileEvents, T>,
  key: string = systemRandom.id(),
) => postEvent(system, "planning", agileEvents, { type, data, key, correlationId: correlated(data) });

const correlated = (data: object): string => ("storyId" in data ? String(data.storyId) : "none");

export const taskDraft = (id: string, more: Partial<TaskDraft> = {}): TaskDraft => ({
  ...{ id, title: `Title of ${id}`, text: `Text of ${id}`, role: "DEV", phase: "BUILD", dependsOn: [], priority: 5 },
  ...{ size: "S", ...more },
});

export const planOf = (id = "p1") => ({
  ...{ id, title: "The plan", text: "- a step", steps: [], rationale: "Because it is the smallest." },
  ...({ proposedBy: { kind: "agent", id: "agent-1", role: "ARCHITECT" }, status: "proposed" } as const),
});

export interface StoryPlan {
  readonly description?: string;
  readonly criteria?: readonly string[];
  readonly tasks?: readonly TaskDraft[];
}

/** Says all of a story whose plan is approved and whose tasks are derived. */
export async function tellStory(system: ActorSystem, storyId: string, told: StoryPlan = {}): Promise<void> {
  const { description = "Too many requests.", criteria = ["Given a burst, then 429."], tasks = DEFAULT_TASKS } = told;
  const story = { storyId, title: `Story ${storyId}`, description, criteria: [...criteria], rigor: "L2" } as const;
  await agile(system, "project.created", { projectId: "shop", title: "The shop" }, "project shop");
  await agile(system, "epic.created", { epicId: "limits", projectId: "shop", title: "Limits" }, "epic limits");
  await agile(system, "case.created", { ...story, epicId: "limits", state: "DRAFT", version: 1, readiness: 81.5 });
  await agile(system, "plan.proposed", { storyId, plan: planOf(), version: 2 });
  await agile(system, "plan.approved", { storyId, plan: { ...planOf(), status: "approved" }, by: PO, version: 3 });
  await agile(system, "story.transitioned", {
    ...{ storyId, event: "approve_plan", from: "DESIGN", to: "BUILD", by: PO, version: 4 },
  });
  for (const task of tasks)
    await agile(system, "task.derived", { storyId, planId: "p1", task, reason: `Criterion of ${task.id}`, version: 5 });
}

const DEFAULT_TASKS = [
  taskDraft("t1"),
  taskDraft("t2", { dependsOn: ["t1"] }),
  taskDraft("t3", { role: "QA", dependsOn: ["t2"] }),
];

/** Resolves when the graph has this task. */
export const taskKnown = (graph: Graph, id: string): Promise<unknown> =>
  waitUntil(`${id} is in the graph`, async () => {
    const [row] = await graph.run("MATCH (t:Task {id: $id}) RETURN t.title AS title", { id }).catch(() => []);
    return row?.title;
  });

export async function storyKnown(stand: Pick<Stand, "system" | "graph">, storyId: string, told?: StoryPlan) {
  await tellStory(stand.system, storyId, told);
  await taskKnown(stand.graph, `task:${storyId}/${(told?.tasks ?? DEFAULT_TASKS).at(-1)?.id}`);
}

/** A result as the executor of a task sends it. */
export const resultOf = (storyId: string, taskId: string, attempt: number, more: Partial<AgentResult> = {}) => ({
  ...agentResult({ taskId: `${storyId}-${taskId}` }),
  place: { node: "n1", attempt },
  ...more,
});

export const sendResultOf = (system: ActorSystem, result: AgentResult) =>
  postEvent(system, "agent", agentResults, {
    ...{ type: "agent.result", data: { kind: "result", result }, topic: [result.taskId] },
    ...{ key: `${result.agentId} ${result.place?.attempt ?? 1}`, correlationId: result.taskId },
  });

export const jobChanged = (system: ActorSystem, data: DataOf<typeof workspaceJobs, "workspace.job.changed">) =>
  postEvent(system, "workspace-runner", workspaceJobs, {
    ...{ type: "workspace.job.changed", data, key: `${data.jobId} ${data.state}`, correlationId: data.storyId },
  });

/** What was told to those who work on a story. */
export async function toldOf(system: ActorSystem, storyId: string) {
  const logged = await system.ports.eventLog.read(`topic.context.updated.${storyId}`, 1, 1_000);
  return logged.map((event) => {
    const fed = parse(contextUpdates, event);
    if (fed.kind === "bad") throw new Error(fed.message);
    return fed.event.data;
  });
}

export async function deadOf(system: ActorSystem) {
  const logged = await system.ports.eventLog.read("topic.deadletter", 1, 100);
  return logged.map((event) => {
    const fed = parse(deadEvents, event);
    return fed.kind === "event" ? `${fed.event.data.topic}: ${fed.event.data.reason.code}` : fed.message;
  });
}

/** The whole graph but for its own records and versions, in an order that does not matter: what two graphs are compared by. */
export async function pictureOf(graph: Graph): Promise<readonly string[]> {
  const lines: string[] = [];
  for (const type of ["Project", "Epic", "Story", "Plan", "Task", "Decision", "Milestone", "Commit", "ToolExecution"]) {
    for (const { n } of await graph.run(`MATCH (n:\`${type}\`) RETURN n`)) {
      const properties = Object.entries((n as { properties: object }).properties).filter(
        ([name]) => name !== "changed",
      );
      lines.push(`${type} ${JSON.stringify(properties.sort())}`);
    }
    for (const { from, r, to } of await graph.run(
      `MATCH (a:\`${type}\`)-[r]->(b) RETURN a.id AS from, r, b.id AS to`,
    )) {
      lines.push(`${from} ${JSON.stringify(r)} ${to}`);
    }
  }
  return lines.sort();
}
