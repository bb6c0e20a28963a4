// What pages of metrics say, whoever wrote them, and what lies between two of them.

import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import {
  type EngineCounters,
  engineFacts,
  type Reading,
  rates,
  restarted,
} from "../../../nodes/telemetry/engine-facts.ts";
import { parseMetrics } from "../../../nodes/telemetry/exposition.ts";

const factsOf = (text: string, model?: string) => engineFacts(parseMetrics(text), model);
const vllmPage = readFileSync(new URL("../../fixtures/vllm/metrics.txt", import.meta.url), "utf8");

describe("facts", () => {
  it("of a real vLLM", () => {
    expect(factsOf(vllmPage)).toEqual({
      server: "vllm",
      model: "Qwen/Qwen3-0.6B",
      running: 0,
      waiting: 0,
      kvUsage: 0,
      blocks: 200,
      blockSize: 128,
      asleep: false,
      counters: {
        promptTokens: 11_834,
        generationTokens: 28,
        prefixQueries: 11_834,
        prefixHits: 3_072,
        successes: 7,
        preemptions: 0,
      },
    });
  });

  it("of an old vLLM, and of one without _total", () => {
    const page = `vllm:num_requests_running{model_name="m"} 2
vllm:gpu_cache_usage_perc{model_name="m"} 0.25
vllm:gpu_prefix_cache_hit_rate{model_name="m"} -1.0
vllm:prompt_tokens{model_name="m"} 10
vllm:gpu_prefix_cache_queries{model_name="m"} 4
vllm:gpu_prefix_cache_hits{model_name="m"} 1`;
    expect(factsOf(page)).toEqual({
      server: "vllm",
      model: "m",
      running: 2,
      kvUsage: 0.25,
      counters: { promptTokens: 10, prefixQueries: 4, prefixHits: 1 },
    });
  });

  it("the new name wins where a server has both", () => {
    expect(factsOf("vllm:gpu_cache_usage_perc 0.1\nvllm:kv_cache_usage_perc 0.2")?.kvUsage).toBe(0.2);
  });

  it("of several engines of one server: sums, and the mean of their caches", () => {
    const of = (engine: number) => `vllm:num_requests_running{engine="${engine}",model_name="m"} ${engine + 1}
vllm:kv_cache_usage_perc{engine="${engine}",model_name="m"} 0.${engine + 1}
vllm:cache_config_info{engine="${engine}",block_size="16",num_gpu_blocks="100"} 1
vllm:request_success_total{engine="${engine}",model_name="m",finished_reason="stop"} 5
vllm:request_success_total{engine="${engine}",model_name="m",finished_reason="abort"} 90`;
    expect(factsOf([0, 1, 2].map(of).join("\n"))).toMatchObject({
      running: 6,
      kvUsage: expect.closeTo(0.2),
      blocks: 300,
      blockSize: 16,
      counters: { successes: 15 },
    });
  });

  it("of SGLang and llama.cpp", () => {
    const sglang = `sglang:num_running_reqs{model_name="m"} 3
sglang:num_queue_reqs{model_name="m"} 1
sglang:token_usage{model_name="m"} 0.28
sglang:cache_hit_rate{model_name="m"} 0.5
sglang:max_total_num_tokens{model_name="m"} 4096
sglang:prompt_tokens_total{model_name="m"} 8.128902e+06
sglang:generation_tokens_total{model_name="m"} 7.5e6`;
    expect(factsOf(sglang)).toEqual({
      server: "sglang",
      model: "m",
      running: 3,
      waiting: 1,
      kvUsage: 0.28,
      hitRate: 0.5,
      blocks: 4_096,
      blockSize: 1,
      counters: { promptTokens: 8_128_902, generationTokens: 7_500_000 },
    });
    const llama =
      "llamacpp:requests_processing 1\nllamacpp:requests_deferred 2\nllamacpp:kv_cache_usage_ratio 0.4\nllamacpp:tokens_predicted_total 9";
    expect(factsOf(llama)).toEqual({
      server: "llamacpp",
      running: 1,
      waiting: 2,
      kvUsage: 0.4,
      counters: { generationTokens: 9 },
    });
  });

  it("of one model among several; of another name of an only one", () => {
    const page = 'vllm:num_requests_running{model_name="a"} 1\nvllm:num_requests_running{model_name="b"} 2';
    expect(factsOf(page, "b")).toMatchObject({ model: "b", running: 2 });
    expect(factsOf(page, "c")).toBeUndefined();
    expect(factsOf(page)).toBeUndefined();
    expect(factsOf(vllmPage, "alias")?.model).toBe("Qwen/Qwen3-0.6B");
  });

  it("are none on another program's page, and NaN is not told", () => {
    expect(factsOf("go_goroutines 7")).toBeUndefined();
    expect(factsOf("")).toBeUndefined();
    expect(factsOf("vllm:num_requests_running NaN\nvllm:num_requests_waiting 1")).toEqual({
      server: "vllm",
      waiting: 1,
      counters: {},
    });
  });
});

describe("rates", () => {
  const at = (atMs: number, counters: EngineCounters): Reading => ({ atMs, facts: { server: "vllm", counters } });

  it("are a second's worth, and the hits among what was asked for", () => {
    const before = at(1_000, {
      promptTokens: 100,
      generationTokens: 10,
      prefixQueries: 100,
      prefixHits: 50,
      successes: 1,
    });
    const after = at(3_000, {
      promptTokens: 300,
      generationTokens: 14,
      prefixQueries: 300,
      prefixHits: 200,
      successes: 2,
    });
    expect(rates(before, after)).toEqual({
      promptTokensPerS: 100,
      generationTokensPerS: 2,
      successesPerS: 0.5,
      hitRate: 0.75,
    });
  });

  it("count from 0 after a restart (EF2)", () => {
    const [before, after] = [
      at(0, { promptTokens: 1_000, preemptions: 2 }),
      at(500, { promptTokens: 20, preemptions: 2 }),
    ];
    expect(rates(before, after)).toEqual({ promptTokensPerS: 40, preemptionsPerS: 0 });
    expect(restarted(before.facts, after.facts)).toBe(true);
    expect(restarted(after.facts, after.facts)).toBe(false);
  });

  it("are absent for what was not told, not asked or not a time", () => {
    const some = at(0, { promptTokens: 1, prefixQueries: 5, prefixHits: 5 });
    expect(rates(some, at(1_000, { generationTokens: 5 }))).toEqual({});
    expect(rates(some, { ...some, atMs: 1_000 })).toEqual({ promptTokensPerS: 0 });
    expect(rates(some, some)).toEqual({});
  });
});
