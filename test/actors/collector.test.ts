// The collector as others meet it: over handles, with time moved by hand.

import { afterEach, describe, expect, test } from "vitest";
import type { Submission } from "../../actors/collected-task.ts";
import { type CollectorHandle, type CollectorLimits, spawnCollector } from "../../actors/collector.ts";
import { type ActorSystem, connect } from "../../runtime/index.ts";
import { agentResult } from "../support/agent-result.ts";
import { FakeClock, settle } from "../support/fake-clock.ts";

const MINUTE_MS = 60_000;
const closing: ActorSystem[] = [];

afterEach(async () => {
  await Promise.all(closing.splice(0).map((system) => system.close()));
});

async function start(limits: Partial<CollectorLimits> = {}) {
  const clock = new FakeClock();
  const system = await connect({ clock });
  closing.push(system);
  const spawned = await spawnCollector(system, limits);
  const submit = (taskId: string, more: Partial<Submission> = {}): Submission => {
    return { taskId, text: "Add it", agentIds: ["a", "b"], deadlineMs: clock.now() + MINUTE_MS, ...more };
  };
  return { clock, system, collector: spawned.with({ timeoutMs: 10 * MINUTE_MS }), submit };
}

const reportBoth = (collector: CollectorHandle, taskId: string) =>
  Promise.all(["a", "b"].map((agentId) => collector.report(agentResult({ taskId, agentId }))));

describe("outcome", () => {
  test("waits for the last answer", async () => {
    const { collector, submit } = await start();
    expect(await collector.open(submit("t"))).toEqual({ kind: "opened" });
    const outcome = collector.outcome("t");
    expect(await collector.status("t")).toMatchObject({ state: "open", waiting: ["a", "b"] });
    expect(await reportBoth(collector, "t")).toEqual(["accepted", "accepted"]);
    expect(await outcome).toMatchObject({ status: "completed", ranking: { winner: "a" } });
    expect(await collector.outcome("t")).toEqual(await outcome);
  });

  test("of a task nobody answers comes at its deadline, not before, and names everyone", async () => {
    const { clock, collector, submit } = await start();
    await collector.open(submit("t"));
    const outcome = collector.outcome("t");
    await clock.advance(MINUTE_MS - 1);
    expect(await collector.status("t")).toMatchObject({ state: "open" });
    await clock.advance(1);
    expect(await outcome).toMatchObject({ status: "empty", durationMs: MINUTE_MS });
    expect((await outcome).missing.map((missing) => missing.agentId)).toEqual(["a", "b"]);
  });

  test("of a task whose deadline has passed already comes at once", async () => {
    const { clock, collector, submit } = await start();
    await collector.open(submit("t", { deadlineMs: clock.now() - 1 }));
    const outcome = collector.outcome("t");
    await clock.advance(0);
    expect(await outcome).toMatchObject({ status: "empty" });
  });

  test("comes early when the task is cancelled or everyone is lost", async () => {
    const { collector, submit } = await start();
    await collector.open(submit("cancelled"));
    await collector.report(agentResult({ taskId: "cancelled", agentId: "b" }));
    await collector.cancel("cancelled");
    expect(await collector.outcome("cancelled")).toMatchObject({
      status: "partial",
      missing: [{ reason: "cancelled" }],
    });
    await collector.open(submit("lost"));
    for (const agentId of ["a", "b"]) await collector.lose("lost", agentId, "It crashed.");
    expect(await collector.outcome("lost")).toMatchObject({
      status: "empty",
      missing: [{ message: "It crashed." }, {}],
    });
  });

  test("repeats, strangers and latecomers are told what they are", async () => {
    const { collector, submit } = await start();
    await collector.open(submit("t"));
    const report = (agentId: string, taskId = "t") => collector.report(agentResult({ taskId, agentId }));
    expect([await report("a"), await report("a"), await report("mallory"), await report("a", "other")]).toEqual([
      "accepted",
      "duplicate",
      "stranger",
      "unknown",
    ]);
    await collector.cancel("t");
    expect(await report("b")).toBe("late");
    expect(await collector.outcome("t")).toMatchObject({ duplicates: 1, late: 1, missing: [{ agentId: "b" }] });
  });
});

