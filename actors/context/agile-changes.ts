// What an event of planning changes in the graph. Pure.
//
//     project.created  Project                                   plan.approved     Plan, Decision (why its tasks exist), Milestone
//     epic.created     Epic, Project─CONTAINS                    task.derived      Task, HAS_TASK with why, PART_OF, DEPENDS_ON, AFFECTS
//     case.created     Story, Epic or Project─CONTAINS           task.changed      Task, PRODUCED; a failure is a Milestone
//     story.transitioned, report.recorded, approval.*: a Milestone of the story
//
// AE1  Events of other channels write other fields, so the order in which channels are read does not matter (SC3, CS2).

import type { agileEvents } from "../events/channels.ts";
import type { By } from "../events/envelope.ts";
import type { ChannelEvent } from "../events/feed.ts";
import { type ChangeSet, type EdgeWrite, edge, known, type NodeWrite, type Told } from "./change-set.ts";
import { nodeId } from "./schema.ts";

type AgileEvent = ChannelEvent<typeof agileEvents>;
type Of<T extends AgileEvent["type"]> = Extract<AgileEvent, { readonly type: T }>;

/** Undefined for what changes nothing. */
export function agileChanges(event: AgileEvent): ChangeSet {
  switch (event.type) {
    case "project.created":
      return unstoried({ id: nodeId("Project", event.data.projectId), set: { title: event.data.title } });
    case "epic.created":
      return epicCreated(event);
    case "case.created":
      return caseCreated(event);
    case "story.transitioned":
      return transitioned(event);
    case "plan.proposed":
      return planChanged(event, "proposed");
    case "plan.approved":
      return planApproved(event);
    case "task.derived":
      return taskDerived(event);
    case "task.changed":
      return taskChanged(event);
    case "report.recorded":
      return reported(event);
    case "approval.requested":
    case "approval.decided":
      return approval(event);
  }
}

export const atOf = (event: { readonly time: string }): number => Date.parse(event.time);
export const nameOf = ({ id, role, kind }: By): string => `${id} (${role ?? kind})`;
/** The decision that an approved plan is. The dot keeps it apart from ids that people choose. */
export const planDecision = (storyId: string, planId: string): string => nodeId("Decision", storyId, `plan.${planId}`);

const unstoried = (node: NodeWrite, ...edges: readonly EdgeWrite[]): ChangeSet => ({ nodes: [node], edges, told: [] });

/** Of a story's milestone, with its edge; `key`: unique in the story, and the same when the event is told again. */
export function milestone(
  storyId: string,
  key: string,
  set: Readonly<Record<string, string | number>>,
): { readonly node: NodeWrite; readonly edge: EdgeWrite } {
  const id = nodeId("Milestone", storyId, key);
  return { node: { id, set }, edge: edge("CONTAINS", nodeId("Story", storyId), id) };
}

function epicCreated({ data: { epicId, projectId, title } }: Of<"epic.created">): ChangeSet {
  const id = nodeId("Epic", epicId);
  return unstoried({ id, set: { title } }, edge("CONTAINS", nodeId("Project", projectId), id));
}

function caseCreated({ data }: Of<"case.created">): ChangeSet {
  const { storyId, epicId, projectId, title, description, criteria, rigor, state } = data;
  const id = nodeId("Story", storyId);
  const within = epicId !== undefined ? nodeId("Epic", epicId) : projectId && nodeId("Project", projectId);
  const set = { title, description, criteria, rigor, state, readiness: Math.round(data.readiness) };
  return {
    storyId,
    nodes: [{ id, set: { ...set, storyVersion: data.version } }],
    edges: within === undefined ? [] : [edge("CONTAINS", within, id)],
    told: [told(id, "Story", "create", `The story is now: ${title}.`, title)],
  };
}

function transitioned(event: Of<"story.transitioned">): ChangeSet {
  const { storyId, from, to, by, version, feedback } = event.data;
  const title = `${from} → ${to} by ${nameOf(by)}: ${event.data.event}`;
  const { node, edge } = milestone(storyId, `transition.${version}`, {
    ...{ title, kind: "transition", decidedBy: nameOf(by), at: atOf(event), detail: feedback ?? "" },
  });
  const story = { id: nodeId("Story", storyId), set: { state: to, storyVersion: version } };
  const summary = `The story went from ${from} to ${to}${feedback === undefined ? "." : `: ${feedback}`}`;
  return {
    storyId,
    nodes: [story, node],
    edges: [edge],
    told: [told(story.id, "Story", "update", summary, event.data.event)],
  };
}

function planChanged({ data, time }: Of<"plan.proposed" | "plan.approved">, status: string): ChangeSet {
  const { storyId, plan } = data;
  const id = nodeId("Plan", storyId, plan.id);
  const { title, text, rationale } = plan;
  const [at, by] = [atOf({ time }), nameOf(plan.proposedBy)];
  return {
    storyId,
    nodes: [{ id, set: { title, text, rationale, status, decidedBy: by, at } }],
    edges: [edge("HAS_PLAN", nodeId("Story", storyId), id, { decidedBy: by, reason: rationale, at })],
    told: [told(id, "Plan", "update", `Plan "${title}" is ${status}.`, status)],
  };
}

