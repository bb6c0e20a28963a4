// Starts a runner in the workspace and turns its end into a tool's output: what the runners share.
// It is not any one runner: those know their arguments and their report's format.
//
// S1  A report goes to a new folder in the scratch space, so a checkout stays as clean as the tests themselves leave it and an
//     old report is never read as a new one.
// S2  A report is a regular file of at most REPORT_MAX_BYTES: code under test could leave a link, a pipe or an endless file.
// S3  A value from a call never becomes an option: paths go through resolveInside and may not begin with "-", filters neither.
// S4  The runner's time ends a little before the call's, so that a run that hangs still ends in a report.

import { mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { readPlainFile } from "../plain-file.ts";
import { type ToolContext, ToolFailure, type ToolOutput } from "../tool.ts";
import { resolveInside } from "../workspace/paths.ts";
import type { ExecResult } from "../workspace/workspace.ts";
import { type RunEnd, summaryOf, type TestReport, type Unreadable } from "./report.ts";

const REPORT_MAX_BYTES = 16 * 1024 * 1024;
const TAIL_MAX = 4_000;
const PATHS_MAX = 100;
/** Kept back from the call's time for ending the tree and reading the report (S4). */
const RESERVE_MS = 2_000;

/** What every tests tool shares. */
export const SUITE_BOUNDS = {
  risk: "execute",
  sideEffects: "workspace",
  timeoutMs: 300_000,
  outputMaxBytes: 64 * 1024,
} as const;

/** Variables for every runner. CI: no watch mode, no prompts, and snapshots that do not match fail instead of being rewritten. */
const SUITE_ENVIRONMENT = { CI: "true", NO_COLOR: "1" };

export const pathsInput = z
  .array(z.string().min(1))
  .max(PATHS_MAX)
  .default([])
  .describe("Files or folders to run, relative to the workspace. Default: all tests.");

export const filterInput = z
  .string()
  .max(200)
  .regex(/^[!-,.-~][ -~]*$/, "printable ASCII, not beginning with - or a space")
  .optional();

/** The paths as a runner may be given them: inside the workspace, "." for its root, never an option (S3). */
export async function suitePaths(context: ToolContext, paths: readonly string[]): Promise<readonly string[]> {
  const resolved = await Promise.all(paths.map((path) => resolveInside(context.workspace.root, path, "follow")));
  const option = resolved.find(({ relative }) => relative.startsWith("-"));
  if (option !== undefined) {
    throw new ToolFailure(
      "invalid-path",
      `The path ${option.relative} begins with "-": a test runner would read it as an option. Name its folder instead.`,
    );
  }
  return resolved.map(({ relative }) => (relative === "" ? "." : relative));
}

export interface Start {
  readonly program: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly outputMaxBytes?: number;
  /** How to get the program, as the end of a sentence: "install Go from …". */
  readonly remedy: string;
}

/** Runs a program to its end or to the call's; throws ToolFailure `runner-missing` when there is no such program. */
export async function start(
  context: ToolContext,
  { program, args, env, outputMaxBytes, remedy }: Start,
): Promise<ExecResult> {
  const remainingMs = context.deadlineMs - context.clock.now();
  const timeoutMs = Math.max(1, remainingMs - Math.min(RESERVE_MS, remainingMs / 5));
  try {
    return await context.workspace.exec(program, args, {
      timeoutMs,
      signal: context.signal,
      env: { ...SUITE_ENVIRONMENT, ...env },
      ...(outputMaxBytes === undefined ? {} : { outputMaxBytes }),
    });
  } catch (error) {
    if (error instanceof ToolFailure && error.code === "no-such-program") throw runnerMissing(program, remedy);
    throw error;
  }
}

/** The refusal when a runner is not there: `what` as a noun, `remedy` as the end of a sentence. */
export const runnerMissing = (what: string, remedy: string): ToolFailure =>
  new ToolFailure("runner-missing", `${what} is not available in this workspace: ${remedy}.`);

export const endOf = (run: ExecResult, failedStatus: number): RunEnd => ({
  exitCode: run.exitCode,
  timedOut: run.timedOut,
  cancelled: run.cancelled,
  durationMs: run.durationMs,
  failedStatus,
});

/** Gives `use` a new folder in the scratch space and removes it afterwards (S1). */
export async function withReportFolder<T>(context: ToolContext, use: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(context.workspace.scratch, "report-"));
  try {
    return await use(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The text of a report (S2), or why there is none. */
export async function readReport(path: string): Promise<{ readonly kind: "text"; readonly text: string } | Unreadable> {
  const file = await readPlainFile(path, REPORT_MAX_BYTES);
  switch (file.kind) {
    case "text":
      return file;
    case "missing":
      return { kind: "unreadable", reason: "left no report: it crashed or was ended early" };
    case "not-a-file":
      return { kind: "unreadable", reason: "left something that is not a file where its report belongs" };
    case "too-large":
      return { kind: "unreadable", reason: `wrote a report of ${file.bytes} bytes; ${REPORT_MAX_BYTES} are allowed` };
  }
}

/** What the model reads: the summary, the failing tests, and the end of the output only where the report cannot explain itself. */
export function outputOf(report: TestReport, run: Pick<ExecResult, "stdout" | "stderr">): ToolOutput {
  const failures = report.failures.map(({ name, message }) => `FAILED ${name}\n${message}`);
  const kept =
    report.counts !== null && report.counts.failed > failures.length
      ? [`… and ${report.counts.failed - failures.length} more failing tests`]
      : [];
  const tail = report.completed ? [] : [tailOf("stdout", run.stdout), tailOf("stderr", run.stderr)];
  const parts = [summaryOf(report), ...failures, ...kept, ...tail].filter((part) => part !== "");
  return { success: report.success, content: parts.join("\n\n"), data: { report } };
}

const tailOf = (stream: string, text: string) =>
  text.trim() === "" ? "" : `end of ${stream}:\n${text.trimEnd().slice(-TAIL_MAX)}`;
