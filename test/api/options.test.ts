// The options of `flotilla task`: what is accepted, and that each refusal names the option, what was expected and what came.

import { resolve } from "node:path";
import { describe, expect, it } from "vitest";
import { parseDuration } from "../../api/duration.ts";
import { type TaskFlags, taskOptions } from "../../api/options.ts";
import { isFlotillaError } from "../../runtime/index.ts";

const SOUND: TaskFlags = { repo: "some/folder", task: "Do it", model: "mock" };

function refusal(flags: TaskFlags, env: NodeJS.ProcessEnv = {}): { code: string; message: string } {
  try {
    taskOptions({ ...SOUND, ...flags }, env);
  } catch (error) {
    if (isFlotillaError(error)) return { code: error.code, message: error.message };
    throw error;
  }
  throw new Error("the options were accepted");
}

describe("taskOptions", () => {
  it("fills in what was not said", () => {
    expect(taskOptions(SOUND, {})).toEqual({
      repo: resolve("some/folder"),
      task: "Do it",
      role: "DEV",
      agents: 3,
      model: { kind: "mock" },
      timeoutMs: 300_000,
      json: false,
      apply: false,
      keep: false,
    });
  });

  it.each(["https://host/a.git", "ssh://git@host/a", "git@host:a/b.git", "file:///a/b"])(
    "leaves the address %s alone",
    (repo) => {
      expect(taskOptions({ ...SOUND, repo }, {}).repo).toBe(repo);
    },
  );

  it("takes the model from variables, options first", () => {
    const env = { FLOTILLA_MODEL_URL: "http://a/v1", FLOTILLA_MODEL: "one", FLOTILLA_API_KEY: "key" };
    const flags = { repo: ".", task: "t" };
    expect(taskOptions(flags, env).model).toEqual({ kind: "openai", url: "http://a/v1", model: "one", apiKey: "key" });
    expect(taskOptions({ ...flags, model: "two" }, env).model).toMatchObject({ url: "http://a/v1", model: "two" });
    expect(taskOptions({ ...flags, model: "mock" }, env).model).toEqual({ kind: "mock" });
  });

  it("of a fleet: the model is one of its nodes', from flags or variables, and a server's address is not looked at", () => {
    const flags = { repo: ".", task: "t", model: "one" };
    const fleet = { servers: "nats://h:4222" };
    const env = { FLOTILLA_SERVERS: fleet.servers, FLOTILLA_MODEL_URL: "http://a/v1" };
    expect(taskOptions({ ...flags, ...fleet }, {})).toMatchObject({ model: { kind: "node", model: "one" }, fleet });
    expect(taskOptions(flags, env)).toMatchObject({ model: { kind: "node", model: "one" }, fleet });
    expect(taskOptions({ ...flags, model: "mock", prefix: "p" }, env)).toMatchObject({
      model: { kind: "mock" },
      fleet: { ...fleet, prefix: "p" },
    });
    expect(() => taskOptions({ repo: ".", task: "t", ...fleet }, {})).toThrow(/flotilla nodes lists them/);
  });

  it("never chooses the mock by itself", () => {
    const nothing = { repo: ".", task: "t" };
    for (const env of [{}, { FLOTILLA_MODEL: "", FLOTILLA_MODEL_URL: "" }]) {
      expect(() => taskOptions(nothing, env)).toThrow(expect.objectContaining({ code: "ModelNotChosen" }));
    }
    expect(() => taskOptions(nothing, {})).toThrow(/--model mock/);
  });

  it.each<[string, TaskFlags, readonly string[]]>([
    ["an empty task", { task: "  " }, ["--task", "the task in your words", '"  "']],
    ["a task without end", { task: "x".repeat(20_001) }, ["--task", "at most 20000 characters"]],
    ["an empty repository", { repo: "" }, ["--repo", "a folder"]],
    ["agents in words", { agents: "many" }, ["--agents", "a whole number", '"many"']],
    ["half an agent", { agents: "1.5" }, ["--agents", '"1.5"']],
    ["minus one agent", { agents: "-1" }, ["--agents", '"-1"']],
    ["a timeout without unit", { timeout: "5" }, ["--timeout", "90s, 5m or 1h", '"5"']],
    ["no time at all", { timeout: "0s" }, ["--timeout", '"0s"']],
    ["a week", { timeout: "168h" }, ["--timeout", "24h"]],
    [
      "a model address that is none",
      { modelUrl: "localhost:8000", model: "m" },
      ["--model-url (FLOTILLA_MODEL_URL)", "http://"],
    ],
    ["a server for the mock", { modelUrl: "http://a/v1" }, ["leave --model-url out"]],
    ["a model without a server", { model: "qwen" }, ["--model-url (FLOTILLA_MODEL_URL)", '"qwen"', "missing"]],
  ])("refuses %s", (_, flags, words) => {
    const { code, message } = refusal(flags);
    expect(code).toBe("OptionInvalid");
    for (const word of words) expect(message).toContain(word);
  });

  it("names the variable that was wrong and the model that is missing", () => {
    const flags = { repo: ".", task: "t" };
    expect(() => taskOptions(flags, { FLOTILLA_MODEL_URL: "nonsense" })).toThrow(/FLOTILLA_MODEL_URL.*"nonsense"/);
    expect(() => taskOptions(flags, { FLOTILLA_MODEL_URL: "http://a" })).toThrow(
      /--model \(FLOTILLA_MODEL\).*http:\/\/a/,
    );
  });
});

describe("parseDuration", () => {
  it.each([
    ["250ms", 250],
    ["90s", 90_000],
    ["1.5m", 90_000],
    [" 2 h ", 7_200_000],
    ["5", undefined],
    ["m5", undefined],
    ["-5s", undefined],
    ["", undefined],
  ])("%j is %j", (text, expected) => {
    expect(parseDuration(text)).toBe(expected);
  });
});
