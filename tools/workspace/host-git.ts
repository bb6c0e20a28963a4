// git on the host, outside any sandbox: for what the task command does around the agents (look at the user's repository, make
// clones, read results, publish a branch). Two ways in, and which one depends on whose configuration may be believed:
//
// K1  `userGit` works in the user's own repository with their configuration, but without hooks, monitors or questions.
// K2  A clone an agent has worked in is never entered: its objects are read from a view, an empty bare repository of ours that
//     borrows them. Objects are data; the clone's configuration, hooks and attributes are programs.

import { appendFile, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock, systemRandom } from "../../runtime/index.ts";
import { fail } from "../errors.ts";
import { hardenedEnvironment, hardeningFlags, userEnvironment, userFlags } from "../git/index.ts";
import { toolsOptions } from "../options.ts";
import { ToolFailure } from "../tool.ts";
import { runProcess } from "./run-process.ts";
import type { ExecResult } from "./workspace.ts";

export interface HostGitCall {
  readonly cwd: string;
  readonly signal?: AbortSignal | undefined;
  readonly timeoutMs?: number;
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: string;
}

const TIMEOUT_MS = 120_000;
const OUTPUT_MAX_BYTES = 16 * 1024 * 1024;

/** Runs git for the user (K1). Throws GitMissing; a failing git is a result. */
export function userGit(args: readonly string[], call: HostGitCall): Promise<ExecResult> {
  const options = toolsOptions();
  return run([...userFlags, ...args], call, { ...options.userGit, ...userEnvironment, ...call.env });
}

/** Runs git with no configuration but the repository's own, which has to be one of ours. */
export function ownGit(args: readonly string[], call: HostGitCall): Promise<ExecResult> {
  return run([...hardeningFlags, ...args], call, {
    HOME: "/nonexistent",
    ...hardenedEnvironment(call.cwd),
    ...call.env,
  });
}

async function run(
  args: readonly string[],
  call: HostGitCall,
  env: Readonly<Record<string, string>>,
): Promise<ExecResult> {
  const request = {
    program: "git",
    args,
    cwd: call.cwd,
    env: { PATH: toolsOptions().path, LC_ALL: "C.UTF-8", ...env },
    stdin: call.stdin,
    timeoutMs: call.timeoutMs ?? TIMEOUT_MS,
    signal: call.signal,
    outputMaxBytes: OUTPUT_MAX_BYTES,
    leftovers: "wanted" as const,
  };
  try {
    return await runProcess(request, systemClock, systemRandom);
  } catch (error) {
    if (!(error instanceof ToolFailure)) throw error;
    throw fail("GitMissing", "git could not be started: install it and see that it is on PATH.", { cause: error });
  }
}

/** Stdout of a call that has to work. Throws GitFailed with git's own words. */
export async function must(result: Promise<ExecResult>, what: string): Promise<string> {
  const { exitCode, stdout, stderr, timedOut, cancelled } = await result;
  if (exitCode === 0) return stdout;
  const why = timedOut
    ? "it took too long"
    : cancelled
      ? "it was cancelled"
      : complaint(stderr) || `git ended with ${exitCode}`;
  throw fail("GitFailed", `Could not ${what}: ${why}.`);
}

const COMPLAINT_MAX = 400;

/** What git said, on one line, without its prefixes and without credentials in addresses. */
export function complaint(stderr: string): string {
  const lines = stderr.split("\n").map((line) => line.replace(/^(fatal|error|hint|warning): /, "").trim());
  const text = lines.filter((line) => line !== "").join("; ");
  return text
    .replace(/\/\/[^/\s@]+@/g, "//")
    .replace(/\.$/, "")
    .slice(0, COMPLAINT_MAX);
}

/** Makes a repository with a configuration of ours that borrows the objects of others, if any; `objects` are absolute folders. */
export async function initBorrowing(
  folder: string,
  objects: readonly string[],
  commit: string,
  extra: readonly string[],
): Promise<void> {
  const format = commit.length === 64 ? "sha256" : "sha1";
  const bare = extra.includes("--bare");
  await must(
    ownGit(["init", "--quiet", "--template=", `--object-format=${format}`, ...extra, "--", folder], { cwd: tmpdir() }),
    "make a clone",
  );
  if (objects.length === 0) return;
  await appendFile(
    join(folder, bare ? "objects/info/alternates" : ".git/objects/info/alternates"),
    `${objects.join("\n")}\n`,
  );
}

export interface View extends AsyncDisposable {
  /** Absolute path of the bare repository. */
  readonly gitDir: string;
  git(args: readonly string[]): Promise<ExecResult>;
}

/** A view of the objects of clones and sources (K2), gone when disposed of. */
export async function openView(objects: readonly string[], commit: string, shallow?: string): Promise<View> {
  const gitDir = await mkdtemp(join(tmpdir(), "flotilla-view-"));
  const dispose = () => rm(gitDir, { recursive: true, force: true });
  try {
    await initBorrowing(gitDir, objects, commit, ["--bare"]);
    if (shallow !== undefined) await appendFile(join(gitDir, "shallow"), shallow);
  } catch (error) {
    await dispose();
    throw error;
  }
  return {
    gitDir,
    git: (args) => ownGit([`--git-dir=${gitDir}`, ...args], { cwd: gitDir }),
    [Symbol.asyncDispose]: dispose,
  };
}
