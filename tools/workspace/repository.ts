// What a user named when they named a repository: a work tree that agents can start from, an address to clone, or a clear refusal.
// It changes nothing, not even the index's cached times.

import { lstat, realpath } from "node:fs/promises";
import { resolve } from "node:path";
import { fail } from "../errors.ts";
import { parseStatus } from "../git/index.ts";
import { complaint, must, userGit } from "./host-git.ts";

/** A repository to work on. `remote` has only its address so far: `cloneRemote` makes it local. */
export type Repository =
  | { readonly kind: "remote"; readonly url: string }
  | {
      readonly kind: "local";
      /** Absolute real path of the work tree. */
      readonly path: string;
      /** Full hash of the commit the work tree stands on. */
      readonly head: string;
      /** Null when HEAD is detached. */
      readonly branch: string | null;
      /** Tracked files that differ from HEAD; empty unless `allowDirty` was given. */
      readonly dirtyFiles: readonly string[];
      /** Untracked files and folders: agents do not see them. */
      readonly untrackedFiles: readonly string[];
    };

/** An address git may clone from: https, ssh in both forms, or file. No part of it may begin with a dash. */
export const isAddress = (text: string): boolean => ADDRESS.test(text);

const ADDRESS = /^(?:(?:https|ssh|file):\/\/[^\s-]|[\w.]+@\w[\w.-]*:[^\s-])\S*$/;
const NAMED_MAX = 5;

/**
 * What `pathOrUrl` names. Throws RepoNotFound, NotARepository, RepoBare, RepoEmpty, or RepoDirty (tracked files changed: agents
 * start from the commit, so the changes would be missing from their work) unless `allowDirty`.
 */
export async function inspectRepository(
  pathOrUrl: string,
  options: { readonly allowDirty?: boolean } = {},
): Promise<Repository> {
  if (isAddress(pathOrUrl)) return { kind: "remote", url: pathOrUrl };
  const scheme = /^([\w.+-]+):\/\//.exec(pathOrUrl)?.[1];
  if (scheme !== undefined) {
    throw fail(
      "RepoNotFound",
      `Addresses that begin with ${scheme}:// are not taken; use https://, ssh://, file:// or user@host:path.`,
    );
  }
  const path = await workTreeAt(pathOrUrl);
  const head = await userGit(["rev-parse", "--verify", "--quiet", "HEAD^{commit}"], { cwd: path });
  if (head.exitCode !== 0) {
    throw fail("RepoEmpty", `${path} has no commits yet: make a first commit, then run the task again.`);
  }
  const flags = [
    "--porcelain=v2",
    "--branch",
    "-z",
    "--untracked-files=normal",
    "--no-renames",
    "--ignore-submodules=all",
  ];
  const status = parseStatus(
    await must(
      userGit(["status", ...flags], { cwd: path, env: { GIT_OPTIONAL_LOCKS: "0" } }),
      `read the state of ${path}`,
    ),
  );
  const untrackedFiles = status.entries.filter(({ kind }) => kind === "untracked").map((entry) => entry.path);
  const dirtyFiles = status.entries.filter(({ kind }) => kind !== "untracked").map((entry) => entry.path);
  if (dirtyFiles.length > 0 && options.allowDirty !== true) throw dirty(path, dirtyFiles);
  return { kind: "local", path, head: head.stdout.trim(), branch: status.branch, dirtyFiles, untrackedFiles };
}

const dirty = (path: string, files: readonly string[]) =>
  fail("RepoDirty", `${path} has uncommitted changes in ${named(files)}: commit or stash them first.`, {
    data: { files },
  });

/** The first names of a list, for a message. */
export function named(files: readonly string[]): string {
  const rest = files.length - NAMED_MAX;
  return rest > 0 ? `${files.slice(0, NAMED_MAX).join(", ")} and ${rest} more` : files.join(", ");
}

/** The work tree whose top is `folder`, as a real path. */
async function workTreeAt(folder: string): Promise<string> {
  const path = folder === "" ? undefined : await realpath(resolve(folder)).catch(() => undefined);
  if (path === undefined)
    throw fail(
      "RepoNotFound",
      `There is no folder ${JSON.stringify(folder)}: name an existing git repository or its address.`,
    );
  if (!(await lstat(path)).isDirectory())
    throw fail("NotARepository", `${folder} is a file: name the folder of a git repository.`);
  const asked = await userGit(["rev-parse", "--is-bare-repository", "--is-inside-git-dir"], { cwd: path });
  if (asked.exitCode !== 0) {
    const why = /dubious ownership/.test(asked.stderr)
      ? `belongs to another user, so git refuses it (${complaint(asked.stderr)})`
      : "is not a git repository: run git init and commit there, or name another folder";
    throw fail("NotARepository", `${path} ${why}.`);
  }
  const [bare, inside] = asked.stdout.trim().split("\n");
  if (bare === "true")
    throw fail("RepoBare", `${path} is a bare repository, without files to work on: clone it and name the clone.`);
  if (inside === "true") throw fail("NotARepository", `${path} is git's own folder: name the folder that holds it.`);
  const top = await realpath(
    (await must(userGit(["rev-parse", "--show-toplevel"], { cwd: path }), `find the top of ${path}`)).replace(
      /\n$/,
      "",
    ),
  );
  if (top !== path)
    throw fail("NotARepository", `${path} is a folder inside the repository ${top}: name the repository itself.`);
  return path;
}
