// The agents' clones of the user's repository: clone, read what an agent did, publish, apply. Runs on the host, for the task
// command; agents use the git tools. What may be cloned is repository.ts.
//
// K3  Until `applyBranch`, the user's repository gains objects and one new branch and loses or changes nothing: not its work
//     tree, index, HEAD, other refs, configuration or reflogs.
// K4  A clone has no remotes, no hooks, one branch, and a configuration written here.

import { appendFile, lstat, mkdir, readFile, realpath } from "node:fs/promises";
import { join, resolve } from "node:path";
import { fail } from "../errors.ts";
import { DIFF_FLAGS, type FileStat, isBranchName, isCommitHash, parseList, parseNumstat } from "../git/index.ts";
import { complaint, initBorrowing, must, openView, ownGit, userGit, type View } from "./host-git.ts";
import { inspectRepository, isAddress, named } from "./repository.ts";

export interface CloneRequest {
  /** Work tree of the repository to clone. */
  readonly source: string;
  /** Folder to make; its parent exists. */
  readonly into: string;
  readonly commit: string;
  /** Branch the clone stands on. Default `agent`. */
  readonly branch?: string;
  /** Who commits in the clone. */
  readonly author?: Author;
}

export interface Author {
  readonly name: string;
  readonly email: string;
}

/** An agent's own clone, standing on `commit`, that borrows the source's objects (K4). Resolves with its real path. */
export async function cloneForAgent({ source, into, commit, branch = "agent", author }: CloneRequest): Promise<string> {
  refuseOdd(commit, branch);
  const { objects, shallow } = await storeOf(source);
  await mkdir(into, { recursive: true });
  const path = await realpath(into);
  await initBorrowing(path, [objects], commit, [`--initial-branch=${branch}`]);
  if (shallow !== undefined) await appendFile(join(path, ".git/shallow"), shallow);
  await dress(path, commit, author);
  return path;
}

/** Processes that write files of a checkout: one alone waits for the disk most of the time. git starts them from a hundred files on. */
const WRITERS = 4;

/** Gives a repository that holds `commit` what a clone has beyond objects: hooks nobody can add to, an author, files (K4). */
export async function dress(path: string, commit: string, author: Author | undefined): Promise<void> {
  await mkdir(join(path, ".git/hooks"), { recursive: true });
  for (const [key, value] of Object.entries(author ?? {})) {
    await must(ownGit(["config", "--local", `user.${key}`, value], { cwd: path }), "name the agent");
  }
  const reset = ["-c", `checkout.workers=${WRITERS}`, "reset", "--quiet", "--hard", commit, "--"];
  await must(ownGit(reset, { cwd: path }), `check out ${commit.slice(0, 12)}`);
}

export function refuseOdd(commit: string, branch?: string): void {
  if (!isCommitHash(commit)) throw fail("GitFailed", `${JSON.stringify(commit)} is not a full commit hash.`);
  if (branch !== undefined && !isBranchName(branch))
    throw fail("GitFailed", `${JSON.stringify(branch)} is not a branch name git allows.`);
}

/** Where a trusted repository keeps its objects, and the ends of its history when it is shallow. */
export async function storeOf(
  source: string,
): Promise<{ readonly objects: string; readonly shallow: string | undefined }> {
  const ask = ["rev-parse", "--path-format=absolute", "--git-path", "objects", "--git-path", "shallow"];
  const [objects = "", shallow = ""] = (await must(userGit(ask, { cwd: source }), `read ${source}`)).trim().split("\n");
  return { objects, shallow: await readFile(shallow, "utf8").catch(() => undefined) };
}

const CLONE_TIMEOUT_MS = 600_000;

export interface CloneRemoteRequest {
  readonly url: string;
  /** Folder to make. */
  readonly into: string;
  readonly depth?: number;
  /** Default: what its HEAD names. */
  readonly branch?: string;
  /** Whether its files are wanted, and not only its objects. Default true. */
  readonly checkout?: boolean;
  readonly signal?: AbortSignal;
}

