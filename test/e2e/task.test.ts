// `flotilla task` as a user runs it: the real command, a real repository, and a real HTTP server where a model is asked.

import { describe, expect, it } from "vitest";
import { flotilla } from "../support/flotilla-command.ts";
import { makeRepository, type TestRepository } from "../support/git-repository.ts";
import { type OpenAiServer, type Play, startOpenAiServer } from "../support/openai-server.ts";
import { SMALL_PROJECT } from "../support/small-project.ts";

const ADD = ["--task", "Add hello_world() function to src/utils.js"];
const JSON_KEYS = ["taskId", "status", "role", "winner", "model", "results", "durationMs", "collector"];
const RESULT_KEYS = [
  ...["agentId", "rank", "score", "scoreParts", "success", "operations"],
  ...["auditTrail", "finalState", "commit", "diffStat", "error", "node"],
];

/** Everything of a repository that a task must leave alone: HEAD, index, work tree, refs but its own. */
async function stateOf(repository: TestRepository): Promise<readonly string[]> {
  const refs = (await repository.git("for-each-ref"))
    .split("\n")
    .filter((ref) => !ref.includes("refs/heads/flotilla/"));
  return [
    ...refs,
    await repository.git("status", "--porcelain=v2", "--branch", "--untracked-files=all"),
    await repository.git("config", "--local", "--list"),
  ];
}

describe("with the mock", { timeout: 60_000 }, () => {
  it("prints one object, leaves one branch, and changes nothing else", async () => {
    await using repository = await makeRepository({ files: SMALL_PROJECT });
    await repository.write({ "notes.txt": "mine\n" });
    const before = await stateOf(repository);
    const { status, stdout, stderr, leftOver } = await flotilla([
      "task",
      "--repo",
      repository.path,
      ...ADD,
      "--model",
      "mock",
      "--json",
    ]);
    expect({ status, leftOver }, stderr).toEqual({ status: 0, leftOver: [] });
    expect(stdout.trimEnd()).not.toContain("\n");
    const view = JSON.parse(stdout);
    expect(Object.keys(view)).toEqual(JSON_KEYS);
    expect(view).toMatchObject({ status: "completed", role: "DEV", winner: "agent-dev-001", model: "mock" });
    for (const result of view.results) expect(Object.keys(result)).toEqual(RESULT_KEYS);
    expect(view.results.map(({ finalState }: { finalState: string }) => finalState)).toEqual([
      "committed",
      "committed",
      "rejected",
    ]);
    expect(view.results[0].operations.map(({ tool }: { tool: string }) => tool)).toEqual([
      ...["files.read", "files.append", expect.stringMatching(/^tests\./), "git.add", "git.commit"],
    ]);
    expect(view.results[0].auditTrail.length).toBeGreaterThan(5);
    expect(await stateOf(repository)).toEqual(before);
    expect(await repository.git("rev-parse", `flotilla/${view.taskId}`)).toBe(view.results[0].commit);
    expect(await repository.git("show", `flotilla/${view.taskId}:src/utils.js`)).toContain("function hello_world()");
  });

  it("tells a person everything, merges when asked, and says what the mock is", async () => {
    await using repository = await makeRepository({ files: SMALL_PROJECT });
    const { status, stdout, stderr, leftOver } = await flotilla([
      "task",
      "--repo",
      repository.path,
      ...ADD,
      "--model",
      "mock",
      "--apply",
    ]);
    expect({ status, stderr, leftOver }).toEqual({ status: 0, stderr: "", leftOver: [] });
    for (const part of [
      ...["mock: scripted agents", "Sandbox ", "agent-dev-002", "files.append", "Ranking", "not verified"],
      ...[
        "Winner: agent-dev-001",
        "+export function hello_world()",
        "Audit trail:",
        "Merged      into main",
        repository.path,
      ],
    ]) {
      expect(stdout).toContain(part);
    }
    expect(stdout).not.toContain("\u001b[");
    expect(await repository.git("show", "HEAD:src/utils.js")).toContain("function hello_world()");
    expect(await repository.git("status", "--porcelain")).toBe("");
  });

  it("ends with 2 and no branch when nobody's work was verified", async () => {
    await using repository = await makeRepository({ files: SMALL_PROJECT });
    const before = await stateOf(repository);
    const { status, stdout, leftOver } = await flotilla([
      "task",
      "--repo",
      repository.path,
      "--task",
      "Write a poem",
      "--model",
      "mock",
      "--json",
    ]);
    expect({ status, leftOver }).toEqual({ status: 2, leftOver: [] });
    const view = JSON.parse(stdout);
    expect(view).toMatchObject({ winner: null, status: "completed" });
    expect(view.results.map(({ error }: { error: { code: string } }) => error.code)).toEqual(
      Array(3).fill("EmptyPlan"),
    );
    expect(await repository.git("for-each-ref", "refs/heads/flotilla")).toBe("");
    expect(await stateOf(repository)).toEqual(before);
  });

  it("works from an address and keeps the clone that holds the branch", async () => {
    await using repository = await makeRepository({ files: SMALL_PROJECT });
    const { status, stdout, leftOver } = await flotilla([
      ...["task", "--repo", `file://${repository.path}`, ...ADD, "--agents", "1", "--model", "mock"],
    ]);
    expect(status, stdout).toBe(0);
    expect(leftOver).toHaveLength(1);
    expect(stdout).toContain(`${leftOver[0]}/repository merge flotilla/`);
    expect(await repository.git("for-each-ref", "refs/heads/flotilla")).toBe("");
  });
});

