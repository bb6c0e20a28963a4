// The project's tests and linters on a story's branch, in a fresh clone and in the sandbox that agents' commands run in.
// It is not a judgement: the report is scored against the story's rigor by whoever asked (workspace-score/).
//
// SV1  A runner that tells no counts counts as one test: what is known of it is whether it passed.
// SV2  `build` says whether what was needed to run the tests was there and ran to its end; it is absent where nothing looks like tests.
// SV3  Only files that the story has changed are linted: old findings are nobody's who worked on it.

import { isAbsolute } from "node:path";
import type { Clock, Random } from "../../runtime/index.ts";
import {
  changesSince,
  type Depot,
  type DepotStory,
  detectRunners,
  type LintFinding,
  lendDependencies,
  lintChanged,
  MemoryAudit,
  openProcessWorkspace,
  runTool,
  standardPolicy,
  standardTools,
  summaryOf,
  type TestReport,
  ToolRegistry,
  type Workspace,
} from "../../tools/index.ts";
import { authorOf } from "../council/roles.ts";
import type { JobReport } from "../workspace-score/job-report.ts";

export interface StoryVerification {
  readonly report: JobReport;
  readonly commit: string;
  /** What the runners and linters said, in words. */
  readonly output: string;
}

export interface VerificationParts {
  readonly depot: Depot;
  readonly clock: Clock;
  readonly random: Random;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

const CALLER = { agentId: "workspace-runner", role: "QA" } as const;
const OUTPUT_CHARS_MAX = 60_000;

/** Throws CloneFailed, RepoNotFound, RepoEmpty, GitFailed. */
export async function verifyStory(story: DepotStory, parts: VerificationParts): Promise<StoryVerification> {
  const { depot, clock, random, timeoutMs, signal } = parts;
  const jobId = `verify-${story.storyId}-${random.id()}`;
  try {
    const author = authorOf(CALLER.agentId);
    const { path, base: commit } = await depot.workspace(story, { jobId, author, signal });
    const { start } = await depot.story(story);
    const { url } = story.origin;
    if (isAbsolute(url)) await lendDependencies({ source: url, clone: path });
    const workspace = await openProcessWorkspace({ root: path, clock, random });
    try {
      const deadlineMs = clock.now() + timeoutMs;
      const lint = await lintOf(workspace, { clone: path, base: start, commit }, { clock, signal });
      const runs = await runTests(workspace, story.storyId, { clock, signal, deadlineMs });
      return { report: reportOf(runs, lint), commit, output: outputOf(runs, lint) };
    } finally {
      await workspace.close();
    }
  } finally {
    await depot.removeWorkspace(jobId);
  }
}

interface SuiteRun {
  readonly tool: string;
  readonly report: TestReport | undefined;
  readonly content: string;
}

async function runTests(
  workspace: Workspace,
  taskId: string,
  { clock, signal, deadlineMs }: { readonly clock: Clock; readonly signal: AbortSignal; readonly deadlineMs: number },
): Promise<readonly SuiteRun[]> {
  const environment = {
    ...{ registry: new ToolRegistry(standardTools()), workspace, policy: standardPolicy },
    ...{ audit: new MemoryAudit(), clock },
  };
  const runs: SuiteRun[] = [];
  for (const runner of await detectRunners(workspace.root)) {
    const tool = `tests.${runner}`;
    const call = { tool, params: {}, caller: { ...CALLER, taskId, traceId: taskId }, signal };
    const timeoutMs = Math.max(1, deadlineMs - clock.now());
    const { data, content } = await runTool({ ...call, timeoutMs }, environment);
    runs.push({ tool, report: data.report as TestReport | undefined, content });
  }
  return runs;
}

async function lintOf(
  workspace: Workspace,
  range: { readonly clone: string; readonly base: string; readonly commit: string },
  context: { readonly clock: Clock; readonly signal: AbortSignal },
): Promise<readonly LintFinding[]> {
  const { diffStat } = await changesSince(range);
  return lintChanged(
    workspace,
    diffStat.files.map(({ path }) => path),
    context,
  );
}

function reportOf(runs: readonly SuiteRun[], lint: readonly LintFinding[]): JobReport {
  const linted = { lint: { errors: lint.length, warnings: 0 } };
  if (runs.length === 0) return linted;
  const counts = runs.map(({ report }) => countsOf(report));
  const sum = (key: "passed" | "failed" | "skipped") => counts.reduce((total, each) => total + each[key], 0);
  return {
    ...linted,
    build: { success: runs.every(({ report }) => report?.completed === true) },
    unit: { passed: sum("passed"), failed: sum("failed"), skipped: sum("skipped") },
  };
}

/** SV1 */
function countsOf(report: TestReport | undefined) {
  const passes = report?.success === true;
  const known = report?.counts ?? { passed: passes ? 1 : 0, failed: passes ? 0 : 1, skipped: 0 };
  // A run that broke off may have passed all that it counted so far.
  return report?.completed === true || known.failed > 0 ? known : { ...known, failed: 1 };
}

function outputOf(runs: readonly SuiteRun[], lint: readonly LintFinding[]): string {
  const tests = runs.map(
    ({ tool, report, content }) => `${tool}: ${report === undefined ? content : summaryOf(report)}\n${content}`,
  );
  const none = runs.length === 0 ? ["No tests were found in the repository."] : [];
  const findings = lint.map(({ path, line, message }) => `${path}:${line} ${message}`);
  return [...none, ...tests, ...findings].join("\n\n").slice(0, OUTPUT_CHARS_MAX);
}