describe("refusals", () => {
  test("an unknown task", async () => {
    const { collector } = await start();
    await expect(collector.outcome("t")).rejects.toMatchObject({ code: "TaskUnknown", data: { taskId: "t" } });
    await expect(collector.status("t")).rejects.toMatchObject({ code: "TaskUnknown" });
  });

  test("a task opened twice, while it runs and after", async () => {
    const { collector, submit } = await start();
    await collector.open(submit("t"));
    await expect(collector.open(submit("t"))).rejects.toMatchObject({ code: "TaskOpenedTwice" });
    await collector.cancel("t");
    await expect(collector.open(submit("t"))).rejects.toMatchObject({ code: "TaskOpenedTwice" });
  });

  test.each<[string, Partial<Submission>, RegExp]>([
    ["nobody expected", { agentIds: [] }, /agentIds/],
    ["somebody expected twice", { agentIds: ["a", "a"] }, /agentIds: an agent is named twice/],
    ["a quorum of more than all", { quorum: 3 }, /quorum of 3 cannot be reached by 2 agents/],
    ["no deadline", { deadlineMs: Number.NaN }, /deadlineMs/],
    ["no words", { text: "" }, /text/],
  ])("a submission with %s", async (_, more, message) => {
    const { collector, submit } = await start();
    await expect(collector.open(submit("t", more))).rejects.toMatchObject({ code: "SubmissionInvalid", message });
  });

  test("beyond its bounds: open tasks and waiters; both have room again", async () => {
    const { collector, submit } = await start({ openMax: 1, waitersMax: 1 });
    await collector.open(submit("1"));
    await expect(collector.open(submit("2"))).rejects.toMatchObject({ code: "CollectorFull", retryable: true });
    const outcome = collector.outcome("1");
    await expect(collector.outcome("1")).rejects.toMatchObject({ code: "CollectorFull" });
    await collector.cancel("1");
    await outcome;
    await collector.open(submit("2"));
  });

  test("a wrong cast ends nobody's collector", async () => {
    const { collector, submit } = await start();
    await collector.open(submit("t"));
    collector.cast.report(agentResult({ taskId: "nowhere" }));
    collector.cast.lose("nowhere", "a", "gone");
    collector.cast.cancel("nowhere");
    expect(await collector.status("t")).toMatchObject({ state: "open" });
  });
});

test("a waiter that gives up leaves its place", async () => {
  const { collector, submit } = await start({ waitersMax: 1 });
  await collector.open(submit("t"));
  const leaving = new AbortController();
  const left = collector.with({ signal: leaving.signal }).outcome("t");
  const refused = expect(left).rejects.toMatchObject({ code: "Cancelled" });
  await settle();
  leaving.abort();
  await refused;
  const outcome = collector.outcome("t");
  await collector.cancel("t");
  expect(await outcome).toMatchObject({ status: "empty" });
});

test("as many waiters as allowed cannot keep results out", async () => {
  const { collector, submit } = await start({ waitersMax: 50 });
  await collector.open(submit("t"));
  const waiting = Array.from({ length: 50 }, () => collector.outcome("t"));
  await reportBoth(collector, "t");
  expect(new Set((await Promise.all(waiting)).map((outcome) => outcome.status))).toEqual(new Set(["completed"]));
});

test("the oldest finished tasks are forgotten, and no timers stay", async () => {
  const { clock, collector, submit } = await start({ finishedMax: 2 });
  await settle();
  const before = clock.pending;
  for (const taskId of ["1", "2", "3"]) {
    await collector.open(submit(taskId));
    await collector.cancel(taskId);
  }
  await expect(collector.outcome("1")).rejects.toMatchObject({ code: "TaskUnknown" });
  expect(await collector.outcome("3")).toMatchObject({ status: "empty" });
  await clock.advance(0);
  expect(clock.pending - before).toBeLessThanOrEqual(1);
});

describe("the same content again", () => {
  test("is answered from the cache, under the new task's name", async () => {
    const { collector, submit } = await start();
    await collector.open(submit("first", { contentKey: "key" }));
    await reportBoth(collector, "first");
    const opened = await collector.open(submit("second", { contentKey: "key" }));
    expect(opened).toMatchObject({ kind: "cached", outcome: { taskId: "second", cachedFrom: "first" } });
    expect(await collector.outcome("second")).toMatchObject({ cachedFrom: "first", ranking: { winner: "a" } });
    expect(await collector.status("second")).toMatchObject({ state: "completed", received: ["a", "b"] });
    expect(await collector.report(agentResult({ taskId: "second", agentId: "a" }))).toBe("late");
  });

  test("is tried again when nobody won", async () => {
    const { collector, submit } = await start();
    await collector.open(submit("first", { contentKey: "key" }));
    for (const agentId of ["a", "b"])
      await collector.report(agentResult({ taskId: "first", agentId, verified: false }));
    expect(await collector.open(submit("second", { contentKey: "key" }))).toEqual({ kind: "opened" });
  });
});
