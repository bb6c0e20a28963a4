// What planning keeps of a story beside the story itself, and what a change of it says to others. Plain data.
// It is not how it is stored (outbox-documents.ts) nor what changes it (story-changes.ts).
//
// SR1  A story keeps the newest part of its history; all of it is in agile.events and in the context graph.
// SR2  An event that waits to be sent leaves out what the record holds anyway: a plan of 200 KB and the event that tells of it would not
//      both fit into one document. It waits no longer than until the record's next change, so the record has what it left out.

import { z } from "zod";
import type { agileEvents, DataOf, TypeOf } from "../events/channels.ts";
import type { Envelope } from "../events/envelope.ts";
import { gateSchema } from "./gates.ts";
import { type Story, storySchema, type Task, type TaskDraft, taskDraftSchema } from "./story.ts";

export const storyRecordSchema = z.object({
  story: storySchema,
  /** Version of the story when what people judge of it last changed. */
  judged: z.int(),
  gates: z.array(gateSchema),
});
export type StoryRecord = Readonly<z.infer<typeof storyRecordSchema>>;

type Agile = typeof agileEvents;

/** An event of agile.events that a change makes. */
export type Notice = {
  [T in TypeOf<Agile>]: { readonly type: T; readonly data: DataOf<Agile, T>; readonly key: string };
}[TypeOf<Agile>];

const HISTORY_MAX = 100;
/** Of the feedback in it. */
const HISTORY_MAX_CHARACTERS = 24 * 1_024;

/** The newest transitions that fit (SR1). */
export function boundedHistory(history: Story["history"]): Story["history"] {
  let characters = 0;
  const first = history.findLastIndex(({ feedback = "" }) => {
    characters += feedback.length;
    return characters > HISTORY_MAX_CHARACTERS;
  });
  return history.slice(Math.max(first + 1, history.length - HISTORY_MAX));
}

type Data = Readonly<Record<string, unknown>>;

/** The envelope without what its record holds (SR2). */
export function slim(envelope: Envelope): Envelope {
  const data = envelope.data as Data;
  switch (envelope.type) {
    case "case.created":
      return { ...envelope, data: { ...data, description: "", criteria: [] } };
    case "plan.proposed":
    case "plan.approved":
      return { ...envelope, data: { ...data, plan: null } };
    case "task.derived":
      return { ...envelope, data: { ...data, task: { id: (data.task as TaskDraft).id } } };
    default:
      return envelope;
  }
}

/** The envelope as it was before `slim`. */
export function whole(envelope: Envelope, { story }: StoryRecord): Envelope {
  const data = envelope.data as Data;
  switch (envelope.type) {
    case "case.created":
      return { ...envelope, data: { ...data, description: story.description, criteria: story.criteria } };
    case "plan.proposed":
    case "plan.approved":
      return { ...envelope, data: { ...data, plan: story.plan } };
    case "task.derived": {
      const { id } = data.task as TaskDraft;
      const task = story.tasks.find((each) => each.id === id);
      return { ...envelope, data: { ...data, task: task === undefined ? data.task : draftOf(task) } };
    }
    default:
      return envelope;
  }
}

/** The task as it was derived. */
export const draftOf = (task: Task): TaskDraft => taskDraftSchema.parse(task);
