// The context service put together around a graph: what the actor hosts, and what tests and benches use without one.

import type { ActorSystem, Random } from "../../runtime/index.ts";
import { ContextService } from "./context-service.ts";
import type { Graph } from "./graph.ts";
import { Intake } from "./intake.ts";
import { Ledger } from "./ledger.ts";
import { ScopePolicy } from "./scopes.ts";
import { RuleCounter } from "./token-counter.ts";

export interface ContextParts {
  readonly system: ActorSystem;
  readonly graph: Graph;
  readonly random: Random;
  /** A table of scopes as YAML, like scopes.yaml. Default: that one. */
  readonly scopes?: string;
}

export interface ContextOnGraph {
  readonly ledger: Ledger;
  readonly intake: Intake;
  readonly service: ContextService;
}

/** Touches no graph yet. Throws ScopesInvalid. */
export async function contextOn({ system, graph, random, scopes }: ContextParts): Promise<ContextOnGraph> {
  const policy = await (scopes === undefined ? ScopePolicy.read() : ScopePolicy.parse(scopes));
  const ledger = new Ledger(graph, random);
  const intake = new Intake(system, graph, ledger);
  const service = new ContextService({ system, graph, ledger, intake, policy, random, counter: new RuleCounter() });
  return { ledger, intake, service };
}
