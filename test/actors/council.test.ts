// Councils on real repositories, with the mock and with a real HTTP server in place of a model.

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, describe, expect, test, vi } from "vitest";
import type { ModelSpec } from "../../actors/agent-actor.ts";
import type { TaskOutcome } from "../../actors/collected-task.ts";
import { spawnCollector } from "../../actors/collector.ts";
import {
  type CouncilAgent,
  type CouncilProgress,
  type CouncilRequest,
  runCouncil,
} from "../../actors/council/council.ts";
import { agentIds, roleNamed } from "../../actors/council/roles.ts";
import { type ActorSystem, type ConnectOptions, connect, sleep, systemClock } from "../../runtime/index.ts";
import { cloneForAgent } from "../../tools/index.ts";
import { makeFolder, makeRepository } from "../support/git-repository.ts";
import { recordOf } from "../support/members.ts";
import { engineOf } from "../support/model-node.ts";
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

interface Council {
  readonly system: ActorSystem;
  readonly agents: readonly CouncilAgent[];
  readonly progress: readonly CouncilProgress[];
  /** Runs a council of all agents on the task of the demo, unless told otherwise. */
  run(more?: Partial<CouncilRequest>): Promise<TaskOutcome>;
}

/** Makes a system and `count` agents' clones of one repository. */
async function convene(count: number, options: ConnectOptions = {}, content: Readonly<Record<string, string>> = files) {
  const repository = await makeRepository({ files: content });
  const folder = await makeFolder();
  const system = await connect(options);
  cleanups.push(
    () => folder[Symbol.asyncDispose](),
    () => repository[Symbol.asyncDispose](),
    () => system.close(),
  );
  const commit = await repository.head();
  const author = { name: "agent", email: "agent@example.invalid" };
  const clone = async (agentId: string) => {
    const into = join(folder.path, agentId);
    return { agentId, workspacePath: await cloneForAgent({ source: repository.path, into, commit, author }) };
  };
  const agents = await Promise.all(agentIds(roleNamed("DEV"), count).map(clone));
  const progress: CouncilProgress[] = [];
  const run = (more: Partial<CouncilRequest> = {}) =>
    runCouncil(system, {
      taskId: "task-1",
      text: "Add helloWorld() function to src/utils.js",
      role: "DEV",
      agents,
      baseCommit: commit,
      model: { kind: "mock" },
      timeoutMs: MINUTE_MS,
      onProgress: (event) => progress.push(event),
      ...more,
    });
  return { system, agents, progress, run } satisfies Council;
}

async function hangingModel(): Promise<ModelSpec> {
  const server = await startOpenAiServer(() => ({ kind: "hang" }));
  cleanups.push(() => server[Symbol.asyncDispose]());
  return { kind: "openai", url: server.url, model: "test-model" };
}

const kinds = (progress: readonly CouncilProgress[], kind: CouncilProgress["kind"]) =>
  progress.filter((event) => event.kind === kind).map((event) => event.agentId);

describe("three scripted agents", () => {
  test("the clean one wins before the sloppy and the wrong one, for reasons that are given", async () => {
    const { system, progress, run } = await convene(3);
    const { status, ranking, results, missing } = await run();
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
    expect(new Set(ranking.entries.map((entry) => entry.score)).size).toBe(3);
    for (const result of results) expect(result.auditTrail.length).toBeGreaterThanOrEqual(result.operations.length);
    expect(kinds(progress, "answered").sort()).toEqual(["agent-dev-001", "agent-dev-002", "agent-dev-003"]);
    const step = expect.objectContaining({ kind: "step", tool: "git.commit", outcome: "ok" });
    expect(progress).toContainEqual({ kind: "agent", agentId: "agent-dev-001", progress: step });
    expect(system.stats().actors).toBe(0);
  });

  test("a quorum of one verified result does not wait for the others", async () => {
    const { system, run } = await convene(3);
    const { status, results, missing, ranking } = await run({ quorum: 1 });
    expect(status).toBe("completed");
    expect(ranking.entries[0]?.success).toBe(true);
    expect(results.length + missing.length).toBe(3);
    expect(missing.every((each) => each.reason === "quorum")).toBe(true);
    expect(system.stats().actors).toBe(0);
  });
});

test.each(["QA", "ARCHITECT"])("a council of the role %s may hand in a commit", async (role) => {
  const { run } = await convene(1);
  expect(await run({ role })).toMatchObject({ ranking: { winner: "agent-dev-001" } });
});

