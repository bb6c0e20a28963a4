// Cloning for agents, reading what they did, publishing and applying it: on real repositories, with the user's compared byte for byte.

import { existsSync } from "node:fs";
import { appendFile, chmod, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import {
  applies,
  applyBranch,
  changesSince,
  cloneForAgent,
  cloneRemote,
  inspectRepository,
  publishBranch,
} from "../../tools/index.ts";
import { snapshot } from "../support/folder-snapshot.ts";
import { makeFolder, makeRepository, type TestRepository } from "../support/git-repository.ts";

const files = { "a.txt": "one\ntwo\nthree\n", "dir/b.txt": "b\n" };

/** An agent's clone with one commit on top that writes `changed`. */
async function workOf(source: TestRepository, into: string, changed: Readonly<Record<string, string>>) {
  const base = await source.head();
  const clone = await cloneForAgent({
    source: source.path,
    into,
    commit: base,
    author: { name: "Agent", email: "agent@x.invalid" },
  });
  for (const [name, content] of Object.entries(changed)) await writeFile(join(clone, name), content);
  await source.git("-C", clone, "add", "--all");
  await source.git("-C", clone, "commit", "-q", "-m", "Work");
  return { clone, base, commit: await source.git("-C", clone, "rev-parse", "HEAD") };
}

describe("cloneForAgent", () => {
  test("16 at once: each stands on the commit, with its own configuration and without remotes; the source is as it was", async () => {
    await using source = await makeRepository({ files });
    await source.write({ "untracked.txt": "mine" });
    await using folder = await makeFolder();
    const before = await snapshot(source.path);
    const commit = await source.head();
    const numbers = Array.from({ length: 16 }, (_, index) => index);
    const clones = await Promise.all(
      numbers.map((number) =>
        cloneForAgent({
          source: source.path,
          into: join(folder.path, `c${number}`),
          commit,
          author: { name: `agent ${number}`, email: "a@x" },
        }),
      ),
    );
    for (const [number, clone] of clones.entries()) {
      expect(await readFile(join(clone, "a.txt"), "utf8")).toBe(files["a.txt"]);
      expect(await source.git("-C", clone, "status", "--porcelain=v2", "--branch")).toBe(
        `# branch.oid ${commit}\n# branch.head agent`,
      );
      expect(await source.git("-C", clone, "remote")).toBe("");
      expect(await source.git("-C", clone, "config", "user.name")).toBe(`agent ${number}`);
      expect(await source.git("-C", clone, "branch", "--list", "--all", "--format=%(refname)")).toBe(
        "refs/heads/agent",
      );
      expect(await readdir(join(clone, ".git/hooks"))).toEqual([]);
    }
    expect(await snapshot(source.path)).toEqual(before);
  });

  test("borrows from a work tree of a repository and from a shallow one", async () => {
    await using source = await makeRepository({ files });
    await source.git("commit", "-q", "--allow-empty", "-m", "Second");
    await using folder = await makeFolder();
    await source.git("worktree", "add", "-q", "-b", "side", join(folder.path, "tree"));
    await source.git("clone", "-q", "--depth=1", `file://${source.path}`, join(folder.path, "shallow"));
    for (const name of ["tree", "shallow"]) {
      const from = { ...source, path: join(folder.path, name), head: () => source.head() };
      const { clone, base, commit } = await workOf(from, join(folder.path, `${name}-clone`), { "a.txt": "new\n" });
      expect((await changesSince({ clone, base, commit })).diffStat).toMatchObject({ added: 1, deleted: 3 });
      await publishBranch({ source: from.path, clone, commit, branch: `flotilla/${name}` });
      expect(await source.git("-C", from.path, "rev-parse", `flotilla/${name}`)).toBe(commit);
    }
  });

  test("refuses a commit that is not there, or that is an option", async () => {
    await using source = await makeRepository({ files });
    await using folder = await makeFolder();
    for (const commit of ["0".repeat(40), "main", "--upload-pack=x"]) {
      await expect(
        cloneForAgent({ source: source.path, into: join(folder.path, "c"), commit }),
        commit,
      ).rejects.toMatchObject({ code: "GitFailed" });
    }
  });
});

describe("changesSince and applies", () => {
  test("gives the diff, its numbers and the blanks somebody left", async () => {
    await using source = await makeRepository({ files });
    await using folder = await makeFolder();
    const work = await workOf(source, join(folder.path, "c"), {
      "a.txt": "one \ntwo\nthree\n",
      "n: 1: x": "<<<<<<< a\n",
    });
    const changes = await changesSince(work);
    expect(changes.diff).toContain("-one\n+one ");
    expect(changes.diffStat).toEqual({
      files: [
        { path: "a.txt", added: 1, deleted: 1, binary: false },
        { path: "n: 1: x", added: 1, deleted: 0, binary: false },
      ],
      added: 2,
      deleted: 1,
    });
    expect(changes.whitespaceErrors[0]).toEqual({ path: "a.txt", line: 1, message: "trailing whitespace" });
    expect(changes.whitespaceErrors[1]?.message).toBe("leftover conflict marker");
    expect(await changesSince({ ...work, commit: work.base })).toMatchObject({ diff: "", whitespaceErrors: [] });
  });

  test("says whether the work merges into where the source stands now, and which files conflict", async () => {
    await using source = await makeRepository({ files });
    await using folder = await makeFolder();
    const { clone, base, commit } = await workOf(source, join(folder.path, "c"), { "a.txt": "ONE\ntwo\nthree\n" });
    expect(await applies({ source: source.path, clone, onto: base, commit })).toEqual({ applies: true, conflicts: [] });
    await source.write({ "dir/b.txt": "other\n" });
    await source.git("commit", "-qam", "Elsewhere");
    expect(await applies({ source: source.path, clone, onto: await source.head(), commit })).toEqual({
      applies: true,
      conflicts: [],
    });
    await source.write({ "a.txt": "EINS\ntwo\nthree\n" });
    await source.git("commit", "-qam", "Same line");
    expect(await applies({ source: source.path, clone, onto: await source.head(), commit })).toEqual({
      applies: false,
      conflicts: ["a.txt"],
    });
  });

  test("a clone that an agent has made hostile runs nothing and hides nothing", async () => {
    await using source = await makeRepository({ files });
    await using folder = await makeFolder();
    const { clone, base, commit } = await workOf(source, join(folder.path, "c"), {
      "a.txt": "evil\n",
      ".gitattributes": "* diff=x filter=x merge=x\n",
    });
    const mark = join(folder.path, "SPRUNG");
    const bait = join(clone, "bait.sh");
    await writeFile(bait, `#!/bin/sh\ntouch ${mark}\ncat\n`);
    await chmod(bait, 0o755);
    const keys = [
      "core.fsmonitor",
      "diff.external",
      "diff.x.command",
      "diff.x.textconv",
      "filter.x.clean",
      "merge.x.driver",
      "uploadpack.packObjectsHook",
      "core.alternateRefsCommand",
    ];
    await appendFile(
      join(clone, ".git/config"),
      keys
        .map((key) => `[${key.replace(/\.(\w+)$/, "]\n\t$1").replace(/^(\w+)\.x\]/, '$1 "x"]')} = ${bait}\n`)
        .join(""),
    );
    expect(await source.git("-C", clone, "config", "diff.x.textconv")).toBe(bait);
    // From here on git refuses to work in the clone at all: whoever reads it in place fails.
    await appendFile(join(clone, ".git/config"), "[core]\n\trepositoryformatversion = 99\n");
    await mkdir(join(clone, ".git/hooks"), { recursive: true });
    for (const hook of ["reference-transaction", "post-checkout"]) {
      await writeFile(join(clone, ".git/hooks", hook), `#!/bin/sh\ntouch ${mark}\n`);
      await chmod(join(clone, ".git/hooks", hook), 0o755);
    }
    // A replaced commit would show a reviewer something else than what is published.
    await mkdir(join(clone, ".git/refs/replace"), { recursive: true });
    await writeFile(join(clone, ".git/refs/replace", commit), `${base}\n`);
    expect((await changesSince({ clone, base, commit })).diff).toContain("+evil");
    expect(await applies({ source: source.path, clone, onto: base, commit })).toMatchObject({ applies: true });
    await publishBranch({ source: source.path, clone, commit, branch: "flotilla/t" });
    expect(existsSync(mark)).toBe(false);
  });
});

describe("publishBranch", () => {
  test("adds one branch and objects, and nothing else; twice is once; another commit is refused", async () => {
    await using source = await makeRepository({ files });
    await source.write({ "untracked.txt": "mine", "a.txt": "being edited\n" });
    await source.git("update-index", "--assume-unchanged", "dir/b.txt");
    await using folder = await makeFolder();
    const before = await snapshot(source.path);
    const { clone, commit } = await workOf(source, join(folder.path, "c"), { "a.txt": "agent\n" });
    const request = { source: source.path, clone, commit, branch: "flotilla/task-1" };
    await publishBranch(request);
    await publishBranch(request);
    const after = await snapshot(source.path);
    for (const [path, content] of Object.entries(before)) expect(after[path], path).toBe(content);
    const added = Object.keys(after).filter((path) => before[path] === undefined && !path.startsWith(".git/objects/"));
    expect(added.sort()).toEqual([".git/refs/heads/flotilla", ".git/refs/heads/flotilla/task-1"]);
    // The branch is whole without the clone.
    await rm(clone, { recursive: true });
    expect(await source.git("show", "flotilla/task-1:a.txt")).toBe("agent");
    expect(await source.git("fsck", "--strict", "--no-dangling")).toBe("");
    const other = await workOf(source, join(folder.path, "d"), { "a.txt": "other\n" });
    await expect(publishBranch({ ...request, clone: other.clone, commit: other.commit })).rejects.toMatchObject({
      code: "BranchExists",
    });
    for (const branch of ["--force", "a..b", "HEAD", ""])
      await expect(publishBranch({ ...request, branch })).rejects.toMatchObject({ code: "GitFailed" });
  });

  test("does not run the user's hooks", async () => {
    await using source = await makeRepository({ files });
    await using folder = await makeFolder();
    const mark = join(folder.path, "SPRUNG");
    await mkdir(join(source.path, ".git/hooks"), { recursive: true });
    await writeFile(join(source.path, ".git/hooks/reference-transaction"), `#!/bin/sh\ntouch ${mark}\n`);
    const { clone, commit } = await workOf(source, join(folder.path, "c"), { "a.txt": "agent\n" });
    await chmod(join(source.path, ".git/hooks/reference-transaction"), 0o755);
    await publishBranch({ source: source.path, clone, commit, branch: "flotilla/t" });
    expect(existsSync(mark)).toBe(false);
  });
});

describe("applyBranch", () => {
  async function published(source: TestRepository, folder: string, changed: Readonly<Record<string, string>>) {
    const { clone, commit } = await workOf(source, join(folder, "c"), changed);
    await publishBranch({ source: source.path, clone, commit, branch: "flotilla/t" });
    await source.git("config", "user.name", "User");
    await source.git("config", "user.email", "user@x.invalid");
    return commit;
  }
  const state = async (source: TestRepository) => [
    await source.head(),
    await source.git("status", "--porcelain=v2", "--branch"),
    await source.git("ls-files", "-s"),
    await source.git("for-each-ref"),
  ];

  test("moves forward, or merges with what the user did meanwhile", async () => {
    await using source = await makeRepository({ files });
    await using folder = await makeFolder();
    const commit = await published(source, folder.path, { "a.txt": "agent\n" });
    expect(await applyBranch({ source: source.path, branch: "flotilla/t" })).toBe(commit);
    await source.git("reset", "-q", "--hard", "HEAD~1");
    await source.write({ "dir/b.txt": "user\n", "untracked.txt": "mine" });
    await source.git("commit", "-qam", "User");
    await applyBranch({ source: source.path, branch: "flotilla/t" });
    expect(await readFile(join(source.path, "a.txt"), "utf8")).toBe("agent\n");
    expect(await source.git("log", "-1", "--format=%s by %an")).toBe("Merge branch 'flotilla/t' by User");
  });

  test("a conflict names the files and leaves everything as it was", async () => {
    await using source = await makeRepository({ files });
    await using folder = await makeFolder();
    await published(source, folder.path, { "a.txt": "agent\n" });
    await source.write({ "a.txt": "user\n", "untracked.txt": "mine" });
    await source.git("commit", "-qam", "User");
    const before = await state(source);
    await expect(applyBranch({ source: source.path, branch: "flotilla/t" })).rejects.toMatchObject({
      code: "MergeConflict",
      message: expect.stringContaining("a.txt"),
      data: { files: ["a.txt"] },
    });
    expect(await state(source)).toEqual(before);
    expect(existsSync(join(source.path, ".git/MERGE_HEAD"))).toBe(false);
  });

  test("refuses a dirty tree, an untracked or ignored file in the way, and a branch that is not there", async () => {
    await using source = await makeRepository({ files: { ...files, ".gitignore": "ignored.txt\n" } });
    await using folder = await makeFolder();
    const { clone } = await workOf(source, join(folder.path, "c"), { "new.txt": "agent\n", "ignored.txt": "agent\n" });
    await source.git("-C", clone, "add", "-f", "ignored.txt");
    await source.git("-C", clone, "commit", "-q", "--amend", "--no-edit");
    const commit = await source.git("-C", clone, "rev-parse", "HEAD");
    await publishBranch({ source: source.path, clone, commit, branch: "flotilla/t" });
    const apply = (branch = "flotilla/t") => applyBranch({ source: source.path, branch });
    for (const name of ["new.txt", "ignored.txt"]) {
      await source.write({ [name]: "mine" });
      await expect(apply()).rejects.toMatchObject({ code: "MergeConflict", message: expect.stringContaining(name) });
      expect(await readFile(join(source.path, name), "utf8")).toBe("mine");
      await rm(join(source.path, name));
    }
    await expect(apply("none")).rejects.toMatchObject({ code: "GitFailed" });
    await source.write({ "a.txt": "dirty" });
    await expect(apply()).rejects.toMatchObject({ code: "RepoDirty" });
  });
});

describe("cloneRemote", () => {
  test("clones an address, whole or shallow, and the clone serves agents", async () => {
    await using source = await makeRepository({ files });
    await source.git("commit", "-q", "--allow-empty", "-m", "Second");
    await using folder = await makeFolder();
    const url = `file://${source.path}`;
    const path = await cloneRemote({ url, into: join(folder.path, "whole") });
    expect(await inspectRepository(path)).toMatchObject({ kind: "local", head: await source.head(), branch: "main" });
    const shallow = await cloneRemote({ url, into: join(folder.path, "shallow"), depth: 1 });
    expect(await source.git("-C", shallow, "rev-list", "--count", "HEAD")).toBe("1");
  });

  test("what cannot be cloned says why, without credentials", async () => {
    await using folder = await makeFolder();
    const clone = (url: string) => cloneRemote({ url, into: join(folder.path, "c") });
    await expect(clone("file:///nowhere/x.git")).rejects.toMatchObject({
      code: "CloneFailed",
      message: expect.stringContaining("/nowhere/x.git"),
    });
    const refused = await clone("https://user:hunter2@127.0.0.1:1/x.git").catch((error: Error) => error.message);
    expect(refused).toContain("127.0.0.1");
    expect(refused).not.toContain("hunter2");
    for (const url of ["ext::sh -c id", "--upload-pack=x", "https://-x/y", "git@-oProxyCommand=x:y"]) {
      await expect(clone(url), url).rejects.toMatchObject({ code: "CloneFailed" });
    }
    await expect(
      cloneRemote({ url: "file:///x", into: join(folder.path, "d"), signal: AbortSignal.abort() }),
    ).rejects.toMatchObject({ code: "CloneFailed" });
  });
});
