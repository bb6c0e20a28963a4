// Stories through their life: what moves them, what stands against it, and that asking twice or late changes nothing.
// The suite named after the original's defects holds that we do not have them.

import { describe, expect, it } from "vitest";
import type { Moved } from "../../../actors/planning/planning-api.ts";
import type { PlanningService } from "../../../actors/planning/planning-service.ts";
import { caught, codeOf } from "../../support/caught.ts";
import * as stand from "./stand.ts";

const { agent, architect, draft, failing, finish, inBuild, ofType, openStand, passing, plan, po, qa, system, task } =
  stand;

const guardsOf = (moved: Moved) => (moved.kind === "blocked" ? moved.blocked.map(({ guard }) => guard) : []);

describe("a story's life", () => {
  it("goes from DRAFT to DONE, each step recorded with who made it and told once, in order", async () => {
    await using open = await openStand();
    const { planning } = open;
    await planning.createProject({ by: po, id: "p1", title: "Shop", description: "" });
    await planning.createEpic({ by: po, id: "e1", projectId: "p1", title: "Accounts", description: "" });
    await planning.createStory(draft({ id: "s1", epicId: "e1" }));
    await planning.transition({ by: po, storyId: "s1", event: "approve_scope" });
    await planning.proposePlan({ by: system, storyId: "s1", plan });
    await planning.transition({ by: architect, storyId: "s1", event: "approve_design" });
    const tasks = [task("t1"), task("t2", { dependsOn: ["t1"] }), task("d1", { phase: "DOCS", role: "QA" })];
    await planning.addTasks({ by: system, storyId: "s1", planId: plan.id, tasks });
    await finish(planning, "s1", "BUILD");
    await planning.transition({ by: system, storyId: "s1", event: "build_done" });
    await planning.recordReport({ by: system, storyId: "s1", phase: "TEST", report: passing });
    await planning.transition({ by: qa, storyId: "s1", event: "qa_passed" });
    await finish(planning, "s1", "DOCS");
    const done = await planning.transition({ by: po, storyId: "s1", event: "docs_ready" });

    expect(done.kind).toBe("moved");
    const story = await planning.story("s1");
    expect(story.state).toBe("DONE");
    expect(story.projectId).toBe("p1");
    expect(story.history.map(({ event, by }) => [event, by.kind, by.id])).toEqual([
      ["create_story", "human", "paula"],
      ["approve_scope", "human", "paula"],
      ["approve_design", "human", "arno"],
      ["build_done", "system", "orchestrator"],
      ["qa_passed", "human", "quinn"],
      ["docs_ready", "human", "paula"],
    ]);
    const events = await open.events();
    expect(new Set(events.map(({ idempotencyKey }) => idempotencyKey)).size).toBe(events.length);
    expect(events.map(({ type }) => type).filter((type) => !type.startsWith("approval"))).toEqual([
      ...["project.created", "epic.created", "case.created", "story.transitioned", "story.transitioned"],
      ...["plan.proposed", "story.transitioned", "plan.approved", "task.derived", "task.derived", "task.derived"],
      ...["task.changed", "task.changed", "report.recorded", "story.transitioned", "report.recorded"],
      ...["story.transitioned", "task.changed", "report.recorded", "story.transitioned"],
    ]);
    const [approved] = ofType(events, "plan.approved");
    expect(approved?.data.plan).toMatchObject({ id: plan.id, text: plan.text, status: "approved" });
    expect(ofType(events, "task.derived").map(({ data }) => data.task)).toEqual(tasks);
    expect(ofType(events, "case.created")[0]?.data.criteria).toEqual(draft().criteria);
    expect(events.filter(({ correlationId }) => correlationId === "s1").length).toBe(events.length - 2);
    expect(await planning.available("s1")).toEqual([]);
    expect(await codeOf(planning.addTasks({ by: system, storyId: "s1", planId: plan.id, tasks: [task("t9")] }))).toBe(
      "StoryPlanInvalid",
    );
  });

  it("says what may be next and what stands against it", async () => {
    await using open = await openStand();
    await open.planning.createStory(draft({ id: "s1", criteria: [] }));
    expect(await open.planning.available("s1")).toEqual([
      {
        ...{ event: "approve_scope", to: "DESIGN", human: ["po"] },
        blocked: [
          { guard: "readiness", reason: "The story scores 40, and L1 needs 75. AC_MISSING: There are no criteria" },
        ],
      },
      { event: "reject_scope", to: "DRAFT", human: [], blocked: [] },
    ]);
  });
});

