// One task's way to its outcome: who is in, who is missing and why, and what cannot change it any more.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { CollectedTask, type Submission } from "../../actors/collected-task.ts";
import { agentResult } from "../support/agent-result.ts";

const agentIds = ["a", "b", "c"];
const open = (more: Partial<Submission> = {}) =>
  new CollectedTask({ taskId: "t", text: "Add it", agentIds, deadlineMs: 1_000, ...more }, 100);
const good = (agentId: string) => agentResult({ agentId });
const bad = (agentId: string) => agentResult({ agentId, verified: false, tests: { passed: 1, failed: 1 } });

test("ends when everyone has answered, with the ranking and the time it took", () => {
  const task = open();
  expect(
    agentIds.map((agentId, index) => task.report(agentId === "b" ? good("b") : bad(agentId), 110 + index)),
  ).toEqual(["accepted", "accepted", "accepted"]);
  expect(task.outcome()).toMatchObject({ status: "completed", missing: [], durationMs: 12, ranking: { winner: "b" } });
  expect(task.outcome()?.results.map((result) => result.agentId)).toEqual(agentIds);
});

test("is open until then", () => {
  const task = open();
  task.report(good("b"), 101);
  expect(task.outcome()).toBeUndefined();
  expect(task.status()).toMatchObject({ state: "open", received: ["b"], waiting: ["a", "c"] });
});

test("a task nobody answers ends at its deadline and names everyone", () => {
  const task = open();
  task.end("deadline", 1_100);
  expect(task.outcome()).toMatchObject({ status: "empty", durationMs: 1_000, ranking: { entries: [], winner: null } });
  expect(task.outcome()?.missing.map(({ agentId, reason }) => [agentId, reason])).toEqual(
    agentIds.map((agentId) => [agentId, "deadline"]),
  );
});

test("the deadline keeps what is there, ranked", () => {
  const task = open();
  task.report(good("c"), 101);
  task.end("deadline", 1_100);
  expect(task.outcome()).toMatchObject({ status: "partial", ranking: { winner: "c" } });
  expect(task.outcome()?.missing).toHaveLength(2);
});

describe("who counts", () => {
  test("the first result of an agent stays; a repeat cannot end a task for somebody else", () => {
    const task = open();
    const first = bad("a");
    expect([first, good("a"), good("a")].map((result) => task.report(result, 101))).toEqual([
      "accepted",
      "duplicate",
      "duplicate",
    ]);
    expect(task.ended).toBe(false);
    task.end("deadline", 1_100);
    expect(task.outcome()).toMatchObject({ results: [first], duplicates: 2, ranking: { winner: null } });
  });

  test("strangers are refused and change nothing", () => {
    const task = open();
    expect(task.report(good("mallory"), 101)).toBe("stranger");
    expect(task.status()).toMatchObject({ received: [], duplicates: 0 });
  });

  test("whatever comes after the end is late, a repeat too, and changes nothing", () => {
    const task = open();
    task.report(good("a"), 101);
    task.end("cancelled", 102);
    const outcome = task.outcome();
    expect(["b", "a"].map((agentId) => task.report(good(agentId), 103))).toEqual(["late", "late"]);
    expect(task.outcome()).toEqual(outcome);
    expect(outcome).toMatchObject({ duplicates: 0, durationMs: 2, results: [{ agentId: "a" }] });
  });

  test("an agent that is lost is not waited for", () => {
    const task = open();
    task.report(good("a"), 101);
    task.lose("b", "It crashed.", 102);
    task.lose("c", "Its node is gone.", 103);
    expect(task.outcome()).toMatchObject({
      status: "partial",
      missing: [
        { agentId: "b", reason: "lost", message: "It crashed." },
        { agentId: "c", reason: "lost" },
      ],
    });
  });

  test("a lost agent that answers after all is welcome until the end", () => {
    const task = open();
    task.lose("b", "No word from it.", 101);
    expect(task.report(good("b"), 102)).toBe("accepted");
    for (const agentId of ["a", "c"]) task.report(good(agentId), 103);
    expect(task.outcome()).toMatchObject({ status: "completed", missing: [] });
  });

  test("losing everyone ends the task: it must not wait for its deadline", () => {
    const task = open();
    for (const agentId of agentIds) task.lose(agentId, "It crashed.", 101);
    expect(task.outcome()).toMatchObject({ status: "empty", durationMs: 1 });
  });
});

describe("quorum", () => {
  test("counts verified results only, and says whom it did not wait for", () => {
    const task = open({ quorum: 1 });
    task.report(bad("a"), 101);
    expect(task.ended).toBe(false);
    task.report(good("b"), 102);
    expect(task.outcome()).toMatchObject({ status: "completed", missing: [{ agentId: "c", reason: "quorum" }] });
  });
});

test("whatever comes in whatever order: everyone is accounted for once, and an end is for ever", () => {
  const who = fc.constantFrom("a", "b", "c", "stranger");
  const event = fc.oneof(
    fc.record({ kind: fc.constant("good" as const), who }),
    fc.record({ kind: fc.constant("bad" as const), who }),
    fc.record({ kind: fc.constant("lose" as const), who }),
    fc.record({ kind: fc.constantFrom("deadline" as const, "cancelled" as const), who }),
  );
  fc.assert(
    fc.property(fc.array(event, { maxLength: 12 }), fc.option(fc.integer({ min: 1, max: 3 })), (events, quorum) => {
      const task = open(quorum === null ? {} : { quorum });
      let firstEnd: unknown;
      for (const [index, { kind, who: agentId }] of events.entries()) {
        if (kind === "good" || kind === "bad") task.report((kind === "good" ? good : bad)(agentId), 101 + index);
        else if (kind === "lose") task.lose(agentId, "gone", 101 + index);
        else task.end(kind, 101 + index);
        firstEnd ??= task.outcome();
        if (firstEnd !== undefined) expect(task.outcome()).toEqual(firstEnd);
      }
      task.end("deadline", 1_100);
      const { results = [], missing = [], status } = task.outcome() ?? {};
      const everyone = [...results, ...missing].map((each) => each.agentId);
      expect(everyone.sort()).toEqual(agentIds);
      expect(status === "empty").toBe(results.length === 0);
      expect(task.status().waiting).toEqual([]);
    }),
  );
});
