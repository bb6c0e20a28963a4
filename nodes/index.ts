// The door of nodes/: servers and daemons on a machine.

export { KV_TOPIC } from "./engine/arguments.ts";
export { Engine, type KvEventsAddress } from "./engine/engine.ts";
export { Engines } from "./engine/engines.ts";
export type { EngineLoad } from "./engine/load.ts";
export type { AdoptedOptions, EngineOptions, EngineRestart, EngineWatch, VllmOptions } from "./engine/options.ts";
export type { ServerKind } from "./engine/probe.ts";
export type { EngineStatus, Return } from "./engine/state.ts";
export { type NodeMetrics, type NodeMetricsSource, nodeMetrics, type ObservedEngine } from "./metrics.ts";
export { findNatsServer, NATS_SERVER_MIN } from "./nats-program.ts";
export { type NatsServer, type NatsServerOptions, startNatsServer } from "./nats-server.ts";
export { nameText, promptNames } from "./telemetry/block-hash.ts";
export { compactReport } from "./telemetry/compact-report.ts";
export {
  type EngineCounters,
  type EngineFacts,
  type EngineRates,
  engineFacts,
  type Reading,
  rates,
} from "./telemetry/engine-facts.ts";
export { EngineMonitor, type EngineMonitorOptions, type EngineSight } from "./telemetry/engine-monitor.ts";
export { type MetricsPage, parseMetrics, type Sample } from "./telemetry/exposition.ts";
export {
  type BlocksRemoved,
  type BlocksStored,
  type CacheCleared,
  decodeKvBatch,
  type KvBatch,
  type KvEvent,
  type KvRefusal,
} from "./telemetry/kv-batch.ts";
export {
  KvEvents,
  type KvEventsOptions,
  type KvEventsStats,
  type KvFollower,
  type ResetReason,
} from "./telemetry/kv-events.ts";
export { type PrefixEnd, type PrefixSummary, PrefixView } from "./telemetry/prefix-view.ts";
export { ReportPacer, type ReportPacerOptions } from "./telemetry/report-pacer.ts";
export { type ChatMessage, countTokens, type TokenCount } from "./telemetry/token-count.ts";
export {
  type SimRule,
  simApiKey,
  startVllmSim,
  type VllmSim,
  type VllmSimOptions,
  type VllmSimState,
} from "./vllm-sim/index.ts";