/** Clones an address with the user's own credentials, never asking for one. Throws CloneFailed. */
export async function cloneRemote(request: CloneRemoteRequest): Promise<string> {
  const { url, into, depth, branch, checkout = true, signal } = request;
  if (!isAddress(url))
    throw fail(
      "CloneFailed",
      `${JSON.stringify(url)} is not an address that can be cloned: use https://, ssh://, file:// or user@host:path.`,
    );
  if (branch !== undefined && !isBranchName(branch))
    throw fail("CloneFailed", `${JSON.stringify(branch)} is not a branch name git allows.`);
  await mkdir(into, { recursive: true });
  const only = branch === undefined ? [] : [`--branch=${branch}`];
  const shallow = depth === undefined ? [] : [`--depth=${depth}`];
  const bare = checkout ? [] : ["--no-checkout"];
  const flags = ["--quiet", "--template=", "--no-local", "--no-recurse-submodules", ...shallow, ...only, ...bare];
  const result = await userGit(["clone", ...flags, "--", url, "."], { cwd: into, signal, timeoutMs: CLONE_TIMEOUT_MS });
  if (result.exitCode === 0) return await realpath(into);
  const why = result.timedOut
    ? "it took longer than 10 minutes"
    : result.cancelled
      ? "it was cancelled"
      : complaint(result.stderr);
  throw fail(
    "CloneFailed",
    `Could not clone ${complaint(url)}: ${why}. Check the address, the network and your credentials.`,
  );
}

export interface WhitespaceError {
  readonly path: string;
  readonly line: number;
  readonly message: string;
}

export interface Changes {
  /** Whether `commit` was made on top of `base`; false for an older commit that was checked out, or another history. */
  readonly descends: boolean;
  /** Unified diff; "" when the two commits hold the same files. */
  readonly diff: string;
  /** Whether the middle of a very long diff was cut. */
  readonly truncated: boolean;
  readonly diffStat: { readonly files: readonly FileStat[]; readonly added: number; readonly deleted: number };
  /** Trailing blanks, blank lines at the end, leftover conflict markers. */
  readonly whitespaceErrors: readonly WhitespaceError[];
}

const DIFF = ["diff", ...DIFF_FLAGS] as const;

/** What `commit` in an agent's clone changed since `base`. The clone is not trusted (K2). */
export async function changesSince({
  clone,
  base,
  commit,
}: {
  clone: string;
  base: string;
  commit: string;
}): Promise<Changes> {
  for (const hash of [base, commit]) refuseOdd(hash);
  const shallow = await readFile(join(clone, ".git/shallow"), "utf8").catch(() => undefined);
  await using view = await openView([objectsOfClone(clone)], commit, shallow);
  const descends = (await view.git(["merge-base", "--is-ancestor", base, commit])).exitCode === 0;
  const what = `read what changed since ${base.slice(0, 12)}`;
  const patch = view.git([...DIFF, base, commit, "--"]);
  const numbers = view.git([...DIFF, "--numstat", "-z", base, commit, "--"]);
  const checks = view.git([...DIFF, "--check", base, commit, "--"]);
  const files = parseNumstat(await must(numbers, what));
  const sum = (key: "added" | "deleted") => files.reduce((total, file) => total + file[key], 0);
  const diff = await must(patch, what);
  const diffStat = { files, added: sum("added"), deleted: sum("deleted") };
  return {
    descends,
    diff,
    truncated: (await patch).truncated,
    diffStat,
    whitespaceErrors: parseCheck((await checks).stdout),
  };
}

export const objectsOfClone = (clone: string) => join(resolve(clone), ".git/objects");

/** `path:line: message.` lines of `git diff --check`; the offending lines between them begin with a plus. */
function parseCheck(output: string): readonly WhitespaceError[] {
  return output.split("\n").flatMap((text) => {
    const [, path, line, message] = /^([^+].*?):(\d+): (.+?)\.?$/.exec(text) ?? [];
    return path === undefined || line === undefined || message === undefined
      ? []
      : [{ path, line: Number(line), message }];
  });
}

/** Whether `commit` of a clone merges into `onto` of the source without a conflict; the files in conflict otherwise. */
export async function applies(request: { source: string; clone: string; onto: string; commit: string }) {
  const { source, clone, onto, commit } = request;
  for (const hash of [onto, commit]) refuseOdd(hash);
  const { objects, shallow } = await storeOf(source);
  await using view = await openView([objectsOfClone(clone), objects], commit, shallow);
  const merged = await view.git(["merge-tree", "--write-tree", "--name-only", "--no-messages", "-z", onto, commit]);
  if (merged.exitCode === 0) return { applies: true, conflicts: [] as readonly string[] };
  // 1 is a conflict: the tree's hash, then the files. Anything else is a history that cannot be merged at all.
  return { applies: false, conflicts: merged.exitCode === 1 ? parseList(merged.stdout).slice(1) : [] };
}

