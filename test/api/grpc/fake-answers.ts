// What the fake services of a door answer with: one of each thing, with every field that it can have.

import type {
  Approval,
  Council,
  Deliberation,
  DeliberationEntry,
  DeliberationUpdate,
  Epic,
  GraphNode,
  Job,
  Neighbourhood,
  Plan,
  Project,
  Story,
  Task,
  TaskDraft,
} from "../../../actors/index.ts";

export const AT_MS = 1_700_000_000_000;
const PO = { kind: "human", id: "ann", role: "po" } as const;

export const PROJECT: Project = { id: "p1", title: "Shop", description: "Sells", createdAtMs: AT_MS };
export const EPIC: Epic = { ...PROJECT, id: "e1", projectId: "p1", title: "Basket" };

export const DRAFT: TaskDraft = {
  ...{ id: "t1", title: "Count", text: "Count the basket", role: "DEV", phase: "BUILD" },
  ...{ dependsOn: ["t0"], priority: 7, size: "S" },
};
export const TASK: Task = {
  ...{ ...DRAFT, planId: "plan1", status: "failed", attempt: 2, commit: "c0ffee", agentId: "dev-1" },
  error: { code: "Stuck", message: "it stood still" },
};
export const PLAN: Plan = {
  ...{ id: "plan1", title: "How", text: "- Count", rationale: "cheap", status: "approved", proposedBy: PO },
  steps: [{ title: "Count", dependsOn: [] }],
};

export const STORY: Story = {
  ...{ id: "s1", epicId: "e1", projectId: "p1", title: "Count the basket", description: "As a buyer", rigor: "L2" },
  criteria: ["Given a basket When I look Then I see a count"],
  repository: { url: "/repo", branch: "main" },
  ...{ state: "BUILD", version: 9 },
  readiness: { score: 84.6, threshold: 80, findings: [{ code: "TITLE_LENGTH", part: "clarity", message: "short" }] },
  plan: PLAN,
  tasks: [TASK],
  reports: { BUILD: { gate: "warn", score: 71.5, reasons: ["coverage"] } },
  history: [{ event: "approve_scope", from: "DRAFT", to: "DESIGN", by: PO, feedback: "good", version: 3, atMs: AT_MS }],
  ...{ createdAtMs: AT_MS, updatedAtMs: AT_MS + 1 },
};

export const COACHED = {
  ...{ score: 72.9, threshold: 80, ready: false, parts: [{ part: "criteria", points: 30, max: 40 }] },
  findings: STORY.readiness.findings,
  opinion: { model: "m", score: 60, findings: ["vague"], suggestions: ["say who"] },
};

export const APPROVAL: Approval = {
  ...{ id: "s1.approve_design", kind: "gate", storyId: "s1", taskId: "t1", subject: "approve_design" },
  ...{ question: "Is the design right?", roles: ["po"], status: "approved", decidedBy: PO, feedback: "yes" },
  sinceMs: AT_MS,
};

export const JOB: Job = {
  ...{ jobId: "s1-t1-2", storyId: "s1", taskId: "t1", attempt: 2, agentId: "dev-1", role: "DEV", priority: 7 },
  ...{ backend: "process", state: "failed", error: { code: "Stuck", message: "it stood still" } },
  ...{ base: "c0ffee", place: "4711", queuedAtMs: AT_MS, startedAtMs: AT_MS + 1, endedAtMs: AT_MS + 2 },
};

export const NODE: GraphNode = {
  id: "d1",
  type: "Decision",
  title: "Use ints",
  properties: { why: "exact", weight: 3 },
};
export const AROUND: Neighbourhood = {
  ...{ node: NODE, nodes: [{ ...NODE, id: "t1", type: "Task" }], isCut: true },
  edges: [{ from: "d1", to: "t1", type: "AFFECTS", properties: { reason: "money" } }],
};

export const ENTRY: DeliberationEntry = {
  ...{ agentId: "dev-1", rank: 1, score: 0.9, parts: { rubric: 0.8 }, reasons: ["speaks of tests"] },
  proposal: "second",
  revisions: [
    { round: 1, text: "first" },
    { round: 2, text: "second" },
  ],
  reviews: [{ round: 1, reviewer: "dev-2", author: "dev-1", text: "add tests", score: 0.5 }],
  usage: { inputTokens: 100, outputTokens: 20 },
};
export const DELIBERATION: Deliberation = {
  ...{ taskId: "d-1", role: "DEV", status: "completed", results: [ENTRY], winnerId: "dev-1" },
  ...{ startedAtMs: AT_MS, durationMs: 1_234, metadata: { team: "a" } },
};
export const UPDATES: readonly DeliberationUpdate[] = [
  { taskId: "d-1", stage: "proposing", round: 1, percent: 40, agentId: "dev-1", text: "first" },
  { taskId: "d-1", stage: "done", round: 2, percent: 100, deliberation: DELIBERATION },
];
export const COUNCIL: Council = {
  ...{ role: "DEV", rounds: 2, createdAtMs: AT_MS },
  members: [
    { agentId: "dev-1", model: "mock", status: "idle" },
    { agentId: "dev-2", model: "mock", status: "busy" },
  ],
};
