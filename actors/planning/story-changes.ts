// Every change of a story as a pure decision: the record before and what is asked for → the record after and the events that tell of it.
// It is not how a change becomes durable (outbox-documents.ts).
//
// SC1  A change raises the version by one and says so in at least one event; what changes nothing answers `undefined`.
// SC2  Only `transitioned` changes a story's state, and only along a transition of the table (TB2).
// SC3  A report speaks of the code as it was: going back to a state, and new work of a phase, forget the reports on it and on later ones.
// SC4  A plan that is rejected takes its open tasks with it; what is done, stays: its commits are on the story's branch.

import { isDeepStrictEqual } from "node:util";
import { fail } from "../errors.ts";
import type { By } from "../events/envelope.ts";
import { planningError } from "./errors.ts";
import { approvalOf, type Gate, gatesAfter } from "./gates.ts";
import { isOpen } from "./guards.ts";
import { fieldInvalid } from "./input.ts";
import type { PlanningApi, StoryDraft, StoryEdit, TaskChange } from "./planning-api.ts";
import type { PlanningRules } from "./rules.ts";
import type { Approval, Plan, ScoredReport, Story, Task, TaskDraft } from "./story.ts";
import { boundedHistory, draftOf, type Notice, type StoryRecord } from "./story-record.ts";
import {
  CREATE_EVENT,
  eventsOf,
  isFrom,
  type StoryTable,
  type StoryTransition,
  transitionFrom,
  tryTransition,
} from "./story-table.ts";
import { checkTasks } from "./task-check.ts";

/** What decisions rest on beside the record. */
export interface Deciding {
  readonly table: StoryTable;
  readonly rules: PlanningRules;
  /** Names of the roles that tasks can have. */
  readonly roles: readonly string[];
  readonly nowMs: number;
}

export interface Changed {
  readonly record: StoryRecord;
  readonly notices: readonly Notice[];
}

type Input<M extends keyof PlanningApi> = Parameters<PlanningApi[M]>[0];

interface Cause {
  readonly by: By;
  readonly made?: StoryTransition;
  readonly feedback?: string;
}

/** The record with the story changed (SC1). */
function changed(
  { table, nowMs }: Deciding,
  { story: before, judged: judgedBefore, gates: gatesBefore }: StoryRecord,
  change: Partial<Story>,
  { by, made, feedback }: Cause,
  noticesOf: (story: Story) => readonly Notice[],
): Changed {
  const version = before.version + 1;
  const story: Story = { ...before, ...change, version, updatedAtMs: nowMs };
  const judged = made !== undefined && made.from === made.to ? judgedBefore : version;
  const cause = { by, ...(made !== undefined && { made }), ...(feedback !== undefined && { feedback }) };
  const { gates, closed, opened } = gatesAfter(table, gatesBefore, { story, judged, nowMs, ...cause });
  const notices = [
    ...noticesOf(story),
    ...closed.map((gate) => decidedNotice(gateApproval(story, gate), by)),
    ...opened.map((gate) => requestedNotice(gateApproval(story, gate))),
  ];
  return { record: { story, judged, gates: [...gates] }, notices };
}

const gateApproval = ({ id }: Story, gate: Gate): Approval => approvalOf(id, gate);

export function requestedNotice({ id, kind, storyId, taskId, subject, question, roles }: Approval): Notice {
  const place = { ...(storyId !== undefined && { storyId }), ...(taskId !== undefined && { taskId }) };
  const data = { approvalId: id, kind, ...place, subject, question, roles };
  return { type: "approval.requested", key: `${id} requested`, data };
}

/** Of an approval that waits no longer. */
export function decidedNotice({ id, kind, storyId, taskId, subject, status, feedback }: Approval, by: By): Notice {
  const place = { ...(storyId !== undefined && { storyId }), ...(taskId !== undefined && { taskId }) };
  const decision = status === "waiting" ? "expired" : status;
  const why = feedback === undefined ? {} : { feedback };
  const data = { approvalId: id, kind, ...place, subject, decision, by, ...why };
  return { type: "approval.decided", key: `${id} decided`, data };
}

const keyOf = (type: string, { id, version }: Story, part = ""): string => `${id} ${type} ${part}v${version}`;

