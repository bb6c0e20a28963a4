// Cases of the model server suite: what it answers, and what it refuses.

import { expect } from "vitest";
import { get, type Json, post, streamed } from "../../support/vllm-client.ts";
import { asking, chat, expectUsage, type ModelServerCases, stream } from "./case.ts";

const SCHEMA = {
  type: "object",
  properties: { verdict: { enum: ["pass", "fail"] }, score: { type: "integer", minimum: 3, maximum: 9 } },
  required: ["verdict", "score"],
  additionalProperties: false,
};
const CITY = {
  type: "object",
  properties: { city: { enum: ["Bern", "Rome"] } },
  required: ["city"],
  additionalProperties: false,
};
const TOOLS = [
  { type: "function", function: { name: "get_weather", description: "Weather of a city.", parameters: CITY } },
];
const NAMED = { type: "function", function: { name: "get_weather" } };

const textOf = (chunks: readonly Json[]) =>
  chunks.map((chunk) => chunk.at("choices", 0, "delta", "content") ?? "").join("");
const finishesOf = (chunks: readonly Json[]) =>
  chunks.map((chunk) => chunk.at("choices", 0, "finish_reason")).filter((finish) => typeof finish === "string");

async function expectError(
  answer: Promise<{ status: number; json: Json }>,
  status: number,
  type: string,
  words: RegExp,
) {
  const { status: got, json } = await answer;
  expect(got).toBe(status);
  expect(json.at("error")).toMatchObject({ type, code: status });
  expect(json.text("error", "message")).toMatch(words);
}

export const TALKING: ModelServerCases = {
  async "is healthy and says its version and its model"({ url, model, maxModelLen }) {
    for (const path of ["/health", "/ping"]) expect(await get(url + path)).toMatchObject({ status: 200, text: "" });
    expect((await get(`${url}/version`)).json.text("version")).toMatch(/^0\.32\./);
    const { json } = await get(`${url}/v1/models`);
    expect(json.value).toMatchObject({
      object: "list",
      data: [{ id: model, object: "model", owned_by: "vllm", max_model_len: maxModelLen }],
    });
  },

  async "answers a chat in one object"(server) {
    const { status, json } = await chat(server, "hello");
    expect(status).toBe(200);
    expect(json.value).toMatchObject({ object: "chat.completion", model: server.model });
    expect(json.text("id")).toMatch(/^chatcmpl-/);
    expect(json.text("choices", 0, "message", "role")).toBe("assistant");
    expect(typeof json.at("choices", 0, "message", "content")).toBe("string");
    expectUsage(json);
  },

  async "streams a chat: role, text, one finish, usage when asked, [DONE]"(server) {
    const { chunks, isDone } = await stream(server, "hello", {
      max_tokens: 40,
      stream_options: { include_usage: true },
    });
    expect(isDone).toBe(true);
    expect(chunks[0]?.at("choices", 0, "delta")).toEqual({ role: "assistant", content: "" });
    expect(new Set(chunks.map((chunk) => chunk.text("id"))).size).toBe(1);
    expect(chunks.every((chunk) => chunk.text("object") === "chat.completion.chunk")).toBe(true);
    expect(finishesOf(chunks)).toHaveLength(1);
    expect(textOf(chunks)).not.toBe("");
    expect(chunks.at(-1)?.list("choices")).toEqual([]);
    expectUsage(chunks.at(-1) as Json);
    const plain = await stream(server, "hello");
    expect(plain.chunks.some((chunk) => chunk.at("usage"))).toBe(false);
  },

  async "one event for each token"(server) {
    const { chunks } = await stream(server, "hello", { max_tokens: 20, ignore_eos: true });
    expect(chunks.filter((chunk) => chunk.at("choices", 0, "delta", "content"))).toHaveLength(20);
  },

  async "ends at max_tokens, and never before it with ignore_eos"(server) {
    const { json } = await chat(server, "hello", { max_tokens: 33, ignore_eos: true });
    expect(json.at("choices", 0, "finish_reason")).toBe("length");
    expect(json.number("usage", "completion_tokens")).toBe(33);
  },

  async "ends at a stop string, which is not part of the text"(server) {
    const stop = ["e", "o", "a"];
    const { json } = await chat(server, "hello", { max_tokens: 200, ignore_eos: true, stop });
    expect(json.at("choices", 0)).toMatchObject({
      finish_reason: "stop",
      stop_reason: expect.stringMatching(/^[eoa]$/),
    });
    expect(json.text("choices", 0, "message", "content")).not.toMatch(/[eoa]/);
  },

  async "gives as many choices as n asks for"(server) {
    const { json } = await chat(server, "hello", { n: 2 });
    expect(json.list("choices")).toHaveLength(2);
  },

  async "completes a prompt of text or tokens, whole or streamed"(server) {
    const address = `${server.url}/v1/completions`;
    const asked = { model: server.model, prompt: "def hello", max_tokens: 5, seed: 1, ignore_eos: true };
    const { json } = await post(address, asked);
    expect(json.text("object")).toBe("text_completion");
    expect(json.text("choices", 0, "text")).not.toBe("");
    expectUsage(json);
    const ids = (await post(`${server.url}/tokenize`, { model: server.model, prompt: "def hello" })).json.at("tokens");
    expectUsage((await post(address, { ...asked, prompt: ids })).json, json.number("usage", "prompt_tokens"));
    const { chunks, isDone } = await streamed(address, asked);
    expect(isDone).toBe(true);
    expect(chunks.map((chunk) => chunk.at("choices", 0, "finish_reason")).filter((finish) => finish !== null)).toEqual([
      "length",
    ]);
  },

  async "takes content in parts"(server) {
    const whole = (await chat(server, "hello there")).json.number("usage", "prompt_tokens");
    const parts = [{ type: "text", text: "hello there" }];
    const { status, json } = await post(`${server.url}/v1/chat/completions`, {
      ...asking(server, ""),
      messages: [{ role: "user", content: parts }],
    });
    expect({ status, tokens: json.number("usage", "prompt_tokens") }).toEqual({ status: 200, tokens: whole });
  },
};

