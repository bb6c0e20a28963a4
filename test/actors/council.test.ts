// Councils on real repositories, with the mock and with a real HTTP server in place of a model.

import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { type ModelSpec, modelName } from "../../actors/agent-actor.ts";
import type { TaskOutcome } from "../../actors/collected-task.ts";
import { spawnCollector } from "../../actors/collector.ts";
import { type CouncilProgress, type CouncilRequest, runCouncil } from "../../actors/council/council.ts";
import { agentIds, roleNamed } from "../../actors/council/roles.ts";
import { contentKey } from "../../actors/result-cache.ts";
import { type ActorSystem, connect, sleep, systemClock } from "../../runtime/index.ts";
import { cloneForAgent } from "../../tools/index.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { makeFolder, makeRepository } from "../support/git-repository.ts";
import { startOpenAiServer } from "../support/openai-server.ts";
import { waitUntil } from "../support/wait-until.ts";

const MINUTE_MS = 60_000;

/** A JavaScript project, because its test runner is always here. */
const files = {
  "src/utils.js": "export function double(n) {\n  return 2 * n;\n}\n",
  "test/utils.test.js":
    'import assert from "node:assert";\nimport { test } from "node:test";\nimport { double } from "../src/utils.js";\n' +
    'test("double", () => assert.equal(double(2), 4));\n',
  "package.json": '{ "type": "module" }\n',
};

