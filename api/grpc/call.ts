// One call as it passes from the door to the services: whom it reaches, how long it may take, and who ends it early.
//
// DC1  A caller's deadline and its leaving reach the service: the client of each call carries both.
// DC2  A call without a deadline gets one, so that nothing waits for ever for a caller who may be gone.

import type { HandlerContext } from "@connectrpc/connect";
import type {
  Client,
  ContextApi,
  OrchestratorApi,
  PlanningApi,
  ServiceCall,
  WorkspaceRunnerApi,
} from "../../actors/index.ts";

/** The services behind the door, as one call reaches them. */
export interface DoorClients {
  readonly planning: Client<PlanningApi>;
  readonly context: Client<ContextApi>;
  readonly orchestrator: Client<OrchestratorApi>;
  readonly runner: Client<WorkspaceRunnerApi>;
}

/** Makes the clients of one call (actors/service-handles.ts). */
export type ClientsFor = (call: Required<ServiceCall>) => DoorClients;

/** Of a call that says none. */
const TIMEOUT_MS = 30_000;

/** What is left of the caller's time, and its signal (DC1). `otherwiseMs`: for a call without a deadline (DC2). */
export const callOf = (
  { timeoutMs, signal }: Pick<HandlerContext, "timeoutMs" | "signal">,
  otherwiseMs = TIMEOUT_MS,
): Required<ServiceCall> => ({ timeoutMs: Math.max(1, timeoutMs() ?? otherwiseMs), signal });
