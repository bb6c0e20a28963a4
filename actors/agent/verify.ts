// Whether the task is done, by looking at the clone: what is committed, whether the tests pass there, what the linters say.
// It is not the score (council/ranking.ts), and it does not ask the model: a claim is no evidence.
//
// Y1  Verified means: a commit made on top of the start that changes something, nothing beside it, no conflict markers, and tests that ran
//     and passed at that commit. No tests found is not verified.
// Y2  Tests run only on a clean tree: files lying about could make them pass.
// Y3  Test runs go through the one path for tool calls, so they are audited like the agent's own.

import {
  detectRunners,
  lintChanged,
  type RunnerName,
  runTool,
  type TestReport,
  type ToolResult,
} from "../../tools/index.ts";
import type { Change } from "./change.ts";
import type { ExecutionContext } from "./execute.ts";
import type { AgentTask, Verification } from "./result.ts";

export type VerifyContext = Pick<ExecutionContext, "tools" | "caller" | "signal">;

/** Paths named in a finding. */
const NAMED_MAX = 10;

/** Names of the tools that run this checkout's tests, the likeliest first. */
export async function testToolsOf(root: string): Promise<readonly string[]> {
  return (await detectRunners(root)).map(toolOf);
}

const toolOf = (runner: RunnerName) => `tests.${runner}`;

/** Never says `verified` without evidence (Y1). Rejects only when the checkout cannot be read. */
export async function verify(task: AgentTask, change: Change, context: VerifyContext): Promise<Verification> {
  const found = [...commitFindings(change), ...markerFindings(change.diff)];
  if (change.commit === null || !change.descends || change.uncommitted.length > 0) return verdict(found, undefined, []);
  const [tests, lint] = [await runTests(task, context), await lintOf(change, context)];
  return verdict([...found, ...tests.findings], tests.report, lint);
}

function verdict(findings: readonly string[], tests: TestReport | undefined, lint: Verification["lint"]): Verification {
  return { verified: findings.length === 0, findings, tests, lint };
}

function commitFindings({ commit, descends, uncommitted, diffStat }: Change): readonly string[] {
  if (commit === null && uncommitted.length === 0) return ["Nothing has been changed yet."];
  if (commit === null) return [`Nothing is committed yet; changed: ${listed(uncommitted)}.`];
  // An older commit has tests that pass and a difference, too.
  if (!descends) return ["The commit checked out was not made on top of the one the work started from."];
  const findings = uncommitted.length > 0 ? [`These changes are not committed: ${listed(uncommitted)}.`] : [];
  return diffStat === null || diffStat.files.length === 0 ? [...findings, "The commits change nothing."] : findings;
}

function listed(paths: readonly string[]): string {
  const more = paths.length > NAMED_MAX ? ` and ${paths.length - NAMED_MAX} more` : "";
  return paths.slice(0, NAMED_MAX).join(", ") + more;
}

function markerFindings(diff: string): readonly string[] {
  const marker = /^\+(<{7}|>{7}) /m.exec(diff);
  return marker === null ? [] : [`The commit holds a conflict marker: ${marker[1]}.`];
}

interface TestFindings {
  readonly findings: readonly string[];
  /** The run that stands in the way, or else the first. */
  readonly report: TestReport | undefined;
}

interface TestRun {
  readonly tool: string;
  readonly result: ToolResult;
}

async function runTests(task: AgentTask, { tools, caller, signal }: VerifyContext): Promise<TestFindings> {
  const names = await testToolsOf(task.workspacePath);
  if (names.length === 0) {
    return {
      findings: ["No tests were found in the repository, so nothing proves the change; add tests."],
      report: undefined,
    };
  }
  const runs: TestRun[] = [];
  for (const tool of names) runs.push({ tool, result: await runTool({ tool, params: {}, caller, signal }, tools) });
  // A repository with two languages may have only one toolchain here; what could run is the evidence there is.
  const able = runs.filter(({ result }) => result.error?.code !== "runner-missing");
  const judged = able.length > 0 ? able : runs;
  const bad = judged.filter(({ result }) => result.outcome !== "ok");
  const report = [...bad, ...judged].map(({ result }) => reportOf(result)).find((candidate) => candidate !== undefined);
  return { findings: bad.map(testFinding), report };
}

function testFinding({ tool, result }: TestRun): string {
  const report = reportOf(result);
  if (report?.counts && report.completed) {
    const names = report.failures.map(({ name }) => name);
    return `${tool}: ${report.counts.failed} of ${report.counts.failed + report.counts.passed} tests fail: ${listed(names)}.`;
  }
  return `${tool}: ${report?.reason || result.error?.message || "the tests fail"}`;
}

function reportOf({ data }: ToolResult): TestReport | undefined {
  // The tests family promises this field (tools/tests/index.ts); a run that never started has none.
  return data.report as TestReport | undefined;
}

async function lintOf({ diffStat }: Change, { tools, signal }: VerifyContext): Promise<Verification["lint"]> {
  const paths = (diffStat?.files ?? []).map(({ path }) => path);
  return lintChanged(tools.workspace, paths, { clock: tools.clock, signal });
}