const plan = (...steps: readonly { tool: string; params: object }[]): Play => ({
  kind: "reply",
  text: `<think>Easy.</think>\n${JSON.stringify({ reasoning: "Add it, test it, commit it.", steps })}`,
});
const path = "src/utils.js";
const GOOD = plan(
  { tool: "files.append", params: { path, content: "\nexport function hello_world() {\n  return 1;\n}\n" } },
  { tool: "git.add", params: { paths: [path] } },
  { tool: "git.commit", params: { message: "feat: add hello_world()" } },
);

const ask = async (repository: TestRepository, url: string, ...more: string[]) =>
  await flotilla(
    ["task", "--repo", repository.path, ...ADD, "--agents", "2", "--model-url", url, "--model", "test-model", ...more],
    {
      env: { FLOTILLA_API_KEY: "secret-key" },
    },
  );

describe("with a model server", { timeout: 60_000 }, () => {
  it("commits what the model plans and keeps the key to itself", async () => {
    await using repository = await makeRepository({ files: SMALL_PROJECT });
    await using server = await startOpenAiServer([GOOD]);
    const { status, stdout, stderr } = await ask(repository, server.url, "--json");
    expect(status, stderr).toBe(0);
    const view = JSON.parse(stdout);
    expect(view).toMatchObject({ model: "test-model", winner: "agent-dev-001" });
    // Two agents with one idea: the same patch shares its rank.
    expect(view.results.map(({ rank }: { rank: number }) => rank)).toEqual([1, 1]);
    expect(server.requests.map(({ headers }) => headers.authorization)).toEqual(Array(2).fill("Bearer secret-key"));
    expect(stdout + stderr).not.toContain("secret-key");
  });

  it.each<[string, readonly Play[], number, RegExp]>([
    ["an HTML page", [{ kind: "http", status: 200, body: "<html>Hi</html>", type: "text/html" }], 1, /OpenAI/],
    ["an error", [{ kind: "http", status: 401, body: '{"error":{"message":"bad key"}}' }], 1, /401.*bad key|bad key/],
    ["half a reply", [{ kind: "cut", text: '{"reasoning":"I wi' }], 1, /./],
    ["nonsense", [{ kind: "reply", text: "lorem ipsum dolor" }], 2, /PlanInvalid/],
    ["nothing, for ever", [{ kind: "hang" }], 2, /time/],
  ])("that answers %s", async (_, plays, expected, words) => {
    await using repository = await makeRepository({ files: SMALL_PROJECT });
    await using server = await startOpenAiServer(plays);
    const before = await stateOf(repository);
    const { status, stdout, stderr, leftOver } = await ask(repository, server.url, "--timeout", "3s");
    expect({ status, leftOver }, stdout + stderr).toEqual({ status: expected, leftOver: [] });
    if (expected === 1) expect(stderr.trimEnd()).not.toContain("\n");
    expect(expected === 1 ? stderr : stdout).toMatch(words);
    expect(await stateOf(repository)).toEqual(before);
  });

  it("that is not there: one sentence with its address", async () => {
    await using repository = await makeRepository({ files: SMALL_PROJECT });
    const closed: OpenAiServer = await startOpenAiServer([GOOD]);
    await closed[Symbol.asyncDispose]();
    const { status, stderr, leftOver } = await ask(repository, closed.url);
    expect({ status, leftOver }).toEqual({ status: 1, leftOver: [] });
    expect(stderr).toContain(closed.url);
  });

  it("that hangs until the user presses Ctrl-C", async () => {
    await using repository = await makeRepository({ files: SMALL_PROJECT });
    await using server = await startOpenAiServer([{ kind: "hang" }]);
    const before = await stateOf(repository);
    const { status, stderr, leftOver } = await flotilla(
      ["task", "--repo", repository.path, ...ADD, "--model-url", server.url, "--model", "test-model"],
      { onOutput: (text, kill) => text.includes("asks the model") && kill("SIGINT") },
    );
    expect({ status, leftOver }).toEqual({ status: 130, leftOver: [] });
    expect(stderr).toContain("cancelled");
    expect(await stateOf(repository)).toEqual(before);
  });
});
