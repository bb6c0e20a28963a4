// The context service as an actor: named "context", it holds the graph and listens to what happens. What it does is in context-service.ts.
//
// CX1  It starts whatever the graph's state: while the graph is down, calls say GraphUnavailable and events wait in the log.
// CX2  A table of scopes that is wrong keeps it from starting: what nobody may see is not found out by telling it.

import { join } from "node:path";
import { actorContext, defineActor } from "../../runtime/index.ts";
import { serviceHostOptions } from "../options.ts";
import type { ContextApi } from "./context-api.ts";
import { consumeForContext } from "./context-consumers.ts";
import { contextOn } from "./context-parts.ts";
import type { ContextService } from "./context-service.ts";
import type { Graph } from "./graph.ts";
import { LadybugGraph } from "./ladybug-graph.ts";
import { Neo4jGraph } from "./neo4j-graph.ts";

/** Plain data without secrets: the password of a server is in its host's environment. */
export interface ContextSettings {
  readonly graph:
    | { readonly kind: "embedded" }
    | { readonly kind: "neo4j"; readonly url: string; readonly user?: string };
  /** A table of scopes as YAML, like scopes.yaml. Default: that one. */
  readonly scopes?: string;
}

type Asked<Method extends keyof ContextApi> = Parameters<ContextApi[Method]>[0];

class ContextActor implements ContextApi {
  readonly #settings: ContextSettings;
  readonly #stopping = new AbortController();
  readonly #graph: Graph;
  #service: ContextService | undefined;
  #consuming: Promise<void> = Promise.resolve();

  constructor(settings: ContextSettings) {
    this.#settings = settings;
    this.#graph = openedBy(settings);
  }

  async onStart(): Promise<void> {
    const { system, random, log } = actorContext();
    const { scopes } = this.#settings;
    const parts = await contextOn({ system, graph: this.#graph, random, ...(scopes !== undefined && { scopes }) });
    this.#service = parts.service;
    this.#consuming = consumeForContext({ ...parts, system, log, signal: this.#stopping.signal });
  }

  async onStop(): Promise<void> {
    this.#stopping.abort();
    await this.#consuming;
    await this.#graph.close();
  }

  get #serving(): ContextService {
    if (this.#service === undefined) throw new Error("asked before onStart");
    return this.#service;
  }

  getContext(request: Asked<"getContext">) {
    return this.#serving.getContext(request);
  }

  updateContext(request: Asked<"updateContext">) {
    return this.#serving.updateContext(request);
  }

  rehydrateSession(request: Asked<"rehydrateSession">) {
    return this.#serving.rehydrateSession(request);
  }

  validateScope(request: Asked<"validateScope">) {
    return this.#serving.validateScope(request);
  }

  relationships(request: Asked<"relationships">) {
    return this.#serving.relationships(request);
  }

  impact(decisionId: string) {
    return this.#serving.impact(decisionId);
  }

  why(commit: string) {
    return this.#serving.why(commit);
  }
}

function openedBy({ graph }: ContextSettings): Graph {
  const { folder, neo4jPassword } = serviceHostOptions();
  if (graph.kind === "embedded") return new LadybugGraph({ folder: join(folder, "context") });
  return new Neo4jGraph({ ...graph, password: neo4jPassword });
}

/** Spawned with one ContextSettings; give it a `concurrency` so that questions do not wait for each other. */
export const Context = defineActor("context", ContextActor, { version: "1" });
