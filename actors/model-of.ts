// The model that a spec names, for whoever is to ask it: an agent at work, a member of a council.
// It chooses none: a spec that names no server, node or mock is no spec.

import type { ActorSystem } from "../runtime/index.ts";
import type { Model } from "./agent/model.ts";
import { NodeModel } from "./agent/node-model.ts";
import { OpenAiModel } from "./agent/openai-model.ts";
import type { ModelSpec } from "./agent-actor.ts";
import { ownNode } from "./own-node.ts";

type MockSpec = Extract<ModelSpec, { kind: "mock" }>;

/** Who asks, and what for. */
export interface ModelUse {
  readonly taskId: string;
  readonly agentId: string;
  /** Lives where the model is asked: its clock counts time, its node has the servers of a spec of kind `node`. */
  readonly system: ActorSystem;
  /** For the server of a spec without a key of its own. */
  readonly apiKey?: string;
  /** Name of the node whose servers a spec of kind `node` means. Default: the asker's own. */
  readonly modelNode?: string;
  /** Which mock a mock's spec stands for depends on what is asked of it. */
  readonly mock: (spec: MockSpec) => Model;
}

export function modelOf(spec: ModelSpec, { taskId, agentId, system, mock, ...use }: ModelUse): Model {
  const { clock } = system;
  // A header takes no line breaks and no letters beyond Latin ones, which ids may have.
  const session = `${encodeURIComponent(taskId)}/${encodeURIComponent(agentId)}`;
  switch (spec.kind) {
    case "mock":
      return mock(spec);
    case "node":
      return new NodeModel({ model: spec.model, session, clock, node: () => nodeOf(system, use.modelNode) });
    case "openai": {
      const { url, model, apiKey = use.apiKey } = spec;
      return new OpenAiModel({ url, model, session, clock, ...(apiKey !== undefined && { apiKey }) });
    }
  }
}

const nodeOf = (system: ActorSystem, name: string | undefined) =>
  name === undefined ? ownNode(system) : system.nodes().find((node) => node.name === name);
