// What the user may name as a repository, and the sentence each bad one gets.

import { existsSync } from "node:fs";
import { chmod, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { inspectRepository } from "../../tools/index.ts";
import { snapshot } from "../support/folder-snapshot.ts";
import { makeFolder, makeRepository } from "../support/git-repository.ts";

const files = { "a.txt": "one\ntwo\nthree\n", "dir/b.txt": "b\n" };

describe("inspectRepository", () => {
  test("describes a clean repository and its untracked files", async () => {
    await using repository = await makeRepository({ files });
    await repository.write({ "new ü.txt": "x", "folder/x": "x" });
    const before = await snapshot(repository.path);
    expect(await inspectRepository(repository.path)).toEqual({
      kind: "local",
      path: repository.path,
      head: await repository.head(),
      branch: "main",
      dirtyFiles: [],
      untrackedFiles: ["folder/", "new ü.txt"],
    });
    expect(await snapshot(repository.path)).toEqual(before);
  });

  test("follows a link to a repository and knows a detached HEAD", async () => {
    await using repository = await makeRepository({ files });
    await using folder = await makeFolder();
    await repository.git("checkout", "-q", "--detach");
    await symlink(repository.path, join(folder.path, "link"));
    expect(await inspectRepository(join(folder.path, "link"))).toMatchObject({ path: repository.path, branch: null });
  });

  test.each(["https://example.com/x.git", "ssh://git@host/x", "git@host.example:me/x.git", "file:///srv/x.git"])(
    "%s is an address",
    async (url) => {
      expect(await inspectRepository(url)).toEqual({ kind: "remote", url });
    },
  );

  test("each bad one gets its code and a sentence that says what to do", async () => {
    await using folder = await makeFolder();
    await using repository = await makeRepository({ files });
    await using empty = await makeRepository({ files, commit: false });
    await repository.git("clone", "-q", "--bare", ".", join(folder.path, "bare.git"));
    await writeFile(join(folder.path, "file"), "");
    await repository.write({ "a.txt": "changed\n" });
    const refused = (path: string) =>
      inspectRepository(path).then(
        () => expect.unreachable(path),
        (error: { code: string; message: string }) => `${error.code}: ${error.message}`,
      );
    expect(await refused(join(folder.path, "none"))).toMatch(/^RepoNotFound: There is no folder .*: name an existing/);
    expect(await refused("")).toMatch(/^RepoNotFound/);
    expect(await refused("ext::sh -c id")).toMatch(/^RepoNotFound/);
    expect(await refused("ftp://host/x")).toMatch(/^RepoNotFound: .*ftp:\/\/.*use https/);
    expect(await refused(folder.path)).toMatch(/^NotARepository: .* is not a git repository: run git init/);
    expect(await refused(join(folder.path, "file"))).toMatch(/^NotARepository: .* is a file/);
    expect(await refused(join(repository.path, "dir"))).toMatch(/^NotARepository: .* inside the repository .*: name/);
    expect(await refused(join(repository.path, ".git"))).toMatch(/^NotARepository: .* git's own folder/);
    expect(await refused(join(folder.path, "bare.git"))).toMatch(/^RepoBare: .*: clone it/);
    expect(await refused(empty.path)).toMatch(/^RepoEmpty: .* no commits yet: make a first commit/);
    expect(await refused(repository.path)).toMatch(/^RepoDirty: .* uncommitted changes in a\.txt: commit or stash/);
    expect(await inspectRepository(repository.path, { allowDirty: true })).toMatchObject({ dirtyFiles: ["a.txt"] });
  });

  test("a hostile monitor or hook of the repository does not run", async () => {
    await using repository = await makeRepository({ files });
    const mark = join(repository.path, "SPRUNG");
    await writeFile(join(repository.path, "bait.sh"), `#!/bin/sh\ntouch ${mark}\n`);
    await chmod(join(repository.path, "bait.sh"), 0o755);
    await repository.git("config", "core.fsmonitor", join(repository.path, "bait.sh"));
    await inspectRepository(repository.path);
    expect(existsSync(mark)).toBe(false);
  });
});
