// The runner's own copies of repositories: each a bare repository of ours, in which the branches of stories grow by what agents have committed.
// It is not the user's repository, which gains one branch when a story is delivered and nothing before.
//
//     <folder>/repositories/<hash>.git    refs/flotilla/start/<story>    where the story's branch began
//                                         refs/flotilla/story/<story>    its branch, as it is now
//                                         refs/flotilla/merged/<job>     the branch after that job's work was merged
//     <folder>/workspaces/<job>           a clone for an agent; borrows the objects above (checkout.ts, K4)
//
// DP1  A story's branch begins once, at the commit that its origin's branch has then, and only grows.
// DP2  What came from an agent is let in as publishBundle does (GB2); it is merged without a work tree, so no attribute, filter or hook runs.
// DP3  A job's work is merged once: its answer and the branch move in one transaction. What conflicts changes nothing.
// DP4  The origin is written by `deliver` only, and only forwards.
// DP5  What a story's branch has beyond its origin is kept outside as well (StoryMemory), before anybody is told that it was merged: a depot of
//      another machine, or one that has missed something, brings it up to that before it is used.

import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fail } from "../errors.ts";
import { isBranchName, parseList } from "../git/index.ts";
import { publishBundle } from "./bundle.ts";
import { type Author, CHECKED, cloneForAgent, FETCH_FLAGS, refuseOdd } from "./checkout.ts";
import { type DepotOrigin, FETCH_TIMEOUT_MS, localPath, mustClone, named, originTip } from "./depot-origin.ts";
import { removeFolder } from "./folder-removal.ts";
import { initBorrowing, must, openView, ownGit, userGit } from "./host-git.ts";
import { isAddress } from "./repository.ts";

/** A story and where its code comes from: what every question to a depot names. 1 to 64 letters, digits, _ and -. */
export interface DepotStory {
  readonly storyId: string;
  readonly origin: DepotOrigin;
}

export interface DepotClone {
  readonly jobId: string;
  readonly author: Author;
  readonly isWhole?: boolean;
  readonly signal?: AbortSignal;
}

export interface StoryTip {
  /** Commit that the story's branch stands on. */
  readonly commit: string;
  /** Where it began. */
  readonly start: string;
}

/** Where the branches of stories outlive a depot's machine (DP5). */
export interface StoryMemory {
  /** `bytes`: the bundle that was saved with it. */
  load(storyId: string): Promise<(StoryTip & { readonly bytes?: Uint8Array }) | undefined>;
  /** In place of what was saved before. */
  save(storyId: string, tip: StoryTip, bytes: Uint8Array | undefined): Promise<void>;
}

export interface DepotWork {
  readonly jobId: string;
  /** The agent's commit, what it was made on, and the bundle that holds it (bundleWork). */
  readonly commit: string;
  readonly base: string;
  readonly bytes: Uint8Array;
  /** Of the merge commit, where one is needed. */
  readonly message: string;
}

export type DepotMerge =
  | { readonly kind: "merged"; readonly commit: string; readonly branch: string }
  | { readonly kind: "conflict"; readonly files: readonly string[] };

const FLEET: Author = { name: "Flotilla", email: "fleet@flotilla.invalid" };
/** Another process may move the branch in between; more often than this it is a defect. */
const MERGES_MAX = 5;

/** Name of a story's branch in its origin. */
export const storyBranch = (storyId: string): string => `flotilla/${storyId}`;
const storyRef = (storyId: string) => `refs/flotilla/story/${storyId}`;
const startRef = (storyId: string) => `refs/flotilla/start/${storyId}`;
const mergedRef = (jobId: string) => `refs/flotilla/merged/${jobId}`;

export class Depot {
  readonly #folder: string;
  /** What is done in a repository at a time. */
  readonly #turns = new Map<string, Promise<unknown>>();
  readonly #opened = new Set<string>();
  /** Stories that were compared with what is kept outside. */
  readonly #known = new Set<string>();
  readonly #memory: StoryMemory | undefined;

  /** `folder`: made when it is needed. One living depot at a time has it. Without a memory branches live as long as the folder. */
  constructor(folder: string, memory?: StoryMemory) {
    this.#folder = folder;
    this.#memory = memory;
  }

