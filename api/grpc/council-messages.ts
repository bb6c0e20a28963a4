// Councils and deliberations as messages, and back.
// It calls nobody (orchestrator-service.ts).

import type { MessageInitShape } from "@bufbuild/protobuf";
import { z } from "zod";
import type {
  Council,
  CouncilMember,
  Deliberation,
  DeliberationEntry,
  DeliberationRequest,
  DeliberationStatus,
  DeliberationUpdate,
  ModelSpec,
} from "../../actors/index.ts";
import {
  type CouncilInfoSchema,
  type DeliberateRequest,
  type DeliberationResultSchema,
  type GetDeliberationResultResponseSchema,
  type Model,
  type OrchestratorMetadataSchema,
  DeliberationStatus as StatusMessage,
  type StreamDeliberationResponseSchema,
  type TaskConstraints,
} from "../proto/gen/fleet/orchestrator/v1/orchestrator_pb.js";
import { checked, count, long, present, text } from "./values.ts";

export const STATUS_MESSAGES = {
  pending: StatusMessage.PENDING,
  in_progress: StatusMessage.IN_PROGRESS,
  completed: StatusMessage.COMPLETED,
  failed: StatusMessage.FAILED,
  timeout: StatusMessage.TIMEOUT,
} as const satisfies Record<DeliberationStatus, StatusMessage>;

/** What a request to deliberate says, in each of the messages that say it. */
export type Described = Pick<
  DeliberateRequest,
  "taskId" | "taskDescription" | "role" | "constraints" | "rounds" | "numAgents" | "context"
>;

export const requestOf = (request: Described): DeliberationRequest =>
  present({
    taskId: text(request.taskId),
    task: request.taskDescription,
    role: request.role,
    rounds: count(request.rounds),
    agents: count(request.numAgents),
    constraints: request.constraints && constraintsOf(request.constraints),
    context: text(request.context),
  });

export function constraintsOf({
  rubric,
  criteria,
  requirements,
  metadata,
  timeoutSeconds,
}: TaskConstraints): NonNullable<DeliberationRequest["constraints"]> {
  const lines = rubric.split("\n").map((line) => line.trim());
  const named = lines.filter(Boolean).map((name) => ({ name }));
  const weighed = criteria.map(({ name, weight }) => present({ name, weight: count(weight) }));
  const timeoutMs = timeoutSeconds === 0 ? undefined : timeoutSeconds * 1_000;
  return present({ rubric: [...named, ...weighed], requirements, metadata: { ...metadata }, timeoutMs });
}

export const entryMessage = (
  entry: DeliberationEntry,
  role: string,
): MessageInitShape<typeof DeliberationResultSchema> =>
  present({
    proposal: {
      authorId: entry.agentId,
      authorRole: role,
      content: entry.proposal,
      revisions: entry.revisions.map(({ text: words }) => words),
      revisionRounds: entry.revisions.map(({ round }) => round),
    },
    score: entry.score,
    rank: entry.rank,
    parts: { ...entry.parts },
    reasons: [...entry.reasons],
    reviews: entry.reviews.map(({ round, reviewer, author, text: words, score }) =>
      present({ round, reviewerId: reviewer, authorId: author, text: words, score }),
    ),
    inputTokens: long(entry.usage.inputTokens),
    outputTokens: long(entry.usage.outputTokens),
    error: entry.error && { ...entry.error },
  });

export const metadataMessage = ({
  startedAtMs,
  metadata,
}: Pick<Deliberation, "startedAtMs" | "metadata">): MessageInitShape<typeof OrchestratorMetadataSchema> => ({
  timestampMs: long(startedAtMs),
  tags: { ...metadata },
});

export const resultMessage = (of: Deliberation): MessageInitShape<typeof GetDeliberationResultResponseSchema> =>
  present({
    taskId: of.taskId,
    status: STATUS_MESSAGES[of.status],
    results: of.results.map((entry) => entryMessage(entry, of.role)),
    winnerId: of.winnerId ?? undefined,
    durationMs: long(of.durationMs),
    errorMessage: of.error?.message,
    errorCode: of.error?.code,
    metadata: metadataMessage(of),
  });

export const updateMessage = (update: DeliberationUpdate): MessageInitShape<typeof StreamDeliberationResponseSchema> =>
  present({
    taskId: update.taskId,
    status: update.stage,
    round: update.round,
    currentStep: `round ${update.round}`,
    progressPercent: Math.round(update.percent),
    currentAgent: update.agentId,
    text: update.text,
    deliberation: update.deliberation && resultMessage(update.deliberation),
  });

const name = z.string().min(1).max(200);
/** Without keys: those do not travel. */
const modelSchema = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("openai"), url: z.url(), model: name }),
  z.object({ kind: z.literal("node"), model: name }),
  z.object({ kind: z.literal("mock"), variant: z.enum(["clean", "sloppy", "wrong"]).exactOptional() }),
]);

/** Undefined: the fleet's own. Throws FieldInvalid. */
export function modelOf(model: Model | undefined): ModelSpec | undefined {
  if (model === undefined) return undefined;
  const { kind, url, variant } = model;
  const spec = present({ kind, url: text(url), model: text(model.name), variant: text(variant) });
  return checked(modelSchema, spec, "model");
}

export const councilMessage = (
  { role, rounds, members, createdAtMs }: Council,
  withAgents: boolean,
): MessageInitShape<typeof CouncilInfoSchema> => ({
  councilId: role,
  role,
  numAgents: members.length,
  agents: withAgents ? members.map((member) => memberMessage(member, role)) : [],
  status: members.some(({ status }) => status === "busy") ? "busy" : "idle",
  model: [...new Set(members.map(({ model }) => model))].join(", "),
  rounds,
  createdAtMs: long(createdAtMs),
});

const memberMessage = ({ agentId, model, status }: CouncilMember, role: string) => ({ agentId, role, status, model });
