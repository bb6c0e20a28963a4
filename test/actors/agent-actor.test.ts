// The agent as an actor: what its stream carries, and what is left when its reader goes away.

import { readdir } from "node:fs/promises";
import { afterEach, expect, test, vi } from "vitest";
import { Agent, type AgentEvent, modelName } from "../../actors/agent-actor.ts";
import { agentResults } from "../../actors/events/channels.ts";
import { parse } from "../../actors/events/feed.ts";
import type { AgentResult } from "../../actors/index.ts";
import { connect } from "../../runtime/index.ts";
import { standardPolicy } from "../../tools/index.ts";
import { makeFolder, makeRepository } from "../support/git-repository.ts";

afterEach(() => vi.unstubAllEnvs());

const files = {
  "src/utils.js": "export const one = 1;\n",
  "test/utils.test.js": 'import { test } from "node:test";\ntest("nothing", () => {});\n',
  "package.json": '{ "type": "module" }\n',
};
const setup = { model: { kind: "mock" }, policy: standardPolicy, instructions: "" } as const;

async function taskIn(repository: { path: string; head(): Promise<string> }) {
  return {
    taskId: "task-1",
    agentId: "agent-dev-001",
    role: "DEV",
    text: "Add two() function to src/utils.js",
    workspacePath: repository.path,
    baseCommit: await repository.head(),
    limits: { stepsMax: 20, roundsMax: 3, tokensMax: 1_000 },
    traceId: "trace-1",
  };
}

test("streams progress and ends with word of its result, which is in the topic of the task with the audit of its calls", async () => {
  await using repository = await makeRepository({ files });
  await repository.git("config", "user.name", "agent");
  await repository.git("config", "user.email", "agent@example.invalid");
  await using system = await connect();
  const agent = await system.spawn(Agent, { args: [setup] });
  const events: AgentEvent[] = [];
  for await (const event of agent.work(await taskIn(repository))) if (event.kind !== "working") events.push(event);
  expect(events.shift()).toEqual({ kind: "began" });
  expect(events.pop()).toEqual({ kind: "answered", success: true, finalState: "committed", error: null });
  expect(events.every((event) => event.kind === "progress")).toBe(true);
  const [logged] = await system.ports.eventLog.read("topic.agent.results.task-1", 1, 2);
  const fed = logged && parse(agentResults, logged);
  const { result } = (fed?.kind === "event" && fed.event.data) as { result: AgentResult };
  expect(result).toMatchObject({ agentId: "agent-dev-001", finalState: "committed" });
  expect(result.auditTrail.map((entry) => entry.traceId)).toContain("trace-1");
  expect(result).not.toHaveProperty("place");
});

test("a stopped agent whose reader has left has closed its workspace", async () => {
  await using repository = await makeRepository({ files });
  await using scratch = await makeFolder();
  await using system = await connect();
  vi.stubEnv("TMPDIR", scratch.path);
  const agent = await system.spawn(Agent, { args: [setup] });
  for await (const event of agent.work(await taskIn(repository))) {
    if (event.kind !== "progress" || event.progress.kind !== "planned") continue;
    expect(await readdir(scratch.path)).toHaveLength(1);
    break;
  }
  await system.stop(agent, { timeoutMs: 20_000 });
  expect(await readdir(scratch.path)).toEqual([]);
});

test("a model is called by its own name, the mock by what it is", () => {
  expect(modelName({ kind: "openai", url: "http://127.0.0.1:1", model: "Qwen/Qwen3-0.6B" })).toBe("Qwen/Qwen3-0.6B");
  expect(modelName({ kind: "mock", variant: "sloppy" })).toBe("mock");
});