  /**
   * The story's branch, begun if it is not (DP1). Throws RepoNotFound (no such folder), RepoEmpty (no such branch), CloneFailed (what git
   * says), GitMissing.
   */
  async story(story: DepotStory, signal?: AbortSignal): Promise<StoryTip> {
    const path = await this.#pathOf(story.origin);
    const key = `${path} ${story.storyId}`;
    const known = this.#known.has(key) ? await this.#tip(path, story) : undefined;
    if (known !== undefined) return known;
    const tip = await this.#inTurn(path, () => this.#open(path, story, signal));
    this.#known.add(key);
    return tip;
  }

  /**
   * A clone for one agent, on the story's branch. The same job again: a new one in its place. `isWhole`: with all of its objects, for who sees
   * nothing of this host but the clone. Throws as `story` does, GitFailed.
   */
  async workspace(story: DepotStory, clone: DepotClone): Promise<{ readonly path: string; readonly base: string }> {
    const { jobId, author, isWhole = false, signal } = clone;
    const { commit: base } = await this.story(story, signal);
    const into = this.workspacePath(jobId);
    await removeFolder(into);
    const source = await this.#pathOf(story.origin);
    const path = await cloneForAgent({ source, into, commit: base, author });
    if (!isWhole) return { path, base };
    const repack = ["repack", "-a", "-d", "--quiet"];
    await must(ownGit(repack, { cwd: path, signal, timeoutMs: FETCH_TIMEOUT_MS }), "copy the repository's objects");
    await rm(join(path, ".git/objects/info/alternates"), { force: true });
    return { path, base };
  }

  workspacePath(jobId: string): string {
    return join(this.#folder, "workspaces", jobId);
  }

  async removeWorkspace(jobId: string): Promise<void> {
    await removeFolder(this.workspacePath(jobId));
  }

  /** Jobs whose workspaces are there. */
  async workspaces(): Promise<readonly string[]> {
    return readdir(join(this.#folder, "workspaces")).catch(() => []);
  }

  /** A bundle of what the story's branch has beyond its start, for who has cloned the origin; undefined when that is nothing. */
  async beyondStart(story: DepotStory, tip: StoryTip): Promise<Uint8Array | undefined> {
    const { start, commit } = tip;
    if (start === commit) return undefined;
    return this.#bundle(await this.#pathOf(story.origin), tip);
  }

  async #bundle(path: string, { start, commit }: StoryTip): Promise<Uint8Array> {
    await using view = await openView([join(path, "objects")], commit, await shallowOf(path));
    const file = join(view.gitDir, "out.bundle");
    await must(view.git(["update-ref", `refs/heads/${BEYOND}`, commit]), "read the story's branch");
    const create = ["bundle", "create", "--quiet", file, `refs/heads/${BEYOND}`, `^${start}`];
    await must(view.git(create), "bundle the story's branch");
    return await readFile(file);
  }

  /** Merges an agent's commit into its story's branch (DP2, DP3). Throws BundleInvalid, GitFailed, and as `story` does. */
  async integrate(story: DepotStory, work: DepotWork): Promise<DepotMerge> {
    await this.story(story);
    const path = await this.#pathOf(story.origin);
    return this.#inTurn(path, async () => {
      const merged = await this.#merge(path, story, work);
      if (merged.kind === "merged") await this.#keep(path, story);
      return merged;
    });
  }

