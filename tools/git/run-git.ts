// One git call of an agent: inside its workspace, hardened (hardening.ts), and refused when the repository's configuration is not ours.

import { rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { type ToolContext, ToolFailure } from "../tool.ts";
import type { ExecResult } from "../workspace/workspace.ts";
import { hardenedEnvironment, hardeningFlags, refusedKeys } from "./hardening.ts";
import { parseConfig } from "./parse.ts";

export interface GitCall {
  readonly stdin?: string;
  readonly network?: boolean;
  readonly env?: Readonly<Record<string, string>>;
  /** Exit codes that are an answer, not a failure. Default only 0. */
  readonly accepts?: readonly number[];
}

/** Bytes of git's output that are read; a longer one is refused where it would be parsed. */
const OUTPUT_MAX_BYTES = 8 * 1024 * 1024;
const TIME_MIN_MS = 1;
/** Characters of git's own words that are passed on. */
const COMPLAINT_MAX = 600;

/** The workspace's repository for the length of one tool call, its configuration already looked at. */
export interface Git {
  /** Throws ToolFailure: `git-failed`, `output-too-large`. */
  run(args: readonly string[], call?: GitCall): Promise<ExecResult>;
  /** A value of the repository's own configuration. */
  config(key: string): string | undefined;
}

/** Throws ToolFailure `not-a-repository`, or `hostile-config` when the configuration could run a program. */
export async function openGit(context: ToolContext): Promise<Git> {
  const listing = await runUnchecked(context, ["config", "--local", "--no-includes", "-z", "--list"]);
  const settings = parseConfig(listing.stdout);
  const refused = refusedKeys([...settings.keys()]);
  if (refused.length > 0) {
    throw new ToolFailure(
      "hostile-config",
      `The repository's .git/config sets ${refused.slice(0, 5).join(", ")}, which could run a program; git is refused until it is removed.`,
      { keys: refused },
    );
  }
  return { run: (args, call) => runUnchecked(context, args, call), config: (key) => settings.get(key) };
}

/** Without a look at the configuration: for the look itself, and for `clone`, which makes a repository of its own. */
export async function runUnchecked(
  context: ToolContext,
  args: readonly string[],
  call: GitCall = {},
): Promise<ExecResult> {
  const { workspace, signal, clock, deadlineMs } = context;
  const result = await workspace.exec("git", [...hardeningFlags, ...args], {
    timeoutMs: Math.max(TIME_MIN_MS, deadlineMs - clock.now()),
    signal,
    outputMaxBytes: OUTPUT_MAX_BYTES,
    network: call.network ?? false,
    env: { ...hardenedEnvironment(dirname(workspace.root)), GIT_OPTIONAL_LOCKS: "0", ...call.env },
    ...(call.stdin === undefined ? {} : { stdin: call.stdin }),
  });
  if (result.timedOut || result.cancelled) {
    await removeLocks(workspace.root);
    throw new ToolFailure(
      "git-failed",
      `git ${args[0]} was ended before it was done; look at git.status before going on.`,
    );
  }
  if (result.exitCode === null || !(call.accepts ?? [0]).includes(result.exitCode)) throw failureOf(args, result);
  if (result.truncated) {
    throw new ToolFailure(
      "output-too-large",
      `git ${args[0]} printed more than ${OUTPUT_MAX_BYTES} bytes; ask for fewer paths or commits.`,
    );
  }
  return result;
}

/** git killed in a write leaves its locks, and every later call would fail on them. Nobody else writes: calls of an agent run in turn. */
async function removeLocks(root: string): Promise<void> {
  const locks = ["index.lock", "HEAD.lock"].map((name) => join(root, ".git", name));
  await Promise.all(locks.map((lock) => rm(lock, { force: true }).catch(() => undefined)));
}

function failureOf(args: readonly string[], result: ExecResult): ToolFailure {
  const complaint = result.stderr.trim() || result.stdout.trim() || `it ended with ${result.exitCode}`;
  if (/not a git repository|--local can only be used inside/.test(complaint)) {
    return new ToolFailure("not-a-repository", "The workspace holds no git repository; clone one first.");
  }
  return new ToolFailure("git-failed", `git ${args[0]} failed: ${complaint.slice(0, COMPLAINT_MAX)}`, {
    exitCode: result.exitCode,
  });
}