export const CONSTRAINED: ModelServerCases = {
  async "keeps to a JSON schema"(server) {
    const format = { type: "json_schema", json_schema: { name: "review", schema: SCHEMA } };
    const { json } = await chat(server, "Review it.", { max_tokens: 2_000, response_format: format });
    const value = JSON.parse(json.text("choices", 0, "message", "content")) as Record<string, unknown>;
    expect(Object.keys(value).sort()).toEqual(["score", "verdict"]);
    expect(value.verdict).toMatch(/^(pass|fail)$/);
    expect(value.score).toSatisfy((score: number) => Number.isInteger(score) && score >= 3 && score <= 9);
  },

  async "answers a required or named tool with a call of it"(server) {
    for (const [choice, finish] of [["required", "tool_calls"] as const, [NAMED, "stop"] as const]) {
      const { json } = await chat(server, "Weather?", { max_tokens: 2_000, tools: TOOLS, tool_choice: choice });
      expect(json.at("choices", 0, "finish_reason")).toBe(finish);
      const [call] = json.list("choices", 0, "message", "tool_calls");
      expect(call?.value).toMatchObject({
        type: "function",
        function: { name: "get_weather", arguments: expect.any(String) },
      });
      expect(call?.text("id")).toMatch(/^chatcmpl-tool-/);
    }
  },

  async "streams a tool call: its name, then its arguments"(server) {
    const { chunks } = await stream(server, "Weather?", { max_tokens: 2_000, tools: TOOLS, tool_choice: NAMED });
    const calls = chunks.flatMap((chunk) =>
      chunk.at("choices", 0, "delta", "tool_calls") ? chunk.list("choices", 0, "delta", "tool_calls") : [],
    );
    expect(calls[0]?.value).toMatchObject({ type: "function", index: 0, function: { name: "get_weather" } });
    expect(calls.filter((call) => call.at("function", "name"))).toHaveLength(1);
    const text = calls.map((call) => call.at("function", "arguments") ?? "").join("");
    expect(() => JSON.parse(text)).not.toThrow();
    expect(finishesOf(chunks)).toEqual(["stop"]);
  },

  async "arguments of a tool call satisfy the tool's parameters"(server) {
    const { json } = await chat(server, "Weather?", { max_tokens: 2_000, tools: TOOLS, tool_choice: NAMED });
    const text = json.text("choices", 0, "message", "tool_calls", 0, "function", "arguments");
    expect(JSON.parse(text)).toEqual({ city: expect.stringMatching(/^(Bern|Rome)$/) });
  },
};

export const REFUSED: ModelServerCases = {
  async "names the models when one is unknown"(server) {
    const words = new RegExp(`^The model \`nope\` does not exist\\. Valid aliases: ${server.model}\\.$`);
    for (const path of ["/v1/chat/completions", "/v1/completions", "/tokenize"]) {
      const asked = {
        model: "nope",
        messages: [{ role: "user", content: "x" }],
        ...(path !== "/v1/chat/completions" && { prompt: "x" }),
      };
      await expectError(post(server.url + path, asked), 404, "NotFoundError", words);
    }
  },

  async "says the numbers when the prompt or the reply is too long"(server) {
    const { maxModelLen } = server;
    const context = new RegExp(
      `maximum context length is ${maxModelLen} tokens.*contains (at least )?\\d+ input tokens`,
    );
    await expectError(chat(server, "read write ".repeat(maxModelLen)), 400, "BadRequestError", context);
    const most = new RegExp(`max_tokens=${maxModelLen + 1} cannot be greater than max_model_len=${maxModelLen}`);
    await expectError(chat(server, "x", { max_tokens: maxModelLen + 1 }), 400, "BadRequestError", most);
    await expectError(
      chat(server, "x", { max_tokens: 0 }),
      400,
      "BadRequestError",
      /max_tokens must be at least 1, got 0/,
    );
  },

  async "refuses what has not the right shape, and what leads nowhere"(server) {
    const address = `${server.url}/v1/chat/completions`;
    await expectError(
      post(address, { model: server.model }),
      400,
      "Bad Request",
      /1 validation error:\n.*body\.messages/,
    );
    await expectError(post(address, "{bad"), 400, "Bad Request", /JSON decode error/);
    await expectError(
      post(address, { model: server.model, messages: [] }),
      400,
      "BadRequestError",
      /empty conversation/,
    );
    const choice = { tools: TOOLS, tool_choice: { type: "function", function: { name: "other" } } };
    await expectError(chat(server, "x", choice), 400, "BadRequestError", /does not match any of the specified `tools`/);
    expect(await get(`${server.url}/nothing`)).toMatchObject({ status: 404, text: '{"detail":"Not Found"}' });
    expect(await get(address)).toMatchObject({ status: 405, text: '{"detail":"Method Not Allowed"}' });
  },
};
