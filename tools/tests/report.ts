// What a test run said: the report every runner ends in, and the rule that decides whether to believe it.
// It is not how a runner is started (run-suite.ts) nor how its file is read (junit.ts and the runners).
//
// R1  A count comes from a report the runner wrote, never from its text. Where there is no such report, `counts` is null.
// R2  The exit status and the report must agree. A run whose report says "all passed" and whose status says otherwise,
//     or the other way round, did not complete: a repository's own hooks can change either one of them.
// R3  A run in which no test ran proves nothing, so it did not complete, whatever its status.
// R4  A report is bounded (FAILURES_MAX, MESSAGE_MAX_BYTES); `counts` keeps the true numbers.

import { stripVTControlCharacters } from "node:util";
import { boundText } from "../bounded-text.ts";

export interface TestCounts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

export interface TestFailure {
  readonly name: string;
  /** At most 2,000 bytes; the middle of a longer one is cut and the cut is said. */
  readonly message: string;
}

/**
 * One test run. The code under test runs in the same process as most reporters, so a hostile repository can still write a
 * consistent lie; what this promises is that accidents, crashes and half lies never read as success.
 */
export interface TestReport {
  /** What ran: "pytest", "unittest", "node", "vitest", "jest", "npm", "go", "cargo", "make". */
  readonly runner: string;
  /** False when the run could not say how it ended: crash, time-out, nothing collected, a report that contradicts the status. */
  readonly completed: boolean;
  /** Completed and nothing failed. */
  readonly success: boolean;
  /** Null when the runner told only its exit status (make, unknown npm scripts) or nothing at all. */
  readonly counts: TestCounts | null;
  /** The first 50. */
  readonly failures: readonly TestFailure[];
  /** One sentence on why the run did not complete; "" when it did. */
  readonly reason: string;
}

/** One test as a runner reported it. */
export interface TestCase {
  readonly name: string;
  readonly outcome: "passed" | "failed" | "skipped";
  /** Why it failed; "" otherwise. */
  readonly message: string;
}

/** How the runner's process ended, and what it takes for a plain yes and a plain no. */
export interface RunEnd {
  readonly exitCode: number | null;
  readonly timedOut: boolean;
  readonly cancelled: boolean;
  readonly durationMs: number;
  /** Status for "some tests failed"; any status but this and 0 is a runner that could not do its work. */
  readonly failedStatus: number;
}

/** What could be read of the runner's report: the cases, or one sentence on why there are none. */
export type ReadReport = { readonly kind: "cases"; readonly cases: readonly TestCase[] } | Unreadable;

export interface Unreadable {
  readonly kind: "unreadable";
  readonly reason: string;
  /** What was reported before it went wrong. */
  readonly cases?: readonly TestCase[];
}

const FAILURES_MAX = 50;
const MESSAGE_MAX_BYTES = 2_000;
const NAME_MAX_BYTES = 300;

/** Text for a report: no terminal codes, no outer blank lines, at most `maxBytes` with the middle cut. */
function bounded(text: string, maxBytes = MESSAGE_MAX_BYTES): string {
  return boundText(stripVTControlCharacters(text).replace(/^\s*\n|\s+$/g, ""), maxBytes).text;
}

function count(cases: readonly TestCase[]): TestCounts {
  const of = (outcome: TestCase["outcome"]) => cases.filter((test) => test.outcome === outcome).length;
  return { passed: of("passed"), failed: of("failed"), skipped: of("skipped") };
}

/** Why the process's end alone rules out a completed run; "" when it does not. */
function brokenEnd(end: RunEnd): string {
  if (end.cancelled) return "was cancelled";
  if (end.timedOut) return `did not finish within ${Math.round(end.durationMs / 100) / 10} s`;
  if (end.exitCode === null) return "was ended by a signal";
  return "";
}

/** Why status and counts cannot both be true (R2, R3); "" when they can. */
function contradiction(end: RunEnd, counts: TestCounts): string {
  if (end.exitCode !== 0 && end.exitCode !== end.failedStatus)
    return `could not run all tests (exit status ${end.exitCode})`;
  if (counts.passed + counts.failed === 0) {
    return counts.skipped === 0 ? "found no tests" : `ran no test: all ${counts.skipped} were skipped`;
  }
  if (end.exitCode === 0 && counts.failed > 0)
    return `ended with status 0 although its report has ${counts.failed} failing`;
  if (end.exitCode !== 0 && counts.failed === 0)
    return `ended with status ${end.exitCode} although its report has no failing test`;
  return "";
}

/** Puts the end of the process and its report together into one verdict (R1–R4). */
export function judge(runner: string, end: RunEnd, read: ReadReport): TestReport {
  const cases = read.cases ?? [];
  const counts = read.kind === "cases" || cases.length > 0 ? count(cases) : null;
  const reason =
    brokenEnd(end) ||
    (read.kind === "unreadable" ? read.reason : "") ||
    (counts === null ? "left no counts" : contradiction(end, counts));
  const failures = cases
    .filter((test) => test.outcome === "failed")
    .slice(0, FAILURES_MAX)
    .map((test) => ({ name: bounded(test.name, NAME_MAX_BYTES), message: bounded(test.message) }));
  const completed = reason === "";
  return { runner, completed, success: completed && counts?.failed === 0, counts, failures, reason };
}

/** The verdict of a runner that tells only its exit status: no counts (R1), one failure that carries the end of its output. */
export function judgeStatus(runner: string, end: Omit<RunEnd, "failedStatus">, output: string): TestReport {
  const reason = brokenEnd({ ...end, failedStatus: 0 });
  const completed = reason === "";
  const success = completed && end.exitCode === 0;
  const message = `exit status ${end.exitCode}\n${output.slice(-MESSAGE_MAX_BYTES)}`;
  const failures = completed && !success ? [{ name: runner, message: bounded(message) }] : [];
  return { runner, completed, success, counts: null, failures, reason };
}

/** One line for people and models: "pytest: 3 passed, 1 failed, 0 skipped". */
export function summaryOf(report: TestReport): string {
  const { counts } = report;
  const numbers = counts
    ? `${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`
    : `${report.success ? "passed" : report.completed ? "failed" : "no result"} (counts unknown: only an exit status)`;
  return report.completed
    ? `${report.runner}: ${numbers}`
    : `${report.runner} did not complete: it ${report.reason}${counts ? ` (so far ${numbers})` : ""}`;
}