describe("agents that do not answer", () => {
  const nowhere = { agentId: "agent-dev-009", workspacePath: "/no/such/folder" };

  test("one that cannot start is missing with the reason; the others are ranked", async () => {
    const { agents, progress, run } = await convene(1);
    const outcome = await run({ agents: [...agents, nowhere] });
    expect(outcome).toMatchObject({ status: "partial", ranking: { winner: "agent-dev-001" } });
    expect(outcome.missing).toEqual([
      { agentId: "agent-dev-009", reason: "lost", message: expect.stringContaining("/no/such/folder") },
    ]);
    expect(kinds(progress, "lost")).toEqual(["agent-dev-009"]);
  });

  test("when nobody can start it ends at once, empty", async () => {
    const { run } = await convene(1);
    const outcome = await run({ agents: [nowhere] });
    expect(outcome).toMatchObject({ status: "empty", missing: [{ reason: "lost" }] });
    expect(outcome.durationMs).toBeLessThan(MINUTE_MS / 2);
  });

  test("a model that hangs: nobody is given up for being silent, and before the deadline everyone tells what it did", async () => {
    const { system, progress, run } = await convene(2, { callTimeoutMs: 2_500 });
    const timeoutMs = 5_000;
    const { status, results, ranking, durationMs } = await run({ model: await hangingModel(), timeoutMs });
    expect(kinds(progress, "lost")).toEqual([]);
    expect(status).toBe("completed");
    expect(results.map((result) => result.error?.code)).toEqual(["DeadlineExceeded", "DeadlineExceeded"]);
    expect(ranking.winner).toBeNull();
    expect(durationMs).toBeGreaterThan(2_500);
    expect(durationMs).toBeLessThan(timeoutMs);
    expect(system.stats().actors).toBe(0);
  });
});

test("a collector that is lost is told as that, and its agents end", async () => {
  const { system, progress, run } = await convene(1);
  const collector = await spawnCollector(system);
  const outcome = run({ model: await hangingModel(), collector });
  const refused = expect(outcome).rejects.toMatchObject({ code: "CollectorLost", message: /handed in: .+\.$/ });
  await waitUntil("the agent has started", () => kinds(progress, "started").length === 1);
  await system.kill(collector);
  await refused;
  expect(system.stats().actors).toBe(0);
});

test("on a fleet the collector is asked for where no server has the model, the agents together beside one", async () => {
  const { system, run } = await convene(2);
  const withModel = (model: string) => ({
    report: { atMs: 0, actors: 0, free: {}, gpus: [], engines: [engineOf(model)] },
  });
  const nodes = [
    recordOf("script", { accepts: false }),
    recordOf("gpu-1", withModel("m")),
    recordOf("gpu-2", withModel("other")),
    recordOf("plain"),
    recordOf("leaving", { draining: true }),
  ];
  vi.spyOn(system, "nodes").mockReturnValue(nodes);
  const spawn = vi.spyOn(system, "spawn");
  const { missing } = await run({ model: { kind: "node", model: "m" } });
  expect(missing.map(({ message }) => message)).toEqual(
    Array(2).fill(expect.stringMatching(/lost: no node for agent: /)),
  );
  const placements = spawn.mock.calls.map(([type, options]) => [type.type, options?.placement]);
  const beside = ["agent", { model: "m", near: "task-1" }];
  expect(placements).toEqual([["collector", { nodes: ["gpu-2-1", "plain-1"] }], beside, beside]);
});

describe("cancelling", () => {
  test("ends every agent and says so", async () => {
    const controller = new AbortController();
    const { system, progress, run } = await convene(3);
    const outcome = run({ model: await hangingModel(), signal: controller.signal });
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
    const { run } = await convene(1);
    expect(await run({ signal: AbortSignal.abort(), model: await hangingModel() })).toMatchObject({ status: "empty" });
  });

  test("ends the test suites that run for it", async () => {
    const slow =
      'import { writeFileSync } from "node:fs";\nimport { test } from "node:test";\n' +
      'test("slow", async () => { for (;;) { writeFileSync("beat", String(Date.now())); await new Promise((r) => setTimeout(r, 20)); } });\n';
    const { agents, run } = await convene(1, {}, { ...files, "test/slow.test.js": slow });
    const beat = () => readFile(join(agents[0]?.workspacePath ?? "", "beat"), "utf8").catch(() => "");
    const controller = new AbortController();
    const outcome = run({ signal: controller.signal });
    await waitUntil("the test suite runs", beat, 20_000);
    controller.abort();
    expect(await outcome).toMatchObject({ status: "empty" });
    const last = await beat();
    await sleep(systemClock, 200);
    expect(await beat()).toBe(last);
  });
});

test("a refused request leaves nothing behind", async () => {
  const { system, agents, run } = await convene(1);
  await expect(run({ role: "PILOT" })).rejects.toMatchObject({ code: "NoAgentsForRole" });
  await expect(run({ agents: [...agents, ...agents] })).rejects.toMatchObject({ code: "SubmissionInvalid" });
  await expect(run({ agents: [] })).rejects.toMatchObject({ code: "SubmissionInvalid" });
  expect(system.stats().actors).toBe(0);
});

test("two councils with one collector: the same question is answered without asking anybody", async () => {
  const { system, progress, run } = await convene(1);
  const collector = await spawnCollector(system, {}, { name: "collector" });
  const first = await run({ taskId: "first", collector, contentKey: "key" });
  const events = progress.length;
  const second = await run({ taskId: "second", collector, contentKey: "key" });
  expect(first.ranking.winner).toBe("agent-dev-001");
  expect(second).toMatchObject({ taskId: "second", cachedFrom: "first", ranking: first.ranking });
  expect(progress).toHaveLength(events);
  expect(system.stats().actors).toBe(1);
});
