// What the flow asks of people when it cannot go on with a story. Approving means: try again.

import type { agileEvents, DataOf } from "../events/channels.ts";
import type { PlanningApi } from "../planning/planning-api.ts";
import type { Client } from "../service-handles.ts";
import { FLOW, flowChange } from "./story-flow-steps.ts";

/** Subjects of the questions. */
export const VERIFY = "verify";
export const DERIVE = "derive";
export const TASK = "task";
export const DELIVER = "deliver";
export const QUESTIONS: ReadonlySet<string> = new Set([VERIFY, DERIVE, DELIVER]);

/** Asks unless the same question of the story waits already. Throws what Planning does. */
export async function askOnce(
  planning: Client<PlanningApi>,
  storyId: string,
  subject: typeof VERIFY | typeof DERIVE | typeof DELIVER,
  question: string,
): Promise<void> {
  const waiting = await planning.approvals({ storyId });
  if (waiting.some((approval) => approval.kind === "ask" && approval.subject === subject)) return;
  await planning.ask({ by: FLOW, storyId, subject, question });
}

type Failed = Pick<DataOf<typeof agileEvents, "task.changed">, "storyId" | "taskId" | "attempt" | "error">;

/** Asks about a task that has failed for good, once for each last attempt. Throws what Planning does. */
export async function askAboutTask(
  planning: Client<PlanningApi>,
  { storyId, taskId, attempt, error }: Failed,
): Promise<void> {
  const why = error === undefined ? "" : ` The last one: ${error.code}: ${error.message}`;
  await planning.ask({
    ...flowChange(storyId, `failed ${taskId} ${attempt}`),
    ...{ taskId, subject: TASK },
    question: `Task ${taskId} has failed after ${attempt} attempts.${why.slice(0, WHY_MAX)} Approve to try it again.`,
  });
}

/** Has a failed task tried again, as somebody has approved. Throws what Planning does. */
export async function tryAgain(planning: Client<PlanningApi>, storyId: string, taskId: string): Promise<void> {
  const story = await planning.story(storyId);
  const task = story.tasks.find(({ id }) => id === taskId);
  if (task?.status !== "failed") return;
  const { attempt } = task;
  await planning.taskChanged({
    ...{ ...flowChange(storyId, `again ${taskId} ${attempt}`), taskId, attempt, status: "pending" },
  });
}

/** Of an error, in a question. */
const WHY_MAX = 600;
