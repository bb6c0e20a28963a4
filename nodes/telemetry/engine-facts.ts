// What a page of metrics says about a model server, whoever made it: vLLM (old and new names), SGLang, llama.cpp.
// It is not how the page is read (exposition.ts) nor how often (engine-monitor.ts).
//
// EF1  What a server does not tell is absent, never zero. NaN and infinities are not told.
// EF2  A counter that is smaller than before belongs to a new life of its server and counts from 0.

import type { MetricsPage, Sample } from "./exposition.ts";

/** How a model server stands; every field but the counters is as of the moment the page was made. */
export interface EngineFacts {
  /** Which family of names the page uses. */
  readonly server: "vllm" | "sglang" | "llamacpp";
  /** As the page names it: the first of its served names. */
  readonly model?: string;
  /** Requests in hand and queued, over all its engines. */
  readonly running?: number;
  readonly waiting?: number;
  /** Share of its cache in use, 0 to 1: the mean over its engines. */
  readonly kvUsage?: number;
  /** Blocks of its cache over all its engines, and tokens in each. */
  readonly blocks?: number;
  readonly blockSize?: number;
  /** Whether it gave its memory back to be woken later. */
  readonly asleep?: boolean;
  /** Share of prompt tokens found in its cache, where it tells just that. */
  readonly hitRate?: number;
  readonly counters: EngineCounters;
}

/** What has happened since the server started. Tokens and requests. */
export interface EngineCounters {
  readonly promptTokens?: number;
  readonly generationTokens?: number;
  /** Prompt tokens looked up in the prefix cache, and those found. */
  readonly prefixQueries?: number;
  readonly prefixHits?: number;
  /** Requests that came to an end of their own: neither given up nor failed. */
  readonly successes?: number;
  readonly preemptions?: number;
}

/** Facts and when they were read: milliseconds that never go backwards. */
export interface Reading {
  readonly atMs: number;
  readonly facts: EngineFacts;
}

/** What happened between two readings, a second; absent where either did not tell. */
export interface EngineRates {
  readonly promptTokensPerS?: number;
  readonly generationTokensPerS?: number;
  readonly successesPerS?: number;
  readonly preemptionsPerS?: number;
  /** Share of the prompt tokens asked for in that time that were found in its cache, 0 to 1; absent when none was asked for. */
  readonly hitRate?: number;
}

type Gauge = "running" | "waiting" | "kvUsage" | "hitRate";
type Counter = keyof EngineCounters;
type Writable<T> = { -readonly [Key in keyof T]: T[Key] };

/** Names without prefix and without `_total`, newest first: the first that is there counts. */
interface Family {
  readonly server: EngineFacts["server"];
  readonly gauges: Readonly<Partial<Record<Gauge, readonly string[]>>>;
  readonly counters: Readonly<Partial<Record<Counter, readonly string[]>>>;
}

const FAMILIES: Readonly<Record<string, Family>> = {
  vllm: {
    server: "vllm",
    gauges: {
      running: ["num_requests_running"],
      waiting: ["num_requests_waiting"],
      kvUsage: ["kv_cache_usage_perc", "gpu_cache_usage_perc"],
      hitRate: ["gpu_prefix_cache_hit_rate"],
    },
    counters: {
      promptTokens: ["prompt_tokens"],
      generationTokens: ["generation_tokens"],
      prefixQueries: ["prefix_cache_queries", "gpu_prefix_cache_queries"],
      prefixHits: ["prefix_cache_hits", "gpu_prefix_cache_hits"],
      successes: ["request_success"],
      preemptions: ["num_preemptions"],
    },
  },
  sglang: {
    server: "sglang",
    gauges: {
      running: ["num_running_reqs"],
      waiting: ["num_queue_reqs"],
      kvUsage: ["token_usage"],
      hitRate: ["cache_hit_rate"],
    },
    counters: {
      promptTokens: ["prompt_tokens"],
      generationTokens: ["generation_tokens"],
      prefixHits: ["cached_tokens"],
      successes: ["num_requests"],
      preemptions: ["num_retracted_requests"],
    },
  },
  llamacpp: {
    server: "llamacpp",
    gauges: { running: ["requests_processing"], waiting: ["requests_deferred"], kvUsage: ["kv_cache_usage_ratio"] },
    counters: { promptTokens: ["prompt_tokens"], generationTokens: ["tokens_predicted"] },
  },
};

const OTHER_NAMES = ["vllm:cache_config_info", "vllm:engine_sleep_state", "sglang:max_total_num_tokens"];

/** Names that `engineFacts` looks at: give it to `parseMetrics`, and the histograms of a page cost next to nothing. */
export const ENGINE_METRICS: ReadonlySet<string> = new Set([
  ...OTHER_NAMES,
  ...Object.entries(FAMILIES).flatMap(([prefix, { gauges, counters }]) => [
    ...Object.values(gauges).flatMap((names) => names.map((name) => `${prefix}:${name}`)),
    ...Object.values(counters).flatMap((names) =>
      names.flatMap((name) => [`${prefix}:${name}`, `${prefix}:${name}_total`]),
    ),
  ]),
]);

/**
 * What the page says of `model`, or of its only model; undefined when it is no model server's page, or tells of several models and not of this one.
 * Samples of one server's engines (label `engine`) and ends of requests (label `finished_reason`) are added up. How many requests it can have in
 * hand no server tells this way: that is known from its command line.
 */
