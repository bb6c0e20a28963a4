// The runner's copies of repositories: real git on real folders, and what agents and crashes can do to them.

import { existsSync } from "node:fs";
import { chmod, mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import {
  bundleWork,
  Depot,
  type DepotStory,
  prepareClone,
  type StoryMemory,
  type StoryTip,
} from "../../../tools/index.ts";
import { must, ownGit } from "../../../tools/workspace/host-git.ts";
import { makeFolder, makeRepository, type TestRepository } from "../../support/git-repository.ts";

const author = { name: "Agent", email: "agent@flotilla.invalid" };

interface Place extends AsyncDisposable {
  readonly origin: TestRepository;
  readonly folder: string;
  readonly depot: Depot;
  readonly story: DepotStory;
}

async function makePlace(files: Readonly<Record<string, string>> = { "a.txt": "a\n" }): Promise<Place> {
  const origin = await makeRepository({ files });
  const folder = await makeFolder("flotilla-depot-");
  return {
    origin,
    folder: folder.path,
    depot: new Depot(folder.path),
    story: { storyId: "s1", origin: { url: origin.path } },
    async [Symbol.asyncDispose]() {
      await origin[Symbol.asyncDispose]();
      await folder[Symbol.asyncDispose]();
    },
  };
}

let shared: Place;
beforeAll(async () => {
  shared = await makePlace();
});
afterAll(() => shared[Symbol.asyncDispose]());

/** A story of its own on what several tests share, and jobs of its own by their names. */
const placeOf = (storyId: string): Place => ({
  ...shared,
  story: { ...shared.story, storyId },
  [Symbol.asyncDispose]: async () => {},
});

const gitIn = async (cwd: string, ...args: string[]) => (await must(ownGit(args, { cwd }), args.join(" "))).trim();

/** What an agent hands in that has written these files in its workspace. */
async function workOf({ depot, story }: Place, name: string, files: Readonly<Record<string, string>>) {
  const jobId = `${story.storyId}-${name}`;
  const { path, base } = await depot.workspace(story, { jobId, author });
  return { jobId, base, message: `Merge ${jobId}`, ...(await commitIn(path, base, files)) };
}

async function commitIn(path: string, base: string, files: Readonly<Record<string, string>>) {
  for (const [name, text] of Object.entries(files)) await writeFile(join(path, name), text);
  await gitIn(path, "add", "--all");
  await gitIn(path, "commit", "--quiet", "--message", "Work");
  const commit = await gitIn(path, "rev-parse", "HEAD");
  return { commit, bytes: await bundleWork({ clone: path, base, commit, bytesMax: 2 ** 26 }) };
}

/** Files of the story's branch as the next agent gets them. */
async function filesOf({ depot, story }: Place): Promise<string> {
  const { path } = await depot.workspace(story, { jobId: `${story.storyId}-looker`, author });
  return gitIn(path, "ls-files");
}

it.concurrent("DP1: a story begins at its origin's branch and does not move with it; the next one begins where the origin is then", async () => {
  await using place = await makePlace();
  const { depot, origin, story, folder } = place;
  const first = await origin.head();
  expect(await depot.story(story)).toEqual({ commit: first, start: first });
  await origin.git("commit", "--quiet", "--allow-empty", "--message", "Second");
  await origin.git("branch", "other", first);
  expect((await new Depot(folder).story(story)).commit).toBe(first);
  expect((await depot.story({ ...story, storyId: "s2" })).commit).toBe(await origin.head());
  const other = { storyId: "s3", origin: { ...story.origin, branch: "other" } };
  expect((await depot.story(other)).commit).toBe(first);
});

it.concurrent("work moves the branch, each job's once, several at once too; what conflicts changes nothing and names the files", async () => {
  const place = placeOf("fits");
  const { depot, story, origin, folder } = place;
  const [one, two] = [await workOf(place, "j1", { "b.txt": "b\n" }), await workOf(place, "j2", { "c.txt": "c\n" })];
  const against = await workOf(place, "j3", { "b.txt": "other\n" });
  const merged = await Promise.all([depot.integrate(story, one), depot.integrate(story, two)]);
  const commits = merged.map((each) => (each.kind === "merged" ? each.commit : each.files));
  const { commit: tip } = await depot.story(story);
  expect(commits).toContain(tip);
  // The one that came first needed no merge.
  expect([one.commit, two.commit].filter((commit) => commits.includes(commit))).toHaveLength(1);
  for (const life of [depot, new Depot(folder)]) {
    expect(await life.integrate(story, against)).toEqual({ kind: "conflict", files: ["b.txt"] });
    expect(await life.integrate(story, one)).toEqual(merged[0]);
    expect((await life.story(story)).commit).toBe(tip);
  }
  expect(await filesOf(place)).toBe("a.txt\nb.txt\nc.txt");
  expect(await origin.git("for-each-ref", "--format=%(refname)")).toBe("refs/heads/main");
});

it.concurrent("DP2: bytes that are not what was announced are refused, and the branch stays", async () => {
  const place = placeOf("bytes");
  const { depot, story, origin } = place;
  const work = await workOf(place, "j1", { "b.txt": "b\n" });
  const invalid = { code: "BundleInvalid" };
  await expect(depot.integrate(story, { ...work, bytes: new Uint8Array(9) })).rejects.toMatchObject(invalid);
  await expect(depot.integrate(story, { ...work, commit: work.base })).rejects.toMatchObject(invalid);
  await expect(depot.integrate(story, { ...work, base: "1".repeat(40) })).rejects.toMatchObject(invalid);
  await expect(depot.integrate(story, { ...work, commit: "HEAD" })).rejects.toMatchObject({ code: "GitFailed" });
  expect((await depot.story(story)).commit).toBe(await origin.head());
  expect(await depot.integrate(story, work)).toMatchObject({ kind: "merged" });
});

it.concurrent("DP2: attributes that an agent commits run nothing when work is merged", async () => {
  const place = placeOf("attributes");
  const evil = `touch ${place.folder}/ran`;
  const attributes = "* filter=evil merge=evil\n";
  const one = await workOf(place, "j1", { ".gitattributes": attributes, "a.txt": "a\nmore\n" });
  const { path, base } = await place.depot.workspace(place.story, { jobId: "attributes-j2", author });
  await gitIn(path, "config", "merge.evil.driver", evil);
  await gitIn(path, "config", "filter.evil.smudge", evil);
  const two = { jobId: "attributes-j2", base, message: "Merge", ...(await commitIn(path, base, { "b.txt": "b\n" })) };
  await place.depot.integrate(place.story, one);
  expect(await place.depot.integrate(place.story, two)).toMatchObject({ kind: "merged" });
  await filesOf(place);
  expect(existsSync(`${place.folder}/ran`)).toBe(false);
});

it.concurrent("what the branch has beyond its start travels as a bundle to who has cloned the origin; nothing at first", async () => {
  const place = placeOf("beyond");
  const { depot, story, origin } = place;
  expect(await depot.beyondStart(story, await depot.story(story))).toBeUndefined();
  const work = await workOf(place, "j1", { "b.txt": "b\n" });
  await depot.integrate(story, work);
  const bytes = await depot.beyondStart(story, await depot.story(story));
  const path = join(place.folder, "cloned");
  await origin.git("clone", "--quiet", origin.path, path);
  const clone = { path, author, base: work.commit, ...(bytes !== undefined && { bytes }) };
  expect(await prepareClone(clone)).toEqual({ path, base: work.commit });
  const state = [await gitIn(path, "rev-parse", "agent"), await gitIn(path, "remote"), await gitIn(path, "ls-files")];
  expect(state).toEqual([work.commit, "", "a.txt\nb.txt"]);
});

it.concurrent("DP5: a depot of another machine goes on where this one was, and one that missed something catches up", async () => {
  await using place = await makePlace();
  const { story, origin, folder } = place;
  const kept = new Map<string, StoryTip & { readonly bytes?: Uint8Array }>();
  const memory: StoryMemory = {
    load: async (storyId) => kept.get(storyId),
    save: async (storyId, tip, bytes) => void kept.set(storyId, { ...tip, ...(bytes !== undefined && { bytes }) }),
  };
  const open = (name: string) => ({ ...place, depot: new Depot(join(folder, name), memory) });
  const one = open("one");
  await one.depot.integrate(story, await workOf(one, "j1", { "b.txt": "b\n" }));
  await origin.git("commit", "--quiet", "--allow-empty", "--message", "Later");
  const other = open("other");
  expect(await other.depot.story(story)).toEqual(await one.depot.story(story));
  await other.depot.integrate(story, await workOf(other, "j2", { "c.txt": "c\n" }));
  const back = open("one");
  expect(await back.depot.story(story)).toEqual(await other.depot.story(story));
  expect(await filesOf(back)).toBe("a.txt\nb.txt\nc.txt");
});

it.concurrent("DP4: delivering makes or moves one branch of the origin, twice is once, and touches nothing else", async () => {
  await using place = await makePlace();
  const { depot, story, origin } = place;
  const head = await origin.head();
  const first = await depot.deliver(story);
  expect(await depot.deliver(story)).toEqual(first);
  await depot.integrate(story, await workOf(place, "j1", { "b.txt": "b\n" }));
  const second = await depot.deliver(story);
  expect(second.branch).toBe("flotilla/s1");
  expect(await origin.git("rev-parse", second.branch)).toBe(second.commit);
  expect(await origin.git("merge-base", second.branch, first.commit)).toBe(first.commit);
  expect([await origin.head(), await origin.git("status", "--porcelain")]).toEqual([head, ""]);
  await origin.git("branch", "--force", "flotilla/s1", await origin.git("commit-tree", "HEAD^{tree}", "-m", "Theirs"));
  const theirs = await origin.git("rev-parse", "flotilla/s1");
  await expect(depot.deliver(story)).rejects.toMatchObject({ code: "BranchExists" });
  expect(await origin.git("rev-parse", "flotilla/s1")).toBe(theirs);
});

it.concurrent("an address is cloned, and delivered to by a push", async () => {
  await using place = await makePlace();
  const bare = join(place.folder, "origin.git");
  await place.origin.git("clone", "--quiet", "--bare", place.origin.path, bare);
  const story = { storyId: "far", origin: { url: `file://${bare}` } };
  const far = { ...place, story };
  const work = await workOf(far, "j1", { "b.txt": "b\n" });
  await place.depot.integrate(story, work);
  const { branch, commit } = await place.depot.deliver(story);
  expect(await gitIn(bare, `--git-dir=${bare}`, "rev-parse", `refs/heads/${branch}`)).toBe(commit);
  expect(await place.depot.deliver(story)).toEqual({ branch, commit });
});

it.concurrent("what cannot be cloned is refused with its reason", async () => {
  const place = placeOf("bad");
  const { depot, folder, origin } = place;
  await mkdir(join(folder, "empty"));
  const cases: readonly (readonly [string, string | undefined, string])[] = [
    [join(folder, "none"), undefined, "RepoNotFound"],
    ["relative/path", undefined, "RepoNotFound"],
    ["ext::sh -c true", undefined, "RepoNotFound"],
    [join(folder, "empty"), undefined, "CloneFailed"],
    [`file://${folder}/none`, undefined, "CloneFailed"],
    [origin.path, "no-such-branch", "RepoEmpty"],
    [origin.path, "--upload-pack=x", "CloneFailed"],
  ];
  for (const [url, branch, code] of cases) {
    const story = { storyId: "bad", origin: { url, ...(branch !== undefined && { branch }) } };
    await expect(depot.story(story)).rejects.toMatchObject({ code });
  }
});

it.concurrent("a lock that a killed git left does not hold the branch for ever", async () => {
  await using place = await makePlace();
  const { story, folder } = place;
  const work = await workOf(place, "j1", { "b.txt": "b\n" });
  const [repository = ""] = await readdir(join(folder, "repositories"));
  await writeFile(join(folder, "repositories", repository, "refs/flotilla/story/s1.lock"), "");
  expect(await new Depot(folder).integrate(story, work)).toMatchObject({ kind: "merged" });
});

it.concurrent("a whole workspace borrows nothing; one is gone when it is removed, whatever modes were left in it", async () => {
  await using place = await makePlace();
  const { depot, story } = place;
  const { path } = await depot.workspace(story, { jobId: "j1", author, isWhole: true });
  expect(existsSync(join(path, ".git/objects/info/alternates"))).toBe(false);
  expect(await gitIn(path, "show", "HEAD:a.txt")).toBe("a");
  await mkdir(join(path, "locked/in"), { recursive: true });
  await writeFile(join(path, "locked/in/file"), "x");
  await chmod(join(path, "locked"), 0o500);
  expect(await depot.workspaces()).toEqual(["j1"]);
  await depot.removeWorkspace("j1");
  await depot.removeWorkspace("j1");
  expect(await depot.workspaces()).toEqual([]);
});
