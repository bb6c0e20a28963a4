// Cases of the model server suite: tokens, cache, metrics, KV events, sleep.

import { expect } from "vitest";
import { get, type Json, labelOf, metricsOf, post } from "../../support/vllm-client.ts";
import { type KvBatch, listenToKv, replayed } from "../../support/vllm-events.ts";
import { waitUntil } from "../../support/wait-until.ts";
import {
  asking,
  cachedIn,
  chat,
  expectUsage,
  longText,
  type ModelServerCases,
  type ModelServerUnderTest,
  stream,
  unique,
} from "./case.ts";

export const COUNTED: ModelServerCases = {
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

  async "stops a request that its client gave up, and counts it as no end"(server) {
    const before = await metricsOf(server.url);
    const leaving = new AbortController();
    const endless = asking(server, "hello", { max_tokens: 4_000, ignore_eos: true, stream: true });
    const asked = await fetch(`${server.url}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(endless),
      signal: leaving.signal,
    });
    await asked.body?.getReader().read();
    leaving.abort();
    await waitUntil("nothing runs", async () => (await metricsOf(server.url)).get("vllm:num_requests_running") === 0);
    const after = await metricsOf(server.url);
    const moved = (name: string) => (after.get(`vllm:${name}`) ?? 0) - (before.get(`vllm:${name}`) ?? 0);
    expect([moved("request_success_total"), moved("e2e_request_latency_seconds_count")]).toEqual([0, 0]);
    expect(moved("generation_tokens_total")).toBeLessThan(4_000);
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

export const PUBLISHED: ModelServerCases = {
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

export const STEERED: ModelServerCases = {
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
