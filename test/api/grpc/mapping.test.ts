// Every method of the other services at the door: what a message becomes on the way in, and what an answer becomes on the way out.

import { createClient, type Transport } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { postEvent } from "../../../actors/events/post.ts";
import { workspaceLogs } from "../../../actors/index.ts";
import { ContextService } from "../../../api/proto/gen/fleet/context/v1/context_pb.js";
import {
  DeliberationStatus,
  OrchestratorService,
} from "../../../api/proto/gen/fleet/orchestrator/v1/orchestrator_pb.js";
import { StoryCoachService } from "../../../api/proto/gen/fleet/storycoach/v1/storycoach_pb.js";
import { WorkspaceService } from "../../../api/proto/gen/fleet/workspace/v1/workspace_pb.js";
import { AT_MS, JOB, PLAN } from "./fake-answers.ts";
import { openFakeDoor, passedBy, transportTo } from "./fake-door.ts";

let at: Awaited<ReturnType<typeof openFakeDoor>>;
let transport: Transport;
beforeAll(async () => {
  at = await openFakeDoor();
  transport = transportTo(at.url);
});
afterAll(() => at[Symbol.asyncDispose]());

const passed = <T>(answer: Promise<T>) => passedBy(at, answer);

const ann = { kind: "human", id: "ann", role: "po" } as const;
const change = { by: ann, key: "k1" };
const atMs = BigInt(AT_MS);

it("the story coach", async () => {
  const coach = createClient(StoryCoachService, transport);
  const scored = {
    ...{ total: 72, threshold: 80, ready: false, parts: [{ name: "criteria", points: 30, max: 40 }] },
    opinion: { model: "m", score: 60, findings: ["vague"], suggestions: ["say who"] },
    findings: [{ code: "TITLE_LENGTH", message: "short", part: "clarity" }],
  };
  expect(await coach.scoreStory({ title: "x", rigor: "L3" })).toMatchObject(scored);
  const words = { title: "x", description: "d", ac: ["Given"] };
  expect(await coach.refineStory(words)).toMatchObject({ ...words, title: "x!", totalBefore: 84, score: scored });
  expect(await coach.suggestStory({ goal: "Count" })).toMatchObject({ title: "Count 0", ac: ["Given"], others: [] });
  expect((await coach.suggestStory({ goal: "Count", count: 3 })).others).toMatchObject([
    { title: "Count 1", description: "d", ac: ["Given"] },
    { title: "Count 2" },
  ]);
});

describe("workspace", () => {
  const workspace = () => createClient(WorkspaceService, transport);
  const job = {
    ...{ jobId: "s1-t1-2", storyId: "s1", taskId: "t1", attempt: 2, agentId: "dev-1", role: "DEV", priority: 7 },
    ...{ backend: "process", state: "failed", error: { code: "Stuck", message: "it stood still" }, base: "c0ffee" },
    ...{ place: "4711", queuedAtMs: atMs, startedAtMs: atMs + 1n, endedAtMs: atMs + 2n },
  };

  it("scores and jobs", async () => {
    expect(await workspace().scoreWorkspace({ report: { build: { ok: true } }, rigorLevel: "L2" })).toMatchObject({
      ...{ score: 71, rigor: "L2", reasons: ["coverage"], gatingDecision: "warn" },
    });
    expect(await passed(workspace().listJobs({ state: "failed", storyId: "s1", limit: 5 }))).toMatchObject({
      asked: [["runner.jobs", { state: "failed", storyId: "s1", max: 5 }]],
      told: { jobs: [job] },
    });
    expect(await passed(workspace().getJob({ jobId: "j" }))).toMatchObject({
      asked: [["runner.job", "j"]],
      told: { job },
    });
    expect(await passed(workspace().cancelJob({ jobId: "j" }))).toMatchObject({ asked: [["runner.cancel", "j"]] });
  });

  it("logs: what is there, or all of them until the job has ended", async () => {
    const say = (line: string) =>
      postEvent(at.system, "workspace-runner", workspaceLogs, {
        ...{ type: "workspace.logged", key: line, correlationId: "s1", topic: ["j1"] },
        data: { jobId: "j1", line, stream: "stdout", dropped: 2 },
      });
    let state: typeof JOB.state = "running";
    at.behind["runner.job"] = async () => ({ ...JOB, state });
    await say("one");
    const read = async (follow: boolean, onLine = async (_: string) => {}) => {
      const lines: string[] = [];
      for await (const { line, dropped, jobId } of workspace().streamLogs({ jobId: "j1", follow })) {
        expect({ dropped, jobId }).toEqual({ dropped: 2, jobId: "j1" });
        lines.push(line);
        await onLine(line);
      }
      return lines;
    };
    expect(await read(false)).toEqual(["one"]);
    const followed = await read(true, async (line) => {
      if (line === "one") await say("two");
      if (line !== "two") return;
      await say("three");
      state = "succeeded";
    });
    expect(followed).toEqual(["one", "two", "three"]);
  });
});

