// A node's own page of metrics for Prometheus. Values are read when the page is asked for; nothing is kept but the registry.
// It serves no HTTP: whoever has a route gives it `text()`.
//
// NM1  The registry is its own: two nodes in one process do not meet, and nobody's default registry is touched.
// NM2  What is not known has no sample: no zero stands for "not told".

import { Counter, Gauge, Registry } from "prom-client";
import type { Amounts, NodeReport, SystemStats } from "../runtime/index.ts";
import type { EngineFacts, EngineRates } from "./telemetry/engine-facts.ts";
import type { KvEventsStats } from "./telemetry/kv-events.ts";
import type { PrefixSummary } from "./telemetry/prefix-view.ts";

/** A model server as this node's monitors see it. */
export interface ObservedEngine {
  /** As the node's report calls it. */
  readonly model: string;
  /** Where it is reached: two servers of a node may have one model. */
  readonly url: string;
  readonly facts?: EngineFacts;
  readonly rates?: EngineRates;
  readonly kvEvents?: KvEventsStats;
  readonly prefixes?: Pick<PrefixSummary, "blocks" | "tokens">;
}

/** What the page is made of; each is asked once for a page. */
export interface NodeMetricsSource {
  /** Before it is shortened. */
  report(): NodeReport;
  /** What the node has to grant, in all. */
  resources(): Amounts;
  stats(): SystemStats;
  engines(): readonly ObservedEngine[];
}

export interface NodeMetrics {
  readonly contentType: string;
  text(): Promise<string>;
}

/** One look at all there is. */
interface Sight {
  readonly report: NodeReport;
  readonly resources: Amounts;
  readonly stats: SystemStats;
  readonly engines: readonly ObservedEngine[];
}

type Labels = Readonly<Record<string, string>>;
/** Gives one sample to the page. */
type Put = (value: number | undefined, labels?: Labels) => void;

interface Metric {
  readonly name: string;
  readonly help: string;
  readonly labels?: readonly string[];
  readonly read: (sight: Sight, put: Put) => void;
}

/** A metric with one sample for each engine's facts. */
const ofEngines = (name: string, help: string, value: (engine: ObservedEngine) => number | undefined): Metric => ({
  name,
  help,
  labels: ["model", "url"],
  read: ({ engines }, put) => {
    for (const engine of engines) put(value(engine), { model: engine.model, url: engine.url });
  },
});

const ofGpus = (name: string, help: string, value: (gpu: NodeReport["gpus"][number]) => number): Metric => ({
  name,
  help,
  labels: ["gpu", "kind"],
  read: ({ report }, put) => {
    for (const gpu of report.gpus) put(value(gpu), { gpu: gpu.id, kind: gpu.kind });
  },
});

const ofAmounts = (name: string, help: string, value: (sight: Sight, resource: string) => number): Metric => ({
  name,
  help,
  labels: ["resource"],
  read: (sight, put) => {
    for (const resource of Object.keys(sight.resources)) put(value(sight, resource), { resource });
  },
});

const ofNode = (name: string, help: string, value: (sight: Sight) => number): Metric => ({
  name,
  help,
  read: (sight, put) => put(value(sight)),
});

const ofCodes = (
  name: string,
  help: string,
  value: (stats: SystemStats) => Readonly<Record<string, number>>,
): Metric => ({
  name,
  help,
  labels: ["code"],
  read: ({ stats }, put) => {
    for (const [code, count] of Object.entries(value(stats))) put(count, { code });
  },
});

const GAUGES: readonly Metric[] = [
  ofNode("flotilla_actors", "Live actors on this node.", ({ report }) => report.actors),
  ofNode("flotilla_messages_waiting", "Messages in mailboxes, not yet begun.", ({ stats }) => stats.waiting),
  ofNode("flotilla_processes", "Processes of this node for single actors.", ({ stats }) => stats.processes),
  ofNode("flotilla_peers", "Other nodes that something has passed to or from.", ({ stats }) => stats.peers),
  ofNode("flotilla_faults", "Things that are wrong with this node.", ({ report }) => report.faults?.length ?? 0),
  ofAmounts("flotilla_capacity", "What this node has to grant.", ({ resources }, name) => resources[name] ?? 0),
  ofAmounts(
    "flotilla_granted",
    "What this node has granted to actors.",
    ({ resources, report }, name) => (resources[name] ?? 0) - (report.free[name] ?? 0),
  ),
  ofGpus("flotilla_gpu_free_ratio", "Share of a GPU that is not granted.", ({ free }) => free),
  ofGpus("flotilla_gpu_memory_bytes", "Memory of a GPU.", ({ memoryBytes }) => memoryBytes),
  ofGpus("flotilla_gpu_memory_free_bytes", "Memory of a GPU neither granted nor in use.", ({ freeBytes }) => freeBytes),
  {
    name: "flotilla_engine_state",
    help: "1 for the state a model server is in.",
    labels: ["model", "url", "state"],
    read: ({ report }, put) => {
      for (const { model, url = "", state } of report.engines) put(1, { model, url, state });
    },
  },
  ofEngines("flotilla_engine_running", "Requests a model server has in hand.", ({ facts }) => facts?.running),
  ofEngines("flotilla_engine_waiting", "Requests queued at a model server.", ({ facts }) => facts?.waiting),
  ofEngines("flotilla_engine_kv_usage_ratio", "Share of a model server's cache in use.", ({ facts }) => facts?.kvUsage),
  ofEngines(
    "flotilla_engine_hit_ratio",
    "Share of prompt tokens lately found in a model server's cache.",
    ({ rates, facts }) => rates?.hitRate ?? facts?.hitRate,
  ),
  ofEngines(
    "flotilla_engine_cached_blocks",
    "Blocks of prompts known to be in a model server's cache.",
    ({ prefixes }) => prefixes?.blocks,
  ),
  ofEngines(
    "flotilla_engine_cached_tokens",
    "Tokens of prompts known to be in a model server's cache.",
    ({ prefixes }) => prefixes?.tokens,
  ),
];

