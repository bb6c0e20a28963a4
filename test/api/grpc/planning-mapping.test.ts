// Every method of the planning service at the door: what a message becomes on the way in, and what an answer becomes on the way out.

import { createClient, type Transport } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { PlanningService } from "../../../api/proto/gen/fleet/planning/v1/planning_pb.js";
import { AT_MS, DRAFT } from "./fake-answers.ts";
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
const rpc = { kind: "system", id: "rpc" } as const;
const change = { by: ann, key: "k1" };
const atMs = BigInt(AT_MS);

describe("planning", () => {
  const planning = () => createClient(PlanningService, transport);
  const story = {
    ...{ storyId: "s1", title: "Count the basket", state: "BUILD", dorScore: 85, brief: "As a buyer", epicId: "e1" },
    ...{ projectId: "p1", rigor: "L2", version: 9, repository: { url: "/repo", branch: "main" } },
    ...{ createdAtMs: atMs, updatedAtMs: atMs + 1n },
  };
  const readiness = {
    ...{ score: 84.6, threshold: 80 },
    findings: [{ code: "TITLE_LENGTH", message: "short", part: "clarity" }],
  };
  const draft = {
    ...{ taskId: "t1", title: "Count", description: "Count the basket", role: "DEV", phase: "BUILD" },
    ...{ dependencies: ["t0"], priority: 7, size: "S" },
  };
  const task = {
    ...{ draft, status: "failed", attempt: 2, commit: "c0ffee", agentId: "dev-1", planId: "plan1" },
    error: { code: "Stuck", message: "it stood still" },
  };
  const plan = {
    ...{ planId: "plan1", title: "How", text: "- Count", rationale: "cheap", status: "approved", proposedBy: ann },
    steps: [{ title: "Count", dependencies: { taskIds: [] } }],
  };

  it("projects and epics", async () => {
    const project = { projectId: "p1", title: "Shop", description: "Sells", createdAtMs: atMs };
    const epic = { epicId: "e1", projectId: "p1", title: "Basket", description: "Sells" };
    const drafted = { title: "Shop", description: "Sells" };
    expect(await passed(planning().createProject({ ...drafted, projectId: "p1", ...change }))).toMatchObject({
      asked: [["planning.createProject", { ...drafted, id: "p1", ...change }]],
      told: { project },
    });
    expect(await passed(planning().listProjects({}))).toMatchObject({ told: { projects: [project] } });
    // Nothing that was left out arrives as an empty text; who says nothing is the system.
    expect((await passed(planning().createEpic({ projectId: "p1", title: "Basket" }))).asked).toEqual([
      ["planning.createEpic", { by: rpc, projectId: "p1", title: "Basket", description: "" }],
    ]);
    expect(await passed(planning().createEpic({ projectId: "p1" }))).toMatchObject({ told: { epic } });
    expect(await passed(planning().listEpics({ projectId: "p1" }))).toMatchObject({
      asked: [["planning.epics", "p1"]],
      told: { epics: [epic] },
    });
  });

  it("stories", async () => {
    const words = { title: "Count", brief: "As a buyer", ac: ["Given"] };
    const drafted = { title: "Count", description: "As a buyer", criteria: ["Given"] };
    expect(await passed(planning().createStory({ ...words, ...change }))).toEqual({
      asked: [["planning.createStory", { ...drafted, ...change }]],
      told: expect.objectContaining({ storyId: "s1", state: "BUILD", dorScore: 85 }),
    });
    const more = { storyId: "s1", epicId: "e1", rigor: "L3", repository: { url: "/repo" } };
    expect(await passed(planning().createStory({ ...words, ...more }))).toMatchObject({
      asked: [["planning.createStory", { ...drafted, id: "s1", epicId: "e1", rigor: "L3", by: rpc }]],
      told: { story, readiness },
    });
    const edit = { storyId: "s1", expectedVersion: 8, title: "", criteria: { ac: [] }, rigor: "L0" };
    expect(await passed(planning().editStory({ ...edit, ...change }))).toMatchObject({
      // An empty text that was said is said; what was not is not.
      asked: [["planning.editStory", { storyId: "s1", expectedVersion: 8, title: "", criteria: [], rigor: "L0" }]],
      told: { story, readiness },
    });
    expect(at.asked[0]?.args[0]).not.toHaveProperty("description");
    expect(await passed(planning().getStory({ storyId: "s1" }))).toMatchObject({
      asked: [["planning.story", "s1"]],
      told: {
        ...{ story, readiness, plan, tasks: [task] },
        ac: ["Given a basket When I look Then I see a count"],
        reports: { BUILD: { gatingDecision: "warn", score: 71.5, reasons: ["coverage"] } },
        history: [{ event: "approve_scope", from: "DRAFT", to: "DESIGN", by: ann, feedback: "good", version: 3 }],
      },
    });
    expect(await passed(planning().listStories({ stateFilter: "BUILD", epicId: "e1", after: "s0" }))).toMatchObject({
      asked: [["planning.stories", { state: "BUILD", epicId: "e1", after: "s0", max: 50 }]],
      told: { stories: [story], next: "s1" },
    });
  });

  it("transitions and plans", async () => {
    const moved = { storyId: "s1", event: "approve_design", expectedVersion: 8, feedback: "good", ...change };
    expect(await passed(planning().transition(moved))).toMatchObject({
      asked: [["planning.transition", moved]],
      told: { storyId: "s1", state: "BUILD", story },
    });
    expect(await passed(planning().getPlan({ storyId: "s1" }))).toMatchObject({
      told: {
        ...{ state: "BUILD", version: 9, plan, tasks: [task] },
        events: [
          {
            ...{ event: "build_done", to: "TEST", needsPerson: false, roles: [] },
            blocked: [{ guard: "all_tasks_done", reason: "1 is not done" }],
          },
          { event: "reject_build", to: "DESIGN", needsPerson: true, roles: ["architect"], blocked: [] },
        ],
      },
    });
    const steps = [
      { title: "Count", taskId: "t1", dependencies: { taskIds: ["t0"] }, priority: 0, size: "M" },
      { title: "b" },
    ];
    expect(
      await passed(planning().proposePlan({ storyId: "s1", title: "How", text: "- Count", steps, ...change })),
    ).toEqual({
      asked: [
        [
          "planning.proposePlan",
          {
            ...{ storyId: "s1", ...change },
            plan: {
              ...{ title: "How", text: "- Count" },
              steps: [{ title: "Count", id: "t1", dependsOn: ["t0"], priority: 0, size: "M" }, { title: "b" }],
            },
          },
        ],
      ],
      told: expect.objectContaining({ plan: expect.objectContaining({ planId: "plan1" }) }),
    });
    expect(
      await passed(planning().addTasks({ storyId: "s1", planId: "plan1", tasks: [draft], ...change })),
    ).toMatchObject({
      asked: [["planning.addTasks", { storyId: "s1", planId: "plan1", tasks: [DRAFT], ...change }]],
      told: { story, tasks: [task] },
    });
  });

  it("reports", async () => {
    const report = {
      ...{ build: { ok: true }, unit: { passed: 5, failed: 1, skipped: 2 }, e2e: { passed: 1 } },
      ...{ static: { critical: 1, major: 2, minor: 3 }, coverage: { lines: 0.5 }, lint: { errors: 4 } },
    };
    expect(await passed(planning().recordReport({ storyId: "s1", phase: "BUILD", report, ...change }))).toMatchObject({
      asked: [
        [
          "planning.recordReport",
          {
            ...{ storyId: "s1", phase: "BUILD", ...change },
            report: {
              ...{ build: { success: true }, unit: { passed: 5, failed: 1, skipped: 2 } },
              ...{ e2e: { passed: 1, failed: 0, skipped: 0 }, static: { critical: 1, major: 2, minor: 3 } },
              ...{ coverage: { lines: 0.5 }, lint: { errors: 4, warnings: 0 } },
            },
          },
        ],
      ],
      told: { scored: { gatingDecision: "warn", score: 71.5, reasons: ["coverage"] } },
    });
    // A part that was not run is not there, instead of having passed with zeros.
    await passed(planning().recordReport({ storyId: "s1", phase: "BUILD", report: { build: { ok: false } } }));
    expect(at.asked[0]?.args[0]).toHaveProperty("report", { build: { success: false } });
  });

  it("approvals", async () => {
    const approval = {
      ...{ approvalId: "s1.approve_design", kind: "gate", storyId: "s1", taskId: "t1", subject: "approve_design" },
      ...{ question: "Is the design right?", roles: ["po"], status: "approved", decidedBy: ann, feedback: "yes" },
      sinceMs: atMs,
    };
    expect(await passed(planning().listApprovals({ role: "po" }))).toMatchObject({
      asked: [["planning.approvals", { role: "po" }]],
      told: { approvals: [approval] },
    });
    expect(await passed(planning().getApproval({ approvalId: "a" }))).toMatchObject({
      asked: [["planning.approval", "a"]],
      told: { approval },
    });
    const decided = { approvalId: "a", decision: "reject", feedback: "no", ...change };
    expect((await passed(planning().decide(decided))).asked).toEqual([["planning.decide", decided]]);
    const ask = { subject: "git.push", question: "May I?", roles: ["po"], storyId: "s1", taskId: "t1", ...change };
    expect((await passed(planning().ask({ ...ask, timeoutMs: 5_000n }))).asked).toEqual([
      ["planning.ask", { ...ask, timeoutMs: 5_000 }],
    ]);
  });
});
