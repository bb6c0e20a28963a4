// A job as the runner keeps it in the fleet's store, and the choice of what runs next. Pure.
// It is not what is done with it (job-run.ts).

import { z } from "zod";
import { agentRequests, type DataOf } from "../events/channels.ts";
import type { Job, JobState } from "./workspace-runner-api.ts";

export type AgentRequested = DataOf<typeof agentRequests, "agent.requested">;

const problem = z.object({ code: z.string(), message: z.string() });

const JOB_STATES = ["queued", "preparing", "running", "succeeded", "failed", "cancelled", "timed_out", "lost"] as const;

export const jobRecordSchema = z.object({
  jobId: z.string(),
  /** What was asked; a long text or context is in a blob (agent-executor-text.ts). */
  request: agentRequests.types["agent.requested"].data,
  backend: z.enum(["process", "container", "kubernetes"]),
  state: z.enum(JOB_STATES),
  /** Of the request in the event log: what came first goes first, and its results come after it. */
  sequence: z.int().min(0),
  /** How often it was begun. */
  tries: z.int().min(0),
  /** Of those, the ones that do not count: the place could not be reached. */
  freeTries: z.int().min(0),
  /** Somebody does not want it any more. */
  isCancelled: z.boolean(),
  base: z.string().exactOptional(),
  /** Blob with what leads from a clone of the origin to `base`. */
  bundle: z.string().exactOptional(),
  place: z.string().exactOptional(),
  error: problem.exactOptional(),
  queuedAtMs: z.number(),
  /** Of the first try. */
  startedAtMs: z.number().exactOptional(),
  endedAtMs: z.number().exactOptional(),
});

export type JobRecord = Readonly<z.output<typeof jobRecordSchema>>;

export const jobIdOf = ({ storyId, taskId, attempt }: Pick<AgentRequested, "storyId" | "taskId" | "attempt">): string =>
  `${storyId}-${taskId}-${attempt}`;

/** Its name at the backend: new for each try, so that what is left of one is not taken for the next. */
export const backendIdOf = ({ jobId, tries }: Pick<JobRecord, "jobId" | "tries">): string => `${jobId}-${tries}`;

/** The topic of its results. */
export const resultTopicOf = ({ request: { storyId, taskId } }: JobRecord): string => `${storyId}-${taskId}`;

const ENDED: ReadonlySet<JobState> = new Set(["succeeded", "failed", "cancelled", "timed_out", "lost"]);
export const hasEnded = ({ state }: Pick<JobRecord, "state">): boolean => ENDED.has(state);

/** As others see it. */
export function jobOf(record: JobRecord): Job {
  const { jobId, request, backend, state, error, base, place, queuedAtMs, startedAtMs, endedAtMs } = record;
  const { storyId, taskId, attempt, agentId, role, priority } = request;
  return {
    ...{ jobId, storyId, taskId, attempt, agentId, role, priority, backend, state, queuedAtMs },
    ...(error !== undefined && { error }),
    ...(base !== undefined && { base }),
    ...(place !== undefined && { place }),
    ...(startedAtMs !== undefined && { startedAtMs }),
    ...(endedAtMs !== undefined && { endedAtMs }),
  };
}

/** The highest priority first, then who came first; undefined when nobody waits. */
export function nextQueued(records: Iterable<JobRecord>): JobRecord | undefined {
  let best: JobRecord | undefined;
  for (const record of records)
    if (record.state === "queued" && (best === undefined || isBefore(record, best))) best = record;
  return best;
}

function isBefore(one: JobRecord, other: JobRecord): boolean {
  const [first, second] = [one.request.priority, other.request.priority];
  return first === second ? one.sequence < other.sequence : first > second;
}

const KEPT_MS = 24 * 60 * 60_000;
const KEPT_MAX = 1_000;

/** Ids of ended jobs that nobody needs any more: older than a day, or more than a thousand. */
export function forgettable(records: readonly JobRecord[], nowMs: number): readonly string[] {
  const ended = records.filter(hasEnded).sort((one, other) => (other.endedAtMs ?? 0) - (one.endedAtMs ?? 0));
  return ended
    .filter(({ endedAtMs = 0 }, index) => index >= KEPT_MAX || endedAtMs < nowMs - KEPT_MS)
    .map(({ jobId }) => jobId);
}
