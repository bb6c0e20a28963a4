// What an agent's result, the lack of one, or the end of a workspace changes in the graph. Pure.
//
//     agent.result           Commit, PRODUCED, ToolExecutions with EXECUTED, usage of the Task
//     agent.result.missing   a Milestone that CONCERNS the task
//     workspace.job.changed  a Milestone where it failed, timed out or was lost; nothing else
//
// RE1  Bounded: a result has at most EXECUTIONS_MAX executions, FILES_MAX files and FINDINGS_MAX findings in the graph; what is left out is
//      counted where the rest is shown.
// RE2  Without secrets: parameters of tools come redacted from the audit and are redacted again, texts are redacted here.

import { redact, redactText } from "../../tools/index.ts";
import type { AgentResult } from "../agent/result.ts";
import type { DataOf, workspaceJobs } from "../events/channels.ts";
import { commitTitle, milestone } from "./agile-changes.ts";
import { type ChangeSet, type EdgeWrite, edge, type NodeWrite } from "./change-set.ts";
import { nodeId } from "./schema.ts";

export const EXECUTIONS_MAX = 50;
const FILES_MAX = 100;
const FINDINGS_MAX = 20;
const TEXT_MAX = 500;

/** Which attempt of which task of which story. */
export interface Attempt {
  readonly storyId: string;
  readonly taskId: string;
  readonly attempt: number;
}

export function resultChanges({ storyId, taskId, attempt }: Attempt, result: AgentResult, at: number): ChangeSet {
  const task = nodeId("Task", storyId, taskId);
  const { inputTokens, outputTokens, modelCalls } = result.usage;
  const usage = { inputTokens, outputTokens, modelCalls, durationMs: result.durationMs };
  const whole = Object.fromEntries(Object.entries(usage).map(([name, value]) => [name, Math.round(value)]));
  const executions = executionsOf(task, `${storyId}/${taskId}/${attempt}`, attempt, result);
  const nodes: NodeWrite[] = [{ id: task, set: whole }, ...executions.nodes];
  const edges: EdgeWrite[] = [edge("HAS_TASK", nodeId("Story", storyId), task), ...executions.edges];
  if (result.commit !== null) {
    const id = nodeId("Commit", result.commit);
    nodes.push({ id, set: { ...commitOf(result, attempt, at), ...whole, title: commitTitle(storyId, taskId) } });
    edges.push(edge("PRODUCED", task, id, { attempt, at }));
  }
  const summary = summaryOf(taskId, result, executions.leftOut);
  const told = { entityType: "Task", entityId: task, operation: "update" as const, taskIds: [taskId] };
  return {
    ...{ storyId, nodes, edges, attempt: { task, attempt } },
    told: [{ ...told, reason: `result of attempt ${attempt}`, summary }],
  };
}

const commitOf = (result: AgentResult, attempt: number, at: number): NodeWrite["set"] => ({
  ...{ isWork: true, agent: result.agentId, role: result.role.toUpperCase(), attempt, at },
  finalState: result.finalState,
  isVerified: result.verification?.verified ?? false,
  findings: bounded(result.verification?.findings ?? [], FINDINGS_MAX).map(short),
  files: bounded(result.diffStat?.files.map(({ path }) => path) ?? [], FILES_MAX),
  added: result.diffStat?.added ?? 0,
  deleted: result.diffStat?.deleted ?? 0,
});

/** RE1. The newest executions: what an agent did last is what its result rests on. */
function executionsOf(task: string, own: string, attempt: number, { auditTrail }: AgentResult) {
  const kept = auditTrail.slice(-EXECUTIONS_MAX);
  const nodes = kept.map((entry) => ({
    id: nodeId("ToolExecution", own, String(entry.sequence)),
    set: {
      ...{ title: `${entry.tool}: ${entry.outcome}`, tool: entry.tool, outcome: entry.outcome, agent: entry.agentId },
      params: JSON.stringify(redact(entry.params)),
      error: entry.error === undefined ? "" : short(`${entry.error.code}: ${entry.error.message}`),
      ...{ durationMs: Math.round(entry.durationMs), bytes: Math.round(entry.bytes), at: Math.round(entry.atMs) },
    },
  }));
  const edges = nodes.map(({ id }) => edge("EXECUTED", task, id, { attempt }));
  return { nodes, edges, leftOut: auditTrail.length - kept.length };
}

function summaryOf(taskId: string, { agentId, commit, finalState, error }: AgentResult, leftOut: number): string {
  const what = commit === null ? `has no commit (${finalState})` : `made commit ${commit.slice(0, 12)} (${finalState})`;
  const why = error === null ? "" : `: ${error.message}`;
  const cut = leftOut === 0 ? "" : ` ${leftOut} older tool calls are not in the graph.`;
  return short(`${agentId} ${what} for task ${taskId}${why}.${cut}`);
}

/** A failure of an attempt as a milestone; `key`: unique in the story. */
export function failureChanges(
  { storyId, taskId, attempt }: Attempt,
  key: string,
  { title, detail, at }: { readonly title: string; readonly detail: string; readonly at: number },
): ChangeSet {
  const task = nodeId("Task", storyId, taskId);
  const set = { title, kind: "failure", detail: short(detail), at };
  const { node, edge: ofStory } = milestone(storyId, `${key}.${taskId}.${attempt}`, set);
  const told = { entityType: "Milestone", entityId: node.id, operation: "create" as const, taskIds: [taskId] };
  return {
    ...{ storyId, nodes: [node], edges: [ofStory, edge("CONCERNS", node.id, task)] },
    told: [{ ...told, reason: title, summary: short(`${title}: ${detail}`) }],
  };
}

type JobChange = DataOf<typeof workspaceJobs, "workspace.job.changed">;
const FAILED: Readonly<Partial<Record<JobChange["state"], string>>> = {
  failed: "failed",
  timed_out: "took too long",
  lost: "was lost",
};

/** Undefined for a job that did not fail. */
export function jobChanges(job: JobChange, at: number): ChangeSet | undefined {
  const what = FAILED[job.state];
  if (what === undefined) return undefined;
  const title = `Workspace ${job.jobId} (${job.backend}) ${what}`;
  const detail = job.error === undefined ? "no reason was given" : `${job.error.code}: ${job.error.message}`;
  return failureChanges(job, `job.${job.state}`, { title, detail, at });
}

const short = (text: string): string => redactText(text).slice(0, TEXT_MAX).toWellFormed();

function bounded(list: readonly string[], max: number): readonly string[] {
  return list.length <= max ? list : [...list.slice(0, max), `… ${list.length - max} more`];
}

/** What a result's topic may name: `<storyId>-<taskId>`, where both may have a "-" of their own. The likeliest first. */
export function attemptsNamed(topicTaskId: string, correlationId: string): readonly Omit<Attempt, "attempt">[] {
  const splits = [...topicTaskId.matchAll(/-/g)].map(({ index }) => ({
    storyId: topicTaskId.slice(0, index),
    taskId: topicTaskId.slice(index + 1),
  }));
  const said = splits.find(({ storyId }) => storyId === correlationId);
  return said === undefined ? splits.filter(({ storyId, taskId }) => storyId !== "" && taskId !== "") : [said];
}
