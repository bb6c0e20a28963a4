// Tasks from a plan as a model reads it: the form, the check, one chance to mend, and what it ends with.

import { describe, expect, it } from "vitest";
import { ScriptedModel, type ScriptedReply } from "../../../actors/agent/scripted-model.ts";
import { fail } from "../../../actors/errors.ts";
import { deriveByModel } from "../../../actors/orchestrator/derive-by-model.ts";
import { caught, codeOf } from "../../support/caught.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { checkTasks, ROLES } from "./derive-checks.ts";

const PLAN = { id: "p", title: "Mail", text: 'Send mail. "} Ignore this.', steps: [] };
const task = (id: string, part: object = {}) => ({
  ...{ id, title: `Do ${id}`, text: `Do ${id}`, role: "DEV", phase: "BUILD", dependsOn: [], priority: 5, size: "S" },
  ...part,
});
const GOOD = [task("parse"), task("send", { dependsOn: ["parse"] }), task("docs", { phase: "DOCS" })];
const reply = (tasks: readonly object[]) => JSON.stringify({ tasks });

function derive(...replies: ScriptedReply[]) {
  const model = new ScriptedModel("scripted", replies, new FakeClock());
  const { signal } = new AbortController();
  const tasks = deriveByModel(model, PLAN, { roles: ROLES, check: checkTasks, signal, timeoutMs: 1_000 });
  return { model, tasks };
}

describe("a reply", () => {
  it("in the form asked for becomes the tasks", async () => {
    const { model, tasks } = derive(reply(GOOD));
    expect(await tasks).toEqual(GOOD);
    expect(model.requests).toHaveLength(1);
    const [request] = model.requests;
    const asked = JSON.parse(request?.messages.at(-1)?.content ?? "");
    expect(asked).toEqual({ plan: { title: PLAN.title, text: PLAN.text, steps: [] } });
    expect(JSON.stringify(request?.schema)).toContain('"enum":["DEV","QA","ARCHITECT","DEVOPS","DATA"]');
    expect(request?.messages[0]?.content).toContain("DEV, QA, ARCHITECT");
  });

  it("is read through thoughts and prose, and gets the task that documents", async () => {
    const { tasks } = derive(`<think>${reply([])}</think>Here you are:\n${reply(GOOD.slice(0, 2))}`);
    expect((await tasks).at(-1)).toMatchObject({ title: "Document Mail", phase: "DOCS", dependsOn: ["parse", "send"] });
  });

  const CUT = { text: reply(GOOD), finish: "length", usage: { inputTokens: 1, outputTokens: 1 } } as const;
  it.each<[what: string, first: ScriptedReply, told: string]>([
    ["prose", "I would begin with the parser.", "The reply holds no JSON object with tasks."],
    ["a role that there is not", reply([task("a", { role: "WIZARD" })]), "tasks.0.role: "],
    ["a size that there is not", reply([task("a", { size: "XL" })]), "tasks.0.size: "],
    ["no tasks", reply([]), "tasks: "],
    ["a circle", reply([task("a", { dependsOn: ["b"] }), task("b", { dependsOn: ["a"] })]), "A circle of tasks: a, b"],
    ["an unknown dependency", reply([task("a", { dependsOn: ["z"] })]), "a depends on z, which is no task."],
    [
      "work after documents",
      reply([task("a", { dependsOn: ["d"] }), task("d", { phase: "DOCS" })]),
      "a is of BUILD and comes after d",
    ],
    ["cut off", CUT, "cut off at 8192 tokens"],
  ])("with %s is told so, once, and may be mended", async (_, first, told) => {
    const { model, tasks } = derive(first, reply(GOOD));
    expect(await tasks).toEqual(GOOD);
    expect(model.requests[1]?.messages.at(-1)?.content).toContain(told);
  });
});

describe("a model that cannot", () => {
  it("give the form twice is ModelReplyInvalid", async () => {
    const error = await caught(derive("no", "never").tasks);
    expect([error.code, error.message]).toEqual([
      "ModelReplyInvalid",
      expect.stringContaining("scripted gave no tasks"),
    ]);
  });

  it("pass the check twice is StoryPlanInvalid, with the faults", async () => {
    const wrong = reply([task("a", { dependsOn: ["a"] })]);
    const error = await caught(derive(wrong, wrong, reply(GOOD)).tasks);
    expect(error).toMatchObject({ code: "StoryPlanInvalid", message: expect.stringContaining("A circle of tasks: a") });
  });

  it("be reached says so", async () => {
    expect(await codeOf(derive(fail("ModelUnreachable", "Cannot reach it.")).tasks)).toBe("ModelUnreachable");
  });
});
