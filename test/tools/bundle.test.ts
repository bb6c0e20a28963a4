// Repositories that travel as bundles: whole on the way to an agent, only what is new on the way back, and nothing in them runs or gets further
// than it should.

import { existsSync } from "node:fs";
import { chmod, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { bundleStart, bundleWork, cloneBundle, cloneRemote, publishBundle } from "../../tools/index.ts";
import { snapshot } from "../support/folder-snapshot.ts";
import { makeFolder, makeRepository, type TestRepository } from "../support/git-repository.ts";

const MEGABYTE = 2 ** 20;
const files = { "a.txt": "one\ntwo\n", "dir/b c.txt": "b\n", ".gitattributes": "*.txt filter=x diff=x merge=x\n" };
const author = { name: "Flotilla agent-dev-001", email: "agent-dev-001@flotilla.invalid" };
const branch = "flotilla/t1";

/** Gives a repository every kind of program that git would run in it; tells whether one has run. */
async function arm(path: string, git: TestRepository["git"]): Promise<() => boolean> {
  const [bait, mark] = [join(path, ".git/bait.sh"), join(path, ".git/SPRUNG")];
  await writeFile(bait, `#!/bin/sh\ntouch '${mark}'\ncat\n`);
  await mkdir(join(path, ".git/hooks"), { recursive: true });
  for (const hook of ["post-checkout", "reference-transaction", "pre-push", "post-index-change", "post-rewrite"])
    await writeFile(join(path, ".git/hooks", hook), `#!/bin/sh\ntouch '${mark}'\n`);
  for (const file of [bait, ...(await readdir(join(path, ".git/hooks"))).map((hook) => join(path, ".git/hooks", hook))])
    await chmod(file, 0o755);
  const keys = ["filter.x.clean", "filter.x.smudge", "core.fsmonitor", "core.alternateRefsCommand", "diff.x.textconv"];
  for (const key of keys) await git("-C", path, "config", key, bait);
  await git("-C", path, "config", "uploadpack.packObjectsHook", bait);
  return () => existsSync(mark);
}

/** A repository that holds a submodule, and its start as a bundle. */
async function started(bytesMax = 64 * MEGABYTE) {
  const source = await makeRepository({ files });
  await source.git("update-index", "--add", "--cacheinfo", `160000,${await source.head()},sub`);
  await source.write({ ".gitmodules": '[submodule "sub"]\n\tpath = sub\n\turl = ext::sh -c "touch SPRUNG"\n' });
  await source.git("add", ".gitmodules");
  await source.git("commit", "-qm", "Second");
  const commit = await source.head();
  const start = await bundleStart({ source: source.path, commit, branch, bytesMax });
  return { source, commit, start };
}

/** Writes, commits and answers with the commit. */
async function commitIn(clone: string, git: TestRepository["git"], changed: Readonly<Record<string, string>>) {
  for (const [name, content] of Object.entries(changed)) await writeFile(join(clone, name), content);
  await git("-C", clone, "-c", "filter.x.clean=cat", "-c", "core.hooksPath=/dev/null", "add", "--all");
  await git("-C", clone, "-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false", "commit", "-qm", "Work");
  return git("-C", clone, "rev-parse", "HEAD");
}

test("there and back: hooks, filters and submodules run nowhere, and the user's repository gains one branch", async () => {
  const { source, commit, start } = await started();
  await using _source = source;
  await using folder = await makeFolder();
  const sprungHere = await arm(source.path, source.git);
  const again = await bundleStart({ source: source.path, commit, branch: "flotilla/t2", bytesMax: MEGABYTE });
  expect(Buffer.compare(again.bytes, start.bytes)).not.toBe(0);
  const clone = await cloneBundle({ ...start, branch, commit, author, into: join(folder.path, "clone") });
  expect(await readFile(join(clone, "a.txt"), "utf8")).toBe(files["a.txt"]);
  expect(await source.git("-C", clone, "for-each-ref", "--format=%(refname) %(objectname)")).toBe(
    `refs/heads/agent ${commit}`,
  );
  expect(await source.git("-C", clone, "status", "--porcelain=v2", "--branch")).toContain("# branch.head agent");
  expect(await source.git("-C", clone, "config", "user.name")).toBe(author.name);
  expect([await source.git("-C", clone, "remote"), await readdir(join(clone, "sub"))]).toEqual(["", []]);
  expect(await readdir(folder.path)).toEqual(["clone"]);

  const work = await commitIn(clone, source.git, { "new.txt": "agent\n" });
  const sprungThere = await arm(clone, source.git);
  const bytes = await bundleWork({ clone, base: commit, commit: work, bytesMax: MEGABYTE });
  expect(bytes.length).toBeLessThan(start.bytes.length);
  const before = await snapshot(source.path);
  await publishBundle({ source: source.path, bytes, base: commit, commit: work, branch });
  await publishBundle({ source: source.path, bytes, base: commit, commit: work, branch });
  const gained = Object.entries(await snapshot(source.path)).filter(([path, what]) => before[path] !== what);
  expect(gained.filter(([path]) => !/^\.git\/(objects|refs\/heads\/flotilla)/.test(path))).toEqual([]);
  expect(await source.git("rev-parse", branch)).toBe(work);
  expect([sprungHere(), sprungThere()]).toEqual([false, false]);
});

test("a shallow clone travels as far as it goes", async () => {
  await using source = await makeRepository({ files });
  await source.git("commit", "-q", "--allow-empty", "-m", "Second");
  await using folder = await makeFolder();
  const shallow = await cloneRemote({ url: `file://${source.path}`, into: join(folder.path, "shallow"), depth: 1 });
  const commit = await source.head();
  const start = await bundleStart({ source: shallow, commit, branch, bytesMax: MEGABYTE });
  const clone = await cloneBundle({ ...start, branch, commit, author, into: join(folder.path, "clone") });
  const work = await commitIn(clone, source.git, { "new.txt": "agent\n" });
  const bytes = await bundleWork({ clone, base: commit, commit: work, bytesMax: MEGABYTE });
  await publishBundle({ source: shallow, bytes, base: commit, commit: work, branch });
  expect(await source.git("-C", shallow, "log", "--format=%s", branch)).toBe("Work\nSecond");
});

describe("refused", () => {
  test("what is too large, with what to do", async () => {
    const { source, commit, start } = await started();
    await using _source = source;
    await using folder = await makeFolder();
    const request = { source: source.path, commit, branch };
    await expect(bundleStart({ ...request, bytesMax: 200 })).rejects.toMatchObject({
      code: "RepoTooLarge",
      message: expect.stringMatching(/^\/.+ takes 0\.0 MB to send .+ by an address that the nodes reach, https:/),
    });
    const clone = await cloneBundle({ ...start, branch, commit, author, into: join(folder.path, "clone") });
    const work = await commitIn(clone, source.git, { "new.txt": "agent\n" });
    await expect(bundleWork({ clone, base: commit, commit: work, bytesMax: 100 })).rejects.toMatchObject({
      code: "WorkTooLarge",
    });
  });

  test("work that is not what was announced: another commit, another history, a tree that would write into .git, nonsense", async () => {
    const { source, commit, start } = await started();
    await using _source = source;
    await using folder = await makeFolder();
    const clone = await cloneBundle({ ...start, branch, commit, author, into: join(folder.path, "clone") });
    const git = (...args: string[]) => source.git("-C", clone, ...args);
    const work = await commitIn(clone, source.git, { "new.txt": "agent\n" });
    const bundle = (hash: string) => bundleWork({ clone, base: commit, commit: hash, bytesMax: MEGABYTE });
    // git writes no such tree itself, so its bytes are written by hand.
    const inner = await git("rev-parse", "HEAD^{tree}");
    const tree = Buffer.concat([Buffer.from("40000 .git\0"), Buffer.from(inner, "hex")]);
    await writeFile(join(folder.path, "tree"), tree);
    const hostile = await git("hash-object", "-t", "tree", "-w", "--literally", join(folder.path, "tree"));
    const planted = await git("commit-tree", hostile, "-p", commit, "-m", "Hostile");
    const stranger = await git("commit-tree", inner, "-m", "No parent");
    const before = await source.git("for-each-ref");
    const cases: readonly (readonly [Uint8Array, string, RegExp, RegExp?])[] = [
      [await bundle(work), planted, /holds .+ and not/],
      [await bundle(stranger), stranger, /was not made on top of/],
      [await bundle(planted), planted, /hasDotgit|contains '\.git'/, /^(BundleInvalid|GitFailed)$/],
      [new TextEncoder().encode("nonsense"), work, /refused/],
      [start.bytes, work, /refused/],
    ];
    for (const [bytes, hash, message, code = /^BundleInvalid$/] of cases) {
      const request = { source: source.path, bytes, base: commit, commit: hash, branch };
      const matching = { code: expect.stringMatching(code), message: expect.stringMatching(message) };
      await expect(publishBundle(request)).rejects.toMatchObject(matching);
    }
    expect(await source.git("for-each-ref")).toBe(before);
    await expect(source.git("cat-file", "-e", planted)).rejects.toThrow();
  });
});
