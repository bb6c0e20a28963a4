// What reaches an agent while it works: news of its story, and people's answers. Real repositories and tools; only the model is scripted.

import { afterEach, describe, expect, it } from "vitest";
import type { Plan } from "../../../actors/agent/plan.ts";
import { type Script, ScriptedModel } from "../../../actors/agent/scripted-model.ts";
import { systemClock } from "../../../runtime/index.ts";
import { type ApprovalQuestion, type AskPerson, type Policy, standardPolicy } from "../../../tools/index.ts";
import { agentRuns } from "../../support/agent-run.ts";

const { run, cleanUp } = agentRuns();
afterEach(cleanUp);

const plans = (...given: readonly Plan["steps"][]): Script =>
  given.map((steps, index) => JSON.stringify({ reasoning: `plan ${index + 1}`, steps }));
const scripted = (script: Script) => new ScriptedModel("scripted", script, systemClock);

const read = { tool: "files.read", params: { path: "src/utils.js" } };
const append = { tool: "files.append", params: { path: "src/utils.js", content: "\nexport const one = 1;\n" } };
const add = { tool: "git.add", params: { paths: ["src/utils.js"] } };
const commit = { tool: "git.commit", params: { message: "feat: one" } };
const nodeTests = { tool: "tests.node", params: {} };

describe("what reaches an agent while it works", () => {
  it("notices come with the next results, once", async () => {
    const waiting = ["The decision on names changed: use snake_case."];
    const model = scripted(plans([read], [append, nodeTests, add, commit]));
    const seen: string[] = [];
    const complete = model.complete.bind(model);
    model.complete = (request) => {
      seen.push(request.messages.at(-1)?.content ?? "");
      return complete(request);
    };
    const { result } = await run({ model, env: { notices: () => waiting.splice(0) } });
    expect(result.success).toBe(true);
    expect(seen.map((said) => said.includes("use snake_case"))).toEqual([false, true]);
  });

  const askFirst: Policy = {
    rules: [
      ...standardPolicy.rules,
      { id: "commits", effect: "ask", roles: ["*"], tools: ["git.commit"], reason: "Ask." },
    ],
  };
  const steps = plans([append, nodeTests, add, commit], [commit]);

  it("a call that the policy wants a person to allow waits for the answer, and then runs", async () => {
    const asked: ApprovalQuestion[] = [];
    const approve: AskPerson = async (question) => {
      asked.push(question);
      return asked.length > 1
        ? { approved: true, by: "ada" }
        : { approved: false, by: "ada", feedback: "name the ticket" };
    };
    const model = scripted(steps);
    const { result } = await run({ model, env: { policy: askFirst, approve } });
    expect(result.success).toBe(true);
    expect(asked.map(({ tool, rule }) => [tool, rule])).toEqual([
      ["git.commit", "commits"],
      ["git.commit", "commits"],
    ]);
    const commits = result.auditTrail.filter(({ operation }) => operation === "commit");
    expect(commits.map(({ outcome, error }) => [outcome, error?.message])).toEqual([
      ["denied", "ada has rejected this call of git.commit: name the ticket"],
      ["ok", undefined],
    ]);
  });

  it("is denied where nobody answers, or nobody can be asked", async () => {
    const approve: AskPerson = async () => {
      throw new Error("the question expired");
    };
    const { result } = await run({
      model: scripted(steps),
      env: { policy: askFirst, approve },
      limits: { roundsMax: 2 },
    });
    expect(result.success).toBe(false);
    const said = result.auditTrail.find(({ operation }) => operation === "commit")?.error?.message;
    expect(said).toBe("git.commit needs a person's approval (rule commits). Nobody has answered: the question expired");
    const alone = await run({ model: scripted(steps), env: { policy: askFirst }, limits: { roundsMax: 2 } });
    expect(alone.result.success).toBe(false);
  });
});