describe("the original's defects", () => {
  it("rigor is the story's own, not fixed: what is ready for L1 is not for L3", async () => {
    await using open = await openStand();
    await open.planning.createStory(draft({ id: "s1" }));
    await open.planning.createStory(draft({ id: "s3", rigor: "L3" }));
    const approve = (storyId: string) => open.planning.transition({ by: po, storyId, event: "approve_scope" });
    expect((await approve("s1")).kind).toBe("moved");
    const blocked = await approve("s3");
    expect(guardsOf(blocked)).toEqual(["readiness"]);
    await open.planning.editStory({ by: po, storyId: "s3", rigor: "L1" });
    expect((await approve("s3")).kind).toBe("moved");
  });

  it("a name is no approval: an agent or a service called po stays outside the gate", async () => {
    await using open = await openStand();
    await open.planning.createStory(draft({ id: "s1" }));
    const by = [
      { kind: "agent", id: "po", role: "po" },
      { kind: "system", id: "po" },
      { kind: "system", id: "po", role: "po" },
      { kind: "human", id: "po" },
      { kind: "human", id: "po", role: "qa" },
    ] as const;
    for (const each of by) {
      const moved = await open.planning.transition({ by: each, storyId: "s1", event: "approve_scope" });
      expect(guardsOf(moved)).toEqual(["human"]);
    }
    expect((await open.planning.story("s1")).version).toBe(1);
  });

  it("every guard of every step can hold, and blocks by name and reason until it does", async () => {
    await using open = await openStand();
    const { planning } = open;
    const attempt = async (by: typeof po, event: string) => planning.transition({ by, storyId: "s1", event });
    await planning.createStory(draft({ id: "s1" }));
    await attempt(po, "approve_scope");
    expect(await attempt(po, "approve_design")).toMatchObject({ blocked: [{ reason: "No plan was proposed." }] });
    await planning.proposePlan({ by: system, storyId: "s1", plan: { ...plan, text: "Prose without a list." } });
    expect(await attempt(po, "approve_design")).toMatchObject({ blocked: [{ reason: /has no steps, and its text/ }] });
    await planning.proposePlan({ by: system, storyId: "s1", plan });
    await attempt(po, "approve_design");
    expect(guardsOf(await attempt(system, "build_done"))).toEqual(["all_tasks_done", "build_report"]);
    const tasks = [task("t1"), task("t2")];
    await planning.addTasks({ by: system, storyId: "s1", planId: plan.id, tasks });
    await planning.taskChanged({ by: system, storyId: "s1", taskId: "t1", status: "done", attempt: 1 });
    await planning.recordReport({ by: system, storyId: "s1", phase: "BUILD", report: failing });
    expect(await attempt(system, "build_done")).toMatchObject({
      blocked: [
        { guard: "all_tasks_done", reason: "Not done: t2 (pending)." },
        { guard: "build_report", reason: "The report of BUILD blocks with a score of 20: The build fails" },
      ],
    });
    await finish(planning, "s1", "BUILD");
    expect((await attempt(system, "build_done")).kind).toBe("moved");
    expect(guardsOf(await attempt(qa, "qa_passed"))).toEqual(["test_report"]);
    await planning.recordReport({ by: system, storyId: "s1", phase: "TEST", report: passing });
    expect((await attempt(qa, "qa_passed")).kind).toBe("moved");
    expect(await attempt(po, "docs_ready")).toMatchObject({
      blocked: [{ guard: "docs_done", reason: /L1 needs one/ }],
    });
    await planning.addTasks({ by: system, storyId: "s1", planId: plan.id, tasks: [task("d1", { phase: "DOCS" })] });
    expect(await attempt(po, "docs_ready")).toMatchObject({ blocked: [{ reason: "Not done: d1 (pending)." }] });
    await finish(planning, "s1", "DOCS");
    expect((await attempt(po, "docs_ready")).kind).toBe("moved");
  });

  it("a step is one change: of many at once one moves the story, the others see where it is", async () => {
    await using open = await openStand();
    const { planning } = open;
    await planning.createStory(draft({ id: "s1" }));
    const all = await Promise.all(
      Array.from({ length: 20 }, () => planning.transition({ by: po, storyId: "s1", event: "approve_scope" })),
    );
    expect(all.filter(({ kind }) => kind === "moved")).toHaveLength(1);
    expect(all.flatMap(guardsOf)).toEqual(Array.from({ length: 19 }, () => "state"));
    expect((await planning.story("s1")).version).toBe(2);
    expect(ofType(await open.events(), "story.transitioned")).toHaveLength(2);
  });

  it("readiness is what the rules say, now, and not a sum of planning's own", async () => {
    await using open = await openStand();
    const { readiness } = await open.planning.createStory(draft({ id: "s1", criteria: [] }));
    expect(readiness).toEqual(stand.rules.readiness({ ...draft(), criteria: [] }, "L1"));
    const edited = await open.planning.editStory({ by: po, storyId: "s1", criteria: ["One"] });
    expect(edited.readiness.score).toBe(80);
    expect(ofType(await open.events(), "case.created").map(({ data }) => data.readiness)).toEqual([40, 80]);
  });
});