const cleanups: (() => PromiseLike<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

interface Setting extends Partial<CouncilRequest> {
  readonly count?: number;
  readonly systemOptions?: Parameters<typeof connect>[0];
}

interface Council {
  readonly system: ActorSystem;
  readonly request: CouncilRequest;
  readonly progress: CouncilProgress[];
  readonly outcome: Promise<TaskOutcome>;
}

/** Starts a council of `count` agents, each in its own clone of one repository. */
async function convene({ count = 3, systemOptions, ...more }: Setting = {}): Promise<Council> {
  const repository = await makeRepository({ files });
  const folder = await makeFolder();
  const system = await connect(systemOptions);
  cleanups.push(
    () => folder[Symbol.asyncDispose](),
    () => repository[Symbol.asyncDispose](),
    () => system.close(),
  );
  const commit = await repository.head();
  const author = { name: "agent", email: "agent@example.invalid" };
  const clone = async (agentId: string) => {
    const workspacePath = await cloneForAgent({
      source: repository.path,
      into: join(folder.path, agentId),
      commit,
      author,
    });
    return { agentId, workspacePath };
  };
  const agents = await Promise.all(agentIds(roleNamed("DEV"), count).map(clone));
  const progress: CouncilProgress[] = [];
  const request: CouncilRequest = {
    taskId: "task-1",
    text: "Add helloWorld() function to src/utils.js",
    role: "DEV",
    agents,
    baseCommit: commit,
    model: { kind: "mock" },
    timeoutMs: MINUTE_MS,
    onProgress: (event) => progress.push(event),
    ...more,
  };
  return { system, request, progress, outcome: runCouncil(system, request) };
}

async function hangingModel(): Promise<ModelSpec> {
  const server = await startOpenAiServer(() => ({ kind: "hang" }));
  cleanups.push(() => server[Symbol.asyncDispose]());
  return { kind: "openai", url: server.url, model: "tiny" };
}

const kinds = (progress: readonly CouncilProgress[], kind: CouncilProgress["kind"]) =>
  progress.filter((event) => event.kind === kind).map((event) => event.agentId);

describe("three scripted agents", () => {
  test("the clean one wins before the sloppy and the wrong one, for reasons that are given", async () => {
    const { system, progress, outcome } = await convene();
    const { status, ranking, results, missing } = await outcome;
    expect({ status, missing, winner: ranking.winner }).toEqual({
      status: "completed",
      missing: [],
      winner: "agent-dev-001",
    });
    expect(ranking.entries.map((entry) => [entry.agentId, entry.rank, entry.success])).toEqual([
      ["agent-dev-001", 1, true],
      ["agent-dev-002", 2, true],
      ["agent-dev-003", 3, false],
    ]);
    expect(ranking.entries.map((entry) => entry.reasons.length > 0)).toEqual([false, true, true]);
    const scores = ranking.entries.map((entry) => entry.score);
    expect(new Set(scores).size).toBe(3);
    for (const result of results) expect(result.auditTrail.length).toBeGreaterThanOrEqual(result.operations.length);
    expect(kinds(progress, "answered").sort()).toEqual(["agent-dev-001", "agent-dev-002", "agent-dev-003"]);
    expect(progress).toContainEqual(
      expect.objectContaining({ kind: "agent", progress: expect.objectContaining({ kind: "step" }) }),
    );
    expect(system.stats().actors).toBe(0);
  });

  test("a quorum of one verified result ends it without the others", async () => {
    const hanging = await hangingModel();
    const { system, request, outcome } = await convene({ count: 1, quorum: 1 });
    expect(await outcome).toMatchObject({ status: "completed", ranking: { winner: "agent-dev-001" } });
    expect(modelName(hanging)).toBe("tiny");
    expect(modelName(request.model)).toBe("mock");
    expect(system.stats().actors).toBe(0);
  });
});

describe("agents that do not answer", () => {
  test("one that cannot even start is missing with the reason; the others are ranked", async () => {
    const { request, system } = await convene({ count: 2 }).then(async (council) => {
      await council.outcome;
      return council;
    });
    const [first] = request.agents;
    if (first === undefined) throw new Error("a council has agents");
    const agents = [first, { agentId: "agent-dev-002", workspacePath: "/no/such/folder" }];
    const outcome = await runCouncil(system, { ...request, taskId: "task-2", agents });
    expect(outcome).toMatchObject({ status: "partial", missing: [{ agentId: "agent-dev-002", reason: "lost" }] });
    expect(outcome.missing[0]?.message).toContain("/no/such/folder");
    expect(outcome.results).toHaveLength(1);
  });

  test("nobody can start: it ends at once, empty", async () => {
    const { outcome, progress } = await convene({
      agents: [{ agentId: "a", workspacePath: "/no/such/folder" }],
      count: 1,
    });
    expect(await outcome).toMatchObject({ status: "empty", missing: [{ agentId: "a", reason: "lost" }] });
    expect((await outcome).durationMs).toBeLessThan(MINUTE_MS / 2);
    expect(kinds(progress, "lost")).toEqual(["a"]);
  });

  test("a model that hangs: at the deadline every agent still tells what it did", async () => {
    const { system, outcome } = await convene({ count: 2, model: await hangingModel(), timeoutMs: 4_000 });
    const { status, results, ranking, durationMs } = await outcome;
    expect(status).toBe("completed");
    expect(results.map((result) => result.error?.code)).toEqual(["DeadlineExceeded", "DeadlineExceeded"]);
    expect(ranking.winner).toBeNull();
    expect(durationMs).toBeLessThan(4_000);
    expect(system.stats().actors).toBe(0);
  });

  test("an agent that thinks longer than a call may take is not given up", async () => {
    const clock = new FakeClock();
    const controller = new AbortController();
    const { progress, outcome } = await convene({
      count: 1,
      model: await hangingModel(),
      timeoutMs: 10 * MINUTE_MS,
      systemOptions: { clock },
      clock,
      signal: controller.signal,
    });
    const planning = () => progress.some((event) => event.kind === "agent" && event.progress.kind === "planning");
    await waitUntil("the agent asks its model", planning);
    for (let second = 0; second < 50; second++) await clock.advance(1_000);
    expect(kinds(progress, "lost")).toEqual([]);
    controller.abort();
    expect((await outcome).missing).toEqual([expect.objectContaining({ reason: "cancelled" })]);
  });
});

describe("cancelling", () => {
  test("ends every agent and says so, with what was there", async () => {
    const controller = new AbortController();
    const { system, progress, outcome } = await convene({ model: await hangingModel(), signal: controller.signal });
    await waitUntil("all agents have started", () => kinds(progress, "started").length === 3);
    controller.abort();
    const { status, missing, durationMs } = await outcome;
    expect(status).toBe("empty");
    expect(missing.map((each) => each.reason)).toEqual(["cancelled", "cancelled", "cancelled"]);
    expect(durationMs).toBeLessThan(MINUTE_MS / 2);
    expect(kinds(progress, "lost")).toEqual([]);
    expect(system.stats().actors).toBe(0);
  });

  test("before it begins ends it as well", async () => {
    const { outcome } = await convene({ signal: AbortSignal.abort(), model: await hangingModel() });
    expect(await outcome).toMatchObject({ status: "empty" });
  });

  test("a running test suite ends with its council", async () => {
    const controller = new AbortController();
    const { request, system } = await convene({ count: 1 }).then(async (council) => {
      await council.outcome;
      return council;
    });
    const slow = await makeRepository({
      files: {
        "src/utils.js": files["src/utils.js"],
        "package.json": files["package.json"],
        "test/slow.test.js":
          'import { writeFileSync, rmSync } from "node:fs";\nimport { test } from "node:test";\n' +
          'test("slow", async () => { for (;;) { writeFileSync("beat", String(Date.now())); await new Promise((r) => setTimeout(r, 50)); } });\n',
      },
    });
    cleanups.push(() => slow[Symbol.asyncDispose]());
    const { readFile } = await import("node:fs/promises");
    const beat = () => readFile(join(slow.path, "beat"), "utf8").catch(() => "");
    const agents = [{ agentId: "agent-dev-001", workspacePath: slow.path }];
    const baseCommit = await slow.head();
    const outcome = runCouncil(system, { ...request, taskId: "slow", agents, baseCommit, signal: controller.signal });
    await waitUntil("the test suite runs", beat);
    controller.abort();
    expect(await outcome).toMatchObject({ status: "empty" });
    const last = await beat();
    await sleep(systemClock, 300);
    expect(await beat()).toBe(last);
  });
});

describe("refusals leave nothing behind", () => {
  test("an unknown role, an agent named twice", async () => {
    const { system, request, outcome } = await convene({ count: 1 });
    await outcome;
    const again = { ...request, taskId: "again" };
    await expect(runCouncil(system, { ...again, role: "PILOT" })).rejects.toMatchObject({ code: "NoAgentsForRole" });
    const [agent] = request.agents;
    const agents = agent === undefined ? [] : [agent, agent];
    await expect(runCouncil(system, { ...again, agents })).rejects.toMatchObject({ code: "SubmissionInvalid" });
    await expect(runCouncil(system, { ...again, agents: [] })).rejects.toMatchObject({ code: "SubmissionInvalid" });
    expect(system.stats().actors).toBe(0);
  });
});

test("two councils with one collector: the same question is answered without asking anybody", async () => {
  const { system, request, outcome } = await convene({ count: 1 });
  await outcome;
  const collector = await spawnCollector(system, {}, { name: "collector" });
  const key = contentKey({ text: request.text, treeHash: "tree", role: "DEV", model: "mock", agents: 1 });
  const folder = await makeFolder();
  cleanups.push(() => folder[Symbol.asyncDispose]());
  const source = request.agents[0]?.workspacePath ?? "";
  const into = join(folder.path, "clone");
  const author = { name: "agent", email: "agent@example.invalid" };
  const workspacePath = await cloneForAgent({ source, into, commit: request.baseCommit, author });
  const agents = [{ agentId: "agent-dev-001", workspacePath }];
  const asked: CouncilProgress[] = [];
  const onProgress = (event: CouncilProgress) => asked.push(event);
  const first = await runCouncil(system, { ...request, taskId: "first", agents, collector, contentKey: key });
  const second = await runCouncil(system, {
    ...request,
    taskId: "second",
    agents,
    collector,
    contentKey: key,
    onProgress,
  });
  expect(first.ranking.winner).toBe("agent-dev-001");
  expect(second).toMatchObject({ taskId: "second", cachedFrom: "first", ranking: first.ranking });
  expect(asked).toEqual([]);
  expect(system.stats().actors).toBe(1);
});
