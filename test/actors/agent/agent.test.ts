// One agent's work from task to result, on real repositories with the real tools: the brief's scenario, what verification wants,
// rounds, limits and ends. Only the model is scripted.

import { afterEach, describe, expect, it } from "vitest";
import { mockModel } from "../../../actors/agent/mock-model.ts";
import type { Plan } from "../../../actors/agent/plan.ts";
import type { AgentResult } from "../../../actors/agent/result.ts";
import { type Script, ScriptedModel } from "../../../actors/agent/scripted-model.ts";
import { fail } from "../../../actors/errors.ts";
import { systemClock } from "../../../runtime/index.ts";
import { agentRuns, project } from "../../support/agent-run.ts";

const clock = systemClock;

const { run, cleanUp } = agentRuns();
afterEach(cleanUp);

const plans = (...given: readonly Plan["steps"][]): Script =>
  given.map((steps, index) => JSON.stringify({ reasoning: `plan ${index + 1}`, steps }));

const scripted = (script: Script) => new ScriptedModel("scripted", script, clock);

const read = { tool: "files.read", params: { path: "src/utils.js" } };
const append = { tool: "files.append", params: { path: "src/utils.js", content: "\nexport const one = 1;\n" } };
const add = { tool: "git.add", params: { paths: ["src/utils.js"] } };
const commit = { tool: "git.commit", params: { message: "feat: one" } };
const nodeTests = { tool: "tests.node", params: {} };

const operations = (result: AgentResult) => result.operations.map(({ operation }) => operation);

describe("the brief's scenario, driven by the agent", () => {
  const python = {
    "src/utils.py": "def double(n):\n    return 2 * n\n",
    "tests/test_utils.py":
      "import os, sys\nsys.path.insert(0, os.path.join(os.path.dirname(__file__), '..', 'src'))\nimport unittest\nfrom utils import double\n\n\n" +
      "class Double(unittest.TestCase):\n    def test_double(self):\n        self.assertEqual(double(2), 4)\n",
  };

  it.each([
    ["Python", "Add hello_world() function to src/utils.py", "src/utils.py", python, "pytest"],
    ["JavaScript", "Add helloWorld() function to src/utils.js", "src/utils.js", project, "node"],
  ])("adds a function: read, append, test, add, commit (%s)", async (_, text, path, files, tests) => {
    const { result, repository } = await run({ text, files, model: mockModel("clean", clock) });
    expect(result.error).toBeNull();
    expect(operations(result)).toEqual(["read", "append", tests, "add", "commit"]);
    expect(result).toMatchObject({ success: true, finalState: "committed", commit: await repository.head() });
    expect(await repository.git("show", `HEAD:${path}`)).toMatch(/Hello, World!/);
    expect(await repository.git("status", "--porcelain")).toBe("");
    expect(result.diffStat?.files.map((file) => file.path)).toEqual([path]);
    expect(result.diff).toContain("+++ b/src/utils");
    expect(result.verification).toMatchObject({ verified: true, findings: [], lint: [] });
    expect(result.verification?.tests?.counts).toMatchObject({ passed: 1, failed: 0 });
    // The agent's own five calls, and what verification looked at: the clone after each round, and the tests.
    const audited = result.auditTrail.map(({ operation, outcome }) => `${operation} ${outcome}`);
    expect(audited).toEqual([
      "read ok",
      "status ok",
      "append ok",
      `${tests} ok`,
      "add ok",
      "commit ok",
      "status ok",
      `${tests} ok`,
    ]);
    expect(
      result.auditTrail.every(
        ({ agentId, role, taskId, traceId }) =>
          `${agentId} ${role} ${taskId} ${traceId}` === "agent-dev-001 DEV task-1 trace-1",
      ),
    ).toBe(true);
  });

  it("fixes a bug", async () => {
    const files = {
      ...project,
      "src/utils.js": "export function double(n) {\n  return 3 * n; // BUG: should be return 2 * n;\n}\n",
    };
    const { result, repository } = await run({
      text: "Fix the bug in src/utils.js",
      files,
      model: mockModel("clean", clock),
    });
    expect(result).toMatchObject({ success: true, finalState: "committed", error: null });
    expect(operations(result)).toEqual(["read", "edit", "node", "add", "commit"]);
    expect(await repository.git("show", "HEAD:src/utils.js")).toContain("return 2 * n;\n");
  });

  it("does not commit when the tests fail, and says why", async () => {
    const files = { ...project, "test/utils.test.js": project["test/utils.test.js"].replace("4)", "5)") };
    const { result, repository } = await run({ files, model: mockModel("clean", clock) });
    expect(operations(result)).toEqual(["read", "append", "node"]);
    expect(result).toMatchObject({
      success: false,
      finalState: "uncommitted",
      commit: null,
      error: { code: "EmptyPlan" },
    });
    expect(result.error?.message).toMatch(/tests\.node, had failed: .*1 failed/);
    expect(await repository.git("log", "--oneline")).not.toContain("\n");
  });

  it("rejects a commit whose tests fail, although the agent never ran them", async () => {
    const { result } = await run({ model: mockModel("wrong", clock) });
    expect(result).toMatchObject({ success: false, finalState: "rejected", verification: { verified: false } });
    expect(result.verification?.findings[0]).toMatch(/^tests\.node: /);
    expect(result.commit).toMatch(/^[0-9a-f]{40}$/);
  });

  it("accepts a sloppy commit, and shows what it left behind", async () => {
    const { result } = await run({ model: mockModel("sloppy", clock) });
    expect(result).toMatchObject({ success: true, finalState: "committed" });
    expect(result.diffStat?.files.map((file) => file.path)).toContain("scratch.txt");
    expect(result.verification?.lint.map(({ message }) => message).join()).toMatch(/trailing whitespace/i);
  });

  it("ends honestly on a task the mock does not know", async () => {
    const { result } = await run({ text: "Make it faster", model: mockModel("clean", clock) });
    expect(result).toMatchObject({
      success: false,
      finalState: "unchanged",
      operations: [],
      error: { code: "EmptyPlan" },
    });
    expect(result.error?.message).toMatch(/two kinds of task/);
  });
});

