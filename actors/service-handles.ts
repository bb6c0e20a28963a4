// How a service of the fleet is reached by others: by the name of its actor, found anew when it has moved.
// It is not the services themselves, and knows none of their classes: so services may call one another without importing one another.
//
// SH1  A call that certainly did not run is made again, for as long as its deadline allows: a service whose node has died comes back within
//      the lease. One whose outcome is unknown is told to the caller, whose idempotency key makes a repetition safe.

import { type ActorSystem, isFlotillaError, sleep } from "../runtime/index.ts";
import type { ContextApi } from "./context/context-api.ts";
import { fail } from "./errors.ts";
import type { OrchestratorApi } from "./orchestrator/orchestrator-api.ts";
import type { PlanningApi } from "./planning/planning-api.ts";
import type { WorkspaceRunnerApi } from "./workspace-runner/workspace-runner-api.ts";

/** Names of the actors; each has the namespace SERVICES. */
export const SERVICE_NAMES = ["planning", "context", "orchestrator", "workspace-runner"] as const;
export type ServiceName = (typeof SERVICE_NAMES)[number];

export const SERVICES = "services";

/** How long a call may take, how it is ended early, and how often it may be made again where that is safe. */
export interface ServiceCall {
  /** Default 30,000. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

const TIMEOUT_MS = 30_000;
const AGAIN_MS = 100;
/** What certainly did not run (SH1). */
const NOT_RUN: ReadonlySet<string> = new Set(["NoSuchActor", "Unavailable", "MailboxFull", "ActorEnded"]);

type Method = (...args: unknown[]) => Promise<unknown>;
type Callable = { with(options: ServiceCall): Record<string, Method> };

/** It is not an error of the call: the service may come back. */
const absent = (name: ServiceName) =>
  fail("ServiceAbsent", `The service ${name} is not there.`, { data: { service: name } });

/** Methods that answer once. Streams need the service's type: `system.get(name, Type, SERVICES)`. */
export type Client<Api> = {
  [M in keyof Api as Api[M] extends (...args: never[]) => Promise<unknown> ? M : never]: Api[M];
};

/** The services of one system's fleet. Where each lives is remembered for all calls, until one does not find it there. */
export class ServiceClients {
  readonly #system: ActorSystem;
  readonly #known = new Map<ServiceName, Promise<Callable>>();

  constructor(system: ActorSystem) {
    this.#system = system;
  }

  /** Calls a service by its name. Throws what it throws; ServiceAbsent or Unavailable when it was not there for the whole time. */
  of<Api>(name: ServiceName, call: ServiceCall = {}): Client<Api> {
    return new Proxy({} as Client<Api>, {
      get: (_, method) =>
        typeof method === "string" && method !== "then"
          ? (...args: unknown[]) => this.#call(name, call, method, args)
          : undefined,
    });
  }

  async #call(
    name: ServiceName,
    { timeoutMs = TIMEOUT_MS, signal }: ServiceCall,
    method: string,
    args: unknown[],
  ): Promise<unknown> {
    const { clock } = this.#system;
    const untilMs = clock.now() + timeoutMs;
    for (;;) {
      const known = this.#handle(name);
      try {
        const handle = await known;
        const leftMs = Math.max(1, untilMs - clock.now());
        const options = { timeoutMs: leftMs, ...(signal !== undefined && { signal }) };
        return await handle.with(options)[method]?.(...args);
      } catch (error) {
        const mayRepeat = isFlotillaError(error) && NOT_RUN.has(error.code);
        if (this.#known.get(name) === known) this.#known.delete(name);
        const isOver = clock.now() + AGAIN_MS >= untilMs;
        if (isOver && isFlotillaError(error, "NoSuchActor")) throw absent(name);
        if (!mayRepeat || signal?.aborted || isOver) throw error;
        await sleep(clock, AGAIN_MS, signal);
      }
    }
  }

  #handle(name: ServiceName): Promise<Callable> {
    const known = this.#known.get(name);
    if (known !== undefined) return known;
    const found = this.#system.get(name, undefined, SERVICES) as unknown as Promise<Callable>;
    this.#known.set(name, found);
    return found;
  }
}

export const planningOf = (system: ActorSystem, call?: ServiceCall): Client<PlanningApi> =>
  new ServiceClients(system).of("planning", call);
export const contextOf = (system: ActorSystem, call?: ServiceCall): Client<ContextApi> =>
  new ServiceClients(system).of("context", call);
export const orchestratorOf = (system: ActorSystem, call?: ServiceCall): Client<OrchestratorApi> =>
  new ServiceClients(system).of("orchestrator", call);
export const runnerOf = (system: ActorSystem, call?: ServiceCall): Client<WorkspaceRunnerApi> =>
  new ServiceClients(system).of("workspace-runner", call);
