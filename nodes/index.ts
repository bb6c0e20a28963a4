// The door of nodes/: servers and daemons on a machine.

export { findNatsServer, NATS_SERVER_MIN } from "./nats-program.ts";
export { type NatsServer, type NatsServerOptions, startNatsServer } from "./nats-server.ts";
export {
  type SimRule,
  simApiKey,
  startVllmSim,
  type VllmSim,
  type VllmSimOptions,
  type VllmSimState,
} from "./vllm-sim/index.ts";