describe("what verification wants", () => {
  const ending = async (files: Readonly<Record<string, string>>, ...given: readonly Plan["steps"][]) => {
    const { result } = await run({ files, model: scripted(plans(...given, [], [])) });
    expect(result.success).toBe(false);
    return result;
  };

  it("never takes the model's word", async () => {
    const { result } = await run({
      model: scripted(['{"reasoning":"All done and committed!","steps":[]}', '{"reasoning":"Done!","steps":[]}']),
    });
    expect(result).toMatchObject({
      success: false,
      finalState: "unchanged",
      reasoning: ["All done and committed!", "Done!"],
    });
    expect(result.verification?.findings).toEqual(["Nothing has been changed yet."]);
  });

  it("wants a commit", async () => {
    const result = await ending(project, [append]);
    expect(result.finalState).toBe("uncommitted");
    expect(result.verification?.findings).toEqual(["Nothing is committed yet; changed: src/utils.js."]);
  });

  it("wants nothing beside the commit", async () => {
    const result = await ending(project, [
      append,
      add,
      commit,
      { tool: "files.write", params: { path: "left.txt", content: "x\n" } },
    ]);
    expect(result.finalState).toBe("rejected");
    expect(result.verification?.findings).toEqual(["These changes are not committed: left.txt."]);
  });

  it("wants tests to be there", async () => {
    const result = await ending({ "src/utils.js": "// nothing\n" }, [append, add, commit]);
    expect(result.verification?.findings).toEqual([expect.stringMatching(/No tests were found/)]);
  });

  it("wants the commit on top of the start: an older one has passing tests and a difference, too", async () => {
    const files = { ...project, "src/old.js": "export const old = 1;\n" };
    const older = { tool: "git.checkout", params: { ref: "HEAD~1" } };
    const model = scripted(plans([older], [], []));
    const { result } = await run({ files, newer: { "src/new.js": "export const fresh = 1;\n" }, model });
    expect(result).toMatchObject({ success: false, finalState: "rejected" });
    expect(result.verification?.findings).toEqual([expect.stringMatching(/not made on top of/)]);
  });

  it("wants no conflict markers", async () => {
    const conflicted = {
      tool: "files.write",
      params: { path: "notes.txt", content: "<<<<<<< ours\n=======\n>>>>>>> theirs\n" },
    };
    const result = await ending(project, [conflicted, { tool: "git.add", params: { paths: ["notes.txt"] } }, commit]);
    expect(result.verification?.findings).toEqual([expect.stringMatching(/conflict marker/)]);
  });
});

