// The agent over a real HTTP server that plays replies as real models give them, good and bad.

import { afterEach, describe, expect, it } from "vitest";
import { OpenAiModel } from "../../../actors/agent/openai-model.ts";
import { systemClock } from "../../../runtime/index.ts";
import { agentRuns } from "../../support/agent-run.ts";
import { type Play, startOpenAiServer } from "../../support/openai-server.ts";

const { run, cleanUp } = agentRuns();
afterEach(cleanUp);

async function runOn(...plays: readonly Play[]) {
  await using server = await startOpenAiServer(plays);
  const model = new OpenAiModel({ url: server.url, model: "test-model", clock: systemClock });
  const { result } = await run({ model, limits: { roundsMax: 4 } });
  return { result, requests: server.requests };
}

const reply = (text: string): Play => ({ kind: "reply", text });

const look = '{"reasoning": "Look.", "steps": [{"tool": "files.read", "params": {"path": "src/utils.js"}}]}';

const change = JSON.stringify({
  reasoning: "Append, test, commit.",
  steps: [
    { tool: "files.append", params: { path: "src/utils.js", content: "\nexport const one = 1;\n" } },
    { tool: "tests.node", params: {} },
    { tool: "git.add", params: { paths: ["src/utils.js"] } },
    { tool: "git.commit", params: { message: "feat: one" } },
  ],
});

describe("replies that lead to a commit", () => {
  const styles: readonly (readonly [string, (json: string) => Play])[] = [
    ["bare JSON", reply],
    ["a fence with prose around it", (json) => reply(`Here is the plan:\n\`\`\`json\n${json}\n\`\`\`\nGood luck!`)],
    ["thoughts before it", (json) => reply(`<think>\nWhat now? {maybe}\n</think>\n\n${json}`)],
    ["JSON under the thoughts", (json) => ({ kind: "misfiled", text: json })],
  ];
  it.each(styles)("%s", async (_, play) => {
    const { result, requests } = await runOn(play(look), play(change));
    expect(result).toMatchObject({ success: true, finalState: "committed", error: null });
    expect(requests).toHaveLength(2);
    expect(requests[0]?.body).toMatchObject({
      response_format: { type: "json_schema", json_schema: { name: "plan" } },
    });
  });

  it("after a stream that broke half-way", async () => {
    const { result } = await runOn({ kind: "cut", text: change.slice(0, 90) }, reply(change));
    expect(result.success).toBe(true);
    expect(result.operations).toHaveLength(4);
  });

  it("sums the tokens that the server counted", async () => {
    const { result } = await runOn(reply(look), reply(change));
    expect(result.usage).toEqual({ inputTokens: 200, outputTokens: look.length + change.length, modelCalls: 2 });
  });
});

describe("replies that end in an honest no, with nothing changed", () => {
  const bad: readonly (readonly [string, readonly Play[], string])[] = [
    ["nonsense", [reply("ᚠᛇᚻ lorem 17 {{{ ]")], "PlanInvalid"],
    [
      "random but valid JSON, as an untrained model gives under a schema",
      [reply('{"reasoning":"x9","steps":[]}')],
      "EmptyPlan",
    ],
    [
      "steps with random parameters",
      [reply('{"reasoning":"","steps":[{"tool":"files.read","params":{"path":"q\\u0007z"}}]}')],
      "Stuck",
    ],
    ["replies that never end", [{ kind: "reply", text: change, finish: "length" }], "PlanInvalid"],
    ["streams that always break", [{ kind: "cut", text: change.slice(0, 90) }], "ModelReplyCut"],
    ["an HTML page", [{ kind: "http", status: 200, body: "<html>hi</html>", type: "text/html" }], "ModelReplyInvalid"],
    ["status 500", [{ kind: "http", status: 500, body: "boom" }], "ModelHttpError"],
  ];
  it.each(bad)("%s", async (_, plays, code) => {
    const { result } = await runOn(...plays);
    expect(result).toMatchObject({ success: false, finalState: "unchanged", commit: null, error: { code } });
    expect(result.verification?.verified).not.toBe(true);
  });
});