const COUNTERS: readonly Metric[] = [
  ofNode("flotilla_spawned_total", "Actors made here.", ({ stats }) => stats.spawned),
  ofNode("flotilla_restarted_total", "Lives of actors that began after a failure.", ({ stats }) => stats.restarted),
  ofNode("flotilla_calls_total", "Calls made from here.", ({ stats }) => stats.calls.started),
  ofNode("flotilla_casts_total", "Casts made from here.", ({ stats }) => stats.casts),
  ofNode("flotilla_dead_letters_total", "Messages nobody took and nobody waits for.", ({ stats }) => stats.deadLetters),
  ofCodes("flotilla_failures_total", "Calls, streams and questions from here that failed.", ({ failures }) => failures),
  ofCodes("flotilla_refused_total", "Messages that actors here did not take.", ({ refused }) => refused),
  {
    name: "flotilla_transport_bytes_total",
    help: "Bytes to and from other nodes.",
    labels: ["direction"],
    read: ({ stats }, put) => {
      put(stats.bytesIn, { direction: "in" });
      put(stats.bytesOut, { direction: "out" });
    },
  },
  ofEngines(
    "flotilla_engine_prompt_tokens_total",
    "Prompt tokens a model server has taken.",
    ({ facts }) => facts?.counters.promptTokens,
  ),
  ofEngines(
    "flotilla_engine_generation_tokens_total",
    "Tokens a model server has made.",
    ({ facts }) => facts?.counters.generationTokens,
  ),
  ofEngines(
    "flotilla_engine_prefix_hits_total",
    "Prompt tokens a model server found in its cache.",
    ({ facts }) => facts?.counters.prefixHits,
  ),
  ofEngines(
    "flotilla_engine_prefix_queries_total",
    "Prompt tokens a model server looked up in its cache.",
    ({ facts }) => facts?.counters.prefixQueries,
  ),
  ofEngines(
    "flotilla_engine_kv_batches_total",
    "Batches of cache events of a model server.",
    ({ kvEvents }) => kvEvents?.batches,
  ),
  ofEngines(
    "flotilla_engine_kv_resets_total",
    "Times that what was known of a model server's cache was given up.",
    ({ kvEvents }) => kvEvents?.resets,
  ),
];

export function nodeMetrics(source: NodeMetricsSource): NodeMetrics {
  const registry = new Registry();
  const common = (metric: Metric) => ({
    name: metric.name,
    help: metric.help,
    labelNames: [...(metric.labels ?? [])],
    registers: [registry],
  });
  const gauges = GAUGES.map((metric) => ({ metric, into: new Gauge(common(metric)) }));
  const counters = COUNTERS.map((metric) => ({ metric, into: new Counter(common(metric)) }));
  return {
    contentType: registry.contentType,
    text() {
      const sight: Sight = {
        report: source.report(),
        resources: source.resources(),
        stats: source.stats(),
        engines: source.engines(),
      };
      for (const { metric, into } of gauges) fill(metric, sight, into, (labels, value) => into.set(labels, value));
      for (const { metric, into } of counters) fill(metric, sight, into, (labels, value) => into.inc(labels, value));
      return registry.metrics();
    },
  };
}

/** The samples of now in place of those before: what is gone has no sample any more. */
function fill(
  metric: Metric,
  sight: Sight,
  into: { reset(): void },
  add: (labels: Labels, value: number) => void,
): void {
  into.reset();
  metric.read(sight, (value, labels = {}) => {
    if (value !== undefined && Number.isFinite(value)) add(labels, value);
  });
}
