// Where a depot's repositories come from: a folder of this host or an address, asked with the user's own git. It changes nothing there.

import { realpath } from "node:fs/promises";
import { isAbsolute } from "node:path";
import { fail } from "../errors.ts";
import { complaint, userGit } from "./host-git.ts";
import type { ExecResult } from "./workspace.ts";

/** Where a story's code comes from. */
export interface DepotOrigin {
  /** Absolute path of a repository, or an address. */
  readonly url: string;
  /** Default: what its HEAD names. */
  readonly branch?: string;
}

/** For fetches and pushes, which may have to bring a whole history. */
export const FETCH_TIMEOUT_MS = 600_000;

/** The real path of a repository of this host. Throws RepoNotFound. */
export async function localPath(url: string): Promise<string> {
  const real = isAbsolute(url) ? await realpath(url).catch(() => undefined) : undefined;
  if (real !== undefined) return real;
  const message = `There is no repository at ${named(url)}: give the absolute path of one, or an address (https://, ssh://, file://, user@host:path).`;
  throw fail("RepoNotFound", message);
}

/** Which branch it is, and what it stands on, without fetching anything. Throws CloneFailed, RepoEmpty. */
export async function originTip(origin: DepotOrigin, cwd: string, signal: AbortSignal | undefined) {
  const { url, branch } = origin;
  const wanted = branch === undefined ? "HEAD" : `refs/heads/${branch}`;
  const asked = userGit(["ls-remote", "--symref", "--", url, wanted], { cwd, signal, timeoutMs: FETCH_TIMEOUT_MS });
  const told = await mustClone(asked, origin);
  const head = /^ref: refs\/heads\/(\S+)\tHEAD$/m.exec(told)?.[1];
  const commit = /^([0-9a-f]{40,64})\t/m.exec(told)?.[1];
  const name = branch ?? head;
  if (commit !== undefined && name !== undefined) return { branch: name, commit };
  const what = branch === undefined ? "a branch with commits that its HEAD names" : `the branch ${branch}`;
  throw fail("RepoEmpty", `${named(url)} does not have ${what}.`);
}

/** Stdout of a call that reaches out to an origin. Throws CloneFailed. */
export async function mustClone(result: Promise<ExecResult>, { url }: DepotOrigin): Promise<string> {
  const { exitCode, stdout, stderr, timedOut, cancelled } = await result;
  if (exitCode === 0) return stdout;
  const why = timedOut ? "it took longer than 10 minutes" : cancelled ? "it was cancelled" : complaint(stderr);
  throw fail("CloneFailed", `Could not clone ${named(url)}: ${why}.`);
}

/** Without credentials. */
export const named = (url: string): string => complaint(url);
