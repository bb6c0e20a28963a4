// What waits for a person: gates of stories and questions of tools, each told of once and decided once.

import { describe, expect, it } from "vitest";
import type { Approval } from "../../../actors/planning/story.ts";
import { caught, codeOf } from "../../support/caught.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { waitUntil } from "../../support/wait-until.ts";
import * as stand from "./stand.ts";

const { agent, architect, draft, failing, finish, ofType, openStand, passing, plan, po, qa, system } = stand;

const idsOf = (approvals: readonly Approval[]) => approvals.map(({ id }) => id);

describe("gates", () => {
  it("open when nothing else stands against the step, and are the step when they are approved", async () => {
    await using open = await openStand();
    const { planning } = open;
    await planning.createStory(draft({ id: "s1", criteria: [] }));
    expect(await planning.approvals()).toEqual([]);
    await planning.editStory({ by: po, storyId: "s1", criteria: ["One"] });
    const [gate] = await planning.approvals();
    expect(gate).toMatchObject({
      ...{ id: "gate-s1-approve_scope-2", kind: "gate", storyId: "s1", subject: "approve_scope", roles: ["po"] },
      ...{ status: "waiting", question: /^Log in: Is this what we want/ },
    });
    const decided = await planning.decide({ by: po, approvalId: gate?.id ?? "", decision: "approve" });
    expect(decided).toMatchObject({ id: gate?.id, status: "approved", decidedBy: po });
    expect((await planning.story("s1")).history.at(-1)).toMatchObject({ event: "approve_scope", by: po });
    expect(await planning.approvals()).toEqual([]);
    const events = await open.events();
    expect(ofType(events, "approval.requested").map(({ data }) => data.approvalId)).toEqual([gate?.id]);
    expect(ofType(events, "approval.decided").map(({ data }) => [data.approvalId, data.decision, data.by])).toEqual([
      [gate?.id, "approved", po],
    ]);
  });

  it("of each kind wait in turn through a story's life", async () => {
    await using open = await openStand();
    const { planning } = open;
    const waits = async () =>
      (await planning.approvals({ storyId: "s1" })).map(({ subject, roles }) => [subject, ...roles]);
    const decide = async (by: typeof po) => {
      const [gate] = await planning.approvals({ storyId: "s1" });
      return planning.decide({ by, approvalId: gate?.id ?? "", decision: "approve" });
    };
    await planning.createStory(draft({ id: "s1", rigor: "L0" }));
    expect(await waits()).toEqual([["approve_scope", "po"]]);
    await decide(po);
    expect(await waits()).toEqual([]);
    await planning.proposePlan({ by: system, storyId: "s1", plan });
    expect(await waits()).toEqual([["approve_design", "po", "architect"]]);
    await decide(architect);
    expect(ofType(await open.events(), "plan.approved").map(({ data }) => data.by)).toEqual([architect]);
    await planning.addTasks({ by: system, storyId: "s1", planId: plan.id, tasks: [stand.task("t1")] });
    await finish(planning, "s1", "BUILD");
    expect(await waits()).toEqual([]);
    await planning.transition({ by: system, storyId: "s1", event: "build_done" });
    await planning.recordReport({ by: system, storyId: "s1", phase: "TEST", report: failing });
    expect(await waits()).toEqual([]);
    await planning.recordReport({ by: system, storyId: "s1", phase: "TEST", report: passing });
    expect(await waits()).toEqual([["qa_passed", "qa"]]);
    await decide(qa);
    expect(await waits()).toEqual([["docs_ready", "po"]]);
    await decide(po);
    expect((await planning.story("s1")).state).toBe("DONE");
  });

  it("are rejected with a reason: the story goes back, and waits for what was asked for", async () => {
    await using open = await openStand();
    const { planning } = open;
    await planning.createStory(draft({ id: "s1" }));
    const [scope] = idsOf(await planning.approvals());
    const reject = (approvalId = "", feedback?: string) =>
      planning.decide({ by: po, approvalId, decision: "reject", ...(feedback !== undefined && { feedback }) });
    expect((await caught(reject(scope))).message).toMatch(/^feedback: Say why, in at least 10 characters/);
    const rejected = await reject(scope, "Say which data she sees");
    expect(rejected).toMatchObject({ status: "rejected", feedback: "Say which data she sees" });
    expect(await planning.story("s1")).toMatchObject({ state: "DRAFT", version: 2 });
    expect(await planning.approvals()).toEqual([]);
    await planning.editStory({ by: po, storyId: "s1", description: "As a user I want to see my orders" });
    const [again] = idsOf(await planning.approvals());
    expect(again).toBe("gate-s1-approve_scope-3");
    await planning.decide({ by: po, approvalId: again ?? "", decision: "approve" });

    await planning.proposePlan({ by: system, storyId: "s1", plan });
    const [design] = idsOf(await planning.approvals());
    await reject(design, "Where is the second factor?");
    const told = ofType(await open.events(), "story.transitioned").at(-1);
    expect(told?.data).toMatchObject({ event: "reject_design", to: "DRAFT", feedback: "Where is the second factor?" });
    expect(await planning.story("s1")).toMatchObject({ state: "DRAFT", plan: { status: "rejected" } });
  });

  it("an old one decides nothing: who approves one plan does not approve the next", async () => {
    await using open = await openStand();
    const { planning } = open;
    await planning.createStory(draft({ id: "s1" }));
    await planning.transition({ by: po, storyId: "s1", event: "approve_scope" });
    await planning.proposePlan({ by: system, storyId: "s1", plan });
    const [old] = idsOf(await planning.approvals());
    await planning.proposePlan({ by: system, storyId: "s1", plan: { ...plan, id: "plan-2", text: "- delete it all" } });
    const decide = (approvalId = "") => planning.decide({ by: po, approvalId, decision: "approve" });
    const error = await caught(decide(old));
    expect([error.code, error.data.status]).toEqual(["ApprovalDecided", "expired"]);
    expect(error.message).toMatch(/has expired: story s1 has changed since/);
    expect((await planning.story("s1")).state).toBe("DESIGN");
    const [now] = idsOf(await planning.approvals());
    await decide(now);
    expect((await caught(decide(now))).message).toMatch(/was approved by paula/);
    const ends = ofType(await open.events(), "approval.decided").map(({ data }) => data.decision);
    expect(ends).toEqual(["approved", "expired", "approved"]);
  });

  it("only for a person who has the role; a decision asked for twice is made once", async () => {
    await using open = await openStand();
    const { planning } = open;
    await planning.createStory(draft({ id: "s1" }));
    const [id = ""] = idsOf(await planning.approvals({ role: "po" }));
    expect(await planning.approvals({ role: "qa" })).toEqual([]);
    for (const by of [qa, agent, system, { ...system, role: "po" }])
      expect(await codeOf(planning.decide({ by, approvalId: id, decision: "approve" }))).toBe("RoleMissing");
    const decision = { by: po, approvalId: id, decision: "approve", key: "k" } as const;
    expect(await planning.decide(decision)).toEqual(await planning.decide(decision));
    expect(await codeOf(planning.decide({ ...decision, key: "other" }))).toBe("ApprovalDecided");
    expect((await planning.story("s1")).version).toBe(2);
    for (const unknown of ["gate-s1-approve_scope-77", "gate-none-approve_scope-1", "ask-none", "???"])
      expect(await codeOf(planning.decide({ ...decision, approvalId: unknown })), unknown).toBe("ApprovalUnknown");
  });

  it("two people at once: one decides", async () => {
    await using open = await openStand();
    const { planning } = open;
    await planning.createStory(draft({ id: "s1" }));
    const [approvalId = ""] = idsOf(await planning.approvals());
    const decisions = await Promise.allSettled([
      planning.decide({ by: po, approvalId, decision: "approve" }),
      planning.decide({ by: { ...po, id: "peter" }, approvalId, decision: "reject", feedback: "I would rather not" }),
    ]);
    expect(decisions.map(({ status }) => status)).toEqual(["fulfilled", "rejected"]);
    expect((await planning.story("s1")).state).toBe("DESIGN");
    expect(ofType(await open.events(), "approval.decided")).toHaveLength(1);
  });

  it("a table without a way back says so", async () => {
    const text = (await stand.tableText()).replace(/.*event: reject_scope.*\n/, "");
    await using open = await openStand({ tableText: text });
    await open.planning.createStory(draft({ id: "s1" }));
    const [approvalId = ""] = idsOf(await open.planning.approvals());
    const error = await caught(
      open.planning.decide({ by: po, approvalId, decision: "reject", feedback: "Not like this" }),
    );
    expect([error.code, error.message]).toEqual(["TransitionBlocked", "state: No way leads back from DRAFT."]);
  });
});

