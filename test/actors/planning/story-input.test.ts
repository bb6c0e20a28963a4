// What a story may hold and what planning refuses; and stories by pages.

import { describe, expect, it } from "vitest";
import type { Moved } from "../../../actors/planning/planning-api.ts";
import { caught, codeOf } from "../../support/caught.ts";
import { draft, finish, inBuild, ofType, openStand, passing, plan, po, system, task } from "./stand.ts";

const guardsOf = (moved: Moved) => (moved.kind === "blocked" ? moved.blocked.map(({ guard }) => guard) : []);

describe("bad input", () => {
  it("ten megabytes are refused at once, by field and bound", async () => {
    await using open = await openStand();
    const { planning } = open;
    await planning.createStory(draft({ id: "s1" }));
    const huge = "x".repeat(10_000_000);
    const calls: readonly (readonly [field: string, bound: string, call: () => Promise<unknown>])[] = [
      ["title", "200", () => planning.createStory(draft({ title: huge }))],
      ["description", "20000", () => planning.createStory(draft({ description: huge }))],
      ["criteria.1", "2000", () => planning.createStory(draft({ criteria: ["a", huge] }))],
      ["description", "20000", () => planning.editStory({ by: po, storyId: "s1", description: huge })],
      ["plan.text", "20000", () => planning.proposePlan({ by: po, storyId: "s1", plan: { ...plan, text: huge } })],
      ["feedback", "2000", () => planning.transition({ by: po, storyId: "s1", event: "reject_scope", feedback: huge })],
      [
        "tasks.0.text",
        "4000",
        () => planning.addTasks({ by: po, storyId: "s1", planId: "p", tasks: [task("t", { text: huge })] }),
      ],
      ["question", "2000", () => planning.ask({ by: po, subject: "git.push", question: huge })],
      ["key", "200", () => planning.createStory(draft({ key: huge }))],
      ["storyId", "64", () => planning.editStory({ by: po, storyId: huge })],
    ];
    for (const [field, bound, call] of calls) {
      const error = await caught(call());
      expect(error.code, field).toBe("FieldInvalid");
      expect(error.message).toContain(`${field}: `);
      expect(error.message).toContain(bound);
      expect(error.message.length).toBeLessThan(200);
    }
    expect(await codeOf(planning.story(huge))).toBe("StoryUnknown");
    expect(await codeOf(planning.approval(huge))).toBe("ApprovalUnknown");
    expect((await planning.story("s1")).version).toBe(1);
  });

  it("a story as large as its fields allow is kept, with its plan; what the store cannot hold is refused before it is written", async () => {
    await using open = await openStand();
    const { planning } = open;
    const tasks = Array.from({ length: 64 }, (_, index) => task(`t${index}`, { text: "x".repeat(4_000) }));
    await planning.createStory(draft({ id: "s1", description: "x".repeat(20_000) }));
    await planning.transition({ by: po, storyId: "s1", event: "approve_scope" });
    const steps = tasks.map(({ id, title, text }) => ({ id, title, text }));
    const error = await caught(planning.proposePlan({ by: po, storyId: "s1", plan: { ...plan, steps } }));
    expect([error.code, error.data.field]).toEqual(["FieldInvalid", "plan"]);
    await planning.proposePlan({ by: po, storyId: "s1", plan: { ...plan, text: `- a\n${"x".repeat(19_000)}` } });
    await planning.transition({ by: po, storyId: "s1", event: "approve_design" });
    await planning.addTasks({ by: system, storyId: "s1", planId: plan.id, tasks });
    expect(ofType(await open.events(), "task.derived").map(({ data }) => data.task.text.length)).toEqual(
      tasks.map(() => 4_000),
    );
    await finish(planning, "s1", "BUILD");
    expect((await planning.transition({ by: system, storyId: "s1", event: "build_done" })).kind).toBe("moved");
    const wide = { criteria: Array(50).fill("\u4e2d".repeat(2_000)), description: "\u4e2d".repeat(20_000) };
    expect((await caught(planning.createStory(draft({ id: "s2", ...wide })))).message).toMatch(/^criteria: too large/);
    expect(await codeOf(planning.story("s2"))).toBe("StoryUnknown");
  });

  it("what is unknown, fixed or does not fit is said by its code", async () => {
    await using open = await openStand();
    const { planning } = open;
    await inBuild(planning, "s1");
    const codes = await Promise.all([
      codeOf(planning.story("none")),
      codeOf(planning.transition({ by: po, storyId: "none", event: "approve_scope" })),
      codeOf(planning.transition({ by: po, storyId: "s1", event: "approve_everything" })),
      codeOf(planning.editStory({ by: po, storyId: "s1", title: "Other" })),
      codeOf(planning.proposePlan({ by: po, storyId: "s1", plan })),
      codeOf(planning.taskChanged({ by: po, storyId: "s1", taskId: "none", status: "done", attempt: 1 })),
      codeOf(planning.addTasks({ by: po, storyId: "s1", planId: "none", tasks: [task("x")] })),
      codeOf(planning.addTasks({ by: po, storyId: "s1", planId: plan.id, tasks: [task("x", { dependsOn: ["x"] })] })),
      codeOf(planning.recordReport({ by: po, storyId: "s1", phase: "LUNCH", report: passing })),
      codeOf(planning.createStory(draft({ epicId: "none" }))),
      codeOf(planning.createEpic({ by: po, projectId: "none", title: "E", description: "" })),
      codeOf(planning.createStory(draft({ by: { kind: "robot" as "agent", id: "r" } }))),
      codeOf(planning.createStory({} as ReturnType<typeof draft>)),
    ]);
    expect(codes).toEqual([
      ...["StoryUnknown", "StoryUnknown", "EventUnknown", "StoryFixed", "StoryFixed", "TaskUnknown", "PlanUnknown"],
      ...["StoryPlanInvalid", "FieldInvalid", "EpicUnknown", "ProjectUnknown", "FieldInvalid", "FieldInvalid"],
    ]);
    const made = await planning.transition({ by: po, storyId: "s1", event: "create_story" });
    expect(guardsOf(made)).toEqual(["state"]);
  });
});

