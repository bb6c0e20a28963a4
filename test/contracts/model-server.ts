// What a vLLM server does to a client, whether it is the real one or the simulator (nodes/vllm-sim/). Run on each by its own test file, which
// names the differences it allows by the title of the case, with the reason.

import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, expect } from "vitest";
import { get, type Json, labelOf, metricsOf, post, streamed } from "../support/vllm-client.ts";
import { type KvBatch, listenToKv, replayed } from "../support/vllm-events.ts";
import { waitUntil } from "../support/wait-until.ts";
import { type Cases, runContract } from "./contract.ts";

export interface ModelServerUnderTest {
  /** Without /v1. */
  readonly url: string;
  readonly model: string;
  readonly maxModelLen: number;
  readonly kvEndpoint: string | undefined;
  readonly replayEndpoint: string | undefined;
  close(): Promise<void>;
}

/** Differences are named by a case's title. */
export type Allowed = Readonly<Record<string, string>>;

const unique = () => randomBytes(12).toString("hex");

/** Long enough for several blocks of 128 tokens, and new to every cache from its first words on. */
const longText = () => `${unique()} ${"read the file, write the test and commit. ".repeat(60)}`;

const asking = ({ model }: ModelServerUnderTest, text: string, more: object = {}) => ({
  model,
  messages: [{ role: "user", content: text }],
  max_tokens: 8,
  seed: 1,
  ...more,
});
const chat = (server: ModelServerUnderTest, text: string, more: object = {}) =>
  post(`${server.url}/v1/chat/completions`, asking(server, text, more));
const stream = (server: ModelServerUnderTest, text: string, more: object = {}) =>
  streamed(`${server.url}/v1/chat/completions`, asking(server, text, more));

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

function expectUsage(json: Json, promptTokens?: number): void {
  const [prompt, made, total] = ["prompt_tokens", "completion_tokens", "total_tokens"].map((name) =>
    json.number("usage", name),
  );
  expect(total).toBe((prompt ?? 0) + (made ?? 0));
  if (promptTokens !== undefined) expect(prompt).toBe(promptTokens);
}

const cachedIn = (json: Json) => json.number("usage", "prompt_tokens_details", "cached_tokens");
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

type Case = (server: ModelServerUnderTest) => Promise<void>;