describe("rounds", () => {
  it("stops at the first failing step, shows it to the model and plans anew", async () => {
    const model = scripted(
      plans([{ tool: "files.read", params: { path: "none.js" } }, append], [append, nodeTests, add, commit]),
    );
    const { result } = await run({ model });
    expect(result).toMatchObject({ success: true, finalState: "committed" });
    expect(operations(result)).toEqual(["read", "append", "node", "add", "commit"]);
    const feedback = model.requests[1]?.messages.at(-1)?.content ?? "";
    expect(feedback).toMatch(/Step 1: files\.read → failed/);
    expect(feedback).toMatch(/Not run, because the step before failed: files\.append\./);
  });

  it("repairs a broken plan once, telling what was wrong", async () => {
    const model = scripted(["I would read the file.", ...(plans([append, add, commit]) as readonly string[])]);
    const { result } = await run({ model });
    expect(result).toMatchObject({ success: true, usage: { modelCalls: 2 } });
    expect(model.requests[1]?.messages.at(-1)?.content).toMatch(/no complete JSON object/);
  });

  it("gives up when the repair is no better", async () => {
    const { result } = await run({ model: scripted(["nonsense", "more nonsense"]) });
    expect(result).toMatchObject({ success: false, finalState: "unchanged", error: { code: "PlanInvalid" } });
  });

  it("runs nothing of a reply that was cut off", async () => {
    const whole = JSON.stringify({ reasoning: "", steps: [append] });
    const usage = { inputTokens: 1, outputTokens: 1 };
    const model = scripted([
      { text: whole, finish: "length", usage },
      { text: whole, finish: "length", usage },
    ]);
    const { result } = await run({ model });
    expect(result).toMatchObject({ operations: [], finalState: "unchanged", error: { code: "PlanInvalid" } });
    expect(model.requests[1]?.messages.at(-1)?.content).toMatch(/cut off after/);
  });

  it("asks again after a stream that broke, once", async () => {
    const cut = () => fail("ModelReplyCut", "The stream broke.");
    const { result } = await run({ model: scripted([cut(), ...(plans([append, add, commit]) as readonly string[])]) });
    expect(result.success).toBe(true);
    const twice = await run({ model: scripted([cut(), cut()]) });
    expect(twice.result.error).toEqual({ code: "ModelReplyCut", message: "The stream broke." });
  });

  it("ends when the same step gives the same result a third time, after a warning", async () => {
    const model = scripted(() => JSON.stringify({ reasoning: "look", steps: [read] }));
    const { result } = await run({ model });
    expect(result.error).toMatchObject({
      code: "Stuck",
      message: expect.stringMatching(/files\.read again and again/),
    });
    expect(result.operations).toHaveLength(3);
    expect(model.requests[2]?.messages.at(-1)?.content).toMatch(/same result as before/);
  });
});