describe("context", () => {
  const context = () => createClient(ContextService, transport);
  const node = { id: "d1", type: "Decision", title: "Use ints", properties: { why: "exact", weight: "3" } };
  const around = {
    ...{ node, neighbors: [{ ...node, id: "t1", type: "Task" }], isCut: true },
    relationships: [{ fromNodeId: "d1", toNodeId: "t1", type: "AFFECTS", properties: { reason: "money" } }],
  };

  it("contexts, packs and scopes", async () => {
    const wanted = { storyId: "s1", role: "DEV", phase: "BUILD" };
    expect(await passed(context().getContext({ ...wanted, subtaskId: "t1", tokenBudget: 500 }))).toMatchObject({
      asked: [["context.getContext", { ...wanted, taskId: "t1", tokenBudget: 500 }]],
      told: {
        ...{ context: "Know this", tokenCount: 3, scopes: ["CASE_HEADER"], version: "h", graphVersion: 7n },
        ...{ omitted: ["2 decisions"], blocks: { system: "You are DEV", context: "Know this", tools: "git" } },
      },
    });
    expect(await passed(context().rehydrateSession({ caseId: "s1", roles: ["DEV"] }))).toMatchObject({
      asked: [["context.rehydrateSession", { storyId: "s1", roles: ["DEV"], includeSummaries: false }]],
      told: {
        ...{ caseId: "s1", graphVersion: 7n, stats: { decisions: 1, decisionEdges: 2, events: 3, tasks: 1 } },
        packs: {
          DEV: {
            ...{ role: "DEV", story: node, tasks: [node], decisions: [node], milestones: [node] },
            ...{ impacted: [{ decisionId: "d1", subtaskId: "t1" }], lastSummary: "so far", tokenBudgetHint: 4096 },
          },
        },
      },
    });
    expect(await passed(context().validateScope({ role: "DEV", phase: "BUILD", providedScopes: ["B"] }))).toMatchObject(
      {
        asked: [["context.validateScope", { role: "DEV", phase: "BUILD", scopes: ["B"] }]],
        told: { allowed: false, missing: ["A"], extra: ["B"], reason: "B is not for DEV" },
      },
    );
  });

  it("changes: their words in any case, their payload as JSON", async () => {
    const made = { operation: "CREATE", entityType: "DECISION", entityId: "d1", payload: '{"title":"x"}', reason: "y" };
    const update = { storyId: "s1", taskId: "t1", role: "DEV", expectedVersion: 7n, ...change };
    expect(await passed(context().updateContext({ ...update, changes: [made] }))).toMatchObject({
      asked: [
        [
          "context.updateContext",
          {
            ...{ ...update, expectedVersion: 7 },
            changes: [
              { operation: "create", entityType: "Decision", entityId: "d1", payload: { title: "x" }, reason: "y" },
            ],
          },
        ],
      ],
      told: { version: 8n, hash: "h8" },
    });
    for (const [field, wrong] of [
      ["changes.0.payload", { payload: "{" }],
      ["changes.0.payload", { payload: "[1]" }],
      ["changes.0.entity_type", { entityType: "SUBTASKS" }],
      ["changes.0.operation", { operation: "UPSERT" }],
    ] as const) {
      const call = context().updateContext({ changes: [{ ...made, ...wrong }] });
      await expect(call).rejects.toThrow(`[invalid_argument] ${field}: `);
    }
  });

  it("the graph", async () => {
    expect(await passed(context().getGraphRelationships({ nodeId: "d1", depth: 2 }))).toMatchObject({
      asked: [["context.relationships", { nodeId: "d1", depth: 2 }]],
      told: around,
    });
    expect(await passed(context().getDecisionImpact({ decisionId: "d1" }))).toMatchObject({
      asked: [["context.impact", "d1"]],
      told: { decision: node, tasks: [node], decisions: [] },
    });
    expect(await passed(context().why({ commit: "c0ffee" }))).toMatchObject({
      asked: [["context.why", "c0ffee"]],
      told: around,
    });
  });
});

