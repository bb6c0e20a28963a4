// What planning plans, as plain data: projects, epics, stories, their plans and tasks. These shapes are stored, sent and answered.
// It is not which state may follow which (story-table.ts) nor who decides (planning.ts).

import { z } from "zod";
import { bySchema, NAME_MAX } from "../events/envelope.ts";

/** How strict the fleet is with a story; the thresholds are in rigor.yaml. */
export const rigorSchema = z.enum(["L0", "L1", "L2", "L3"]);
export type Rigor = z.infer<typeof rigorSchema>;

/** Of projects, epics, stories, plans and tasks: what a subject's token and a branch's name allow. */
export const idSchema = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/, "1 to 64 letters, digits, _ and -");

/** Longest texts, in characters. */
export const TITLE_MAX = 200;
export const TEXT_MAX = 20_000;
export const TASK_TEXT_MAX = 4_000;
export const TASKS_MAX = 64;
export const CRITERIA_MAX = 50;

/** In work units; an XL task must be split. */
export const sizeSchema = z.enum(["S", "M", "L"]);

/** One piece of work for one agent, as a plan or a deriver proposes it. */
export const taskDraftSchema = z.object({
  id: idSchema,
  title: z.string().min(1).max(TITLE_MAX),
  /** What the agent is told. */
  text: z.string().min(1).max(TASK_TEXT_MAX),
  /** Name of a role: DEV, QA, … */
  role: z.string().min(1).max(40),
  /** The state of the story in which it is worked on. */
  phase: z.enum(["BUILD", "DOCS"]),
  /** Ids of tasks of the same story that must be done before. */
  dependsOn: z.array(idSchema).max(TASKS_MAX),
  /** 0 to 9; higher goes first. */
  priority: z.int().min(0).max(9),
  size: sizeSchema,
});
export type TaskDraft = Readonly<z.infer<typeof taskDraftSchema>>;

export const taskStatusSchema = z.enum(["pending", "dispatched", "done", "failed", "cancelled"]);
export type TaskStatus = z.infer<typeof taskStatusSchema>;

export const taskSchema = taskDraftSchema.extend({
  /** The plan it was derived from; tasks of a plan that failed stay with the story. */
  planId: idSchema.exactOptional(),
  status: taskStatusSchema,
  /** Of the last dispatch; 0: none yet. */
  attempt: z.int().min(0),
  /** Of the story's branch, with this task's work in it. */
  commit: z.string().exactOptional(),
  agentId: z.string().exactOptional(),
  error: z.object({ code: z.string(), message: z.string() }).exactOptional(),
});
export type Task = Readonly<z.infer<typeof taskSchema>>;

/** A step of a plan: a task draft whose id and defaults may be left to the deriver. */
export const planStepSchema = taskDraftSchema.partial().extend({ title: z.string().min(1).max(TITLE_MAX) });

export const planSchema = z.object({
  id: idSchema,
  title: z.string().min(1).max(TITLE_MAX),
  /** Markdown; its list items are steps for the deriver that works by rules. */
  text: z.string().max(TEXT_MAX),
  /** Steps that are already exact. Default: none, they are derived from `text`. */
  steps: z.array(planStepSchema).max(TASKS_MAX),
  /** How it came about, for people: the council's ranking, say. */
  rationale: z.string().max(TEXT_MAX),
  proposedBy: bySchema,
  status: z.enum(["proposed", "approved", "rejected"]),
});
export type Plan = Readonly<z.infer<typeof planSchema>>;

/** Where the story's code is. */
export const repositorySchema = z.object({
  /** Absolute path or address of the repository. */
  url: z.string().min(1).max(2_000),
  /** Default: what its HEAD names. */
  branch: z.string().min(1).max(NAME_MAX).exactOptional(),
});
export type RepositoryRef = Readonly<z.infer<typeof repositorySchema>>;

/** One thing found in a story that keeps it from being ready. */
export const findingSchema = z.object({ code: z.string(), part: z.string(), message: z.string() });
export type Finding = Readonly<z.infer<typeof findingSchema>>;

/** Definition of ready: what the coach's rules say of the story as it stands. */
export const readinessSchema = z.object({
  score: z.number().min(0).max(100),
  threshold: z.number().min(0).max(100),
  findings: z.array(findingSchema),
});

/** What became of a job report against the story's rigor (workspace-score/). */
export const scoredReportSchema = z.object({
  gate: z.enum(["pass", "warn", "block"]),
  score: z.number().min(0).max(100),
  reasons: z.array(z.string()),
});
export type ScoredReport = Readonly<z.infer<typeof scoredReportSchema>>;

export const transitionSchema = z.object({
  event: z.string(),
  from: z.string(),
  to: z.string(),
  by: bySchema,
  feedback: z.string().max(TEXT_MAX).exactOptional(),
  /** Version of the story after it. */
  version: z.int(),
  atMs: z.number(),
});

export const storySchema = z.object({
  id: idSchema,
  epicId: idSchema.exactOptional(),
  projectId: idSchema.exactOptional(),
  title: z.string().min(1).max(TITLE_MAX),
  description: z.string().max(TEXT_MAX),
  /** Acceptance criteria, one each. */
  criteria: z.array(z.string().min(1).max(2_000)).max(CRITERIA_MAX),
  rigor: rigorSchema,
  repository: repositorySchema.exactOptional(),
  /** A state of the story table; the default table's: BACKLOG DRAFT DESIGN BUILD TEST DOCS DONE. */
  state: z.string(),
  /** Grows by one with every change; what `expectedVersion` is compared with. */
  version: z.int().min(1),
  readiness: readinessSchema,
  plan: planSchema.exactOptional(),
  tasks: z.array(taskSchema).max(TASKS_MAX),
  /** By phase: the last report recorded in BUILD, in TEST, … */
  reports: z.record(z.string(), scoredReportSchema),
  history: z.array(transitionSchema),
  createdAtMs: z.number(),
  updatedAtMs: z.number(),
});
export type Story = Readonly<z.infer<typeof storySchema>>;

export const projectSchema = z.object({
  id: idSchema,
  title: z.string().min(1).max(TITLE_MAX),
  description: z.string().max(TEXT_MAX),
  createdAtMs: z.number(),
});
export type Project = Readonly<z.infer<typeof projectSchema>>;

export const epicSchema = projectSchema.extend({ projectId: idSchema });
export type Epic = Readonly<z.infer<typeof epicSchema>>;

/** Something that waits for a person. */
export const approvalSchema = z.object({
  id: z.string(),
  /** `gate`: a transition that only a person may make. `ask`: a tool call that the policy wants a person to allow. */
  kind: z.enum(["gate", "ask"]),
  storyId: idSchema.exactOptional(),
  taskId: idSchema.exactOptional(),
  /** Of a gate: the transition's event ("approve_scope"). Of an ask: the tool ("git.push"). */
  subject: z.string(),
  /** One sentence for the person. */
  question: z.string(),
  /** Roles of which one is needed; empty: any person. */
  roles: z.array(z.string()),
  status: z.enum(["waiting", "approved", "rejected", "expired"]),
  decidedBy: bySchema.exactOptional(),
  feedback: z.string().max(TEXT_MAX).exactOptional(),
  sinceMs: z.number(),
});
export type Approval = Readonly<z.infer<typeof approvalSchema>>;