describe("questions", () => {
  const question = {
    by: agent,
    storyId: "s1",
    taskId: "t1",
    subject: "git.push",
    question: "May I push?",
    roles: ["po"],
  };

  it("wait until a person with the role answers", async () => {
    await using open = await openStand();
    const { planning } = open;
    const asked = await planning.ask(question);
    expect(await planning.approvals({ role: "po" })).toEqual([asked]);
    expect(await codeOf(planning.decide({ by: qa, approvalId: asked.id, decision: "approve" }))).toBe("RoleMissing");
    const answered = await planning.decide({ by: po, approvalId: asked.id, decision: "reject", feedback: "No" });
    expect(answered).toMatchObject({ status: "rejected", feedback: "No", decidedBy: po });
    expect(await planning.approval(asked.id)).toEqual(answered);
    expect(await planning.approvals()).toEqual([]);
    expect(await codeOf(planning.decide({ by: po, approvalId: asked.id, decision: "approve" }))).toBe(
      "ApprovalDecided",
    );
    const events = await open.events();
    expect(events.map(({ type, correlationId }) => [type, correlationId])).toEqual([
      ["approval.requested", "s1"],
      ["approval.decided", "s1"],
    ]);
    expect(ofType(events, "approval.decided")[0]?.data).toMatchObject({
      kind: "ask",
      taskId: "t1",
      decision: "rejected",
    });
  });

  it("the longest first, gates and questions together, and any person may answer one without roles", async () => {
    const clock = new FakeClock();
    await using open = await openStand({ clock });
    const { roles: _, ...open_to_all } = question;
    const first = await open.planning.ask(open_to_all);
    await clock.advance(1_000);
    await open.planning.createStory(draft({ id: "s1" }));
    await clock.advance(1_000);
    const last = await open.planning.ask({ ...question, key: "k" });
    expect(idsOf(await open.planning.approvals())).toEqual([first.id, "gate-s1-approve_scope-1", last.id]);
    expect(idsOf(await open.planning.approvals({ role: "qa" }))).toEqual([first.id]);
    const by = { kind: "human", id: "anybody" } as const;
    expect((await open.planning.decide({ by, approvalId: first.id, decision: "approve" })).status).toBe("approved");
  });

  it("expire when their time is over, also across lives, and then can no longer be answered", async () => {
    const clock = new FakeClock();
    await using open = await openStand({ clock });
    const timed = await open.planning.ask({ ...question, timeoutMs: 60_000 });
    const longer = await open.planning.ask({ ...question, timeoutMs: 40 * 24 * 3_600_000 });
    await open.planning.close();
    const next = await open.another();
    await clock.advance(59_999);
    expect((await next.approval(timed.id)).status).toBe("waiting");
    await clock.advance(1);
    await waitUntil("the question expires", async () => (await next.approval(timed.id)).status === "expired");
    const error = await caught(next.decide({ by: po, approvalId: timed.id, decision: "approve" }));
    expect([error.code, error.message]).toEqual([
      "ApprovalDecided",
      `${timed.id} has expired: story s1 has changed since.`,
    ]);
    expect(idsOf(await next.approvals())).toEqual([longer.id]);
    const ends = ofType(await open.events(), "approval.decided").map(({ data }) => [data.decision, data.by.kind]);
    expect(ends).toEqual([["expired", "system"]]);
  });
});
