// Attempts at tasks and verifications that come to nothing, what becomes of them, and what the next agent is given.

import { describe, expect, it } from "vitest";
import { fail } from "../../../actors/errors.ts";
import { FlotillaError, topicSubject } from "../../../runtime/index.ts";
import { waitUntil } from "../../support/wait-until.ts";
import { PERSON } from "./story-flow-planning.ts";
import { draft, type StagePlan, stages } from "./story-flow-stage.ts";

const { stageOf, building } = stages();

const firstFails = (outcome: "failed" | "missing" | "conflict" | "unbundled"): StagePlan => ({
  tasks: [draft("a")],
  script: ({ attempt }) => (attempt === 1 ? outcome : "done"),
});

describe("an attempt that came to nothing", () => {
  it.each([
    ["failed", "NotVerified"],
    ["missing", "JobLost"],
    ["unbundled", "ResultIncomplete"],
    ["conflict", "MergeConflict"],
  ] as const)("%s: the next agent is told %s", async (outcome, code) => {
    const stage = await building(firstFails(outcome));
    const second = await stage.request("s-a-2");
    expect(second).toMatchObject({ agentId: "agent-dev-002", attempt: 2 });
    expect(second.text).toMatch(new RegExp(`^Do a\\.\n\n.*\\(${code}\\): .+`));
    if (outcome === "conflict") expect(second.text).toContain("src/a.ts, src/b.ts");
    await stage.finishes("s");
    expect(stage.runner.merged).toEqual(["s-a-2"]);
  });

  it("waits for a person when all are used; set back to pending, it has a full round again", async () => {
    const stage = await building({ tasks: [draft("a"), draft("b", { dependsOn: ["a"] })], script: () => "missing" });
    await stage.becomes("s", "a", "failed");
    await stage.settled();
    expect(stage.task("s", "a")).toMatchObject({ attempt: 3, error: { code: "JobLost" } });
    expect(stage.task("s", "b")).toMatchObject({ status: "pending", attempt: 0 });
    await stage.planning.taskChanged({ storyId: "s", taskId: "a", status: "pending", attempt: 3, by: PERSON });
    await waitUntil(
      "it failed again",
      () => stage.task("s", "a")?.attempt === 6 && stage.task("s", "a")?.status === "failed",
    );
    expect(stage.runner.posted).toHaveLength(6);
  });

  it("is a question to a person when all are used, once, and approving tries it again", async () => {
    const stage = await building({
      tasks: [draft("a")],
      script: ({ attempt }) => (attempt > 3 ? "done" : "missing"),
    });
    const ask = await stage.asks("s");
    expect(ask).toMatchObject({ subject: "task", taskId: "a" });
    expect(ask.question).toMatch(/^Task a has failed after 3 attempts\..* Approve to try it again\.$/);
    await stage.settled();
    expect(await stage.planning.approvals({ storyId: "s" })).toHaveLength(1);
    await stage.planning.answer("s");
    await stage.finishes("s");
    expect(stage.runner.posted).toEqual(["s-a-1", "s-a-2", "s-a-3", "s-a-4"]);
  });

  it("is not repeated where a repetition changes nothing", async () => {
    const stage = await building({ tasks: [draft("a")], script: () => ({ code: "RoleUnknown" }) });
    await stage.becomes("s", "a", "failed");
    expect(stage.task("s", "a")).toMatchObject({ attempt: 1, error: { code: "RoleUnknown" } });
  });

  it("is found when nothing was told of its end", async () => {
    const stage = await building({
      ...{ tasks: [draft("a")], script: ({ attempt }) => (attempt === 1 ? "silent" : "done") },
      flow: { settings: { lostAfterMs: 100 } },
    });
    await stage.finishes("s");
    expect((await stage.request("s-a-2")).text).toContain("ResultLost");
  });

  it("is left alone while its job runs", async () => {
    const stage = await building({
      tasks: [draft("a")],
      script: () => "held",
      flow: { settings: { lostAfterMs: 50 } },
    });
    const request = await stage.request("s-a-1");
    let asked = 0;
    const { job } = stage.runner;
    stage.runner.job = (id) => {
      asked++;
      return job.call(stage.runner, id);
    };
    await waitUntil("the runner was asked", () => asked > 2);
    await stage.runner.result(request);
    await stage.reaches("s", "TEST");
    expect(stage.runner.posted).toEqual(["s-a-1"]);
  });

  it("is called back when a person cancels the task, and its place is free", async () => {
    const stage = await building({
      tasks: [draft("a"), draft("b")],
      script: () => "held",
      flow: { settings: { dispatchedMax: 1 } },
    });
    await stage.request("s-a-1");
    await stage.planning.taskChanged({ storyId: "s", taskId: "a", status: "cancelled", attempt: 1, by: PERSON });
    await stage.runner.result(await stage.request("s-b-1"));
    await stage.reaches("s", "TEST");
    expect(stage.runner.cancelled).toEqual(["s-a-1"]);
  });

  it.each([
    ["ModelUnset", { model: undefined }, {}],
    ["RepositoryUnset", {}, { repository: undefined }],
  ] as const)("for want of what it needs says %s", async (code, flow, story) => {
    const stage = await stageOf({ tasks: [draft("a")], flow });
    stage.planning.put("s", story as object);
    await stage.planning.approve("s");
    stage.begin();
    await stage.becomes("s", "a", "failed");
    expect(stage.task("s", "a")?.error?.code).toBe(code);
    expect(stage.runner.posted).toEqual([]);
  });
});

