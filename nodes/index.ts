// The door of nodes/: servers and daemons on a machine.

export {
  type FleetCredentials,
  type KeptCredentials,
  keepCredentials,
  makeCredentials,
} from "./credentials.ts";
export type { Check, CheckStatus, Verdict } from "./doctor/check.ts";
export { type DoctorOptions, doctorPlans, examine } from "./doctor/doctor.ts";
export { gpuToolsVerdict } from "./doctor/programs.ts";
export { findNatsServer, NATS_SERVER_MIN } from "./nats-program.ts";
export { type NatsServer, type NatsServerOptions, startNatsServer } from "./nats-server.ts";
