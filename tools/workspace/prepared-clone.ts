// A clone that somebody else has made for an agent, made fit for it: on the right commit, with a branch, an author and no way out.
// It is not how clones are made (checkout.ts, depot.ts), and no agent has worked in it yet.

import { lstat, realpath, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fail } from "../errors.ts";
import { type Author, dress, FETCH_FLAGS, refuseOdd } from "./checkout.ts";
import { must, ownGit } from "./host-git.ts";

export interface PreparedClone {
  /** Absolute path of the clone's work tree. */
  readonly path: string;
  /** What a depot's branch has beyond what was cloned (Depot.beyondStart). */
  readonly bytes?: Uint8Array;
  /** Where the agent starts. Default: where the clone stands. */
  readonly base?: string;
  readonly author: Author;
}

/**
 * Puts the clone on its start, on the branch `agent`, without remotes: their addresses may hold the credentials that it was cloned with.
 * Resolves with its real path and the start. Throws NotARepository, GitFailed.
 */
export async function prepareClone(clone: PreparedClone): Promise<{ readonly path: string; readonly base: string }> {
  const path = await realpath(clone.path).catch(() => clone.path);
  if (!(await lstat(join(path, ".git")).catch(() => undefined))?.isDirectory())
    throw fail("NotARepository", `The workspace ${path} holds no clone.`);
  const call = { cwd: path };
  const remotes = (await must(ownGit(["remote"], call), `read the clone in ${path}`)).split("\n").filter(Boolean);
  for (const remote of remotes) await must(ownGit(["remote", "remove", remote], call), "take the clone's remote away");
  if (clone.bytes !== undefined) await unpack(path, clone.bytes);
  const base = clone.base ?? (await must(ownGit(["rev-parse", "--verify", "HEAD"], call), "find its start")).trim();
  refuseOdd(base);
  await must(ownGit(["checkout", "--quiet", "--force", "-B", "agent", base, "--"], call), "go to the agent's start");
  await dress(path, base, clone.author);
  return { path, base };
}

async function unpack(path: string, bytes: Uint8Array): Promise<void> {
  const file = join(path, ".git/beyond.bundle");
  await writeFile(file, bytes);
  try {
    const refs = "refs/heads/*:refs/flotilla/*";
    await must(ownGit(["fetch", ...FETCH_FLAGS, "--", file, refs], { cwd: path }), "unpack the story's branch");
  } finally {
    await rm(file, { force: true });
  }
}