const caseNotice = (story: Story): Notice => {
  const { id: storyId, epicId, projectId, title, description, criteria, rigor, state, version, readiness } = story;
  const place = { ...(epicId !== undefined && { epicId }), ...(projectId !== undefined && { projectId }) };
  const words = { title, description, criteria, rigor, state, version, readiness: readiness.score };
  return { type: "case.created", key: keyOf("case.created", story), data: { storyId, ...place, ...words } };
};

/** The story's last transition, as an event. */
function transitionNotice(story: Story, { event, from, to }: StoryTransition, by: By, feedback?: string): Notice {
  const { id: storyId, version } = story;
  const why = feedback === undefined ? {} : { feedback };
  const data = { storyId, event, from, to, by, version, ...why };
  return { type: "story.transitioned", key: keyOf("story.transitioned", story), data };
}

const taskNotice = (story: Story, { id: taskId, status, attempt, commit, agentId, error }: Task): Notice => {
  const made = { ...(commit !== undefined && { commit }), ...(agentId !== undefined && { agentId }) };
  const why = error === undefined ? {} : { error };
  const data = { storyId: story.id, taskId, status, attempt, ...made, ...why, version: story.version };
  return { type: "task.changed", key: keyOf("task.changed", story, `${taskId} `), data };
};

/** A new story, in the state that follows `create_story`. `projectId`: the epic's. */
export function created(deciding: Deciding, id: string, draft: StoryDraft, projectId: string | undefined): Changed {
  const { table, rules, nowMs } = deciding;
  const { title, description, criteria, rigor = "L1", epicId, repository, by } = draft;
  const made = transitionFrom(table, table.initial, CREATE_EVENT) as StoryTransition;
  const story: Story = {
    ...{ id, title, description, criteria: [...criteria], rigor, state: made.to, version: 0 },
    ...(epicId !== undefined && { epicId }),
    ...(projectId !== undefined && { projectId }),
    ...(repository !== undefined && { repository }),
    readiness: rules.readiness({ title, description, criteria: [...criteria] }, rigor),
    ...{ tasks: [], reports: {}, createdAtMs: nowMs, updatedAtMs: nowMs },
    history: [{ event: made.event, from: made.from, to: made.to, by, version: 1, atMs: nowMs }],
  };
  return changed(deciding, { story, judged: 0, gates: [] }, {}, { by, made }, (now) => [
    caseNotice(now),
    transitionNotice(now, made, by),
  ]);
}

/** Throws StoryFixed. */
export function edited(deciding: Deciding, record: StoryRecord, edit: StoryEdit): Changed | undefined {
  const { table, rules } = deciding;
  const { story } = record;
  if (!table.edit.includes(story.state)) throw storyFixed(story, "words may be changed", table.edit);
  const { title = story.title, description = story.description, rigor = story.rigor } = edit;
  const criteria = [...(edit.criteria ?? story.criteria)];
  const words = { title, description, criteria, rigor };
  const { title: t, description: d, criteria: c, rigor: r } = story;
  if (isDeepStrictEqual(words, { title: t, description: d, criteria: c, rigor: r })) return undefined;
  const readiness = rules.readiness({ title, description, criteria }, rigor);
  return changed(deciding, record, { ...words, readiness }, { by: edit.by }, (now) => [caseNotice(now)]);
}

const storyFixed = ({ id, state }: Story, what: string, states: readonly string[]) =>
  planningError("StoryFixed", `Story ${id} is in ${state}; its ${what} in ${states.join(", ")}.`, {
    data: { storyId: id, state, states },
  });

