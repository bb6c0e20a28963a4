// What is next for a story, by table; what becomes of an attempt; and the order of what waits.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  afterFailure,
  conflictProblem,
  requestOf,
  verdictOnMissing,
  verdictOnResult,
} from "../../../actors/orchestrator/story-flow-attempts.ts";
import {
  fixTask,
  freshIds,
  isReady,
  nextSteps,
  planByRules,
  treeOf,
} from "../../../actors/orchestrator/story-flow-steps.ts";
import { TaskQueue } from "../../../actors/orchestrator/task-queue.ts";
import { type Plan, type Story, storySchema, type Task, taskDraftSchema } from "../../../actors/planning/story.ts";
import { agentResult } from "../../support/agent-result.ts";
import { draft } from "./story-flow-stage.ts";

const PERSON = { kind: "human", id: "ada" } as const;
const SYSTEM = { kind: "system", id: "orchestrator" } as const;

const plan = (more: Partial<Plan> = {}): Plan => ({
  ...{ id: "p", title: "Plan", text: "- a", steps: [], rationale: "", proposedBy: PERSON, status: "approved", ...more },
});
const task = (id: string, more: Partial<Task> = {}): Task => ({
  ...draft(id),
  ...{ planId: "p", status: "pending", attempt: 0, ...more },
});
const entry = (event: string, from: string, to: string, version: number, feedback?: string) => ({
  ...{ event, from, to, by: PERSON, version, atMs: 0, ...(feedback !== undefined && { feedback }) },
});
const story = (more: Partial<Story>): Story => ({
  ...{ id: "s", title: "A story", description: "", criteria: ["It works."], rigor: "L1", state: "BUILD", version: 9 },
  ...{ readiness: { score: 90, threshold: 75, findings: [] }, plan: plan(), tasks: [], reports: {} },
  ...{ history: [entry("approve_design", "DESIGN", "BUILD", 5)], createdAtMs: 0, updatedAtMs: 0, ...more },
});
const { plan: _, ...planless } = story({ state: "DESIGN", history: [entry("approve_scope", "DRAFT", "DESIGN", 3)] });
const brief = (of: Story, begun = {}) =>
  nextSteps(of, begun).map((step) => {
    if (step.kind === "work") return `work ${step.task.id}`;
    if (step.kind === "add") return `add ${step.draft.id}`;
    if (step.kind === "verify") return `verify ${step.tree}`;
    return step.kind === "deliver" ? "deliver" : `${step.kind} ${step.plan.id}`;
  });

describe("next steps", () => {
  const done = task("a", { status: "done" });
  const rejected = entry("reject_test", "TEST", "BUILD", 8, "It is slow.");
  const back = { history: [entry("approve_design", "DESIGN", "BUILD", 5), rejected] };
  it.each<[string, Story, readonly string[], object?]>([
    ["nothing in DRAFT", story({ state: "DRAFT" }), []],
    ["a plan where there is none", planless as Story, ["propose plan-3"]],
    ["nothing while a plan waits for a person", story({ state: "DESIGN", plan: plan({ status: "proposed" }) }), []],
    [
      "nothing for a person's plan that was rejected",
      story({ state: "DESIGN", plan: plan({ status: "rejected" }) }),
      [],
    ],
    [
      "another for its own",
      story({ state: "DESIGN", plan: plan({ status: "rejected", proposedBy: SYSTEM }) }),
      ["propose plan-9"],
    ],
    ["tasks of an approved plan", story({}), ["derive p"]],
    ["tasks of a later plan", story({ plan: plan({ id: "q" }), tasks: [done] }), ["derive q"]],
    ["nothing for a plan that a person was asked about", story({}), [], { refused: "p" }],
    [
      "what is free, the most urgent first",
      story({ tasks: [task("a", { priority: 1 }), task("b", { priority: 9 })] }),
      ["work b", "work a"],
    ],
    [
      "nothing that waits for another",
      story({ tasks: [task("a", { status: "failed" }), task("b", { dependsOn: ["a"] })] }),
      [],
    ],
    ["what another's end has freed", story({ tasks: [done, task("b", { dependsOn: ["a"] })] }), ["work b"]],
    [
      "nothing that waits for what was cancelled",
      story({ tasks: [done, task("x", { status: "cancelled" }), task("b", { dependsOn: ["x"] })] }),
      [],
    ],
    ["what is out", story({ tasks: [task("a", { status: "dispatched", attempt: 1 })] }), ["work a"]],
    [
      "nothing of DOCS in BUILD",
      story({ tasks: [task("a", { status: "dispatched" }), task("d", { phase: "DOCS" })] }),
      ["work a"],
    ],
    ["verification when all is done", story({ tasks: [done, task("x", { status: "cancelled" })] }), ["verify 5.1"]],
    ["not twice", story({ tasks: [done] }), [], { verified: "5.1" }],
    [
      "again after more work",
      story({ tasks: [done, task("b", { status: "done" })] }),
      ["verify 5.2"],
      { verified: "5.1" },
    ],
    ["what a tester said", story({ ...back, tasks: [done] }), ["add feedback8"]],
    ["that only once", story({ ...back, tasks: [done, task("feedback8")] }), ["work feedback8"]],
    [
      "DOCS in DOCS",
      story({ state: "DOCS", tasks: [done, task("d", { phase: "DOCS", dependsOn: ["a"] })] }),
      ["work d"],
    ],
    ["nothing in TEST", story({ state: "TEST", tasks: [done] }), []],
    ["delivery at the end", story({ state: "DONE", tasks: [done] }), ["deliver"]],
  ])("%s", (_, of, steps, begun) => expect(brief(of, begun)).toEqual(steps));

  it("a verification is of the branch since the story came to BUILD", () => {
    expect(treeOf(story({ ...back, tasks: [done] }))).not.toBe(treeOf(story({ tasks: [done] })));
  });
});

