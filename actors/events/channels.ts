// Every topic on which the services meet: its name, who writes and reads it, and the schema of each event on it. Declared here and nowhere
// else; docs/asyncapi.yaml is made from it, and the contract test holds that nobody speaks or listens past it.
// It is not how events travel (post.ts, feed.ts).
//
// CH1  What comes from a channel was written by another process, perhaps by another version: it is parsed before it is believed.
// CH2  A channel has a producer, and a consumer or an audience that is named.

import { z } from "zod";
import { idSchema, planSchema, rigorSchema, taskDraftSchema, taskStatusSchema } from "../planning/story.ts";
import { resultSchema } from "../result-schema.ts";
import { bySchema, NAME_MAX } from "./envelope.ts";

/** One type of event on a channel. */
export interface EventType<Data = unknown> {
  /** Newest version of the schema, and the only one so far. */
  readonly version: number;
  readonly data: z.ZodType<Data>;
  readonly summary: string;
}

export type EventTypes = Readonly<Record<string, EventType>>;

/** A part of the fleet that writes or reads channels. */
export type Party =
  | "planning"
  | "orchestrator"
  | "workspace-runner"
  | "agent-executor"
  | "context"
  | "collector"
  | "agent"
  | "consumers";

export interface Channel<Types extends EventTypes = EventTypes> {
  /** Topic; a part in braces stands for one value: "agent.results.{taskId}". */
  readonly address: string;
  readonly summary: string;
  readonly types: Types;
  readonly producers: readonly Party[];
  readonly consumers: readonly Party[];
  /** Who else it is for, where no service reads it, or beside those. */
  readonly audience?: string;
}

const id = idSchema;
const name = z.string().min(1).max(NAME_MAX);
const problem = z.object({ code: z.string(), message: z.string() });
const count = z.int().min(0);
const event = <Data>(summary: string, data: z.ZodType<Data>, version = 1): EventType<Data> => ({
  version,
  data,
  summary,
});

export const agileEvents = {
  address: "agile.events",
  summary: "What happens to projects, epics, stories, plans and tasks.",
  producers: ["planning"],
  consumers: ["orchestrator", "context"],
  types: {
    "project.created": event("A project was created.", z.object({ projectId: id, title: name })),
    "epic.created": event("An epic was created.", z.object({ epicId: id, projectId: id, title: name })),
    "case.created": event(
      "A story was created or edited before work on it began.",
      z.object({
        storyId: id,
        epicId: id.exactOptional(),
        projectId: id.exactOptional(),
        title: name,
        description: z.string(),
        criteria: z.array(z.string()),
        rigor: rigorSchema,
        state: name,
        version: count,
        readiness: z.number(),
      }),
    ),
    "story.transitioned": event(
      "A story changed its state.",
      z.object({
        storyId: id,
        event: name,
        from: name,
        to: name,
        by: bySchema,
        version: count,
        feedback: z.string().exactOptional(),
      }),
    ),
    "plan.proposed": event("A plan was put forward.", z.object({ storyId: id, plan: planSchema, version: count })),
    "plan.approved": event(
      "A person approved the story's plan; its tasks may be derived.",
      z.object({ storyId: id, plan: planSchema, by: bySchema, version: count }),
    ),
    "task.derived": event(
      "A task was added to a story, for this reason.",
      z.object({ storyId: id, planId: id, task: taskDraftSchema, reason: z.string(), version: count }),
    ),
    "task.changed": event(
      "A task was dispatched, done, failed or cancelled.",
      z.object({
        storyId: id,
        taskId: id,
        status: taskStatusSchema,
        attempt: count,
        commit: z.string().exactOptional(),
        agentId: z.string().exactOptional(),
        error: problem.exactOptional(),
        version: count,
      }),
    ),
    "report.recorded": event(
      "A report on the story's code was scored.",
      z.object({
        storyId: id,
        phase: name,
        gate: z.enum(["pass", "warn", "block"]),
        score: z.number(),
        version: count,
      }),
    ),
    "approval.requested": event(
      "Something waits for a person.",
      z.object({
        approvalId: name,
        kind: z.enum(["gate", "ask"]),
        storyId: id.exactOptional(),
        taskId: id.exactOptional(),
        subject: name,
        question: z.string(),
        roles: z.array(z.string()),
      }),
    ),
    "approval.decided": event(
      "A person decided.",
      z.object({
        approvalId: name,
        kind: z.enum(["gate", "ask"]),
        storyId: id.exactOptional(),
        taskId: id.exactOptional(),
        subject: name,
        decision: z.enum(["approved", "rejected", "expired"]),
        by: bySchema,
        feedback: z.string().exactOptional(),
      }),
    ),
  },
  audience: "whoever shows people what happens",
} as const satisfies Channel;

export const agentRequests = {
  address: "agent.requests",
  summary: "Work for agents, each in a workspace of its own.",
  producers: ["orchestrator"],
  consumers: ["workspace-runner"],
  types: {
    "agent.requested": event(
      "One attempt of one task shall be run.",
      z.object({
        storyId: id,
        taskId: id,
        attempt: z.int().min(1),
        agentId: name,
        role: name,
        title: name,
        text: z.string().min(1),
        priority: z.int().min(0).max(9),
        repository: z.object({ url: z.string().min(1), branch: z.string().exactOptional() }),
        context: z.string(),
        model: z.discriminatedUnion("kind", [
          // Keys do not travel in events: who runs the agent has them in its environment.
          z.object({ kind: z.literal("openai"), url: z.url(), model: name }),
          z.object({ kind: z.literal("node"), model: name }),
          z.object({ kind: z.literal("mock"), variant: z.enum(["clean", "sloppy", "wrong"]).exactOptional() }),
        ]),
        timeoutMs: z.int().min(1),
        by: bySchema,
      }),
    ),
    "agent.request.cancelled": event(
      "Nobody wants this attempt any more.",
      z.object({ storyId: id, taskId: id, attempt: z.int().min(1), reason: z.string() }),
    ),
  },
} as const satisfies Channel;

