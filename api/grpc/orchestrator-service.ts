// fleet.orchestrator.v1 over the orchestrator.

import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import type {
  DeliberationRequest,
  DeliberationUpdate,
  OrchestrationRequest,
  OrchestratorApi,
  OrchestratorMetrics,
  Plan,
  ServiceCall,
} from "../../actors/index.ts";
import { type Clock, FlotillaError } from "../../runtime/index.ts";
import type {
  DeriveSubtasksRequest,
  OrchestrateRequest,
  OrchestratorService,
} from "../proto/gen/fleet/orchestrator/v1/orchestrator_pb.js";
import { type ClientsFor, callOf } from "./call.ts";
import {
  constraintsOf,
  councilMessage,
  entryMessage,
  metadataMessage,
  modelOf,
  requestOf,
  resultMessage,
  STATUS_MESSAGES,
  updateMessage,
} from "./council-messages.ts";
import { stepsOf } from "./story-messages.ts";
import { count, long, present, text } from "./values.ts";

type Service = ServiceImpl<typeof OrchestratorService>;
type Part<Method extends keyof Service> = Pick<Service, Method>;

export interface OrchestratorParts {
  readonly clients: ClientsFor;
  /** What happens in a deliberation, from its beginning to its end. */
  readonly watch: (taskId: string, call: Required<ServiceCall>) => AsyncIterable<DeliberationUpdate>;
  readonly clock: Clock;
}

/** Of a deliberation that says none (orchestrator-api.ts), and what is added to it for its ranking and the way back. */
const DELIBERATION_MS = 120_000;
const MARGIN_MS = 10_000;

export const orchestratorService = (parts: OrchestratorParts): Service => ({
  ...deliberations(parts),
  ...derivations(parts),
  ...councils(parts),
  ...facts(parts),
});

/** A caller without a deadline waits as long as the deliberation may take. */
const longCall = (context: HandlerContext, { constraints }: DeliberationRequest): Required<ServiceCall> =>
  callOf(context, (constraints?.timeoutMs ?? DELIBERATION_MS) + MARGIN_MS);

const deliberations = ({
  clients,
  watch,
}: OrchestratorParts): Part<
  "deliberate" | "deliberateAsync" | "getDeliberationResult" | "streamDeliberation" | "orchestrate"
> => ({
  async deliberate(message, context) {
    const request = requestOf(message);
    const done = await clients(longCall(context, request)).orchestrator.deliberate(request);
    return present({
      taskId: done.taskId,
      results: done.results.map((entry) => entryMessage(entry, done.role)),
      winnerId: done.winnerId ?? undefined,
      durationMs: long(done.durationMs),
      metadata: metadataMessage(done),
      status: STATUS_MESSAGES[done.status],
      error: done.error && { ...done.error },
    });
  },
  async deliberateAsync(message, context) {
    const begun = await clients(callOf(context)).orchestrator.deliberateAsync(requestOf(message));
    return { taskId: begun.taskId, status: STATUS_MESSAGES[begun.status], agentIds: [...begun.agents] };
  },
  async getDeliberationResult({ taskId }, context) {
    return resultMessage(await clients(callOf(context)).orchestrator.deliberation(taskId));
  },
  async *streamDeliberation(message, context) {
    const request = requestOf(message);
    const call = longCall(context, request);
    const { taskId } =
      message.taskDescription === "" ? message : await clients(call).orchestrator.deliberateAsync(request);
    for await (const update of watch(taskId, call)) yield updateMessage(update);
  },
  async orchestrate(message, context) {
    const request = orchestrationOf(message);
    const done = await clients(longCall(context, request)).orchestrator.orchestrate(request);
    return {
      taskId: done.taskId,
      winner: entryMessage(done.winner, message.role),
      candidates: done.candidates.map((entry) => entryMessage(entry, message.role)),
      executionId: done.executionId,
      durationMs: long(done.durationMs),
      selection: { by: done.selection.by, reason: done.selection.reason },
    };
  },
});

const orchestrationOf = (message: OrchestrateRequest): OrchestrationRequest =>
  present({
    taskId: text(message.taskId),
    task: message.taskDescription,
    role: message.role,
    rounds: count(message.options?.deliberationRounds ?? 0),
    agents: count(message.numAgents),
    constraints: message.constraints && constraintsOf(message.constraints),
    context: text(message.context),
    storyId: text(message.storyId),
    planId: text(message.planId),
    phase: text(message.phase),
    options: present({
      peerReview: message.options?.enablePeerReview,
      architectSelection: message.options?.enableArchitectSelection,
    }),
  });

