// How good one candidate's change is, part by part, each in 0…1 and each from evidence the agent did not write itself.
// It is not the order of candidates (ranking.ts), and no part comes from what the model says about its work.
//
// P1  A candidate without a change gets nothing: doing nothing passes every test that passed before.
// P2  More never helps: no part rises when a candidate adds a file, a line or a finding. So parts count things; they never
//     divide by the candidate's own size, which padding would raise.

import type { TestReport } from "../../tools/index.ts";
import type { AgentResult } from "../agent/result.ts";
import { addedLines } from "./patch.ts";

export interface ScoreParts {
  /** Share of the tests that pass, at the candidate's last verification. */
  readonly tests: number;
  /** 1 when the change is a commit on its base, 0.5 when it was left uncommitted. */
  readonly applies: number;
  /** Size of the smallest verified change of the field over this one's. */
  readonly minimal: number;
  /** 1 when only related files changed; falls with each unrelated, left-over or weakened one. */
  readonly focus: number;
  /** 1 without linter findings on the lines it wrote; falls with each. */
  readonly lint: number;
}

/** What each part weighs; the sum is 1. Tests are evidence, the rest is taste: together they weigh as much. */
export const WEIGHTS = { tests: 0.5, applies: 0.1, minimal: 0.15, focus: 0.15, lint: 0.1 } satisfies ScoreParts;

/** What the parts compare a candidate with: the task's words and the other candidates. */
export interface Field {
  readonly words: ReadonlySet<string>;
  /** Size of the smallest verified change; of the smallest change where none is verified. */
  readonly sizeMin: number;
  /** Tests that even the candidate with the fewest skipped ones skips. */
  readonly skippedMin: number;
  /** Whether any candidate changed a file that the task names: only then is an unnamed file suspect. */
  readonly named: boolean;
}

/** A line of a test weighs less in a change's size, so that a candidate is not punished for testing its work. */
const TEST_LINE_WEIGHT = 0.25;
/** What one file costs in `focus` = 1 / (1 + sum). An unnamed file may be needed; a left-over never is. */
const FOCUS_COST = { unnamed: 0.25, leftover: 1, weakened: 1 };
/** `lint` = 1 / (1 + findings / this): two findings cost a third. */
const LINT_HALF = 4;

const TEST_PATH = /(^|\/)(tests?|specs?|__tests__)\/|(^|\/)(test_[^/]*|conftest\.py)$|[_.-](test|spec)\.\w+$/i;
/** What tools and hurried people leave behind: copies, logs, scratch files, caches, an editor's own files. */
const LEFTOVER_PATHS = [
  /(~|\.(orig|rej|bak|backup|old|tmp|temp|swp|swo|log|pid|pyc))$/i,
  /(^|\/)((scratch|untitled|deleteme)([._-][^/]*)?|(tmp|temp)\d*(\.[^/]*)?)$/i,
  /(^|\/)(scratch|tmp|temp|__pycache__|\.pytest_cache|\.mypy_cache|\.ruff_cache|node_modules|\.venv|coverage)\//i,
  /(^|\/)(\.DS_Store|Thumbs\.db|\.coverage|nohup\.out|core)$/i,
  /(^|\/)\.(idea|vscode)\//,
];

type ChangedFile = NonNullable<AgentResult["diffStat"]>["files"][number];

export const hasChange = (result: AgentResult): boolean => result.diff !== "" && changedFiles(result).length > 0;

/** Verified: success claimed, a commit to show for it, and a verification that agrees. */
export function isVerified(result: AgentResult): boolean {
  const { success, commit, finalState, verification } = result;
  return (
    success && commit !== null && finalState === "committed" && verification?.verified === true && hasChange(result)
  );
}

/** Lines the change adds and deletes. */
export function changedLines(result: AgentResult): number {
  return changedFiles(result).reduce((sum, file) => sum + file.added + file.deleted, 0);
}

export function fieldOf(candidates: readonly AgentResult[], text: string): Field {
  const verified = candidates.filter(isVerified);
  const measured = verified.length > 0 ? verified : candidates.filter(hasChange);
  const words = wordsOf(text);
  const reports = candidates.flatMap((result) => completedTests(result) ?? []);
  return {
    words,
    sizeMin: Math.min(...measured.map(sizeOf)),
    skippedMin: Math.min(...reports.flatMap((report) => report.counts?.skipped ?? [])),
    named: candidates.some((result) => changedFiles(result).some((file) => isNamed(file.path, words))),
  };
}