export function engineFacts({ samples }: MetricsPage, model?: string): EngineFacts | undefined {
  const known = samples.filter(({ name, value }) => ENGINE_METRICS.has(name) && Number.isFinite(value));
  const family = FAMILIES[known[0]?.name.split(":", 1)[0] ?? ""];
  if (family === undefined) return undefined;
  const models = new Set(known.flatMap(({ labels }) => labels.model_name ?? []));
  // A server with several served names labels its metrics with the first of them only.
  const name = model !== undefined && models.has(model) ? model : models.size > 1 ? undefined : [...models][0];
  if (name === undefined && models.size > 1) return undefined;
  const ours = Map.groupBy(
    known.filter(({ labels }) => labels.model_name === undefined || labels.model_name === name),
    (sample) => sample.name,
  );
  return {
    server: family.server,
    ...(name === undefined ? {} : { model: name }),
    ...gaugesOf(family, ours),
    ...cacheOf(ours),
    counters: countersOf(family, ours),
  };
}

type ByName = ReadonlyMap<string, readonly Sample[]>;

const sum = (samples: readonly Sample[]): number => samples.reduce((all, { value }) => all + value, 0);
const mean = (samples: readonly Sample[]): number => sum(samples) / samples.length;
const share = (value: number): number => Math.min(1, Math.max(0, value));

function found(samples: ByName, prefix: string, names: readonly string[] = []): readonly Sample[] | undefined {
  for (const name of names) {
    const there = samples.get(`${prefix}:${name}_total`) ?? samples.get(`${prefix}:${name}`);
    if (there !== undefined) return there;
  }
  return undefined;
}

function gaugesOf({ server, gauges }: Family, samples: ByName): Partial<EngineFacts> {
  const of = (gauge: Gauge) => found(samples, server, gauges[gauge]);
  const [running, waiting, kvUsage, hitRate] = [of("running"), of("waiting"), of("kvUsage"), of("hitRate")];
  return {
    ...(running && { running: sum(running) }),
    ...(waiting && { waiting: sum(waiting) }),
    ...(kvUsage && { kvUsage: share(mean(kvUsage)) }),
    // vLLM's old gauge says -1 before the first request.
    ...(hitRate && mean(hitRate) >= 0 && { hitRate: share(mean(hitRate)) }),
  };
}

/** Ends of requests that are no success. */
const UNDONE: ReadonlySet<string> = new Set(["abort", "error"]);

function countersOf({ server, counters }: Family, samples: ByName): EngineCounters {
  const result: Writable<EngineCounters> = {};
  for (const [counter, names] of Object.entries(counters) as [Counter, readonly string[]][]) {
    const there = found(samples, server, names);
    if (there !== undefined)
      result[counter] = sum(there.filter(({ labels }) => !UNDONE.has(labels.finished_reason ?? "")));
  }
  return result;
}

function cacheOf(samples: ByName): Partial<EngineFacts> {
  const configs = samples.get("vllm:cache_config_info");
  const capacity = samples.get("sglang:max_total_num_tokens");
  // SGLang's cache has pages of one token unless told otherwise, and does not say.
  if (capacity !== undefined) return { blocks: sum(capacity), blockSize: 1 };
  const sleeping = samples.get("vllm:engine_sleep_state")?.find(({ labels }) => labels.sleep_state === "awake");
  const numbers = (label: string) =>
    (configs ?? []).map(({ labels }) => Number(labels[label] || Number.NaN)).filter((n) => Number.isFinite(n) && n > 0);
  const [blocks, sizes] = [numbers("num_gpu_blocks"), numbers("block_size")];
  return {
    ...(blocks.length > 0 && { blocks: blocks.reduce((all, one) => all + one, 0) }),
    ...(sizes[0] !== undefined && { blockSize: sizes[0] }),
    ...(sleeping && { asleep: sleeping.value === 0 }),
  };
}

/** Rates from two readings of one server. All absent when no time lies between them. */
export function rates(before: Reading, after: Reading): EngineRates {
  const seconds = (after.atMs - before.atMs) / 1_000;
  if (!(seconds > 0)) return {};
  const grown = (counter: Counter): number | undefined => {
    const [was, is] = [before.facts.counters[counter], after.facts.counters[counter]];
    if (was === undefined || is === undefined) return undefined;
    return is < was ? is : is - was;
  };
  const perS = (counter: Counter, name: keyof EngineRates) => {
    const growth = grown(counter);
    return growth === undefined ? {} : { [name]: growth / seconds };
  };
  const [queries, hits] = [grown("prefixQueries"), grown("prefixHits")];
  return {
    ...perS("promptTokens", "promptTokensPerS"),
    ...perS("generationTokens", "generationTokensPerS"),
    ...perS("successes", "successesPerS"),
    ...perS("preemptions", "preemptionsPerS"),
    ...(queries !== undefined && hits !== undefined && queries > 0 && { hitRate: share(hits / queries) }),
  };
}

/** Whether the server began a new life between two readings (EF2). */
export function restarted(before: EngineFacts, after: EngineFacts): boolean {
  return (Object.keys(after.counters) as Counter[]).some((counter) => {
    const was = before.counters[counter];
    return was !== undefined && (after.counters[counter] as number) < was;
  });
}
