// One agent on a real repository in a temp folder, with the real tools, in a real workspace; only the model is given.

import { type AgentEnvironment, runAgent } from "../../actors/agent/agent.ts";
import type { Model } from "../../actors/agent/model.ts";
import type { AgentProgress } from "../../actors/agent/progress.ts";
import type { AgentLimits, AgentResult } from "../../actors/agent/result.ts";
import { seededRandom, systemClock } from "../../runtime/index.ts";
import { MemoryAudit, openProcessWorkspace, standardPolicy, standardTools, ToolRegistry } from "../../tools/index.ts";
import { makeRepository, type TestRepository } from "./git-repository.ts";

/** A JavaScript project, because its test runner is always here. */
export const project = {
  "src/utils.js": "export function double(n) {\n  return 2 * n;\n}\n",
  "test/utils.test.js":
    'import assert from "node:assert";\nimport { test } from "node:test";\nimport { double } from "../src/utils.js";\n' +
    'test("double", () => assert.equal(double(2), 4));\n',
  "package.json": '{ "type": "module" }\n',
};

export interface AgentRun {
  readonly result: AgentResult;
  readonly repository: TestRepository;
  readonly progress: readonly AgentProgress[];
  readonly seconds: number;
}

export interface AgentSetting {
  readonly text?: string;
  readonly files?: Readonly<Record<string, string>>;
  /** Files of a second commit, which is then the start. */
  readonly newer?: Readonly<Record<string, string>>;
  readonly model: Model;
  readonly limits?: Partial<AgentLimits>;
  readonly env?: Partial<AgentEnvironment>;
}

type Cleanup = () => Promise<void>;

/** Runs that are removed together: `cleanUp` goes into afterEach. */
export function agentRuns() {
  const cleanups: Cleanup[] = [];
  return {
    run: (setting: AgentSetting) => runIn(cleanups, setting),
    async cleanUp() {
      for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
    },
  };
}

async function runIn(
  cleanups: Cleanup[],
  { text = "Add helloWorld() function to src/utils.js", files = project, newer, model, limits, env }: AgentSetting,
): Promise<AgentRun> {
  const repository = await makeRepository({ files });
  cleanups.push(async () => repository[Symbol.asyncDispose]());
  if (newer !== undefined) {
    await repository.write(newer);
    await repository.git("add", "--all");
    await repository.git("commit", "--quiet", "--message", "Second");
  }
  const random = seededRandom(1);
  const workspace = await openProcessWorkspace({ root: repository.path, clock: systemClock, random });
  cleanups.push(() => workspace.close());
  const progress: AgentProgress[] = [];
  const task = {
    taskId: "task-1",
    agentId: "agent-dev-001",
    role: "DEV",
    text,
    workspacePath: repository.path,
    baseCommit: await repository.head(),
    limits: { stepsMax: 40, roundsMax: 6, tokensMax: 100_000, ...limits },
    traceId: "trace-1",
  };
  const started = systemClock.monotonic();
  const result = await runAgent(task, {
    model,
    tools: new ToolRegistry(standardTools()),
    workspace,
    policy: standardPolicy,
    audit: new MemoryAudit(),
    clock: systemClock,
    random,
    signal: new AbortController().signal,
    deadlineMs: systemClock.now() + 60_000,
    onProgress: (event) => void progress.push(event),
    ...env,
  });
  return { result, repository, progress, seconds: (systemClock.monotonic() - started) / 1_000 };
}