/**
 * Brings a clone's commit into the source as a new branch (K3); again with the same commit does nothing. Throws BranchExists when
 * the branch stands elsewhere.
 */
export async function publishBranch(request: {
  source: string;
  clone: string;
  commit: string;
  branch: string;
}): Promise<void> {
  const { source, clone, commit, branch } = request;
  refuseOdd(commit, branch);
  if (await isPublished(source, branch, commit)) return;
  const { objects, shallow } = await storeOf(source);
  await using view = await openView([objectsOfClone(clone), objects], commit, shallow);
  await must(view.git(["update-ref", "refs/heads/publish", commit]), `read the commit ${commit.slice(0, 12)}`);
  await branchFrom(view, source, branch);
}

/** Whether the branch stands on `commit` already. Throws BranchExists when it stands elsewhere. */
export async function isPublished(source: string, branch: string, commit: string): Promise<boolean> {
  const there = await userGit(["rev-parse", "--verify", "--quiet", `refs/heads/${branch}`], { cwd: source });
  if (there.exitCode !== 0 || there.stdout.trim() === commit) return there.exitCode === 0;
  throw fail(
    "BranchExists",
    `The branch ${branch} exists already at ${there.stdout.slice(0, 12)}: delete or rename it.`,
  );
}

/** Objects from an agent's clone are checked: a crafted tree must not reach a repository somebody will check out. */
export const CHECKED = ["-c", "fetch.fsckObjects=true"] as const;

/** One branch and nothing beside it. */
export const FETCH_FLAGS = [
  "--quiet",
  "--no-tags",
  "--no-write-fetch-head",
  "--no-recurse-submodules",
  "--no-prune",
  "--no-auto-maintenance",
] as const;

/** Makes a branch of the source out of a view's branch `publish` (K3). */
export async function branchFrom(view: View, source: string, branch: string): Promise<void> {
  const overrides = [...CHECKED, "-c", "core.logAllRefUpdates=false"];
  const refs = `refs/heads/publish:refs/heads/${branch}`;
  await must(
    userGit([...overrides, "fetch", ...FETCH_FLAGS, "--", view.gitDir, refs], { cwd: source }),
    `make the branch ${branch}`,
  );
}

/**
 * Merges a branch into the one checked out. Throws RepoDirty, MergeConflict (naming the files) or GitFailed; then everything is as
 * it was. Resolves with the commit the branch stands on now.
 */
export async function applyBranch({ source, branch }: { source: string; branch: string }): Promise<string> {
  if (!isBranchName(branch)) throw fail("GitFailed", `${JSON.stringify(branch)} is not a branch name git allows.`);
  const repository = await inspectRepository(source);
  if (repository.kind === "remote")
    throw fail("GitFailed", `${source} is an address: a branch is applied to a work tree.`);
  const { path } = repository;
  const call = { cwd: path };
  const ref = `refs/heads/${branch}`;
  await refuseOverwrite(path, ref);
  const flags = ["--quiet", "--no-edit", "--no-verify", "--no-autostash", "--no-stat", "--no-squash", "--commit"];
  const merged = await userGit(["merge", ...flags, "-m", `Merge branch '${branch}'`, "--", ref], call);
  if (merged.exitCode !== 0) {
    const conflicts = parseList((await userGit(["diff", "--name-only", "--diff-filter=U", "-z"], call)).stdout);
    await userGit(["merge", "--abort"], call);
    if (conflicts.length > 0) {
      throw fail(
        "MergeConflict",
        `${branch} conflicts with your branch in ${named(conflicts)}: nothing was changed; merge it by hand.`,
        { data: { files: conflicts } },
      );
    }
  }
  await must(Promise.resolve(merged), `merge ${branch}`);
  return (await must(userGit(["rev-parse", "--verify", "HEAD"], call), "read the merge")).trim();
}

/** git silently replaces files that .gitignore names when the merged branch brings one of the same name. */
async function refuseOverwrite(path: string, ref: string): Promise<void> {
  const added = parseList(
    await must(
      userGit(["diff", "--name-only", "--no-renames", "--diff-filter=A", "-z", "HEAD", ref, "--"], { cwd: path }),
      "compare the branches",
    ),
  );
  const found = await Promise.all(
    added.map((name) =>
      lstat(join(path, name)).then(
        () => [name],
        () => [],
      ),
    ),
  );
  const files = found.flat();
  if (files.length === 0) return;
  throw fail(
    "MergeConflict",
    `The branch would overwrite your untracked ${named(files)}: nothing was changed; move them away first.`,
    { data: { files } },
  );
}