const TALKING: Readonly<Record<string, Case>> = {
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

const CONSTRAINED: Readonly<Record<string, Case>> = {
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

const COUNTED: Readonly<Record<string, Case>> = {
  async "counts tokens as it uses them, and gives their text back"(server) {
    const text = "def hello_world():\n\treturn 'héllo — ✓ 😀'  # done";
    const { json } = await post(`${server.url}/tokenize`, { model: server.model, prompt: text });
    expect(json.value).toMatchObject({
      count: json.list("tokens").length,
      max_model_len: server.maxModelLen,
      token_strs: null,
    });
    const back = await post(`${server.url}/detokenize`, { model: server.model, tokens: json.at("tokens") });
    expect(back.json.value).toEqual({ prompt: text });
    const messages = [{ role: "user", content: text }];
    const whole = await post(`${server.url}/tokenize`, { model: server.model, messages });
    expectUsage((await chat(server, text)).json, whole.json.number("count"));
  },

  async "finds a repeated prompt in its cache, in whole blocks and never whole"(server) {
    const text = longText();
    const blockSize = Number(await labelOf(server.url, "vllm:cache_config_info", "block_size"));
    const [first, second] = [await chat(server, text), await chat(server, text)];
    expect(cachedIn(first.json)).toBe(0);
    const prompt = second.json.number("usage", "prompt_tokens");
    expect(cachedIn(second.json)).toBe(Math.floor((prompt - 1) / blockSize) * blockSize);
    const { chunks } = await stream(server, `${text} And more.`, { stream_options: { include_usage: true } });
    expect(cachedIn(chunks.at(-1) as Json)).toBeGreaterThan(prompt - 2 * blockSize);
  },

  async "has vLLM's metrics, and they move by what was used"(server) {
    const text = longText();
    const before = await metricsOf(server.url);
    const answers = [await chat(server, text), await chat(server, text)];
    const sum = (of: (json: Json) => number) => answers.reduce((total, { json }) => total + of(json), 0);
    const prompts = sum((json) => json.number("usage", "prompt_tokens"));
    const wanted = {
      "vllm:prompt_tokens_total": prompts,
      "vllm:prefix_cache_queries_total": prompts,
      "vllm:prefix_cache_hits_total": sum(cachedIn),
      "vllm:generation_tokens_total": sum((json) => json.number("usage", "completion_tokens")),
      "vllm:request_success_total": 2,
      "vllm:num_preemptions_total": 0,
      "vllm:time_to_first_token_seconds_count": 2,
      "vllm:e2e_request_latency_seconds_count": 2,
      "vllm:inter_token_latency_seconds_count": sum((json) => json.number("usage", "completion_tokens") - 1),
    };
    await waitUntil("the counters moved", async () => {
      const after = await metricsOf(server.url);
      return (after.get("vllm:request_success_total") ?? 0) - (before.get("vllm:request_success_total") ?? 0) === 2;
    });
    const after = await metricsOf(server.url);
    const moved = Object.keys(wanted).map((name) => [
      name,
      (after.get(name) ?? Number.NaN) - (before.get(name) ?? Number.NaN),
    ]);
    expect(Object.fromEntries(moved)).toEqual(wanted);
    for (const gauge of [
      "num_requests_running",
      "num_requests_waiting",
      "kv_cache_usage_perc",
      "cache_config_info",
      "engine_sleep_state",
    ]) {
      expect(after.get(`vllm:${gauge}`), gauge).toBeTypeOf("number");
    }
    expect(await labelOf(server.url, "vllm:num_requests_running", "model_name")).toBe(server.model);
    expect(await labelOf(server.url, "vllm:num_requests_running", "engine")).toBe("0");
  },

  async "has every family of metrics that vLLM has"(server) {
    const { text } = await get(`${server.url}/metrics`);
    for (const name of [
      "iteration_tokens_total",
      "request_prompt_tokens",
      "prompt_tokens_by_source_total",
      "prompt_tokens_created",
    ])
      expect(text).toContain(`vllm:${name}`);
  },

  async "counts a request that its client gave up as aborted"(server) {
    const aborted = async () => {
      const { text } = await get(`${server.url}/metrics`);
      return Number(/^vllm:request_success_total\{[^}]*finished_reason="abort"[^}]*\} (\S+)$/m.exec(text)?.[1]);
    };
    const before = await aborted();
    const leaving = new AbortController();
    const endless = asking(server, "hello", { max_tokens: 4_000, ignore_eos: true, stream: true });
    const asked = fetch(`${server.url}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(endless),
      signal: leaving.signal,
    });
    await (await asked).body?.getReader().read();
    leaving.abort();
    await waitUntil("the request was aborted", async () => (await aborted()) === before + 1);
    await waitUntil("nothing runs", async () => (await metricsOf(server.url)).get("vllm:num_requests_running") === 0);
  },
};

const REFUSED: Readonly<Record<string, Case>> = {
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

interface Stored {
  readonly block_hashes: readonly (number | bigint)[];
  readonly parent_block_hash: number | bigint | null;
  readonly token_ids: readonly number[];
  readonly block_size: number;
}

const eventsOf = (batches: readonly KvBatch[], type: string) =>
  batches
    .flatMap(({ events }) => events)
    .filter((event): event is Readonly<Record<string, unknown>> => "type" in event && event.type === type);

/** Listens, and asks until the subscription is in force: what is published before that nobody hears. */
async function listening(server: ModelServerUnderTest) {
  const listener = listenToKv(server.kvEndpoint ?? "");
  await waitUntil("the first KV event is heard", async () => {
    await chat(server, longText(), { max_tokens: 1 });
    return listener.batches.length > 0;
  });
  return listener;
}

const PUBLISHED: Readonly<Record<string, Case>> = {
  async "publishes stored blocks as maps: hashes, tokens, parent and session"(server) {
    await using listener = await listening(server);
    const text = longText();
    const session = `session-${unique()}`;
    const address = `${server.url}/v1/chat/completions`;
    const mine = () =>
      eventsOf(listener.batches, "BlockStored").filter((event) => event.session_id === session) as unknown as Stored[];
    await post(address, asking(server, text, { max_tokens: 1 }), { "x-session-id": session });
    const [first] = await waitUntil("the blocks are stored", () => (mine().length > 0 ? mine() : undefined));
    await post(address, asking(server, `${text} ${"And more of it. ".repeat(60)}`, { max_tokens: 1 }), {
      "x-session-id": session,
    });
    const second = await waitUntil("more blocks are stored", () => mine()[1]);
    const { json } = await post(`${server.url}/tokenize`, {
      model: server.model,
      messages: [{ role: "user", content: text }],
    });
    const stored = first?.token_ids ?? [];
    expect(stored).toHaveLength((first?.block_hashes.length ?? 0) * (first?.block_size ?? 0));
    expect(json.at("tokens")).toSatisfy((tokens: number[]) => stored.every((token, index) => tokens[index] === token));
    expect(first?.parent_block_hash).toBeNull();
    // The end of a chat is no prefix of a longer one: the second goes on where the first still agrees with it.
    expect(first?.block_hashes).toContain(second.parent_block_hash);
    const hashes = [...(first?.block_hashes ?? []), ...second.block_hashes].map(BigInt);
    expect(hashes.some((hash) => hash > 2n ** 53n)).toBe(true);
    expect(hashes.every((hash) => hash >= 0n && hash < 2n ** 64n)).toBe(true);
    expect(eventsOf(listener.batches, "BlockStored")[0]).toMatchObject({ medium: "GPU", lora_name: null });
  },

  async "numbers its batches without a gap, under one topic, with the time"(server) {
    await using listener = await listening(server);
    for (let count = 0; count < 5; count += 1) await chat(server, longText(), { max_tokens: 1 });
    await waitUntil("five more batches are heard", () => listener.batches.length >= 6);
    const [{ sequence, topic } = { sequence: 0n, topic: "" }] = listener.batches;
    expect(listener.batches.map((batch) => batch.sequence - sequence)).toEqual(
      listener.batches.map((_, index) => BigInt(index)),
    );
    expect(new Set(listener.batches.map((batch) => batch.topic))).toEqual(new Set([topic]));
    expect(listener.batches.every(({ rank }) => rank === 0)).toBe(true);
    const [first, last] = [listener.batches[0]?.ts ?? 0, listener.batches.at(-1)?.ts ?? 0];
    expect(Math.abs(last - Date.now() / 1_000)).toBeLessThan(600);
    expect(last).toBeGreaterThanOrEqual(first);
  },

  async "replays batches from a sequence on"(server) {
    await using listener = await listening(server);
    for (let count = 0; count < 3; count += 1) await chat(server, longText(), { max_tokens: 1 });
    await waitUntil("three more batches are heard", () => listener.batches.length >= 4);
    const heard = listener.batches.slice(1);
    const again = await replayed(server.replayEndpoint ?? "", heard[0]?.sequence ?? 0n);
    expect(again.slice(0, heard.length)).toEqual(heard);
  },
};

const STEERED: Readonly<Record<string, Case>> = {
  async "forgets its cache when told to, and says so"(server) {
    await using listener = await listening(server);
    const text = longText();
    await chat(server, text);
    expect((await post(`${server.url}/reset_prefix_cache`)).json.value).toEqual({ success: true });
    expect(cachedIn((await chat(server, text)).json)).toBe(0);
    await waitUntil("the clearing is told", () => eventsOf(listener.batches, "AllBlocksCleared").length > 0);
  },

  async "sleeps and wakes; what is asked meanwhile waits"(server) {
    const state = async () => (await get(`${server.url}/is_sleeping`)).json.at("is_sleeping");
    expect((await post(`${server.url}/sleep?level=1`)).json.value).toEqual({ status: "sleeping", level: 1 });
    expect(await state()).toBe(true);
    const page = (await get(`${server.url}/metrics`)).text;
    expect(page).toMatch(/vllm:engine_sleep_state\{.*sleep_state="weights_offloaded"\} 1\.0/);
    const asked = chat(server, "hello");
    const first = await Promise.race([asked.then(() => "answered"), get(`${server.url}/health`).then(() => "healthy")]);
    expect(first).toBe("healthy");
    expect((await post(`${server.url}/wake_up`)).json.value).toEqual({ status: "awake", tags: null });
    expect((await asked).status).toBe(200);
    expect(await state()).toBe(false);
  },
};

/** What a case needs; a server without it skips the case with this reason. */
const NEEDS: readonly (readonly [Readonly<Record<string, Case>>, (server: Offers) => string | undefined])[] = [
  [PUBLISHED, ({ hasKvEvents }) => (hasKvEvents ? undefined : "it publishes no KV events here")],
  [STEERED, ({ hasDevMode }) => (hasDevMode ? undefined : "its development routes are off")],
  [
    { "forgets its cache when told to, and says so": async () => {} },
    ({ hasKvEvents }) => (hasKvEvents ? undefined : "it publishes no KV events here"),
  ],
  [
    { "replays batches from a sequence on": async () => {} },
    ({ hasReplay }) => (hasReplay ? undefined : "its replay is off"),
  ],
];

/** What a server was started with. */
export interface Offers {
  readonly hasKvEvents: boolean;
  readonly hasReplay: boolean;
  readonly hasDevMode: boolean;
}

/** Declares the suite: `open` once for all cases; `allows`: title of a case → why this server differs there. */
export function modelServerContract(
  name: string,
  open: () => Promise<ModelServerUnderTest>,
  offers: Offers,
  allows: Allowed = {},
): void {
  let server: ModelServerUnderTest | undefined;
  beforeAll(async () => {
    server = await open();
  }, 420_000);
  afterAll(() => server?.close());
  const all = { ...TALKING, ...CONSTRAINED, ...COUNTED, ...REFUSED, ...PUBLISHED, ...STEERED };
  const absent = NEEDS.flatMap(([cases, lacks]) => {
    const reason = lacks(offers);
    return reason === undefined ? [] : Object.keys(cases).map((title) => [title, reason] as const);
  });
  const cases: Cases<{ close(): Promise<void> }> = Object.fromEntries(
    Object.entries(all).map(([title, run]) => [title, () => run(server as ModelServerUnderTest)]),
  );
  runContract(`model server: ${name}`, cases, async () => ({ close: async () => {} }), {
    ...allows,
    ...Object.fromEntries(absent),
  });
}