describe("the way back", () => {
  it("needs a person and a reason; reject_design leaves a plan that cannot be approved", async () => {
    await using open = await openStand();
    const { planning } = open;
    await planning.createStory(draft({ id: "s1" }));
    await planning.transition({ by: po, storyId: "s1", event: "approve_scope" });
    await planning.proposePlan({ by: system, storyId: "s1", plan });
    const reject = (by: typeof po, feedback?: string) =>
      planning.transition({ by, storyId: "s1", event: "reject_design", ...(feedback !== undefined && { feedback }) });
    expect(guardsOf(await reject(po))).toEqual(["feedback"]);
    expect(guardsOf(await reject(po, "too short"))).toEqual(["feedback"]);
    expect(guardsOf(await reject(agent, "I do not like it at all"))).toEqual(["human"]);
    const moved = await reject(architect, "It misses the second factor");
    expect(moved.story).toMatchObject({ state: "DRAFT", plan: { status: "rejected" } });
    const [told] = ofType(await open.events(), "story.transitioned").slice(-1);
    expect(told?.data).toMatchObject({
      event: "reject_design",
      feedback: "It misses the second factor",
      by: architect,
    });
  });

  it("reject_build cancels what is open, keeps what is done, and needs tasks of the next plan", async () => {
    await using open = await openStand();
    const { planning } = open;
    await inBuild(planning, "s1", [task("t1"), task("t2"), task("t3")]);
    await planning.taskChanged({ by: system, storyId: "s1", taskId: "t1", status: "done", attempt: 1 });
    await planning.taskChanged({ by: system, storyId: "s1", taskId: "t2", status: "dispatched", attempt: 1 });
    await planning.recordReport({ by: system, storyId: "s1", phase: "BUILD", report: passing });
    const feedback = "The plan leads nowhere";
    const { story } = await planning.transition({ by: po, storyId: "s1", event: "reject_build", feedback });
    expect(story).toMatchObject({ state: "DESIGN", plan: { status: "rejected" }, reports: {} });
    expect(story.tasks.map(({ status }) => status)).toEqual(["done", "cancelled", "cancelled"]);
    const told = ofType(await open.events(), "task.changed").slice(-2);
    expect(told.map(({ data }) => [data.taskId, data.status])).toEqual([
      ["t2", "cancelled"],
      ["t3", "cancelled"],
    ]);
    const late = await planning.taskChanged({ by: system, storyId: "s1", taskId: "t2", status: "done", attempt: 1 });
    expect(late.tasks[1]?.status).toBe("cancelled");
    expect(guardsOf(await planning.transition({ by: po, storyId: "s1", event: "approve_design" }))).toEqual([
      "plan_valid",
    ]);
    expect(await codeOf(planning.proposePlan({ by: system, storyId: "s1", plan }))).toBe("StoryPlanInvalid");

    await planning.proposePlan({ by: system, storyId: "s1", plan: { ...plan, id: "plan-2" } });
    await planning.transition({ by: po, storyId: "s1", event: "approve_design" });
    await planning.recordReport({ by: system, storyId: "s1", phase: "BUILD", report: passing });
    const early = await planning.transition({ by: system, storyId: "s1", event: "build_done" });
    expect(early).toMatchObject({ blocked: [{ reason: "The approved plan has no tasks to build yet." }] });
    const add = (tasks: readonly ReturnType<typeof task>[]) =>
      planning.addTasks({ by: system, storyId: "s1", planId: "plan-2", tasks });
    expect((await caught(add([task("u1", { dependsOn: ["t2"] })]))).message).toMatch(
      /u1 depends on t2, which was cancelled/,
    );
    await add([task("u1", { dependsOn: ["t1"] })]);
    await finish(planning, "s1", "BUILD");
    expect((await planning.transition({ by: system, storyId: "s1", event: "build_done" })).kind).toBe("moved");
  });

  it("reject_test forgets the reports, keeps plan and tasks, and its feedback becomes the reason of further tasks", async () => {
    await using open = await openStand();
    const { planning } = open;
    await inBuild(planning, "s1");
    await finish(planning, "s1", "BUILD");
    await planning.transition({ by: system, storyId: "s1", event: "build_done" });
    await planning.recordReport({ by: system, storyId: "s1", phase: "TEST", report: passing });
    const feedback = "Logging in twice fails";
    const { story } = await planning.transition({ by: qa, storyId: "s1", event: "reject_test", feedback });
    expect(story).toMatchObject({ state: "BUILD", plan: { status: "approved" }, reports: {} });
    expect(guardsOf(await planning.transition({ by: system, storyId: "s1", event: "build_done" }))).toEqual([
      "build_report",
    ]);
    await planning.addTasks({ by: system, storyId: "s1", planId: plan.id, tasks: [task("fix-1")] });
    const [told] = ofType(await open.events(), "task.derived").slice(-1);
    expect(told?.data.reason).toBe("reject_test by quinn: Logging in twice fails");
    await finish(planning, "s1", "BUILD");
    expect((await planning.transition({ by: system, storyId: "s1", event: "build_done" })).kind).toBe("moved");
  });

  it("new work makes a report old", async () => {
    await using open = await openStand();
    const { planning } = open;
    await inBuild(planning, "s1");
    await finish(planning, "s1", "BUILD");
    const { reports } = await planning.addTasks({ by: system, storyId: "s1", planId: plan.id, tasks: [task("t2")] });
    expect(reports).toEqual({});
  });
});

