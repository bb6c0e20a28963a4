// What follows from the end of a job's program: it is over, or it is begun again. Pure; a table in a test.
//
// JV1  A result that is in the log is a success of the job, however its program ended afterwards.
// JV2  What failed for reasons of the place, and may go better, is begun again, RETRIES times; what failed for reasons of its own is not:
//      whoever asked decides about another attempt.
// JV3  A place that cannot be reached, and a former executor that is still at work, are waited for as long as the job's time lasts: nothing
//      was tried yet.

import type { JobEnd } from "../../tools/index.ts";
import type { JobState } from "./workspace-runner-api.ts";

export interface Problem {
  readonly code: string;
  readonly message: string;
}

export type JobVerdict =
  | { readonly kind: "over"; readonly state: JobState; readonly error?: Problem }
  /** `isFree`: it does not count as a retry. */
  | { readonly kind: "again"; readonly isFree: boolean; readonly error: Problem };

export interface JobOutcome {
  readonly end: JobEnd;
  readonly hasResult: boolean;
  readonly isCancelled: boolean;
  /** Tries that counted, this one included. */
  readonly tries: number;
  readonly retries: number;
  /** Milliseconds left of the job's time. */
  readonly leftMs: number;
  readonly timeoutMs: number;
  /** The last that its program said on stderr. */
  readonly lastWords: string;
}

/** Status of an executor that found another one of its job at work. */
const SECOND_COPY = 3;
const SIGNALS_FROM = 128;
const UNREACHABLE = "BackendUnavailable";
const TAKEN_AWAY: ReadonlySet<string> = new Set(["Lost", "Deleted", "Evicted"]);

export function judgeJob(outcome: JobOutcome): JobVerdict {
  const { end, hasResult, isCancelled, tries, retries, leftMs, timeoutMs } = outcome;
  if (hasResult) return { kind: "over", state: "succeeded" };
  if (isCancelled || end.kind === "cancelled")
    return over("cancelled", { code: "Cancelled", message: "The job was cancelled before it had a result." });
  if (end.kind === "timed_out") return over("timed_out", timeUp(timeoutMs));
  if (end.kind === "exited")
    return end.code === SECOND_COPY ? waited(outcome, secondCopy) : over("failed", statusError(outcome, end.code));
  const error = { code: end.code, message: end.message };
  if (end.code === UNREACHABLE) return waited(outcome, error);
  if (end.retryable && tries <= retries && leftMs > 0) return { kind: "again", isFree: false, error };
  const said = tries > 1 ? { ...error, message: `${error.message} It was tried ${tries} times.` } : error;
  return over(TAKEN_AWAY.has(end.code) ? "lost" : "failed", said);
}

const over = (state: JobState, error: Problem): JobVerdict => ({ kind: "over", state, error });

const timeUp = (timeoutMs: number): Problem => ({
  code: "DeadlineExceeded",
  message: `The job was not done within ${timeoutMs / 1_000} s and was ended.`,
});

const secondCopy: Problem = {
  code: "Lost",
  message: "A former executor of this job held its name until the time was up.",
};

/** JV3 */
const waited = ({ leftMs }: JobOutcome, error: Problem): JobVerdict =>
  leftMs > 0 ? { kind: "again", isFree: true, error } : over(error.code === "Lost" ? "lost" : "failed", error);

function statusError({ lastWords }: JobOutcome, code: number): Problem {
  const said = lastWords === "" ? "" : ` Its last words: ${lastWords}`;
  if (code === 0)
    return {
      code: "ResultMissing",
      message: `The executor ended as if it had posted a result, and there is none.${said}`,
    };
  const how = code > SIGNALS_FROM ? `was ended by signal ${code - SIGNALS_FROM}` : `ended with status ${code}`;
  return { code: "ExecutorFailed", message: `The executor ${how} without a result.${said}` };
}
