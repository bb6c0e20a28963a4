// What planning is told, checked before anything is done with it: each text against its bound, so that ten megabytes are refused in the
// time it takes to look at their length.

import { z } from "zod";
import { fail } from "../errors.ts";
import { bySchema, NAME_MAX } from "../events/envelope.ts";
import { jobReportSchema } from "../workspace-score/job-report.ts";
import {
  epicSchema,
  idSchema,
  planSchema,
  projectSchema,
  storySchema,
  TASKS_MAX,
  TEXT_MAX,
  taskDraftSchema,
  taskSchema,
} from "./story.ts";

/** Characters of what a person says of a transition: it must fit into the text of a task. */
export const FEEDBACK_MAX = 2_000;
/** Longest time that a question waits for a person. */
const ASK_MAX_MS = 365 * 24 * 60 * 60 * 1_000;

const name = z.string().min(1).max(NAME_MAX);
const change = { by: bySchema, key: name.exactOptional() };
const storyChange = { ...change, storyId: idSchema, expectedVersion: z.int().exactOptional() };
const feedback = z.string().max(FEEDBACK_MAX).exactOptional();
const story = storySchema.shape;
const plan = planSchema.shape;
const task = taskSchema.shape;

export const projectInput = z.object({
  ...change,
  id: idSchema.exactOptional(),
  title: projectSchema.shape.title,
  description: projectSchema.shape.description.max(TEXT_MAX),
});

export const epicInput = projectInput.extend({ projectId: epicSchema.shape.projectId });

export const storyInput = z.object({
  ...change,
  id: idSchema.exactOptional(),
  epicId: idSchema.exactOptional(),
  title: story.title,
  description: story.description,
  criteria: story.criteria,
  rigor: story.rigor.exactOptional(),
  repository: story.repository,
});

export const editInput = z.object({
  ...storyChange,
  title: story.title.exactOptional(),
  description: story.description.exactOptional(),
  criteria: story.criteria.exactOptional(),
  rigor: story.rigor.exactOptional(),
});

export const pageInput = z.object({
  state: name.exactOptional(),
  epicId: name.exactOptional(),
  after: name.exactOptional(),
  max: z.int().min(1).exactOptional(),
});

export const transitionInput = z.object({ ...storyChange, event: name, feedback });

export const planInput = z.object({
  ...storyChange,
  plan: z.object({
    id: idSchema.exactOptional(),
    title: plan.title,
    text: plan.text,
    steps: plan.steps.exactOptional(),
    rationale: plan.rationale.exactOptional(),
  }),
});

export const tasksInput = z.object({
  ...change,
  storyId: idSchema,
  planId: idSchema,
  tasks: z.array(taskDraftSchema).min(1).max(TASKS_MAX),
});

export const taskChangeInput = z.object({
  ...change,
  storyId: idSchema,
  taskId: idSchema,
  status: task.status,
  attempt: task.attempt,
  commit: z.string().max(NAME_MAX).exactOptional(),
  agentId: name.exactOptional(),
  error: z.object({ code: name, message: z.string().max(TEXT_MAX) }).exactOptional(),
});

export const reportInput = z.object({ ...change, storyId: idSchema, phase: name, report: jobReportSchema });

/** Of anything that waits for a person. */
export const approvalIdSchema = z.string().regex(/^[A-Za-z0-9_-]{1,200}$/);

export const askInput = z.object({
  ...change,
  storyId: idSchema.exactOptional(),
  taskId: idSchema.exactOptional(),
  subject: name,
  question: z.string().min(1).max(FEEDBACK_MAX),
  roles: z.array(z.string().min(1).max(40)).max(20).exactOptional(),
  timeoutMs: z.int().min(1).max(ASK_MAX_MS).exactOptional(),
});

export const decisionInput = z.object({
  ...change,
  approvalId: name,
  decision: z.enum(["approve", "reject"]),
  feedback,
});

/** The input as the schema has it. Throws FieldInvalid, which names the field and its bound. */
export function checked<T>(schema: z.ZodType<T>, input: object): T {
  const given = Object.entries(input).filter(([, value]) => value !== undefined);
  const parsed = schema.safeParse(Object.fromEntries(given));
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw fieldInvalid(issue?.path.join(".") || "it", issue?.message ?? "unlike its schema");
}

export const fieldInvalid = (field: string, why: string) =>
  fail("FieldInvalid", `${field}: ${why}`, { data: { field } });
