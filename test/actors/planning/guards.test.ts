// Each guard, by the stories that it lets through and those that it does not.

import { expect, it } from "vitest";
import { feedbackGuard, GUARDS, humanGuard } from "../../../actors/planning/guards.ts";
import type { Story, Task, TaskStatus } from "../../../actors/planning/story.ts";
import { agent, plan, po, task } from "./stand.ts";

const blank: Story = {
  ...{ id: "s1", title: "T", description: "", criteria: [], rigor: "L1", state: "BUILD", version: 1 },
  readiness: { score: 0, threshold: 75, findings: [] },
  ...{ tasks: [], reports: {}, history: [], createdAtMs: 0, updatedAtMs: 0 },
};
const planned = (change: Partial<NonNullable<Story["plan"]>> = {}) => ({
  plan: { ...plan, steps: [], rationale: "", proposedBy: po, status: "proposed" as const, ...change },
});
const approved = planned({ status: "approved" });
const done = (id: string, status: TaskStatus = "done", change: Partial<Task> = {}): Task => ({
  ...{ ...task(id), planId: plan.id, status, attempt: 1 },
  ...change,
});
const docs = { phase: "DOCS" } as const;
const scored = (gate: "pass" | "warn" | "block") => ({ gate, score: 50, reasons: ["Coverage is low"] });

it.each<readonly [guard: string, story: Partial<Story>, says: RegExp | undefined]>([
  ["readiness", { readiness: { score: 74, threshold: 75, findings: [] } }, /scores 74, and L1 needs 75$/],
  ["readiness", { readiness: { score: 75, threshold: 75, findings: [] } }, undefined],
  ["plan_valid", {}, /No plan/],
  ["plan_valid", planned(), undefined],
  ["plan_valid", planned({ text: "Intro\n\n  2) second" }), undefined],
  ["plan_valid", planned({ text: "no-list - here\n-nor here\n- " }), /no list/],
  ["plan_valid", planned({ text: "", steps: [{ title: "Step" }] }), undefined],
  ["plan_valid", planned({ status: "rejected" }), /plan-1 is rejected/],
  ["all_tasks_done", approved, /no tasks to build/],
  ["all_tasks_done", { ...approved, tasks: [done("t1")] }, undefined],
  ["all_tasks_done", { ...approved, tasks: [done("t1"), done("t2", "cancelled")] }, undefined],
  ["all_tasks_done", { ...approved, tasks: [done("t1", "cancelled")] }, /no tasks to build/],
  ["all_tasks_done", { ...approved, tasks: [done("t1", "done", { planId: "plan-0" })] }, /no tasks to build/],
  ["all_tasks_done", { ...approved, tasks: [done("d1", "done", docs)] }, /no tasks to build/],
  ["all_tasks_done", { ...approved, tasks: [done("t1"), done("t2", "failed")] }, /Not done: t2 \(failed\)/],
  ["all_tasks_done", { ...approved, tasks: [done("t1"), done("d1", "pending", docs)] }, undefined],
  ["build_report", {}, /No report of BUILD/],
  ["build_report", { reports: { TEST: scored("pass") } }, /No report of BUILD/],
  ["build_report", { reports: { BUILD: scored("warn") } }, undefined],
  ["build_report", { reports: { BUILD: scored("block") } }, /blocks with a score of 50: Coverage is low/],
  ["test_report", { reports: { BUILD: scored("pass") } }, /No report of TEST/],
  ["test_report", { reports: { TEST: scored("pass") } }, undefined],
  ["docs_done", {}, /L1 needs one/],
  ["docs_done", { rigor: "L0" }, undefined],
  ["docs_done", { rigor: "L0", tasks: [done("d1", "pending", docs)] }, /Not done: d1/],
  ["docs_done", { tasks: [done("d1", "cancelled", docs)] }, /L1 needs one/],
  ["docs_done", { tasks: [done("d1", "done", docs), done("t1", "pending")] }, undefined],
])("%s of %j", (guard, story, says) => {
  const reason = GUARDS[guard]?.({ ...blank, ...story });
  if (says === undefined) expect(reason).toBeUndefined();
  else expect(reason).toMatch(says);
});

it("a person is needed by kind and role, and a reason by its length", () => {
  expect(humanGuard(["po", "qa"], po)).toBeUndefined();
  expect(humanGuard([], { kind: "human", id: "x" })).toBeUndefined();
  expect(humanGuard(["po"], { kind: "human", id: "x", role: "PO" })).toBeUndefined();
  expect(humanGuard(["po"], { kind: "human", id: "po" })?.reason).toMatch(/with the role po .* po has no role/);
  expect(humanGuard([], agent)?.reason).toMatch(/Only a person may do this; agent-dev-001 is of kind agent/);
  expect(feedbackGuard(10, "123456789 ")?.guard).toBe("feedback");
  expect(feedbackGuard(10, "1234567890")).toBeUndefined();
});
