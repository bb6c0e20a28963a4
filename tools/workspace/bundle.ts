// A repository on its way to another machine and an agent's work on its way back, as the bytes of git bundles.
// It sends nothing (whoever calls does) and decides nothing about whose work is wanted.
//
//     the user's repository ── bundleStart ──▶ bytes ──▶ cloneBundle ── an agent's clone on its node
//     the user's new branch ◀─ publishBundle ─ bytes ◀── bundleWork ────────────┘
//
// GB1  A bundle holds one branch, whose name its maker chose; nothing else of it is fetched: no tags, no submodules, no second branch.
// GB2  Work comes from a clone in which an agent ran what it liked. It meets a view of ours first, from which only a commit that was
//      announced, on top of the start, goes on; on that way into the user's repository git checks every object (older gits check none when
//      they read a bundle).
// GB3  The start is checked no more than the user's own clones are: histories with old blemishes are common, and the nodes' clones read
//      nobody's configuration, so what is in it runs nothing.

import { mkdir, readFile, realpath, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fail } from "../errors.ts";
import {
  type Author,
  branchFrom,
  CHECKED,
  dress,
  FETCH_FLAGS,
  isPublished,
  objectsOfClone,
  refuseOdd,
  storeOf,
} from "./checkout.ts";
import { initBorrowing, must, openView, ownGit, type View } from "./host-git.ts";

/** All history of a repository up to one commit, ready to be cloned elsewhere. */
export interface StartBundle {
  readonly bytes: Uint8Array;
  /** Where the history is cut off, when the repository is a shallow clone: cloneBundle needs it. */
  readonly shallow: string | undefined;
}

export interface StartRequest {
  /** Work tree of the repository. */
  readonly source: string;
  /** Full hash. */
  readonly commit: string;
  /** Name of the bundle's only branch. With another name the bytes differ, so that each has a blob of its own. */
  readonly branch: string;
  readonly bytesMax: number;
}

/** Bundles everything that `commit` needs. Throws RepoTooLarge, GitFailed. */
export async function bundleStart({ source, commit, branch, bytesMax }: StartRequest): Promise<StartBundle> {
  refuseOdd(commit, branch);
  const { objects, shallow } = await storeOf(source);
  await using view = await openView([objects], commit, shallow);
  const bytes = await bundleOf(view, commit, branch, []);
  if (bytes.length <= bytesMax) return { bytes, shallow };
  const message = `${source} takes ${megabytes(bytes.length)} to send and nodes take ${megabytes(bytesMax)}: name it by an address that the nodes reach, https:// or ssh://.`;
  throw fail("RepoTooLarge", message, { data: { bytes: bytes.length, bytesMax } });
}

const megabytes = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(bytes < 10 * 2 ** 20 ? 1 : 0)} MB`;

async function bundleOf(view: View, commit: string, branch: string, without: readonly string[]): Promise<Uint8Array> {
  const ref = `refs/heads/${branch}`;
  const file = join(view.gitDir, "out.bundle");
  await must(view.git(["update-ref", ref, commit]), `read the commit ${commit.slice(0, 12)}`);
  await must(view.git(["bundle", "create", "--quiet", file, ref, ...without]), `bundle ${commit.slice(0, 12)}`);
  return await readFile(file);
}

export interface CloneBundleRequest extends StartBundle {
  /** The name it was bundled under. */
  readonly branch: string;
  readonly commit: string;
  /** Folder to make; its parent exists. */
  readonly into: string;
  readonly author: Author;
}

/** An agent's own clone, as cloneForAgent makes it, out of a bundle. Resolves with its real path. Throws GitFailed. */
export async function cloneBundle(request: CloneBundleRequest): Promise<string> {
  const { bytes, shallow, branch, commit, into, author } = request;
  refuseOdd(commit, branch);
  await mkdir(into, { recursive: true });
  const path = await realpath(into);
  await initBorrowing(path, [], commit, ["--initial-branch=agent"]);
  if (shallow !== undefined) await writeFile(join(path, ".git/shallow"), shallow);
  const file = `${path}.bundle`;
  await writeFile(file, bytes);
  try {
    const refs = `refs/heads/${branch}:refs/heads/agent`;
    // The branch it stands on has no commit yet, and no files that could be out of step with it.
    const fetch = ownGit(["fetch", ...FETCH_FLAGS, "--update-head-ok", "--", file, refs], { cwd: path });
    await must(fetch, "unpack the repository that was sent");
  } finally {
    await rm(file, { force: true });
  }
  await dress(path, commit, author);
  return path;
}

const WORK = "work";

/** Bundles what lies between the start and an agent's commit. The clone is not trusted (K2). Throws WorkTooLarge, GitFailed. */
export async function bundleWork(request: {
  readonly clone: string;
  readonly base: string;
  readonly commit: string;
  readonly bytesMax: number;
}): Promise<Uint8Array> {
  const { clone, base, commit, bytesMax } = request;
  for (const hash of [base, commit]) refuseOdd(hash);
  const shallow = await readFile(join(clone, ".git/shallow"), "utf8").catch(() => undefined);
  await using view = await openView([objectsOfClone(clone)], commit, shallow);
  const bytes = await bundleOf(view, commit, WORK, [`^${base}`]);
  if (bytes.length <= bytesMax) return bytes;
  const message = `The agent's commit takes ${megabytes(bytes.length)} to send and ${megabytes(bytesMax)} can be sent: it has probably committed files that were built or downloaded.`;
  throw fail("WorkTooLarge", message, { data: { bytes: bytes.length, bytesMax } });
}

/**
 * Brings an agent's bundled work into the source as a new branch, as publishBranch does (K3, GB2). Throws BranchExists, BundleInvalid when
 * the bundle does not hold `commit` on top of `base`, and BundleInvalid or GitFailed, as git is new or old, for objects it finds fault with.
 */
export async function publishBundle(request: {
  readonly source: string;
  readonly bytes: Uint8Array;
  readonly base: string;
  readonly commit: string;
  readonly branch: string;
}): Promise<void> {
  const { source, bytes, base, commit, branch } = request;
  for (const hash of [base, commit]) refuseOdd(hash, branch);
  if (await isPublished(source, branch, commit)) return;
  const { objects, shallow } = await storeOf(source);
  await using view = await openView([objects], commit, shallow);
  const file = join(view.gitDir, "in.bundle");
  await writeFile(file, bytes);
  const fetch = ["fetch", ...FETCH_FLAGS, "--", file, `refs/heads/${WORK}:refs/heads/publish`];
  const refused = (why: string) => fail("BundleInvalid", `The work that a node sent is refused: ${why}.`);
  await must(view.git([...CHECKED, ...fetch]), "read the work that a node sent").catch((error: Error) => {
    throw refused(error.message.replace(/\.$/, ""));
  });
  const tip = (await view.git(["rev-parse", "--verify", "refs/heads/publish"])).stdout.trim();
  if (tip !== commit) throw refused(`it holds ${tip.slice(0, 12)} and not ${commit.slice(0, 12)}, which was announced`);
  if ((await view.git(["merge-base", "--is-ancestor", base, commit])).exitCode !== 0)
    throw refused(`${commit.slice(0, 12)} was not made on top of ${base.slice(0, 12)}`);
  await branchFrom(view, source, branch);
}