describe("what an agent is given", () => {
  const context = (getContext: () => Promise<{ context: string }>) => ({ getContext }) as never;

  it("the context of its task, as soon as the graph knows the task", async () => {
    let asked = 0;
    const getContext = async () => {
      if (++asked < 3) throw fail("TaskUnknown", "Not yet.");
      return { context: "Mind the decision D1." };
    };
    const stage = await building({ tasks: [draft("a")], flow: { context: context(getContext) } });
    expect((await stage.request("s-a-1")).context).toBe("Mind the decision D1.");
  });

  it.each([
    ["does not answer", () => new Promise<never>(() => {}), "did not answer in time"],
    [
      "is away",
      () => Promise.reject(new FlotillaError("Unavailable", "away", { retryable: true })),
      "could not be asked",
    ],
    ["refuses", () => Promise.reject(fail("RoleUnknown", "no such role")), "no such role"],
  ])("a word about it when the context service %s", async (_, getContext, said) => {
    const stage = await building({
      tasks: [draft("a")],
      flow: { context: context(getContext), settings: { contextWaitMs: 3_000 } },
    });
    expect((await stage.request("s-a-1")).context).toContain(said);
    await stage.finishes("s");
    expect(stage.logged).toContain("warn an agent goes without context");
  });

  it("no key of a model", async () => {
    const model = { kind: "openai", url: "http://127.0.0.1:1/v1", model: "m", apiKey: "secret" } as const;
    const stage = await building({ tasks: [draft("a")], flow: { model } });
    expect((await stage.request("s-a-1")).model).toEqual({ kind: "openai", url: "http://127.0.0.1:1/v1", model: "m" });
    const logged = await stage.system.ports.eventLog.read(topicSubject("agent.requests"), 1, 10);
    expect(logged.some(({ data }) => new TextDecoder().decode(data).includes("secret"))).toBe(false);
  });
});

describe("verification", () => {
  const FAILS = { unit: { passed: 1, failed: 1, skipped: 0 } };

  it("that blocks becomes a task with its output, then is done again", async () => {
    const stage = await building({ tasks: [draft("a")] });
    stage.runner.reports.push(FAILS);
    await stage.reaches("s", "TEST");
    expect(stage.task("s", "fix1")).toMatchObject({
      status: "done",
      text: expect.stringMatching(/Unit tests fail\.\n\n1 test failed/),
    });
    expect(stage.runner.verified).toBe(2);
  });

  it("that goes on blocking is a question to a person after as many tasks as there are attempts", async () => {
    const stage = await building({ tasks: [draft("a")], flow: { settings: { attemptsMax: 2 } } });
    stage.runner.reports.push(FAILS, FAILS, FAILS);
    const ask = await stage.asks("s");
    expect(ask).toMatchObject({ subject: "verify", question: expect.stringContaining("Unit tests fail.") });
    await stage.settled();
    expect(stage.planning.now("s")).toMatchObject({
      state: "BUILD",
      tasks: [{ id: "a" }, { id: "fix1" }, { id: "fix2" }],
    });
    await stage.planning.answer("s");
    await stage.reaches("s", "TEST");
    expect(stage.runner.verified).toBe(4);
  });

  it("that cannot be done is a question, too", async () => {
    const stage = await building({ tasks: [draft("a")] });
    stage.runner.reports.push(new FlotillaError("CloneFailed", "There is no repository."));
    const ask = await stage.asks("s");
    expect(ask.question).toContain("There is no repository.");
    await stage.planning.answer("s");
    await stage.finishes("s");
  });

  it("holds up no other story, however long it takes", async () => {
    const stage = await building({ tasks: [draft("a")] });
    let answer = () => {};
    stage.runner.verifying = new Promise((resolve) => (answer = resolve));
    await stage.becomes("s", "a", "done");
    stage.planning.put("other");
    await stage.planning.approve("other");
    await stage.becomes("other", "a", "done");
    await stage.settled();
    answer();
    await stage.finishes("s");
    await stage.finishes("other");
  });
});