describe("orchestrator", () => {
  const orchestrator = () => createClient(OrchestratorService, transport);
  const described = {
    ...{ taskId: "d-1", taskDescription: "Count", role: "DEV", rounds: 2, numAgents: 3, context: "know" },
    constraints: {
      ...{ rubric: "tests\n\n small \n", criteria: [{ name: "docs", weight: 2 }], requirements: ["tests"] },
      ...{ metadata: { team: "a" }, timeoutSeconds: 60 },
    },
  };
  const request = {
    ...{ taskId: "d-1", task: "Count", role: "DEV", rounds: 2, agents: 3, context: "know" },
    constraints: {
      rubric: [{ name: "tests" }, { name: "small" }, { name: "docs", weight: 2 }],
      ...{ requirements: ["tests"], metadata: { team: "a" }, timeoutMs: 60_000 },
    },
  };
  const entry = {
    proposal: {
      ...{ authorId: "dev-1", authorRole: "DEV", content: "second" },
      ...{ revisions: ["first", "second"], revisionRounds: [1, 2] },
    },
    ...{ score: 0.9, rank: 1, parts: { rubric: 0.8 }, reasons: ["speaks of tests"] },
    reviews: [{ round: 1, reviewerId: "dev-2", authorId: "dev-1", text: "add tests", score: 0.5 }],
    ...{ inputTokens: 100n, outputTokens: 20n },
  };
  const COMPLETED = DeliberationStatus.COMPLETED;
  const done = { taskId: "d-1", status: COMPLETED, results: [entry], winnerId: "dev-1", durationMs: 1_234n };

  it("deliberations", async () => {
    expect(await passed(orchestrator().deliberate(described))).toMatchObject({
      asked: [["orchestrator.deliberate", request]],
      told: { ...done, metadata: { timestampMs: atMs, tags: { team: "a" } } },
    });
    expect((await passed(orchestrator().deliberate({ taskDescription: "Count", role: "DEV" }))).asked).toEqual([
      ["orchestrator.deliberate", { task: "Count", role: "DEV" }],
    ]);
    expect(await passed(orchestrator().deliberateAsync(described))).toMatchObject({
      asked: [["orchestrator.deliberateAsync", request]],
      told: { taskId: "d-1", status: DeliberationStatus.PENDING, agentIds: ["dev-1", "dev-2"] },
    });
    expect(await passed(orchestrator().getDeliberationResult({ taskId: "d-1" }))).toMatchObject({
      asked: [["orchestrator.deliberation", "d-1"]],
      told: done,
    });
  });

  it("a deliberation as a stream: one that goes on, or one that it begins", async () => {
    const read = async (message: Partial<typeof described>) => {
      const updates: unknown[] = [];
      for await (const update of orchestrator().streamDeliberation(message)) updates.push(update);
      return updates;
    };
    const updates = [
      { taskId: "d-1", status: "proposing", round: 1, progressPercent: 40, currentAgent: "dev-1", text: "first" },
      { status: "done", currentStep: "round 2", progressPercent: 100, deliberation: done },
    ];
    expect(await passed(read({ taskId: "d-1" }))).toMatchObject({ asked: [["watch", "d-1"]], told: updates });
    expect(await passed(read(described))).toMatchObject({
      asked: [
        ["orchestrator.deliberateAsync", request],
        ["watch", "d-1"],
      ],
      told: updates,
    });
  });

  it("orchestrations", async () => {
    const options = { enablePeerReview: false, deliberationRounds: 4, enableArchitectSelection: true };
    const { context: _, rounds: __, ...rest } = described;
    const of = { storyId: "s1", planId: "plan1", phase: "BUILD" };
    expect(await passed(orchestrator().orchestrate({ ...rest, ...of, options }))).toMatchObject({
      asked: [
        [
          "orchestrator.orchestrate",
          {
            ...{ task: "Count", rounds: 4, agents: 3, ...of },
            options: { peerReview: false, architectSelection: true },
          },
        ],
      ],
      told: {
        ...{ winner: entry, candidates: [entry], executionId: "x1", taskId: "d-1", durationMs: 1_234n },
        selection: { by: "architect", reason: "simplest" },
      },
    });
    // Peer review is the default of the service: saying nothing is not saying no.
    await passed(orchestrator().orchestrate({ taskDescription: "Count", role: "DEV" }));
    expect(at.asked[0]?.args[0]).toEqual({ task: "Count", role: "DEV", options: {} });
  });

  it("derivations, of a story's plan or of another", async () => {
    const atomic = {
      ...{ taskId: "t1", role: "DEV", description: "Count the basket", dependencies: ["t0"], caseId: "s1" },
      ...{ planId: "plan1", priority: 7, title: "Count", phase: "BUILD", size: "S" },
    };
    expect(await passed(orchestrator().deriveSubtasks({ caseId: "s1", roles: ["DEV"] }))).toMatchObject({
      asked: [
        ["planning.story", "s1"],
        ["orchestrator.deriveSubtasks", { storyId: "s1", plan: PLAN, roles: ["DEV"] }],
      ],
      told: { tasks: [atomic], totalTasks: 1 },
    });
    expect((await passed(orchestrator().deriveSubtasks({ plan: { title: "Other", text: "- x" } }))).asked).toEqual([
      ["orchestrator.deriveSubtasks", { plan: { id: "plan", title: "Other", text: "- x", steps: [] } }],
    ]);
    await expect(orchestrator().deriveSubtasks({ caseId: "s1", planId: "plan9" })).rejects.toThrow(
      "[not_found] the story s1 has no plan plan9",
    );
  });

  it("councils", async () => {
    const agents = [
      { agentId: "dev-1", role: "DEV", status: "idle", model: "mock" },
      { agentId: "dev-2", role: "DEV", status: "busy", model: "mock" },
    ];
    const council = { councilId: "DEV", role: "DEV", numAgents: 2, status: "busy", model: "mock", rounds: 2 };
    const model = { kind: "openai", url: "http://127.0.0.1:8000/v1", name: "m" };
    const config = { deliberationRounds: 2, model };
    const spec = { kind: "openai", url: "http://127.0.0.1:8000/v1", model: "m" };
    expect(await passed(orchestrator().createCouncil({ role: "DEV", numAgents: 2, config }))).toMatchObject({
      asked: [["orchestrator.createCouncil", { role: "DEV", agents: 2, rounds: 2, model: spec }]],
      told: { councilId: "DEV", agentsCreated: 2, agentIds: ["dev-1", "dev-2"] },
    });
    expect((await passed(orchestrator().createCouncil({ role: "DEV" }))).asked).toEqual([
      ["orchestrator.createCouncil", { role: "DEV" }],
    ]);
    expect((await passed(orchestrator().listCouncils({ includeAgents: true }))).told).toMatchObject({
      councils: [{ ...council, agents, createdAtMs: atMs }],
    });
    expect((await passed(orchestrator().listCouncils({ roleFilter: "QA" }))).told.councils).toEqual([]);
    expect((await passed(orchestrator().listCouncils({ roleFilter: "dev" }))).told.councils).toMatchObject([
      { agents: [] },
    ]);
    expect((await passed(orchestrator().deleteCouncil({ role: "DEV" }))).asked).toEqual([
      ["orchestrator.deleteCouncil", "DEV"],
    ]);
    const mock = { kind: "mock", variant: "sloppy" };
    expect(await passed(orchestrator().registerAgent({ role: "DEV", agentId: "dev-3", model: mock }))).toMatchObject({
      asked: [["orchestrator.registerAgent", { role: "DEV", agentId: "dev-3", model: mock }]],
      told: { councilId: "DEV", council: { ...council, agents } },
    });
    expect(await passed(orchestrator().unregisterAgent({ role: "DEV", agentId: "dev-3" }))).toMatchObject({
      asked: [["orchestrator.unregisterAgent", "DEV", "dev-3"]],
      told: { council: { agents } },
    });
    await expect(orchestrator().createCouncil({ role: "DEV", config: { model: { kind: "gpt" } } })).rejects.toThrow(
      /\[invalid_argument\] model\.kind: /,
    );
  });

  it("status and metrics", async () => {
    const { told } = await passed(orchestrator().getStatus({}));
    expect(told).toMatchObject({
      stats: { activeCouncils: 1n, roleCounts: { DEV: 2n }, deliberationsRunning: 1, storiesInFlight: 2 },
    });
    expect(told.uptimeSeconds).toBeGreaterThan(0n);
    expect((await passed(orchestrator().getMetrics({}))).told).toMatchObject({
      performance: {
        ...{ p50LatencyMs: 1, p95LatencyMs: 2, p99LatencyMs: 3, deliberations: 5n, failed: 1n },
        ...{ byRole: { DEV: { deliberations: 5n, meanMs: 1.5 } }, inputTokens: 10n, outputTokens: 20n },
      },
      tasks: { pending: 1, dispatched: 2, done: 3, failed: 4 },
    });
  });
});