  /**
   * Puts the story's branch into its origin as storyBranch names it (DP4). Throws BranchExists when the origin's has something else,
   * GitFailed, and as `story` does.
   */
  async deliver(story: DepotStory): Promise<{ readonly branch: string; readonly commit: string }> {
    const { commit } = await this.story(story);
    const path = await this.#pathOf(story.origin);
    const branch = storyBranch(story.storyId);
    const refs = `${storyRef(story.storyId)}:refs/heads/${branch}`;
    await this.#inTurn(path, async () => {
      const { url } = story.origin;
      // Told to be quiet, git refuses without a word.
      const flags = FETCH_FLAGS.filter((flag) => flag !== "--quiet");
      const fetch = [...CHECKED, "-c", "core.logAllRefUpdates=false", "fetch", ...flags, "--", path, refs];
      const given = isAddress(url)
        ? await userGit(["push", "--quiet", "--", url, refs], { cwd: path, timeoutMs: FETCH_TIMEOUT_MS })
        : await userGit(fetch, { cwd: url });
      if (/non-fast-forward|fetch first|\[rejected\]/.test(given.stderr))
        throw fail("BranchExists", `The branch ${branch} of ${named(url)} holds something else: delete or rename it.`);
      await must(Promise.resolve(given), `put the branch ${branch} into ${named(url)}`);
    });
    return { branch, commit };
  }

  /** The story's branch as it is here or is kept outside, whichever has more; begun where there is neither. */
  async #open(path: string, story: DepotStory, signal: AbortSignal | undefined): Promise<StoryTip> {
    const here = await this.#tip(path, story);
    const kept = await this.#memory?.load(story.storyId);
    if (here !== undefined && (kept === undefined || (await this.#holds(path, here.commit, kept.commit)))) return here;
    const head = await this.#fetch(path, story.origin, kept?.start, signal);
    if (kept === undefined) {
      const tip = { commit: head, start: head };
      await this.#memory?.save(story.storyId, tip, undefined);
      return this.#place(path, story, tip);
    }
    if (kept.bytes !== undefined) await this.#unpack(path, kept.bytes, kept.commit);
    return this.#place(path, story, { commit: kept.commit, start: kept.start });
  }

  /** Brings the origin's branch, which has to hold `wanted`; resolves with what it stands on. */
  async #fetch(
    path: string,
    origin: DepotOrigin,
    wanted: string | undefined,
    signal: AbortSignal | undefined,
  ): Promise<string> {
    const { branch, commit } = await originTip(origin, this.#folder, signal);
    await initBorrowing(path, [], commit, ["--bare"]);
    const ref = `refs/flotilla/origin/${branch}`;
    const flags = [...FETCH_FLAGS, "--update-shallow", "--force"];
    const call = { cwd: path, signal, timeoutMs: FETCH_TIMEOUT_MS };
    const fetch = ["fetch", ...flags, "--", origin.url, `+refs/heads/${branch}:${ref}`];
    await mustClone(userGit([`--git-dir=${path}`, ...fetch], call), origin);
    // It may have moved since it was asked.
    const head = await this.#resolve(path, ref);
    if (head !== undefined && (wanted === undefined || (await this.#holds(path, head, wanted)))) return head;
    const what =
      wanted === undefined ? "did not arrive" : `no longer holds ${wanted.slice(0, 12)}, where the story began`;
    throw fail("GitFailed", `The branch ${branch} of ${named(origin.url)} ${what}.`);
  }

  async #unpack(path: string, bytes: Uint8Array, commit: string): Promise<void> {
    const file = join(path, "beyond.bundle");
    await writeFile(file, bytes);
    const refs = `+refs/heads/${BEYOND}:${KEPT_REF}`;
    await must(git(path, ["fetch", ...FETCH_FLAGS, "--", file, refs]), "unpack a story's branch").finally(() =>
      rm(file),
    );
    if ((await this.#resolve(path, KEPT_REF)) !== commit)
      throw fail("GitFailed", `What was kept of a story's branch does not hold ${commit.slice(0, 12)}.`);
  }

  async #place(path: string, { storyId }: DepotStory, tip: StoryTip): Promise<StoryTip> {
    await this.#update(path, [`update ${storyRef(storyId)} ${tip.commit}`, `update ${startRef(storyId)} ${tip.start}`]);
    return tip;
  }

  /** DP5 */
  async #keep(path: string, story: DepotStory): Promise<void> {
    const tip = await this.#tip(path, story);
    if (this.#memory === undefined || tip === undefined) return;
    if ((await this.#memory.load(story.storyId))?.commit === tip.commit) return;
    const bytes = tip.start === tip.commit ? undefined : await this.#bundle(path, tip);
    await this.#memory.save(story.storyId, tip, bytes);
  }

  async #merge(path: string, { storyId }: DepotStory, work: DepotWork): Promise<DepotMerge> {
    const { jobId, commit, base, bytes } = work;
    refuseOdd(commit);
    refuseOdd(base);
    const branch = storyBranch(storyId);
    const before = await this.#resolve(path, mergedRef(jobId));
    if (before !== undefined) return { kind: "merged", commit: before, branch };
    const arrived = `work/${jobId}`;
    await publishBundle({ source: path, bytes, base, commit, branch: arrived });
    for (let tries = 1; ; tries++) {
      const tip = await this.#resolve(path, storyRef(storyId));
      if (tip === undefined) throw fail("GitFailed", `The branch of story ${storyId} is gone.`);
      const merged = await this.#together(path, tip, work);
      const gone = `delete refs/heads/${arrived}`;
      if (merged.kind === "conflict") {
        await this.#update(path, [gone]);
        return merged;
      }
      const moves = [
        `update ${storyRef(storyId)} ${merged.commit} ${tip}`,
        `create ${mergedRef(jobId)} ${merged.commit}`,
      ];
      try {
        await this.#update(path, [...moves, gone]);
        return { ...merged, branch };
      } catch (error) {
        if (tries >= MERGES_MAX) throw error;
      }
    }
  }

  /** One commit that holds both: the later of the two where one holds the other, else a merge (DP2). */
  async #together(
    path: string,
    tip: string,
    { commit, message }: DepotWork,
  ): Promise<Exclude<DepotMerge, { kind: "merged" }> | { readonly kind: "merged"; readonly commit: string }> {
    if (await this.#holds(path, commit, tip)) return { kind: "merged", commit };
    if (await this.#holds(path, tip, commit)) return { kind: "merged", commit: tip };
    const tree = await git(path, ["merge-tree", "--write-tree", "--name-only", "--no-messages", "-z", tip, commit]);
    const [hash = "", ...files] = parseList(tree.stdout);
    if (tree.exitCode === 1) return { kind: "conflict", files };
    await must(Promise.resolve(tree), "merge an agent's commit");
    const env = Object.fromEntries(
      ["AUTHOR", "COMMITTER"].flatMap((who) => [
        [`GIT_${who}_NAME`, FLEET.name],
        [`GIT_${who}_EMAIL`, FLEET.email],
      ]),
    );
    const made = git(path, ["commit-tree", hash, "-p", tip, "-p", commit, "-m", message], { env });
    return { kind: "merged", commit: (await must(made, "make the merge commit")).trim() };
  }

  /** Whether `one` is `other` or was made on top of it. */
  async #holds(path: string, one: string, other: string): Promise<boolean> {
    return (await git(path, ["merge-base", "--is-ancestor", other, one])).exitCode === 0;
  }

  async #tip(path: string, { storyId }: DepotStory): Promise<StoryTip | undefined> {
    const refs = [storyRef(storyId), startRef(storyId)];
    const told = await git(path, ["for-each-ref", "--format=%(refname) %(objectname)", ...refs]);
    const commits = new Map(told.stdout.split("\n").map((line) => line.split(" ") as [string, string | undefined]));
    const [commit, start] = refs.map((ref) => commits.get(ref));
    return commit === undefined || start === undefined ? undefined : { commit, start };
  }

  async #resolve(path: string, ref: string): Promise<string | undefined> {
    const found = await git(path, ["rev-parse", "--verify", "--quiet", ref]);
    return found.exitCode === 0 ? found.stdout.trim() : undefined;
  }

  /** All of it or nothing. */
  async #update(path: string, lines: readonly string[]): Promise<void> {
    const stdin = `${["start", ...lines, "prepare", "commit"].join("\n")}\n`;
    await must(git(path, ["update-ref", "--stdin"], { stdin }), "move the story's branch");
  }

  /** Where the copy of a repository is; its folder is there when this resolves. Throws RepoNotFound, CloneFailed. */
  async #pathOf({ url, branch }: DepotOrigin): Promise<string> {
    if (branch !== undefined && !isBranchName(branch))
      throw fail("CloneFailed", `${JSON.stringify(branch)} is not a branch name git allows.`);
    const key = isAddress(url) ? url : await localPath(url);
    const hash = createHash("sha256").update(key).digest("hex").slice(0, 24);
    const path = join(this.#folder, "repositories", `${hash}.git`);
    if (this.#opened.has(path)) return path;
    await mkdir(path, { recursive: true });
    await removeLocks(join(path, "refs"));
    this.#opened.add(path);
    return path;
  }

  #inTurn<T>(path: string, run: () => Promise<T>): Promise<T> {
    const done = (this.#turns.get(path) ?? Promise.resolve()).then(run, run);
    this.#turns.set(path, done);
    return done;
  }
}

/** Name of the only branch in what `beyondStart` gives. */
const BEYOND = "story";
const KEPT_REF = "refs/flotilla/kept";

const git = (path: string, args: readonly string[], call: { stdin?: string; env?: Record<string, string> } = {}) =>
  ownGit([`--git-dir=${path}`, ...args], { cwd: path, ...call });

const shallowOf = (path: string): Promise<string | undefined> =>
  readFile(join(path, "shallow"), "utf8").catch(() => undefined);

/** What a ref's writer leaves that was killed: nobody else would ever write that ref again. */
async function removeLocks(refs: string): Promise<void> {
  const names = await readdir(refs, { recursive: true }).catch((): string[] => []);
  const locks = names.filter((name) => name.endsWith(".lock"));
  await Promise.all(locks.map((name) => rm(join(refs, name), { force: true })));
}