/** The change, or the guards against it. Throws EventUnknown. */
export function transitioned(
  deciding: Deciding,
  record: StoryRecord,
  { event, by, feedback }: Input<"transition">,
): Changed | Extract<ReturnType<typeof tryTransition>, { blocked: unknown }> {
  const { table, nowMs } = deciding;
  const { story } = record;
  const events = eventsOf(table);
  if (!events.includes(event))
    throw planningError("EventUnknown", `There is no event ${event}; there are ${events.join(", ")}.`, {
      data: { event, events },
    });
  const why = feedback === undefined ? {} : { feedback };
  const tried = tryTransition(table, story, { event, by, ...why });
  if ("blocked" in tried) return tried;
  const { transition: made } = tried;
  const { from, to } = made;
  const entry = { event, from, to, by, ...why, version: story.version + 1, atMs: nowMs };
  const { change, cancelled } = consequences(table, story, made);
  const history = boundedHistory([...story.history, entry]);
  return changed(deciding, record, { ...change, state: to, history }, { by, made, ...why }, (now) => [
    transitionNotice(now, made, by, feedback),
    ...(made.plan === "approved" && now.plan !== undefined ? [approvedNotice(now, now.plan, by)] : []),
    ...cancelled.map((task) => taskNotice(now, task)),
  ]);
}

/** What a transition does to the story beside its state (SC3, SC4). */
function consequences(
  table: StoryTable,
  { plan, tasks, reports }: Story,
  { plan: status, isReject, to }: StoryTransition,
) {
  const cancelled =
    status === "rejected" ? tasks.filter(isOpen).map((task): Task => ({ ...task, status: "cancelled" })) : [];
  const change = {
    ...(plan !== undefined && status !== undefined && { plan: { ...plan, status } }),
    tasks: tasks.map((task) => cancelled.find(({ id }) => id === task.id) ?? task),
    reports: isReject ? reportsBefore(table, reports, to) : reports,
  };
  return { change, cancelled };
}

const reportsBefore = (table: StoryTable, reports: Story["reports"], state: string): Story["reports"] =>
  Object.fromEntries(Object.entries(reports).filter(([phase]) => !isFrom(table, state, phase)));

const approvedNotice = (story: Story, plan: Plan, by: By): Notice => ({
  type: "plan.approved",
  key: keyOf("plan.approved", story),
  data: { storyId: story.id, plan, by, version: story.version },
});

/** `planId`: for a plan that brings none. Throws StoryFixed, StoryPlanInvalid. */
export function planProposed(
  deciding: Deciding,
  record: StoryRecord,
  { plan: draft, by }: Input<"proposePlan">,
  planId: string,
): Changed {
  const { table, roles } = deciding;
  const { story } = record;
  if (!table.plan.includes(story.state)) throw storyFixed(story, "plan may be proposed", table.plan);
  const { id = planId, title, text, steps = [], rationale = "" } = draft;
  const drafts = steps.map(
    (step, index): TaskDraft => ({
      ...{ id: step.id ?? `step-${index + 1}`, title: step.title, text: step.text ?? "" },
      ...{ role: step.role ?? roles[0] ?? "", phase: step.phase ?? "BUILD", dependsOn: step.dependsOn ?? [] },
      ...{ priority: step.priority ?? 0, size: step.size ?? "M" },
    }),
  );
  const reused = story.tasks.some((task) => task.planId === id)
    ? [`Plan ${id} was approved before; its id is used.`]
    : [];
  refuse(story, [...reused, ...checkTasks(drafts, roles)]);
  const plan: Plan = { id, title, text, steps: [...steps], rationale, proposedBy: by, status: "proposed" };
  return changed(deciding, record, { plan }, { by }, (now) => [
    {
      type: "plan.proposed",
      key: keyOf("plan.proposed", now),
      data: { storyId: now.id, plan, version: now.version },
    },
  ]);
}

function refuse({ id }: Story, faults: readonly string[]): void {
  if (faults.length === 0) return;
  throw fail("StoryPlanInvalid", faults.slice(0, 10).join(" "), { data: { storyId: id, faults } });
}

