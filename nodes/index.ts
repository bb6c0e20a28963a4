// The door of nodes/: servers and daemons on a machine.

export { byteSize, parseByteSize } from "./byte-size.ts";
export {
  type FleetCredentials,
  type KeptCredentials,
  keepCredentials,
  makeCredentials,
} from "./credentials.ts";
export { Daemon, type DaemonEngine, type DaemonOptions, openDaemon } from "./daemon/daemon.ts";
export type { Machine } from "./daemon/machine.ts";
export { type ChatRequest, MODELS_ACTOR, Models } from "./daemon/models-actor.ts";
export { type NodePrefixes, readPrefixes } from "./daemon/prefix-post.ts";
export type { Check, CheckStatus, Verdict } from "./doctor/check.ts";
export { type DoctorOptions, doctorPlans, examine } from "./doctor/doctor.ts";
export { clockVerdict } from "./doctor/fleet.ts";
export { KV_TOPIC } from "./engine/arguments.ts";
export { Engine, type KvEventsAddress } from "./engine/engine.ts";
export { Engines } from "./engine/engines.ts";
export type { EngineLoad } from "./engine/load.ts";
export {
  type AdoptedOptions,
  type EngineOptions,
  type EngineRestart,
  type EngineWatch,
  engineSettings,
  type VllmOptions,
} from "./engine/options.ts";
export type { ServerKind } from "./engine/probe.ts";
export type { EngineStatus, Return } from "./engine/state.ts";
export { type DiscoveryOptions, discoverGpus, type FoundGpus, type GpuDiscovery } from "./gpu/discovery.ts";
export { type Gpu, type GpuFault, type GpuHealth, type GpuProcess, type GpuVendor, usedByOthers } from "./gpu/gpu.ts";
export { type KernelLog, openKernelLog } from "./gpu/kernel-log.ts";
export { type DeviceMasks, type GpuOverride, parseGpuOverride } from "./gpu/override.ts";
export { type RunTool, TOOL_LIMIT_MS, type ToolOutput, toolRunner } from "./gpu/tool-run.ts";
export { GpuWatch, type GpuWatchOptions } from "./gpu/watch.ts";
export type { NodeMetrics, NodeMetricsSource, ObservedEngine } from "./metrics.ts";
export { findNatsServer, NATS_SERVER_MIN } from "./nats-program.ts";
export { type NatsServer, type NatsServerOptions, startNatsServer } from "./nats-server.ts";
export { deviceMasks } from "./options.ts";
export { parseAmounts } from "./resources/amounts.ts";
export { type LeaseReport, Ledger, type LedgerGrant, type LedgerOptions } from "./resources/ledger.ts";
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