describe("texts made by rules", () => {
  it("a plan has a step for each criterion, and what was said when it was sent back", () => {
    const history = [
      entry("approve_scope", "DRAFT", "DESIGN", 3),
      entry("reject_build", "BUILD", "DESIGN", 7, "Use the\nqueue."),
    ];
    const of = story({ state: "DESIGN", criteria: ["Given a\n then b", "c"], history });
    expect(planByRules(of).text).toBe("- Given a then b\n- c\n- Use the queue.");
    expect(planByRules({ ...of, tasks: [task("a", { status: "done" })] }).text).toBe("- Use the queue.");
    expect(planByRules(story({ criteria: [] })).text).toBe("- A story");
  });

  it("a task to mend keeps within bounds, with both ends of a long output", () => {
    const made = taskDraftSchema.parse(fixTask(story({}), `first ${"x".repeat(1_000_000)} last`, 1));
    expect(made.text).toMatch(/first x+\n…\nx+ last$/);
    expect(fixTask(story({ tasks: [task("fix1")] }), "again", 1)).toBeUndefined();
  });

  it("ids of a later plan are new, and still ids", () => {
    const long = "x".repeat(64);
    const of = story({ tasks: [task("a"), task("a-2"), task(long)] });
    const fresh = freshIds(of, [draft("a"), draft("b", { dependsOn: ["a", long, "elsewhere"] }), draft(long)]);
    expect(fresh.map(({ id, dependsOn }) => [id, ...dependsOn])).toEqual([
      ["a-3"],
      ["b", "a-3", `${"x".repeat(60)}-2`, "elsewhere"],
      [`${"x".repeat(60)}-2`],
    ]);
    expect(storySchema.shape.tasks.element.shape.id.safeParse(fresh[2]?.id).success).toBe(true);
  });
});

describe("attempts", () => {
  const settings = { attemptsMax: 3, retryPauseMs: 1_000 };
  it.each([
    [1, "JobLost", { status: "pending", pauseMs: 1_000 }],
    [2, "JobLost", { status: "pending", pauseMs: 2_000 }],
    [3, "JobLost", { status: "failed" }],
    [4, "JobLost", { status: "pending", pauseMs: 1_000 }],
    [6, "MergeConflict", { status: "failed" }],
    [1, "Cancelled", { status: "failed" }],
  ])("%d, ended with %s", (attempt, code, after) => {
    expect(afterFailure(attempt, { code, message: "" }, settings)).toEqual(after);
  });

  it("pauses are bounded", () => {
    expect(afterFailure(39, { code: "X", message: "" }, { attemptsMax: 40, retryPauseMs: 1_000 })).toEqual({
      status: "pending",
      pauseMs: 60_000,
    });
  });

  const out = task("a", { status: "dispatched", attempt: 2 });
  const place = { node: "n", attempt: 2, bundle: "b" };
  const made = { ...agentResult({ agentId: "agent-dev-002" }), place };
  const lost = { code: "JobLost", message: "gone" };
  const kind = (of: Story, about: Task | undefined, result = made) => verdictOnResult(of, about, result).kind;

  it("only the attempt that is out is listened to", () => {
    expect(kind(story({}), out)).toBe("merge");
    expect(kind(story({}), out, { ...made, agentId: "agent-dev-001" })).toBe("moot");
    expect(kind(story({}), { ...out, status: "done" })).toBe("moot");
    expect(kind(story({ state: "DESIGN" }), out)).toBe("moot");
    expect(kind(story({}), undefined)).toBe("moot");
    expect(verdictOnMissing(story({}), out, 2, lost)).toEqual({ kind: "failed", error: lost });
    expect(verdictOnMissing(story({}), out, 1, lost).kind).toBe("moot");
  });

  it("a conflict names some files", () => {
    const files = Array.from({ length: 30 }, (_, at) => `f${at}`);
    expect(conflictProblem(files).message).toMatch(/f0, .*f19 and 10 more\.$/);
  });

  it("a request is the task's, without what went wrong before when nothing did", () => {
    const parts = {
      attempt: 1,
      repository: { url: "/r" },
      context: "",
      timeoutMs: 1,
      model: { kind: "mock" } as const,
    };
    expect(requestOf(story({}), task("a"), parts).text).toBe("Do a.");
    expect(isReady(story({}), out)).toBe(false);
  });
});

it("the queue gives the highest priority first, and equals in their order", () => {
  const pushes = fc.array(
    fc.record({ priority: fc.integer({ min: 0, max: 9 }), pops: fc.integer({ min: 0, max: 2 }) }),
  );
  fc.assert(
    fc.property(pushes, (steps) => {
      const queue = new TaskQueue<number>();
      const model: { item: number; priority: number }[] = [];
      const pop = () => {
        model.sort((a, b) => b.priority - a.priority || a.item - b.item);
        expect(queue.pop()).toBe(model.shift()?.item);
      };
      for (const [item, { priority, pops }] of steps.entries()) {
        queue.push(item, priority);
        model.push({ item, priority });
        for (let i = 0; i < pops; i++) pop();
      }
      while (model.length > 0) pop();
      expect([queue.size, queue.pop()]).toEqual([0, undefined]);
    }),
  );
});
