// The orchestrator as an actor: named "orchestrator" among the services, with places for many callers at once (concurrency 256).
// What it answers is in orchestrator-service.ts, loaded when the actor starts: a node that has none holds no models in memory.

import { type ActorHooks, actorContext, defineActor } from "../../runtime/index.ts";
import { stopWithLife } from "../service-life.ts";
import type {
  DeliberationRequest,
  DeliberationUpdate,
  OrchestrationRequest,
  OrchestratorApi,
} from "./orchestrator-api.ts";
import type { OrchestratorService, OrchestratorSettings } from "./orchestrator-service.ts";

class OrchestratorActor implements OrchestratorApi, ActorHooks {
  readonly #settings: OrchestratorSettings;
  #service: OrchestratorService | undefined;

  constructor(settings: OrchestratorSettings = {}) {
    this.#settings = settings;
  }

  async onStart(): Promise<void> {
    const { system, random, log } = actorContext();
    const { openOrchestrator } = await import("./orchestrator-parts.ts");
    this.#service = openOrchestrator({ system, random, settings: this.#settings, log });
    stopWithLife(() => this.onStop());
    await this.#service.start();
  }

  async onStop(): Promise<void> {
    await this.#service?.stop();
  }

  async deliberate(request: DeliberationRequest) {
    return this.#started.deliberate(request, callerNow());
  }

  async deliberateAsync(request: DeliberationRequest) {
    return this.#started.deliberateAsync(request);
  }

  async deliberation(taskId: string) {
    return this.#started.deliberation(taskId);
  }

  async *watch(taskId: string): AsyncGenerator<DeliberationUpdate, void> {
    yield* this.#started.watch(taskId, actorContext().signal);
  }

  async orchestrate(request: OrchestrationRequest) {
    return this.#started.orchestrate(request, callerNow());
  }

  async deriveSubtasks(request: Parameters<OrchestratorApi["deriveSubtasks"]>[0]) {
    return this.#started.deriveSubtasks(request, callerNow());
  }

  async createCouncil(draft: Parameters<OrchestratorApi["createCouncil"]>[0]) {
    return this.#started.createCouncil(draft);
  }

  async councils() {
    return this.#started.councils();
  }

  async deleteCouncil(role: string) {
    return this.#started.deleteCouncil(role);
  }

  async registerAgent(agent: Parameters<OrchestratorApi["registerAgent"]>[0]) {
    return this.#started.registerAgent(agent);
  }

  async unregisterAgent(role: string, agentId: string) {
    return this.#started.unregisterAgent(role, agentId);
  }

  async status() {
    return this.#started.status();
  }

  async metrics() {
    return this.#started.metrics();
  }

  get #started(): OrchestratorService {
    if (this.#service === undefined) throw new Error("the orchestrator was called before it had started");
    return this.#service;
  }
}

/** Who waits for the message in hand, as it is now: the context itself would be read anew after each await. */
function callerNow() {
  const { signal, deadlineMs } = actorContext();
  return { signal, deadlineMs };
}

/** Spawned with its settings. */
export const Orchestrator = defineActor("orchestrator", OrchestratorActor, { version: "1" });
