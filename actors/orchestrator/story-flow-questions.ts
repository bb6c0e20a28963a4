// What the flow asks of people when it cannot go on with a story. Approving means: try again.

import type { PlanningApi } from "../planning/planning-api.ts";
import type { Client } from "../service-handles.ts";
import { FLOW } from "./story-flow-steps.ts";

/** Subjects of the questions. */
export const VERIFY = "verify";
export const DERIVE = "derive";
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