/** The candidate's parts, and one sentence for each thing that cost it something. */
export function scoreParts(result: AgentResult, field: Field): { parts: ScoreParts; reasons: readonly string[] } {
  if (!hasChange(result)) {
    const parts = { tests: 0, applies: 0, minimal: 0, focus: 0, lint: 0 };
    return { parts, reasons: [result.error?.message ?? "It changed nothing."] };
  }
  const reasons: string[] = [];
  const parts = {
    tests: testsPart(result, field, reasons),
    applies: appliesPart(result, reasons),
    minimal: minimalPart(result, field, reasons),
    focus: focusPart(result, field, reasons),
    lint: lintPart(result, reasons),
  };
  return { parts, reasons };
}

const changedFiles = (result: AgentResult): readonly ChangedFile[] => result.diffStat?.files ?? [];

const completedTests = (result: AgentResult): TestReport | undefined =>
  result.verification?.tests?.completed ? result.verification.tests : undefined;

function sizeOf(result: AgentResult): number {
  const lines = changedFiles(result).reduce(
    (sum, file) => sum + (file.added + file.deleted) * (TEST_PATH.test(file.path) ? TEST_LINE_WEIGHT : 1),
    0,
  );
  return Math.max(1, lines);
}

function testsPart(result: AgentResult, field: Field, reasons: string[]): number {
  const report = completedTests(result);
  if (report === undefined) {
    reasons.push("Its tests did not run to their end.");
    return 0;
  }
  const { counts, success } = report;
  if (counts === null) {
    if (!success) reasons.push(`${report.runner} fails; it gives no counts.`);
    return success ? 1 : 0;
  }
  // A test that others run and this one skips was switched off: it counts as failing.
  const switchedOff = Math.max(0, counts.skipped - field.skippedMin);
  const total = counts.passed + counts.failed + switchedOff;
  if (counts.failed > 0) reasons.push(`${counts.failed} of ${total} tests fail.`);
  if (switchedOff > 0) reasons.push(`It skips ${switchedOff} tests that another candidate runs.`);
  return total === 0 ? 0 : counts.passed / total;
}

function appliesPart(result: AgentResult, reasons: string[]): number {
  if (result.commit !== null) return 1;
  reasons.push("Its change is not committed.");
  return 0.5;
}

function minimalPart(result: AgentResult, field: Field, reasons: string[]): number {
  const share = Math.min(1, field.sizeMin / sizeOf(result));
  if (share < 0.5) reasons.push(`It changes ${changedLines(result)} lines where fewer than half are enough.`);
  return share;
}

function focusPart(result: AgentResult, field: Field, reasons: string[]): number {
  let cost = 0;
  for (const file of changedFiles(result)) {
    const fault = faultOf(file, field);
    if (fault === undefined) continue;
    cost += FOCUS_COST[fault];
    if (fault === "leftover") reasons.push(`${file.path} looks left over.`);
    if (fault === "weakened") reasons.push(`${file.path} loses more test lines than it gains.`);
    if (fault === "unnamed") reasons.push(`${file.path} is not named by the task.`);
  }
  return 1 / (1 + cost);
}

function faultOf(file: ChangedFile, field: Field): keyof typeof FOCUS_COST | undefined {
  if (isNamed(file.path, field.words)) return undefined;
  if (LEFTOVER_PATHS.some((pattern) => pattern.test(file.path))) return "leftover";
  if (TEST_PATH.test(file.path)) return file.deleted > file.added ? "weakened" : undefined;
  return field.named ? "unnamed" : undefined;
}

function lintPart(result: AgentResult, reasons: string[]): number {
  const written = addedLines(result.diff);
  // A finding on a line that stood there before is not the candidate's.
  const own = (result.verification?.lint ?? []).filter(
    (finding) => written === undefined || written.get(finding.path)?.has(finding.line),
  );
  const first = own[0];
  if (first !== undefined) {
    const rest = own.length > 1 ? ` and ${own.length - 1} more findings` : "";
    reasons.push(`${first.path}:${first.line}: ${first.message}${rest}.`);
  }
  return 1 / (1 + own.length / LINT_HALF);
}

/** The task's words, without the marks around them. */
function wordsOf(text: string): ReadonlySet<string> {
  const words = text.split(/[\s"'`,;:()[\]{}<>]+/);
  return new Set(words.map((word) => word.replace(/^\.\//, "").replace(/[.!?]+$/, "")));
}

/** Whether the task names this path: all of it, its end ("utils.py"), or a folder it lies in ("src/", "src/lib"). */
function isNamed(path: string, words: ReadonlySet<string>): boolean {
  if (words.has(path)) return true;
  const segments = path.split("/");
  // Looked up piece by piece, because comparing every word with every path takes minutes on a large change.
  return segments
    .keys()
    .drop(1)
    .some((at) => {
      const end = segments.slice(at).join("/");
      const folder = segments.slice(0, at).join("/");
      return (
        (end.includes(".") && words.has(end)) || words.has(`${folder}/`) || (folder.includes("/") && words.has(folder))
      );
    });
}
