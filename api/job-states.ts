// The states of a job, for those who are given one as text, and which of them are the end.

import { z } from "zod";
import type { Job, JobState } from "../actors/index.ts";

const HAS_ENDED = {
  queued: false,
  preparing: false,
  running: false,
  succeeded: true,
  failed: true,
  cancelled: true,
  timed_out: true,
  lost: true,
} as const satisfies Record<JobState, boolean>;

export const jobStateSchema = z.enum(Object.keys(HAS_ENDED) as JobState[]);

export const hasEnded = ({ state }: Pick<Job, "state">): boolean => HAS_ENDED[state];