describe("asked twice, late or at once", () => {
  it("the same key changes nothing the second time, for every kind of change", async () => {
    await using open = await openStand();
    const { planning } = open;
    const key = "k1";
    const storyId = "s1";
    const twice = async <T>(what: string, change: () => Promise<T>) => {
      const first = await change();
      const events = (await open.events()).length;
      const { version } = await planning.story(storyId);
      expect(await change(), what).toEqual(first);
      expect((await planning.story(storyId)).version, what).toBe(version);
      expect((await open.events()).length, what).toBe(events);
    };
    await twice("create", () => planning.createStory(draft({ id: storyId, key })));
    await twice("edit", () => planning.editStory({ by: po, key, storyId, title: "Log in well" }));
    await twice("scope", () => planning.transition({ by: po, key, storyId, event: "approve_scope" }));
    await twice("plan", () => planning.proposePlan({ by: po, key, storyId, plan: { title: "P", text: "- a" } }));
    await twice("design", () => planning.transition({ by: po, key: "k2", storyId, event: "approve_design" }));
    const planId = (await planning.story(storyId)).plan?.id ?? "";
    await twice("tasks", () => planning.addTasks({ by: system, key, storyId, planId, tasks: [task("t1")] }));
    const change = { by: system, key, storyId, taskId: "t1", status: "done", attempt: 1, commit: "abc" } as const;
    await twice("task", () => planning.taskChanged(change));
    await twice("report", () => planning.recordReport({ by: system, key, storyId, phase: "BUILD", report: passing }));
    await twice("ask", () => planning.ask({ by: agent, key, storyId, subject: "git.push", question: "May I?" }));
  });

  it("a story made without an id is found again by its key, and an id has one owner", async () => {
    await using open = await openStand();
    const first = await open.planning.createStory(draft({ key: "k" }));
    expect(await open.planning.createStory(draft({ key: "k" }))).toEqual(first);
    expect((await open.planning.createStory(draft())).id).not.toBe(first.id);
    expect(await codeOf(open.planning.createStory(draft({ id: first.id })))).toBe("IdTaken");
    expect(await codeOf(open.planning.createStory(draft({ id: first.id, key: "other" })))).toBe("IdTaken");
  });

  it("a stale version is refused, with the one that is there", async () => {
    await using open = await openStand();
    const { planning } = open;
    await planning.createStory(draft({ id: "s1" }));
    await planning.editStory({ by: po, storyId: "s1", expectedVersion: 1, title: "A" });
    const changes: readonly ((planning: PlanningService) => Promise<unknown>)[] = [
      (p) => p.editStory({ by: po, storyId: "s1", expectedVersion: 1, title: "B" }),
      (p) => p.transition({ by: po, storyId: "s1", expectedVersion: 1, event: "approve_scope" }),
      (p) => p.proposePlan({ by: po, storyId: "s1", expectedVersion: 1, plan }),
    ];
    for (const change of changes) {
      const error = await caught(change(planning));
      expect([error.code, error.data]).toEqual(["VersionStale", { storyId: "s1", version: 2, expectedVersion: 1 }]);
    }
  });

  it("what comes late of a task does not undo what came after it", async () => {
    await using open = await openStand();
    const { planning } = open;
    await inBuild(planning, "s1");
    const tell = async (status: "dispatched" | "failed" | "done" | "pending", attempt: number) => {
      const { tasks } = await planning.taskChanged({ by: system, storyId: "s1", taskId: "t1", status, attempt });
      return `${tasks[0]?.status} ${tasks[0]?.attempt}`;
    };
    expect(await tell("dispatched", 1)).toBe("dispatched 1");
    expect(await tell("failed", 1)).toBe("failed 1");
    expect(await tell("dispatched", 1)).toBe("failed 1");
    expect(await tell("dispatched", 2)).toBe("dispatched 2");
    expect(await tell("failed", 1)).toBe("dispatched 2");
    expect(await tell("done", 2)).toBe("done 2");
    expect(await tell("failed", 3)).toBe("done 2");
  });

  it("tasks that are there already are not added again; another one of the same id is refused", async () => {
    await using open = await openStand();
    const { version } = await inBuild(open.planning, "s1", [task("t1")]);
    const add = (tasks: readonly ReturnType<typeof task>[]) =>
      open.planning.addTasks({ by: system, storyId: "s1", planId: plan.id, tasks });
    expect((await add([task("t1")])).version).toBe(version);
    expect((await caught(add([task("t1", { title: "Another" })]))).message).toMatch(/Two tasks have the id t1/);
    expect((await add([task("t1"), task("t2")])).tasks.map(({ id }) => id)).toEqual(["t1", "t2"]);
  });
});
