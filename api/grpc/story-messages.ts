// Stories, plans, tasks and approvals as messages, and back.
// It calls nobody (planning-service.ts).

import type { MessageInitShape } from "@bufbuild/protobuf";
import {
  type Approval,
  type Available,
  type Epic,
  type Plan,
  type Project,
  planStepSchema,
  type Story,
  type Task,
  type TaskDraft,
  taskDraftSchema,
} from "../../actors/index.ts";
import type {
  ApprovalSchema,
  AvailableEventSchema,
  EpicSchema,
  PlanSchema,
  PlanStep,
  ProjectSchema,
  ReadinessSchema,
  StorySchema,
  TaskDraft as TaskDraftMessage,
  TaskSchema,
  TransitionRecordSchema,
} from "../proto/gen/fleet/planning/v1/planning_pb.js";
import { checked, long, present, text } from "./values.ts";

export const projectMessage = ({
  id,
  title,
  description,
  createdAtMs,
}: Project): MessageInitShape<typeof ProjectSchema> => ({
  projectId: id,
  title,
  description,
  createdAtMs: long(createdAtMs),
});

export const epicMessage = ({
  id,
  projectId,
  title,
  description,
  createdAtMs,
}: Epic): MessageInitShape<typeof EpicSchema> => ({
  epicId: id,
  projectId,
  title,
  description,
  createdAtMs: long(createdAtMs),
});

export const storyMessage = (story: Story): MessageInitShape<typeof StorySchema> =>
  present({
    storyId: story.id,
    title: story.title,
    state: story.state,
    dorScore: Math.round(story.readiness.score),
    brief: story.description,
    epicId: story.epicId,
    projectId: story.projectId,
    rigor: story.rigor,
    version: story.version,
    repository: story.repository && present({ ...story.repository }),
    createdAtMs: long(story.createdAtMs),
    updatedAtMs: long(story.updatedAtMs),
  });

export const readinessMessage = ({ readiness }: Story): MessageInitShape<typeof ReadinessSchema> => ({
  score: readiness.score,
  threshold: readiness.threshold,
  findings: readiness.findings.map(({ code, message, part }) => ({ code, message, part })),
});

const draftMessage = ({ id, text: description, dependsOn, ...draft }: TaskDraft) => ({
  taskId: id,
  title: draft.title,
  description,
  role: draft.role,
  phase: draft.phase,
  dependencies: [...dependsOn],
  priority: draft.priority,
  size: draft.size,
});

export const taskMessage = (task: Task): MessageInitShape<typeof TaskSchema> =>
  present({
    draft: draftMessage(task),
    status: task.status,
    attempt: task.attempt,
    commit: task.commit,
    agentId: task.agentId,
    error: task.error && { ...task.error },
    planId: task.planId,
  });

export const planMessage = (plan: Plan): MessageInitShape<typeof PlanSchema> => ({
  planId: plan.id,
  title: plan.title,
  text: plan.text,
  steps: plan.steps.map(({ id, text: description, dependsOn, ...step }) =>
    present({
      title: step.title,
      taskId: id,
      description,
      role: step.role,
      phase: step.phase,
      dependencies: dependsOn && { taskIds: [...dependsOn] },
      priority: step.priority,
      size: step.size,
    }),
  ),
  rationale: plan.rationale,
  status: plan.status,
  proposedBy: present({ ...plan.proposedBy }),
});

export const transitionMessage = ({
  atMs,
  by,
  feedback,
  ...made
}: Story["history"][number]): MessageInitShape<typeof TransitionRecordSchema> =>
  present({ ...made, by: present({ ...by }), feedback, atMs: long(atMs) });

export const availableMessage = ({
  event,
  to,
  human,
  blocked,
}: Available): MessageInitShape<typeof AvailableEventSchema> => ({
  event,
  to,
  needsPerson: human !== null,
  roles: [...(human ?? [])],
  blocked: blocked.map(({ guard, reason }) => ({ guard, reason })),
});

export const approvalMessage = (approval: Approval): MessageInitShape<typeof ApprovalSchema> =>
  present({
    approvalId: approval.id,
    kind: approval.kind,
    storyId: approval.storyId,
    taskId: approval.taskId,
    subject: approval.subject,
    question: approval.question,
    roles: [...approval.roles],
    status: approval.status,
    decidedBy: approval.decidedBy && present({ ...approval.decidedBy }),
    feedback: approval.feedback,
    sinceMs: long(approval.sinceMs),
  });

/** Throws FieldInvalid. */
export const draftsOf = (tasks: readonly TaskDraftMessage[]): TaskDraft[] =>
  tasks.map(({ taskId, description, dependencies, title, role, phase, priority, size }, index) =>
    checked(
      taskDraftSchema,
      { id: taskId, title, text: description, role, phase, dependsOn: dependencies, priority, size },
      `tasks.${index}`,
    ),
  );

/** Throws FieldInvalid. */
export const stepsOf = (steps: readonly PlanStep[]): Plan["steps"] =>
  steps.map(({ taskId, description, dependencies, title, role, phase, priority, size }, index) =>
    checked(
      planStepSchema,
      present({
        title,
        id: taskId && text(taskId),
        text: description,
        role,
        phase,
        dependsOn: dependencies?.taskIds,
        priority,
        size,
      }),
      `steps.${index}`,
    ),
  );
