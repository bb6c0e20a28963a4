// What the simulator counts, as the Prometheus text of vLLM 0.32: the same names, labels and buckets for what it has, nothing for what
// it has not. It is written by hand because one page of text needs no registry that is shared by a whole process.
//
// Q1  Counters carry `_total`; prefix cache counters are in tokens. Times are seconds of the clock passed in.
// Q2  A request whose client left counts as nothing but the tokens that it got: so it is in vLLM, which forgets it at once.

import type { EngineState } from "./engine.ts";
import type { SimSettings } from "./options.ts";
import type { Request } from "./request.ts";

const LATENCY_BUCKETS = [0.3, 0.5, 0.8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60, 120, 240, 480, 960, 1920, 7680];
const FIRST_TOKEN_BUCKETS = [
  ...[0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80, 160, 640, 2560],
];
const INTER_TOKEN_BUCKETS = [
  0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80,
];

const FINISHES = ["stop", "length", "abort", "error", "repetition"] as const;
type Finish = (typeof FINISHES)[number];

/** Observations in buckets. */
class Histogram {
  readonly #bounds: readonly number[];
  readonly #counts: number[];
  #sum = 0;

  constructor(bounds: readonly number[]) {
    this.#bounds = bounds;
    this.#counts = Array(bounds.length + 1).fill(0);
  }

  observe(value: number): void {
    let at = 0;
    while (at < this.#bounds.length && value > (this.#bounds[at] ?? 0)) at += 1;
    this.#counts[at] = (this.#counts[at] ?? 0) + 1;
    this.#sum += value;
  }

  text(name: string, help: string, labels: string): string {
    let count = 0;
    const buckets = [...this.#bounds.map(number), "+Inf"].map((bound, index) => {
      count += this.#counts[index] ?? 0;
      return `${name}_bucket{${labels.replace("model_name", `le="${bound}",model_name`)}} ${number(count)}`;
    });
    const sums = [`${name}_count{${labels}} ${number(count)}`, `${name}_sum{${labels}} ${number(this.#sum)}`];
    return [...head(name, help, "histogram"), ...buckets, ...sums].join("\n");
  }
}

/** Python writes floats with a point; so does every scrape of vLLM. */
const number = (value: number): string => (Number.isInteger(value) ? `${value}.0` : String(value));

const head = (name: string, help: string, type: string): string[] => [
  `# HELP ${name} ${help}`,
  `# TYPE ${name} ${type}`,
];

export class SimMetrics {
  readonly #settings: SimSettings;
  readonly #finished: Record<Finish, number> = { stop: 0, length: 0, abort: 0, error: 0, repetition: 0 };
  readonly #firstToken = new Histogram(FIRST_TOKEN_BUCKETS);
  readonly #interToken = new Histogram(INTER_TOKEN_BUCKETS);
  readonly #endToEnd = new Histogram(LATENCY_BUCKETS);
  readonly #queueing = new Histogram(LATENCY_BUCKETS);
  readonly #prefilling = new Histogram(LATENCY_BUCKETS);
  readonly #decoding = new Histogram(LATENCY_BUCKETS);
  #queries = 0;
  #hits = 0;
  #promptTokens = 0;
  #cachedTokens = 0;
  #generationTokens = 0;
  #preemptions = 0;
  #rejections = 0;

  constructor(settings: SimSettings) {
    this.#settings = settings;
  }

  rejected(): void {
    this.#rejections += 1;
  }

  preempted(): void {
    this.#preemptions += 1;
  }

  /** A request runs for the first time: its prompt was looked up in the cache. */
  admitted(request: Request): void {
    this.#queries += request.work.prompt.length;
    this.#hits += request.cached ?? 0;
    this.#queueing.observe(seconds(request.arrivedMs, request.admittedMs));
  }

  /** A request got a token. */
  token(request: Request, nowMs: number): void {
    this.#generationTokens += 1;
    if (request.made === 1) {
      request.firstTokenMs = nowMs;
      this.#promptTokens += request.work.prompt.length;
      this.#cachedTokens += request.cached ?? 0;
      this.#firstToken.observe(seconds(request.arrivedMs, nowMs));
      this.#prefilling.observe(seconds(request.admittedMs, nowMs));
    } else this.#interToken.observe(seconds(request.lastTokenMs, nowMs));
    request.lastTokenMs = nowMs;
  }

  ended(request: Request, nowMs: number): void {
    // Q2
    if (request.ended === "left" || request.ended === "dead") return;
    this.#finished[request.ended === "done" ? request.work.finish : "abort"] += 1;
    if (request.made === 0) return;
    this.#endToEnd.observe(seconds(request.arrivedMs, nowMs));
    this.#decoding.observe(seconds(request.firstTokenMs, nowMs));
  }

