// The runner's copies of repositories: real git on real folders, and what agents and crashes can do to them.

import { existsSync } from "node:fs";
import { chmod, mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import { bundleWork, Depot, type DepotStory } from "../../../tools/index.ts";
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

const gitIn = async (cwd: string, ...args: string[]) => (await must(ownGit(args, { cwd }), args.join(" "))).trim();

/** What an agent hands in that has written these files in its workspace. */
async function workOf({ depot, story }: Place, jobId: string, files: Readonly<Record<string, string>>) {
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
  const { path } = await depot.workspace(story, { jobId: "looker", author });
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

it.concurrent("work that fits moves the branch; work on an older state is merged with it; the next agent starts from both", async () => {
  await using place = await makePlace();
  const { depot, story, origin } = place;
  const [one, two] = [await workOf(place, "j1", { "b.txt": "b\n" }), await workOf(place, "j2", { "c.txt": "c\n" })];
  expect(await depot.integrate(story, one)).toEqual({ kind: "merged", commit: one.commit, branch: "flotilla/s1" });
  const merged = await depot.integrate(story, two);
  expect(merged).toMatchObject({ kind: "merged", branch: "flotilla/s1" });
  expect((await depot.story(story)).commit).toBe(merged.kind === "merged" && merged.commit);
  expect(await filesOf(place)).toBe("a.txt\nb.txt\nc.txt");
  expect(await origin.git("for-each-ref", "--format=%(refname)")).toBe("refs/heads/main");
});

it.concurrent("DP3: the same job again gets the same answer, in another life as well; what conflicts changes nothing and names the files", async () => {
  await using place = await makePlace();
  const { depot, story, folder } = place;
  const [one, two] = [await workOf(place, "j1", { "a.txt": "one\n" }), await workOf(place, "j2", { "a.txt": "two\n" })];
  const merged = await depot.integrate(story, one);
  expect(await depot.integrate(story, two)).toEqual({ kind: "conflict", files: ["a.txt"] });
  expect(await new Depot(folder).integrate(story, two)).toEqual({ kind: "conflict", files: ["a.txt"] });
  expect(await new Depot(folder).integrate(story, one)).toEqual(merged);
  expect((await depot.story(story)).commit).toBe(one.commit);
});

it.concurrent("many jobs of one story at once are merged one after the other, each once", async () => {
  await using place = await makePlace();
  const works = [];
  for (const name of ["b", "c", "d", "e"]) works.push(await workOf(place, `j-${name}`, { [`${name}.txt`]: name }));
  const merged = await Promise.all(works.map((work) => place.depot.integrate(place.story, work)));
  expect(merged.map(({ kind }) => kind)).toEqual(works.map(() => "merged"));
  expect(await filesOf(place)).toBe("a.txt\nb.txt\nc.txt\nd.txt\ne.txt");
});

it.concurrent("DP2: bytes that are not what was announced are refused, and the branch stays", async () => {
  await using place = await makePlace();
  const { depot, story, origin } = place;
  const work = await workOf(place, "j1", { "b.txt": "b\n" });
  const other = await workOf(place, "j2", { "c.txt": "c\n" });
  const invalid = { code: "BundleInvalid" };
  await expect(depot.integrate(story, { ...work, bytes: new Uint8Array(9) })).rejects.toMatchObject(invalid);
  await expect(depot.integrate(story, { ...work, bytes: other.bytes })).rejects.toMatchObject(invalid);
  await expect(depot.integrate(story, { ...work, base: other.commit })).rejects.toMatchObject(invalid);
  await expect(depot.integrate(story, { ...work, commit: "HEAD" })).rejects.toMatchObject({ code: "GitFailed" });
  expect((await depot.story(story)).commit).toBe(await origin.head());
  expect(await depot.integrate(story, work)).toMatchObject({ kind: "merged" });
});

it.concurrent("DP2: attributes that an agent commits run nothing when work is merged", async () => {
  await using place = await makePlace();
  const evil = `touch ${place.folder}/ran`;
  const attributes = "* filter=evil merge=evil\n";
  const one = await workOf(place, "j1", { ".gitattributes": attributes, "a.txt": "a\nmore\n" });
  const { path, base } = await place.depot.workspace(place.story, { jobId: "j2", author });
  await gitIn(path, "config", "merge.evil.driver", evil);
  await gitIn(path, "config", "filter.evil.smudge", evil);
  const two = { jobId: "j2", base, message: "Merge", ...(await commitIn(path, base, { "b.txt": "b\n" })) };
  await place.depot.integrate(place.story, one);
  expect(await place.depot.integrate(place.story, two)).toMatchObject({ kind: "merged" });
  await filesOf(place);
  expect(existsSync(`${place.folder}/ran`)).toBe(false);
});

it.concurrent("what the branch has beyond its start travels as a bundle, and is nothing at first", async () => {
  await using place = await makePlace();
  const { depot, story, origin } = place;
  expect(await depot.beyondStart(story, await depot.story(story))).toBeUndefined();
  const work = await workOf(place, "j1", { "b.txt": "b\n" });
  await depot.integrate(story, work);
  const bytes = await depot.beyondStart(story, await depot.story(story));
  await writeFile(join(place.folder, "beyond.bundle"), bytes ?? "");
  expect(await origin.git("bundle", "list-heads", join(place.folder, "beyond.bundle"))).toContain(work.commit);
});

it.concurrent("DP4: delivering makes or moves one branch of the origin, twice is once, and touches nothing else", async () => {
  await using place = await makePlace();
  const { depot, story, origin } = place;
  const head = await origin.head();
  await depot.integrate(story, await workOf(place, "j1", { "b.txt": "b\n" }));
  const first = await depot.deliver(story);
  expect(await depot.deliver(story)).toEqual(first);
  await depot.integrate(story, await workOf(place, "j2", { "c.txt": "c\n" }));
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
  await using place = await makePlace();
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

it.concurrent("a workspace is gone when it is removed, whatever modes were left in it", async () => {
  await using place = await makePlace();
  const { depot, story } = place;
  const { path } = await depot.workspace(story, { jobId: "j1", author });
  await mkdir(join(path, "locked/in"), { recursive: true });
  await writeFile(join(path, "locked/in/file"), "x");
  await chmod(join(path, "locked"), 0o500);
  expect(await depot.workspaces()).toEqual(["j1"]);
  await depot.removeWorkspace("j1");
  await depot.removeWorkspace("j1");
  expect(await depot.workspaces()).toEqual([]);
});