describe("limits and ends", () => {
  const restless: Script = (_, index) =>
    JSON.stringify({
      reasoning: "",
      steps: [{ tool: "files.write", params: { path: `f${index}.txt`, content: "x\n" } }],
    });

  it.each([
    [{ roundsMax: 2 }, "RoundLimit", 2],
    [{ stepsMax: 3 }, "StepLimit", 3],
  ])("ends at %j", async (limits, code, steps) => {
    const { result } = await run({ model: scripted(restless), limits });
    expect(result).toMatchObject({ success: false, finalState: "uncommitted", error: { code } });
    expect(result.operations).toHaveLength(steps);
  });

  it("counts the server's tokens, and asks nothing more when they are used up", async () => {
    const usage = { inputTokens: 60, outputTokens: 50 };
    const model = scripted(async (request, index) => ({
      text: String(await (restless as (r: typeof request, i: number) => string)(request, index)),
      finish: "stop",
      usage,
    }));
    const { result } = await run({ model, limits: { tokensMax: 200 } });
    expect(result.error?.code).toBe("TokenLimit");
    expect(result.usage).toEqual({ inputTokens: 120, outputTokens: 100, modelCalls: 2 });
  });

  it("reports a model that cannot be reached", async () => {
    const { result } = await run({ model: scripted([fail("ModelUnreachable", "Cannot reach it.")]) });
    expect(result).toMatchObject({
      finalState: "unchanged",
      error: { code: "ModelUnreachable", message: "Cannot reach it." },
    });
  });

  it("reports a defect as one, with what was done until then", async () => {
    const { result } = await run({
      model: scripted([JSON.stringify({ reasoning: "", steps: [append] }), new TypeError("x is undefined")]),
    });
    expect(result).toMatchObject({ finalState: "uncommitted", error: { code: "AgentDefect" } });
    expect(operations(result)).toEqual(["append"]);
  });

  it.each(["cancel", "deadline"])("ends a model that hangs, with the operations done: %s", async (end) => {
    const abort = new AbortController();
    const model = scripted((_, index) => {
      if (index === 0) return JSON.stringify({ reasoning: "", steps: [append] });
      if (end === "cancel") clock.schedule(50, () => abort.abort());
      return new Promise<string>(() => {});
    });
    const deadlineMs = clock.now() + (end === "deadline" ? 2_000 : 60_000);
    const { result, seconds } = await run({ model, env: { signal: abort.signal, deadlineMs } });
    expect(result).toMatchObject({
      finalState: "uncommitted",
      error: { code: end === "cancel" ? "Cancelled" : "DeadlineExceeded" },
    });
    expect(operations(result)).toEqual(["append"]);
    expect(seconds).toBeLessThan(15);
  });

  it("ends a tool that hangs at the deadline, and audits it", async () => {
    const files = { ...project, "test/hang.test.js": "await new Promise(() => setInterval(() => {}, 1_000));\n" };
    const model = scripted(plans([append, nodeTests, add, commit]));
    const { result, seconds } = await run({ files, model, env: { deadlineMs: clock.now() + 2_000 } });
    expect(result).toMatchObject({ finalState: "uncommitted", error: { code: "DeadlineExceeded" } });
    expect(result.auditTrail.find(({ tool }) => tool === "tests.node")?.outcome).toBe("cancelled");
    expect(seconds).toBeLessThan(15);
  });

  it("denies what the policy denies, and lets the model go on", async () => {
    const push = { tool: "git.push", params: { remote: "origin", branch: "main" } };
    const model = scripted(plans([push], [append, add, commit]));
    const { result } = await run({ model });
    expect(result.success).toBe(true);
    expect(result.auditTrail[0]).toMatchObject({ tool: "git.push", outcome: "denied" });
    // What is never allowed is not offered either.
    const asked = JSON.stringify(model.requests[0]);
    expect(asked).toContain("git.commit");
    expect(asked).not.toContain("git.push");
  });

  it("tells its progress in order", async () => {
    const { progress } = await run({ model: mockModel("clean", clock) });
    expect(progress.map(({ kind }) => kind)).toEqual([
      "planning",
      "planned",
      "step",
      "planning",
      "planned",
      "step",
      "step",
      "step",
      "step",
      "verified",
    ]);
  });
});
