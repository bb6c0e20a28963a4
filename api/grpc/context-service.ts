// fleet.context.v1 over the context service.

import type { MessageInitShape } from "@bufbuild/protobuf";
import type { ServiceImpl } from "@connectrpc/connect";
import { z } from "zod";
import type { ContextChange, Edge, EntityType, GraphNode, Neighbourhood, RolePack } from "../../actors/index.ts";
import type {
  ContextChange as ChangeMessage,
  ContextService,
  GraphNodeSchema,
  GraphRelationshipSchema,
  RoleContextPackSchema,
} from "../proto/gen/fleet/context/v1/context_pb.js";
import { type ClientsFor, callOf } from "./call.ts";
import { changeOf, checked, count, fieldInvalid, long, present, text, texts } from "./values.ts";

const nodeMessage = ({ id, type, title, properties }: GraphNode): MessageInitShape<typeof GraphNodeSchema> => ({
  id,
  type,
  title,
  properties: texts(properties),
});

const edgeMessage = ({ from, to, type, properties }: Edge): MessageInitShape<typeof GraphRelationshipSchema> => ({
  fromNodeId: from,
  toNodeId: to,
  type,
  properties: texts(properties),
});

const aroundMessage = ({ node, nodes, edges, isCut }: Neighbourhood) => ({
  node: nodeMessage(node),
  neighbors: nodes.map(nodeMessage),
  relationships: edges.map(edgeMessage),
  isCut,
});

const packMessage = (pack: RolePack): MessageInitShape<typeof RoleContextPackSchema> => ({
  role: pack.role,
  impacted: pack.impacted.map(({ decisionId, taskId }) => ({ decisionId, subtaskId: taskId })),
  lastSummary: pack.lastSummary,
  tokenBudgetHint: pack.tokenBudget,
  story: nodeMessage(pack.story),
  tasks: pack.tasks.map(nodeMessage),
  decisions: pack.decisions.map(nodeMessage),
  milestones: pack.milestones.map(nodeMessage),
});

const ENTITY_TYPES = Object.keys({
  Project: true,
  Epic: true,
  Story: true,
  Plan: true,
  Task: true,
  Decision: true,
  Milestone: true,
  Commit: true,
  ToolExecution: true,
} satisfies Record<EntityType, true>) as EntityType[];

const operationSchema = z.enum(["create", "update", "delete"]);

/** Throws FieldInvalid: the payload is no JSON object, or a word is none of those that there are. */
function contextChangeOf(change: ChangeMessage, index: number): ContextChange {
  const field = `changes.${index}`;
  const { entityId, reason } = change;
  const entityType = ENTITY_TYPES.find((type) => type.toLowerCase() === change.entityType.toLowerCase());
  if (entityType === undefined) throw fieldInvalid(`${field}.entity_type`, `one of ${ENTITY_TYPES.join(", ")}`);
  const operation = checked(operationSchema, change.operation.toLowerCase(), `${field}.operation`);
  return { operation, entityType, entityId, reason, payload: payloadOf(change.payload, `${field}.payload`) };
}

function payloadOf(json: string, field: string): Record<string, unknown> {
  if (json === "") return {};
  let payload: unknown;
  try {
    payload = JSON.parse(json);
  } catch (error) {
    throw fieldInvalid(field, `not JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
  return checked(z.record(z.string(), z.unknown()), payload, field);
}

export const contextService = (clients: ClientsFor): ServiceImpl<typeof ContextService> => {
  const contexts = (context: Parameters<typeof callOf>[0]) => clients(callOf(context)).context;
  return {
    async getContext({ storyId, role, phase, subtaskId, tokenBudget }, context) {
      const request = { storyId, role, phase, taskId: text(subtaskId), tokenBudget: count(tokenBudget) };
      const { blocks, ...found } = await contexts(context).getContext(present(request));
      return {
        context: found.context,
        tokenCount: found.tokenCount,
        scopes: [...found.scopes],
        version: found.hash,
        blocks: { system: blocks.system, context: blocks.context, tools: blocks.tools },
        omitted: [...found.omitted],
        graphVersion: long(found.version),
      };
    },
    async updateContext({ storyId, taskId, role, changes, expectedVersion, ...change }, context) {
      const { version, hash } = await contexts(context).updateContext(
        present({
          ...changeOf(change),
          storyId,
          taskId: text(taskId),
          role: text(role),
          changes: changes.map(contextChangeOf),
          expectedVersion: count(Number(expectedVersion)),
        }),
      );
      return { version: long(version), hash };
    },
    async rehydrateSession({ caseId, roles, includeSummaries, timelineEvents }, context) {
      const request = { storyId: caseId, roles, includeSummaries, timelineEvents: count(timelineEvents) };
      const { storyId, version, packs, stats } = await contexts(context).rehydrateSession(present(request));
      return {
        caseId: storyId,
        packs: Object.fromEntries(packs.map((pack) => [pack.role, packMessage(pack)])),
        stats: {
          decisions: stats.decisions,
          decisionEdges: stats.edges,
          events: stats.events,
          tasks: stats.tasks,
        },
        graphVersion: long(version),
      };
    },
    async validateScope({ role, phase, providedScopes }, context) {
      const request = { role, phase, scopes: providedScopes };
      const { allowed, missing, extra, reason } = await contexts(context).validateScope(request);
      return { allowed, missing: [...missing], extra: [...extra], reason };
    },
    async getGraphRelationships({ nodeId, depth }, context) {
      return aroundMessage(await contexts(context).relationships(present({ nodeId, depth: count(depth) })));
    },
    async getDecisionImpact({ decisionId }, context) {
      const { decision, tasks, decisions } = await contexts(context).impact(decisionId);
      return {
        decision: nodeMessage(decision),
        tasks: tasks.map(nodeMessage),
        decisions: decisions.map(nodeMessage),
      };
    },
    async why({ commit }, context) {
      return aroundMessage(await contexts(context).why(commit));
    },
  };
};
