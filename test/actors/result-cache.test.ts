// What is kept, for how long, and under which key.

import { expect, test } from "vitest";
import { CollectedTask, type TaskOutcome } from "../../actors/collected-task.ts";
import { contentKey, ResultCache } from "../../actors/result-cache.ts";
import { agentResult, type ResultPlan } from "../support/agent-result.ts";
import { FakeClock } from "../support/fake-clock.ts";

function outcomeOf(plan: ResultPlan, taskId = "first"): TaskOutcome {
  const submission = { taskId, text: "Add it", agentIds: ["agent-dev-001"], deadlineMs: 1 };
  const task = new CollectedTask(submission, 0);
  task.report(agentResult(plan), 1);
  task.end("deadline", 2);
  const outcome = task.outcome();
  if (outcome === undefined) throw new Error("an ended task has an outcome");
  return outcome;
}

const limits = { entriesMax: 2, charsMax: 100_000, ageMaxMs: 1_000 };

test("a kept outcome is answered under the name of the task that asks", () => {
  const cache = new ResultCache(new FakeClock(), limits);
  expect(cache.put("key", outcomeOf({}))).toBe(true);
  expect(cache.get("key", "second")).toMatchObject({ taskId: "second", cachedFrom: "first", status: "completed" });
  expect(cache.get("other", "second")).toBeUndefined();
});

test("an outcome without a winner, or with agents missing, is not kept", () => {
  const cache = new ResultCache(new FakeClock(), limits);
  expect(cache.put("key", outcomeOf({ verified: false }))).toBe(false);
  expect(cache.put("key", { ...outcomeOf({}), status: "partial" })).toBe(false);
  expect(cache.get("key", "second")).toBeUndefined();
});

test("entries end with their age", async () => {
  const clock = new FakeClock();
  const cache = new ResultCache(clock, limits);
  cache.put("key", outcomeOf({}));
  await clock.advance(1_000);
  expect(cache.get("key", "second")).toBeDefined();
  await clock.advance(1);
  expect(cache.get("key", "second")).toBeUndefined();
});

test("beyond its bounds the entry longest unused goes; one larger than everything is refused", () => {
  const cache = new ResultCache(new FakeClock(), limits);
  cache.put("1", outcomeOf({}));
  cache.put("2", outcomeOf({}));
  cache.get("1", "again");
  cache.put("3", outcomeOf({}));
  expect(["1", "2", "3"].map((key) => cache.get(key, "x") !== undefined)).toEqual([true, false, true]);
  const huge = outcomeOf({ files: [{ path: "a", lines: ["x".repeat(100_000)] }] });
  expect(cache.put("4", huge)).toBe(false);
  expect(cache.get("4", "x")).toBeUndefined();
});

test("the key is the question: words, tree, role, model, number of agents", () => {
  const content = { text: "Add it", treeHash: "t1", role: "DEV", model: "mock", agents: 3 };
  const key = contentKey(content);
  expect(contentKey({ ...content, text: "  Add it\r\n", role: "dev" })).toBe(key);
  for (const other of [{ text: "Add  it" }, { treeHash: "t2" }, { role: "QA" }, { model: "m" }, { agents: 2 }]) {
    expect(contentKey({ ...content, ...other }), JSON.stringify(other)).not.toBe(key);
  }
  expect(contentKey({ ...content, text: "a", treeHash: "bc" })).not.toBe(
    contentKey({ ...content, text: "ab", treeHash: "c" }),
  );
});
