// What the runner tells the fleet about a job, and what it reads of its results: every event with a key of its own, so that telling it again
// after a crash is the same event.

import { type ActorSystem, isFlotillaError, READ_MAX, topicFilter } from "../../runtime/index.ts";
import { agentResults, topicOf, workspaceJobs } from "../events/channels.ts";
import { parse } from "../events/feed.ts";
import { type PostSystem, postEvent } from "../events/post.ts";
import { type JobRecord, resultTopicOf } from "./job-record.ts";
import type { Problem } from "./job-verdict.ts";

export const RUNNER = "workspace-runner";
const MESSAGE_MAX = 2_000;
const PAGE = Math.min(500, READ_MAX);

/** Says which state a job is in. */
export async function postState(system: PostSystem, record: JobRecord): Promise<void> {
  const { jobId, request, state, backend, tries, error } = record;
  const { storyId, taskId, attempt } = request;
  await postEvent(system, RUNNER, workspaceJobs, {
    type: "workspace.job.changed",
    data: { jobId, storyId, taskId, attempt, state, backend, ...(error !== undefined && { error: cut(error) }) },
    key: `${jobId} ${tries} ${state}`,
    correlationId: storyId,
  });
}

/** Says that there will be no result. */
export async function postMissing(system: PostSystem, record: JobRecord, error: Problem): Promise<void> {
  const { jobId, request } = record;
  const { storyId, taskId, attempt, agentId } = request;
  await postEvent(system, RUNNER, agentResults, {
    type: "agent.result.missing",
    data: { storyId, taskId, attempt, agentId, jobId, error: cut(error) },
    key: missingKey(record),
    correlationId: storyId,
    topic: [resultTopicOf(record)],
  });
}

const missingKey = ({ jobId }: JobRecord): string => `${jobId} missing`;
const cut = ({ code, message }: Problem): Problem => ({ code, message: message.slice(0, MESSAGE_MAX) });

/** What the log holds about a job's result: its own, that there is none, or nothing yet. */
export async function knownResult(
  { ports }: Pick<ActorSystem, "ports">,
  record: JobRecord,
): Promise<"result" | "missing" | undefined> {
  const filter = topicFilter(topicOf(agentResults, resultTopicOf(record)));
  const { agentId, attempt } = record.request;
  let known: "missing" | undefined;
  for (let from = record.sequence + 1; ; ) {
    const page = await ports.eventLog.read(filter, from, PAGE);
    for (const logged of page) {
      const fed = parse(agentResults, logged);
      if (fed.kind !== "event") continue;
      const { type, idempotencyKey } = fed.event;
      // sendResult's key.
      if (type === "agent.result" && idempotencyKey === `${agentId} ${attempt}`) return "result";
      if (type === "agent.result.missing" && idempotencyKey === missingKey(record)) known = "missing";
    }
    const last = page.at(-1);
    if (last === undefined || page.length < PAGE) return known;
    from = last.sequence + 1;
  }
}

/** Whether an error comes from the ports of the fleet, so that waiting helps and no job is at fault. */
export const isOfFleet = (error: unknown): boolean =>
  isFlotillaError(error) && ["Unavailable", "StorageFull", "Closed"].includes(error.code);