type SubtaskRequest = Parameters<OrchestratorApi["deriveSubtasks"]>[0];

const derivations = ({ clients }: OrchestratorParts): Part<"deriveSubtasks"> => ({
  async deriveSubtasks(message, context) {
    const { orchestrator, planning } = clients(callOf(context));
    const { caseId, roles } = message;
    const plan = plannedIn(message) ?? planOfStory(message, (await planning.story(caseId)).plan);
    const request: SubtaskRequest = { plan, ...(caseId && { storyId: caseId }), ...(roles.length > 0 && { roles }) };
    const tasks = await orchestrator.deriveSubtasks(request);
    const atomic = tasks.map(({ id, text: description, dependsOn, ...task }) => ({
      ...task,
      taskId: id,
      description,
      dependencies: [...dependsOn],
      caseId,
      planId: plan.id,
    }));
    return { tasks: atomic, totalTasks: atomic.length };
  },
});

const plannedIn = ({ plan, planId }: DeriveSubtasksRequest): SubtaskRequest["plan"] | undefined =>
  plan && { id: plan.planId || planId || "plan", title: plan.title, text: plan.text, steps: stepsOf(plan.steps) };

function planOfStory({ caseId, planId }: DeriveSubtasksRequest, plan: Plan | undefined): Plan {
  if (plan !== undefined && (planId === "" || planId === plan.id)) return plan;
  const which = planId === "" ? "no plan" : `no plan ${planId}`;
  throw new FlotillaError("PlanUnknown", `the story ${caseId} has ${which}`, { data: { storyId: caseId, planId } });
}

const councils = ({
  clients,
}: OrchestratorParts): Part<
  "createCouncil" | "listCouncils" | "deleteCouncil" | "registerAgent" | "unregisterAgent"
> => ({
  async createCouncil({ role, numAgents, config }, context) {
    const draft = present({
      role,
      agents: count(numAgents),
      rounds: count(config?.deliberationRounds ?? 0),
      model: modelOf(config?.model),
    });
    const council = await clients(callOf(context)).orchestrator.createCouncil(draft);
    const agentIds = council.members.map(({ agentId }) => agentId);
    return { councilId: council.role, agentsCreated: agentIds.length, agentIds };
  },
  async listCouncils({ roleFilter, includeAgents }, context) {
    const all = await clients(callOf(context)).orchestrator.councils();
    const wanted = all.filter(({ role }) => roleFilter === "" || role.toLowerCase() === roleFilter.toLowerCase());
    return { councils: wanted.map((council) => councilMessage(council, includeAgents)) };
  },
  async deleteCouncil({ role }, context) {
    await clients(callOf(context)).orchestrator.deleteCouncil(role);
    return {};
  },
  async registerAgent({ role, agentId, model }, context) {
    const agent = present({ role, agentId: text(agentId), model: modelOf(model) });
    const council = await clients(callOf(context)).orchestrator.registerAgent(agent);
    return { councilId: council.role, council: councilMessage(council, true) };
  },
  async unregisterAgent({ role, agentId }, context) {
    const council = await clients(callOf(context)).orchestrator.unregisterAgent(role, agentId);
    return { council: councilMessage(council, true) };
  },
});

const facts = ({ clients, clock }: OrchestratorParts): Part<"getStatus" | "getMetrics"> => ({
  async getStatus(_, context) {
    const status = await clients(callOf(context)).orchestrator.status();
    return {
      uptimeSeconds: BigInt(Math.max(0, Math.floor((clock.now() - status.startedAtMs) / 1_000))),
      stats: {
        activeCouncils: long(status.councils.length),
        roleCounts: Object.fromEntries(status.councils.map(({ role, members }) => [role, long(members.length)])),
        deliberationsRunning: status.deliberationsRunning,
        storiesInFlight: status.storiesInFlight,
      },
    };
  },
  async getMetrics(_, context) {
    return metricsMessage(await clients(callOf(context)).orchestrator.metrics());
  },
});

const metricsMessage = ({ durationMs, byRole, tasks, ...metrics }: OrchestratorMetrics) => ({
  performance: {
    p50LatencyMs: durationMs.p50,
    p95LatencyMs: durationMs.p95,
    p99LatencyMs: durationMs.p99,
    deliberations: long(metrics.deliberations),
    failed: long(metrics.failed),
    byRole: Object.fromEntries(
      Object.entries(byRole).map(([role, each]) => [
        role,
        { deliberations: long(each.deliberations), meanMs: each.meanMs },
      ]),
    ),
    inputTokens: long(metrics.inputTokens),
    outputTokens: long(metrics.outputTokens),
  },
  tasks: { ...tasks },
});