export const agentResults = {
  address: "agent.results.{taskId}",
  summary:
    "What agents made of a task. In the story flow taskId is `<storyId>-<taskId>`; in a council it is the task's own.",
  producers: ["agent", "workspace-runner"],
  consumers: ["collector", "orchestrator", "context", "workspace-runner"],
  types: {
    "agent.result": event(
      "An agent's result; one too large for an event is the hash of the blob that holds it as JSON.",
      z.discriminatedUnion("kind", [
        z.object({ kind: z.literal("result"), result: resultSchema }),
        z.object({ kind: z.literal("blob"), blob: z.string() }),
      ]),
    ),
    "agent.result.missing": event(
      "There will be no result of this attempt: its workspace could not be made, or was lost.",
      z.object({ storyId: id, taskId: id, attempt: z.int().min(1), agentId: name, jobId: name, error: problem }),
    ),
  },
} as const satisfies Channel;

export const workspaceLogs = {
  address: "workspace.logs.{jobId}",
  summary: "What a workspace prints, a line each.",
  producers: ["workspace-runner"],
  consumers: ["workspace-runner"],
  types: {
    "workspace.logged": event(
      "A line.",
      z.object({
        jobId: name,
        line: z.string(),
        stream: z.enum(["stdout", "stderr"]),
        /** Lines left out before this one, because too many came. */
        dropped: count,
      }),
    ),
  },
  audience: "people: flotilla jobs logs, dashboards",
} as const satisfies Channel;

export const workspaceJobs = {
  address: "workspace.jobs",
  summary: "What becomes of the workspaces of agents.",
  producers: ["workspace-runner"],
  consumers: ["context"],
  types: {
    "workspace.job.changed": event(
      "A job changed its state.",
      z.object({
        jobId: name,
        storyId: id,
        taskId: id,
        attempt: z.int().min(1),
        state: z.enum(["queued", "preparing", "running", "succeeded", "failed", "cancelled", "timed_out", "lost"]),
        backend: z.enum(["process", "container", "kubernetes"]),
        error: problem.exactOptional(),
      }),
    ),
  },
  audience: "whoever shows people what happens",
} as const satisfies Channel;

export const contextChanges = {
  address: "context.changes",
  summary:
    "What agents and people add to the context graph beside what other channels tell; the graph is rebuilt from it.",
  producers: ["context"],
  consumers: ["context"],
  types: {
    "context.changed": event(
      "Changes were asked for and found valid; all of them are applied, as one.",
      z.object({
        storyId: id,
        by: bySchema,
        changes: z.array(
          z.object({
            operation: z.enum(["create", "update", "delete"]),
            entityType: name,
            entityId: name,
            payload: z.record(z.string(), z.unknown()),
            reason: z.string(),
            /** Tasks of the story that it concerns; empty: all. */
            taskIds: z.array(z.string()),
          }),
        ),
      }),
    ),
  },
} as const satisfies Channel;

export const contextUpdates = {
  address: "context.updated.{storyId}",
  summary: "The context graph changed for a story.",
  producers: ["context"],
  consumers: ["agent-executor"],
  types: {
    "context.updated": event(
      "Changes were applied, all of them, as this version.",
      z.object({
        storyId: id,
        version: count,
        hash: z.string(),
        changed: z.array(
          z.object({
            entityType: name,
            entityId: name,
            operation: z.enum(["create", "update", "delete"]),
            reason: z.string(),
            /** Tasks that it concerns; empty: the whole story. */
            taskIds: z.array(z.string()),
            /** One sentence for the agents. */
            summary: z.string(),
          }),
        ),
      }),
    ),
  },
} as const satisfies Channel;

export const deadEvents = {
  address: "deadletter",
  summary: "Events that a consumer could not take, with the reason and the bytes.",
  producers: ["consumers"],
  consumers: [],
  types: {
    "event.dead": event(
      "A consumer passed over an event.",
      z.object({
        consumer: name,
        topic: z.string(),
        sequence: count,
        reason: problem,
        attempts: z.int().min(1),
        /** The event's bytes in base64, the first RAW_MAX_BYTES of them. */
        raw: z.string(),
        rawBytes: count,
      }),
    ),
  },
  audience: "operators: flotilla dead-letters events",
} as const satisfies Channel;

export const CHANNELS: readonly Channel[] = [
  agileEvents,
  agentRequests,
  agentResults,
  workspaceLogs,
  workspaceJobs,
  contextChanges,
  contextUpdates,
  deadEvents,
];

type ReadonlyDeep<T> = T extends object ? { readonly [K in keyof T]: ReadonlyDeep<T[K]> } : T;

/** The data of one type of event on a channel. */
export type DataOf<C extends Channel, T extends keyof C["types"]> = ReadonlyDeep<z.output<C["types"][T]["data"]>>;

/** Names of a channel's types. */
export type TypeOf<C extends Channel> = keyof C["types"] & string;

/** The topic of a channel, its braces filled in from `values`, in order. */
export function topicOf(channel: Channel, ...values: readonly string[]): string {
  let next = 0;
  return channel.address.replace(/\{\w+\}/g, () => values[next++] ?? "");
}

/** The pattern that takes all topics of a channel. */
export const patternOf = (channel: Channel): string => channel.address.replace(/\{\w+\}/g, "*");
