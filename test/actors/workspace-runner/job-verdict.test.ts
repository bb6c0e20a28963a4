// What follows from how a job's program ended: the table.

import { expect, it } from "vitest";
import { type JobOutcome, judgeJob } from "../../../actors/workspace-runner/job-verdict.ts";
import type { JobEnd } from "../../../tools/index.ts";

const failed = (code: string, retryable: boolean): JobEnd => ({ kind: "failed", code, message: "Why.", retryable });
const exited = (code: number): JobEnd => ({ kind: "exited", code });
const judge = (end: JobEnd, more: Partial<JobOutcome> = {}) =>
  judgeJob({
    ...{ end, hasResult: false, isCancelled: false, tries: 1, retries: 2, leftMs: 1_000, timeoutMs: 2_000 },
    ...{ lastWords: "", ...more },
  });

it.each<[string, JobEnd, Partial<JobOutcome>, object]>([
  ["a result is a success, whatever came after", failed("Lost", true), { hasResult: true }, { state: "succeeded" }],
  [
    "also one of a cancelled job",
    { kind: "cancelled" },
    { hasResult: true, isCancelled: true },
    { state: "succeeded" },
  ],
  ["status 0 without a result", exited(0), {}, { state: "failed", error: { code: "ResultMissing" } }],
  ["another status", exited(1), {}, { state: "failed", error: { code: "ExecutorFailed" } }],
  ["a signal", exited(137), {}, { error: { message: "The executor was ended by signal 9 without a result." } }],
  ["a former executor at work", exited(3), {}, { kind: "again", isFree: true }],
  ["one that is at work for too long", exited(3), { leftMs: 0 }, { state: "lost", error: { code: "Lost" } }],
  ["time over", { kind: "timed_out" }, {}, { state: "timed_out", error: { code: "DeadlineExceeded" } }],
  ["cancelled", { kind: "cancelled" }, {}, { state: "cancelled", error: { code: "Cancelled" } }],
  ["cancelled while it was begun", failed("CloneFailed", true), { isCancelled: true }, { state: "cancelled" }],
  ["a place that failed", failed("Evicted", true), {}, { kind: "again", isFree: false }],
  [
    "for the last time",
    failed("Evicted", true),
    { tries: 3 },
    { state: "lost", error: { code: "Evicted", message: "Why. It was tried 3 times." } },
  ],
  ["too late to try again", failed("Lost", true), { leftMs: 0 }, { state: "lost" }],
  ["what a retry cannot help", failed("JobRefused", false), {}, { state: "failed", error: { code: "JobRefused" } }],
  ["an unreachable place", failed("BackendUnavailable", true), { tries: 9 }, { kind: "again", isFree: true }],
  ["one for too long", failed("BackendUnavailable", true), { leftMs: 0 }, { state: "failed" }],
])("%s", (_, end, more, expected) => {
  expect(judge(end, more)).toMatchObject(expected);
});

it("the executor's last words are passed on", () => {
  expect(judge(exited(1), { lastWords: "flotilla: no." })).toMatchObject({
    error: { message: "The executor ended with status 1 without a result. Its last words: flotilla: no." },
  });
});