function planApproved(event: Of<"plan.approved">): ChangeSet {
  const { storyId, plan, by } = event.data;
  const planned = planChanged(event, "approved");
  const id = planDecision(storyId, plan.id);
  const [decidedBy, at] = [nameOf(by), atOf(event)];
  const title = `Plan "${plan.title}" was approved`;
  const { node, edge: ofStory } = milestone(storyId, `plan.${plan.id}`, { title, kind: "approval", decidedBy, at });
  const decision = { title, text: plan.rationale, status: "approved", roles: [], decidedBy, at };
  return {
    ...planned,
    nodes: [...planned.nodes, { id, set: decision }, node],
    edges: [...planned.edges, edge("CONTAINS", nodeId("Story", storyId), id), ofStory],
  };
}

function taskDerived(event: Of<"task.derived">): ChangeSet {
  const { storyId, planId, task, reason } = event.data;
  const { title, text, phase, priority, size, dependsOn } = task;
  const id = nodeId("Task", storyId, task.id);
  const why = { reason, decidedBy: event.producer, at: atOf(event) };
  // The node's "status" comes with task.changed: an event told again must not make a task pending that is done.
  return {
    storyId,
    nodes: [{ id, set: { title, text, role: task.role.toUpperCase(), phase, priority, size } }],
    edges: [
      edge("HAS_TASK", nodeId("Story", storyId), id, why),
      edge("PART_OF", id, nodeId("Plan", storyId, planId)),
      edge("AFFECTS", planDecision(storyId, planId), id, why),
      ...dependsOn.map((needed) => edge("DEPENDS_ON", id, nodeId("Task", storyId, needed), why)),
    ],
    told: [told(id, "Task", "create", `Task ${task.id} was added: ${title}.`, reason, [task.id])],
  };
}

function taskChanged(event: Of<"task.changed">): ChangeSet {
  const { storyId, taskId, status, attempt, commit, agentId, error } = event.data;
  const id = nodeId("Task", storyId, taskId);
  const problem = error === undefined ? "" : `${error.code}: ${error.message}`;
  const at = atOf(event);
  const nodes = [{ id, set: known({ status, attempt, agent: agentId, error: problem }) }];
  const edges: EdgeWrite[] = [];
  if (commit !== undefined) {
    const merged = nodeId("Commit", commit);
    nodes.push({ id: merged, set: { title: commitTitle(storyId, taskId), isMerged: true } });
    edges.push(edge("PRODUCED", id, merged, { attempt, at }));
  }
  if (status === "failed") {
    const title = `Task ${taskId} failed in attempt ${attempt}`;
    const failure = milestone(storyId, `task.${taskId}.${attempt}`, { title, kind: "failure", detail: problem, at });
    nodes.push(failure.node);
    edges.push(failure.edge, edge("CONCERNS", failure.node.id, id));
  }
  const summary = `Task ${taskId} is ${status}${problem === "" ? "." : ` (${problem}).`}`;
  return {
    ...{ storyId, nodes, edges },
    ...(commit !== undefined && { attempt: { task: id, attempt } }),
    told: [told(id, "Task", "update", summary, status, [taskId])],
  };
}

/** The same from every channel that tells of the commit (AE1). */
export const commitTitle = (storyId: string, taskId: string): string => `Work on task ${taskId} of story ${storyId}`;

function reported(event: Of<"report.recorded">): ChangeSet {
  const { storyId, phase, gate, score, version } = event.data;
  const title = `Report in ${phase}: gate ${gate}, score ${Math.round(score)}`;
  const { node, edge } = milestone(storyId, `report.${version}`, { title, kind: "report", at: atOf(event) });
  return { storyId, nodes: [node], edges: [edge], told: [told(node.id, "Milestone", "create", `${title}.`, phase)] };
}

function approval(event: Of<"approval.requested" | "approval.decided">): ChangeSet {
  const { storyId, taskId, approvalId, subject } = event.data;
  if (storyId === undefined) return { nodes: [], edges: [], told: [] };
  const at = atOf(event);
  const isDecided = event.type === "approval.decided";
  const title = isDecided
    ? `${subject}: ${event.data.decision} by ${nameOf(event.data.by)}`
    : `${subject} waits for a person: ${event.data.question}`;
  const detail = isDecided ? (event.data.feedback ?? "") : "";
  const key = `approval.${approvalId}.${isDecided ? "decided" : "requested"}`;
  const { node, edge: ofStory } = milestone(storyId, key, { title, kind: "approval", detail, at });
  const concerns = taskId === undefined ? [] : [edge("CONCERNS", node.id, nodeId("Task", storyId, taskId))];
  const tasks = taskId === undefined ? [] : [taskId];
  const summary = detail === "" ? `${title}.` : `${title}: ${detail}`;
  return {
    ...{ storyId, nodes: [node], edges: [ofStory, ...concerns] },
    told: [told(node.id, "Milestone", "create", summary, subject, tasks)],
  };
}

function told(
  entityId: string,
  entityType: string,
  operation: Told["operation"],
  summary: string,
  reason: string,
  taskIds: readonly string[] = [],
): Told {
  return { entityId, entityType, operation, summary: summary.slice(0, 500), reason: reason.slice(0, 500), taskIds };
}
