// Runs ripgrep in the workspace. It finds and searches; it never changes anything.
//
// N1  Nothing a caller writes becomes an option: globs and patterns ride in their option's own argument, paths follow "--".
// N2  `.git` is never looked into, whatever the caller's globs say: ripgrep reads case-blind globs last, and the last match wins.

import { rgPath } from "@vscode/ripgrep";
import { type ToolContext, ToolFailure } from "../tool.ts";

/** Output beyond this means a question nobody can use the answer of. */
const OUTPUT_MAX_BYTES = 8 * 1024 * 1024;

/** Characters of ripgrep's own words that are passed on. */
const COMPLAINT_MAX = 500;

/** Hidden files count (.github, .env.example); what .gitignore names does not. */
const COMMON = ["--hidden", "--no-messages", "--no-require-git", "--iglob=!.git", "--sort=path"];

export interface Search {
  readonly stdout: string;
  /** True when there was more output than is kept. */
  readonly truncated: boolean;
}

/** `args` select the mode; `path` is relative to the root, "" the root. Fails with `invalid-pattern`, `timeout`, `cancelled` or `search-failed`. */
export async function ripgrep(args: readonly string[], path: string, context: ToolContext): Promise<Search> {
  const { workspace, signal, clock, deadlineMs } = context;
  const options = { timeoutMs: deadlineMs - clock.now(), signal, outputMaxBytes: OUTPUT_MAX_BYTES };
  const done = await workspace.exec(rgPath, [...COMMON, ...args, "--", path === "" ? "." : path], options);
  if (done.timedOut) throw new ToolFailure("timeout", "The search took too long; name a folder or a glob.");
  if (done.cancelled) throw new ToolFailure("cancelled", "The search was cancelled.");
  const complaint = done.stderr.trim();
  // Status 2 is also given for a file that could not be read beside good matches, and --no-messages keeps those quiet. Status 1 means
  // no match, unless somebody complained: a sandbox that cannot start the program ends with 1 too.
  if (done.exitCode === 2 && complaint !== "") {
    throw new ToolFailure("invalid-pattern", `The pattern or glob is not valid: ${complaint.slice(0, COMPLAINT_MAX)}`);
  }
  if (done.exitCode === null || done.exitCode > 2 || complaint !== "") {
    const end = `The search ended with status ${done.exitCode}`;
    throw new ToolFailure("search-failed", `${end}: ${complaint.slice(0, COMPLAINT_MAX)}`);
  }
  return { stdout: done.stdout, truncated: done.truncated };
}

/** ripgrep prints what it was given: "./src/a.py" for ".". */
export const withoutDot = (path: string): string => (path.startsWith("./") ? path.slice(2) : path);