  /** The page. `sleepLevel` 0: awake. */
  text(state: EngineState, sleepLevel: number): string {
    const { model, numBlocks, oldMetricNames: isOld } = this.#settings;
    const labels = `engine="0",model_name="${escaped(model)}"`;
    const one = (type: "gauge" | "counter", name: string, help: string, value: number) =>
      [...head(name, help, type), `${name}{${labels}} ${number(value)}`].join("\n");
    const many = (
      type: "gauge" | "counter",
      name: string,
      help: string,
      values: readonly (readonly [string, number])[],
    ) =>
      [...head(name, help, type), ...values.map(([extra, value]) => `${name}{${extra}} ${number(value)}`)].join("\n");
    const prefix = isOld ? "vllm:gpu_prefix_cache" : "vllm:prefix_cache";
    const usage = isOld ? "vllm:gpu_cache_usage_perc" : "vllm:kv_cache_usage_perc";
    const interToken = isOld ? "vllm:time_per_output_token_seconds" : "vllm:inter_token_latency_seconds";
    const sleep = (awake: number, one: number, two: number): [string, number][] => [
      [`${labels},sleep_state="awake"`, awake],
      [`${labels},sleep_state="weights_offloaded"`, one],
      [`${labels},sleep_state="discard_all"`, two],
    ];
    const { running, waiting, blocksHeld } = state;
    return `${[
      one("gauge", "vllm:num_requests_running", "Number of requests in model execution batches.", running),
      one("gauge", "vllm:num_requests_waiting", "Number of requests waiting to be processed.", waiting),
      many(
        "gauge",
        "vllm:engine_sleep_state",
        "Engine sleep state.",
        sleep(sleepLevel === 0 ? 1 : 0, sleepLevel === 1 ? 1 : 0, sleepLevel === 2 ? 1 : 0),
      ),
      one("gauge", usage, "KV-cache usage. 1 means 100 percent usage.", blocksHeld / numBlocks),
      one("counter", `${prefix}_queries_total`, "Prefix cache queries, in number of queried tokens.", this.#queries),
      one("counter", `${prefix}_hits_total`, "Prefix cache hits, in number of cached tokens.", this.#hits),
      one("counter", "vllm:num_preemptions_total", "Cumulative number of preemptions.", this.#preemptions),
      one("counter", "vllm:prompt_tokens_total", "Number of prefill tokens processed.", this.#promptTokens),
      one("counter", "vllm:prompt_tokens_cached_total", "Number of cached prompt tokens.", this.#cachedTokens),
      one("counter", "vllm:generation_tokens_total", "Number of generation tokens processed.", this.#generationTokens),
      many(
        "counter",
        "vllm:request_success_total",
        "Count of successfully processed requests.",
        FINISHES.map((finish) => [
          `engine="0",finished_reason="${finish}",model_name="${escaped(model)}"`,
          this.#finished[finish],
        ]),
      ),
      many("counter", "vllm:admission_rejections_total", "Admission attempts rejected by a queue limit.", [
        [`model_name="${escaped(model)}",reason="max_num_queued_reqs"`, this.#rejections],
      ]),
      this.#cacheConfig(),
      this.#firstToken.text("vllm:time_to_first_token_seconds", "Time to first token in seconds.", labels),
      this.#interToken.text(interToken, "Inter-token latency in seconds.", labels),
      this.#endToEnd.text("vllm:e2e_request_latency_seconds", "End to end request latency in seconds.", labels),
      this.#queueing.text("vllm:request_queue_time_seconds", "Time spent waiting.", labels),
      this.#prefilling.text("vllm:request_prefill_time_seconds", "Time spent in prefill.", labels),
      this.#decoding.text("vllm:request_decode_time_seconds", "Time spent in decode.", labels),
    ].join("\n")}\n`;
  }

  #cacheConfig(): string {
    const { blockSize, numBlocks } = this.#settings;
    const labels = [
      `block_size="${blockSize}"`,
      'enable_prefix_caching="True"',
      'engine="0"',
      `kv_cache_size_tokens="${blockSize * numBlocks}"`,
      `num_gpu_blocks="${numBlocks}"`,
    ];
    const name = "vllm:cache_config_info";
    return [
      ...head(name, "Information of the LLMEngine CacheConfig", "gauge"),
      `${name}{${labels.join(",")}} 1.0`,
    ].join("\n");
  }
}

const seconds = (fromMs: number, toMs: number): number => Math.max(0, toMs - fromMs) / 1_000;

const escaped = (value: string): string => value.replace(/\\/g, "\\\\").replace(/"/g, '\\"').replace(/\n/g, "\\n");
