// The door of nodes/: servers and daemons on a machine.

export {
  type FleetCredentials,
  type KeptCredentials,
  keepCredentials,
  makeCredentials,
} from "./credentials.ts";
export { findNatsServer, NATS_SERVER_MIN } from "./nats-program.ts";
export { type NatsServer, type NatsServerOptions, startNatsServer } from "./nats-server.ts";