describe("pages", () => {
  it("come in the order of ids, by state and by epic, and follow what changes", async () => {
    await using open = await openStand();
    const { planning } = open;
    await planning.createProject({ by: po, id: "p1", title: "P", description: "" });
    await planning.createEpic({ by: po, id: "e1", projectId: "p1", title: "E", description: "" });
    for (const index of [5, 3, 9, 1, 7])
      await planning.createStory(draft({ id: `s${index}`, ...(index > 4 && { epicId: "e1" }) }));
    await planning.transition({ by: po, storyId: "s5", event: "approve_scope" });
    const ids = async (filter: Parameters<typeof planning.stories>[0]) => {
      const { stories, next } = await planning.stories(filter);
      return [...stories.map(({ id }) => id), ...(next === undefined ? [] : [`then ${next}`])].join(" ");
    };
    expect(await ids({})).toBe("s1 s3 s5 s7 s9");
    expect(await ids({ max: 2 })).toBe("s1 s3 then s3");
    expect(await ids({ max: 2, after: "s3" })).toBe("s5 s7 then s7");
    expect(await ids({ max: 2, after: "s7" })).toBe("s9");
    expect(await ids({ state: "DRAFT" })).toBe("s1 s3 s7 s9");
    expect(await ids({ state: "DESIGN" })).toBe("s5");
    expect(await ids({ epicId: "e1" })).toBe("s5 s7 s9");
    expect(await ids({ epicId: "e1", state: "DRAFT" })).toBe("s7 s9");
    expect(await ids({ state: "NOWHERE" })).toBe("");
  });
});
