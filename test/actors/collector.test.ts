// The collector as others meet it: over handles, with time moved by hand.

import { afterEach, describe, expect, test, vi } from "vitest";
import type { Submission } from "../../actors/collected-task.ts";
import { type CollectorHandle, type CollectorLimits, spawnCollector } from "../../actors/collector.ts";
import { agentResults, type DataOf } from "../../actors/events/channels.ts";
import { postEvent } from "../../actors/events/post.ts";
import { sendResult } from "../../actors/result-post.ts";
import { type ActorSystem, connect } from "../../runtime/index.ts";
import { agentResult, type ResultPlan } from "../support/agent-result.ts";
import { FakeClock, settle } from "../support/fake-clock.ts";
import { waitUntil } from "../support/wait-until.ts";

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
  /** As the agents do. */
  const publish = (taskId: string, ...plans: readonly ResultPlan[]) =>
    Promise.all(plans.map((plan) => sendResult(system, agentResult({ taskId, ...plan }))));
  return { clock, system, collector: spawned.with({ timeoutMs: 10 * MINUTE_MS }), submit, publish };
}

const BOTH = [{ agentId: "a" }, { agentId: "b" }] as const;

/** Once the collector has taken in this many results. */
const has = (collector: CollectorHandle, taskId: string, count: number) =>
  waitUntil("the results were taken in", async () => (await collector.status(taskId)).received.length === count);

describe("outcome", () => {
  test("waits for the last answer", async () => {
    const { collector, submit, publish } = await start();
    expect(await collector.open(submit("t"))).toEqual({ kind: "opened" });
    const outcome = collector.outcome("t");
    expect(await collector.status("t")).toMatchObject({ state: "open", waiting: ["a", "b"] });
    await publish("t", ...BOTH);
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
    const { collector, submit, publish } = await start();
    await collector.open(submit("cancelled"));
    await publish("cancelled", { agentId: "b" });
    await has(collector, "cancelled", 1);
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

  test("counts one result for each agent: repeats, strangers, other tasks' results and nonsense change nothing", async () => {
    const { system, collector, submit, publish } = await start();
    await collector.open(submit("t"));
    await publish("t", { agentId: "a" });
    for (const [taskId, agentId] of [
      ["t", "a"],
      ["t", "mallory"],
      ["other", "b"],
    ] as const)
      await tell(system, taskId, agentId);
    for (const nonsense of [null, 7, { kind: "result" }]) await system.publish("agent.results.t", nonsense);
    await post(system, "gone", { kind: "blob", blob: "0".repeat(64) });
    await publish("other", { agentId: "b" });
    await waitUntil("the repeat is seen", async () => (await collector.status("t")).duplicates === 1);
    expect(await collector.status("t")).toMatchObject({ state: "open", received: ["a"], waiting: ["b"] });
    await publish("t", { agentId: "b" });
    expect(await collector.outcome("t")).toMatchObject({ status: "completed", duplicates: 1 });
  });

  test("takes in a result that is too large for an event, and leaves no blob of it", async () => {
    const { system, collector, submit, publish } = await start();
    await collector.open(submit("t", { agentIds: ["a"] }));
    const lines = Array.from({ length: 100_000 }, (_, index) => `line ${index}`);
    const put = vi.spyOn(system.ports.blobs, "put");
    await publish("t", { agentId: "a", files: [{ path: "large.txt", lines }] });
    const { results } = await collector.outcome("t");
    expect(results[0]?.diff).toContain("+line 99999");
    await waitUntil("the blob is gone", async () => !(await system.ports.blobs.has(await put.mock.results[0]?.value)));
  });
});

/** On the topic of task t, whatever it says, under a key of its own. */
const post = (system: ActorSystem, key: string, data: DataOf<typeof agentResults, "agent.result">) =>
  postEvent(system, "agent", agentResults, { type: "agent.result", key, correlationId: "t", topic: ["t"], data });

const tell = (system: ActorSystem, taskId: string, agentId: string) =>
  post(system, `${taskId} ${agentId} again`, { kind: "result", result: agentResult({ taskId, agentId }) });

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
  const { collector, submit, publish } = await start({ waitersMax: 50 });
  await collector.open(submit("t"));
  const waiting = Array.from({ length: 50 }, () => collector.outcome("t"));
  await publish("t", ...BOTH);
  expect(new Set((await Promise.all(waiting)).map((outcome) => outcome.status))).toEqual(new Set(["completed"]));
});

test("what is read ends with the task, and when the collector is stopped or ended without a word", async () => {
  const { clock, system, collector, submit } = await start();
  const ends: AbortSignal[] = [];
  vi.spyOn(system.ports.eventLog, "follow").mockImplementation(async function* (_filter, _from, signal) {
    if (signal === undefined) return;
    ends.push(signal);
    await new Promise((resolve) => signal.addEventListener("abort", resolve));
  });
  await collector.open(submit("cancelled"));
  await collector.cancel("cancelled");
  await collector.open(submit("open"));
  expect(ends.map(({ aborted }) => aborted)).toEqual([true, false]);
  await system.kill(collector);
  expect(ends[1]?.aborted).toBe(false);
  await clock.advance(MINUTE_MS + 5_000);
  expect(ends[1]?.aborted).toBe(true);
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
    const { collector, submit, publish } = await start();
    await collector.open(submit("first", { contentKey: "key" }));
    await publish("first", ...BOTH);
    await collector.outcome("first");
    const opened = await collector.open(submit("second", { contentKey: "key" }));
    expect(opened).toMatchObject({ kind: "cached", outcome: { taskId: "second", cachedFrom: "first" } });
    expect(await collector.outcome("second")).toMatchObject({ cachedFrom: "first", ranking: { winner: "a" } });
    expect(await collector.status("second")).toMatchObject({ state: "completed", received: ["a", "b"] });
  });

  test("is tried again when nobody won", async () => {
    const { collector, submit, publish } = await start();
    await collector.open(submit("first", { contentKey: "key" }));
    await publish("first", ...BOTH.map((plan) => ({ ...plan, verified: false })));
    await collector.outcome("first");
    expect(await collector.open(submit("second", { contentKey: "key" }))).toEqual({ kind: "opened" });
  });
});