/** Adds those that are new. Throws PlanUnknown, StoryPlanInvalid. */
export function tasksAdded(
  deciding: Deciding,
  record: StoryRecord,
  { planId, tasks: drafts, by }: Input<"addTasks">,
): Changed | undefined {
  const { table, roles } = deciding;
  const { story } = record;
  const { plan } = story;
  if (plan === undefined || plan.id !== planId || plan.status !== "approved") {
    const has = plan === undefined ? "no plan" : `plan ${plan.id}, which is ${plan.status}`;
    throw planningError("PlanUnknown", `Story ${story.id} has no approved plan ${planId}; it has ${has}.`, {
      data: { storyId: story.id, planId },
    });
  }
  const known = new Map(story.tasks.map((task) => [task.id, task]));
  const same = (draft: (typeof drafts)[number]) => {
    const task = known.get(draft.id);
    return task !== undefined && isDeepStrictEqual(draftOf(task), draft);
  };
  const fresh = drafts.filter((draft) => !same(draft));
  refuse(story, [
    ...fresh.flatMap(({ id, phase, dependsOn }) => [
      ...(isFrom(table, story.state, phase) ? [] : [`Task ${id} is of ${phase}; the story is in ${story.state}.`]),
      ...dependsOn
        .filter((other) => known.get(other)?.status === "cancelled")
        .map((other) => `Task ${id} depends on ${other}, which was cancelled.`),
    ]),
    ...checkTasks([...story.tasks, ...fresh], roles),
  ]);
  if (fresh.length === 0) return undefined;
  const added = fresh.map((draft): Task => ({ ...draft, planId, status: "pending", attempt: 0 }));
  const reports = added.reduce((left, { phase }) => reportsBefore(table, left, phase), story.reports);
  const reason = reasonFor(story, plan);
  return changed(deciding, record, { tasks: [...story.tasks, ...added], reports }, { by }, (now) =>
    fresh.map((task) => ({
      type: "task.derived",
      key: keyOf("task.derived", now, `${task.id} `),
      data: { storyId: now.id, planId, task, reason, version: now.version },
    })),
  );
}

/** Why there are new tasks: somebody sent the story back, or the plan has them. */
function reasonFor({ history }: Story, plan: Plan): string {
  const last = history.at(-1);
  if (last?.feedback === undefined || last.event === CREATE_EVENT) return `Part of plan ${plan.id}: ${plan.title}`;
  return `${last.event} by ${last.by.id}: ${last.feedback}`;
}

/** Throws TaskUnknown. */
export function taskChanged(deciding: Deciding, record: StoryRecord, change: TaskChange): Changed | undefined {
  const { story } = record;
  const { taskId, status, attempt, commit, agentId, error, by } = change;
  const task = story.tasks.find(({ id }) => id === taskId);
  if (task === undefined)
    throw fail("TaskUnknown", `Story ${story.id} has no task ${taskId}.`, { data: { storyId: story.id, taskId } });
  if (isLate(task, change)) return undefined;
  const { commit: _commit, agentId: _agentId, error: _error, ...rest } = task;
  const now: Task = {
    ...{ ...rest, status, attempt },
    ...(commit !== undefined && { commit }),
    ...((agentId ?? task.agentId) !== undefined && { agentId: agentId ?? task.agentId }),
    ...(error !== undefined && { error }),
  } as Task;
  if (isDeepStrictEqual(now, task)) return undefined;
  const tasks = story.tasks.map((each) => (each === task ? now : each));
  const reports = status === "done" ? reportsBefore(deciding.table, story.reports, task.phase) : story.reports;
  return changed(deciding, record, { tasks, reports }, { by }, (after) => [taskNotice(after, now)]);
}

/** Told late or again: an end stays, an earlier attempt says nothing of a later one, and none begins after it has failed. */
const isLate = (task: Task, { status, attempt }: TaskChange): boolean =>
  !isOpen(task) ||
  attempt < task.attempt ||
  (attempt === task.attempt && task.status === "failed" && status === "dispatched");

/** Throws FieldInvalid: the table has no such phase. */
export function reportRecorded(
  deciding: Deciding,
  record: StoryRecord,
  { phase, by }: Pick<Input<"recordReport">, "phase" | "by">,
  { gate, score, reasons }: ScoredReport,
): Changed {
  const { table } = deciding;
  if (!table.states.includes(phase)) throw fieldInvalid("phase", `"${phase}" is none of ${table.states.join(", ")}`);
  const reports = { ...record.story.reports, [phase]: { gate, score, reasons: [...reasons] } };
  return changed(deciding, record, { reports }, { by }, (now) => [
    {
      type: "report.recorded",
      key: keyOf("report.recorded", now, `${phase} `),
      data: { storyId: now.id, phase, gate, score, version: now.version },
    },
  ]);
}
