// The door of nodes/: servers and daemons on a machine.

export { KV_TOPIC } from "./engine/arguments.ts";
export { Engine, type KvEventsAddress } from "./engine/engine.ts";
export { Engines } from "./engine/engines.ts";
export type { EngineLoad } from "./engine/load.ts";
export type { AdoptedOptions, EngineOptions, EngineRestart, EngineWatch, VllmOptions } from "./engine/options.ts";
export type { ServerKind } from "./engine/probe.ts";
export type { EngineStatus, Return } from "./engine/state.ts";
export { findNatsServer, NATS_SERVER_MIN } from "./nats-program.ts";
export { type NatsServer, type NatsServerOptions, startNatsServer } from "./nats-server.ts";
