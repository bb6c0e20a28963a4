// The git tools against real repositories: what they answer and what they refuse. Hostile checkouts are git-hostile.test.ts.

import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { systemClock, systemRandom } from "../../runtime/index.ts";
import { isBranchName, isRevision } from "../../tools/git/hardening.ts";
import { gitTools } from "../../tools/git/index.ts";
import { parseLog, parseNumstat, parseStatus } from "../../tools/git/parse.ts";
import { openProcessWorkspace, ToolFailure } from "../../tools/index.ts";
import { callGit as call } from "../support/git-call.ts";
import { makeRepository } from "../support/git-repository.ts";

const files = { "a.txt": "one\ntwo\n", "dir/b c.txt": "b\n" };

describe("the ten tools", () => {
  test("status, add, commit, log and diff tell one story", async () => {
    await using repository = await makeRepository({ files });
    const first = await repository.head();
    await repository.write({ "a.txt": "one\nzwei\n", "-odd ü\n.txt": "x\n" });
    expect((await call(repository, "status")).data).toMatchObject({
      head: first,
      branch: "main",
      entries: [
        { path: "a.txt", kind: "changed", index: ".", worktree: "M" },
        { path: "-odd ü\n.txt", kind: "untracked" },
      ],
    });
    const diff = await call(repository, "diff");
    expect(diff.content).toContain("-two\n+zwei");
    expect(diff.data).toEqual({ files: [{ path: "a.txt", added: 1, deleted: 1, binary: false }] });
    await expect(call(repository, "commit", { message: "Early" })).rejects.toMatchObject({ code: "nothing-to-commit" });
    expect((await call(repository, "add", { paths: ["a.txt"] })).data).toEqual({ staged: ["a.txt"] });
    const message = "# Not a comment\n\n--amend\n$(touch x)";
    const committed = await call(repository, "commit", { message });
    expect(committed.data).toEqual({ commit: await repository.head(), files: ["a.txt"] });
    const log = await call(repository, "log", { maxCount: 1, paths: ["a.txt"] });
    expect(log.data?.commits).toMatchObject([
      {
        commit: await repository.head(),
        parents: [first],
        author: "Flotilla agent",
        email: "agent@flotilla.invalid",
        message,
      },
    ]);
    expect((await call(repository, "diff", { from: "HEAD~1", to: "HEAD" })).data).toEqual(diff.data);
    expect((await call(repository, "diff", { staged: true })).content).toBe("No differences.");
  });

  test("the identity of a commit is the clone's own, never the user's", async () => {
    await using repository = await makeRepository({ files });
    await repository.git("config", "user.name", "Flotilla agent dev-1");
    await repository.git("config", "user.email", "dev-1@flotilla.invalid");
    await repository.write({ n: "n\n" });
    await call(repository, "add", { paths: ["n"] });
    await call(repository, "commit", { message: "n" });
    expect(await repository.git("log", "-1", "--format=%an <%ae> %cn <%ce>")).toBe(
      "Flotilla agent dev-1 <dev-1@flotilla.invalid> Flotilla agent dev-1 <dev-1@flotilla.invalid>",
    );
  });

  test("branch and checkout make, list, switch and restore", async () => {
    await using repository = await makeRepository({ files });
    const head = await repository.head();
    expect((await call(repository, "branch", { create: "topic/x" })).data).toEqual({
      branches: [
        { name: "main", commit: head, current: true },
        { name: "topic/x", commit: head, current: false },
      ],
    });
    expect((await call(repository, "checkout", { ref: "topic/x" })).data).toEqual({ branch: "topic/x", head });
    expect((await call(repository, "checkout", { create: "other" })).data).toEqual({ branch: "other", head });
    expect((await call(repository, "checkout", { ref: head })).data).toEqual({ branch: null, head });
    await repository.write({ "a.txt": "spoilt" });
    await call(repository, "checkout", { paths: ["a.txt"] });
    expect(await readFile(join(repository.path, "a.txt"), "utf8")).toBe(files["a.txt"]);
  });

  test("add stages deletions and folders, and refuses ignored files", async () => {
    await using repository = await makeRepository({ files: { ...files, ".gitignore": "*.log\n" } });
    await repository.git("rm", "-q", "--cached", "a.txt");
    await repository.write({ "dir/new": "n", "x.log": "x" });
    expect((await call(repository, "add", { paths: ["dir"] })).data).toEqual({ staged: ["a.txt", "dir/new"] });
    await expect(call(repository, "add", { paths: ["x.log"] })).rejects.toMatchObject({ code: "git-failed" });
  });

  test("add takes no repository inside the tree for a file, and leaves an empty submodule alone", async () => {
    await using repository = await makeRepository({ files });
    await repository.git("init", "-q", "inner");
    await repository.git("-C", "inner", "commit", "-q", "--allow-empty", "-m", "i");
    await expect(call(repository, "add", { paths: ["."] })).rejects.toMatchObject({
      code: "nested-repository",
      data: { nested: ["inner/"] },
    });
    await repository.git("add", "inner");
    await expect(call(repository, "add", { paths: ["inner"] })).rejects.toMatchObject({ data: { nested: ["inner"] } });
    expect((await call(repository, "add", { paths: ["dir"] })).success).toBe(true);
    await rm(join(repository.path, "inner/.git"), { recursive: true });
    expect((await call(repository, "add", { paths: ["."] })).success).toBe(true);
  });

  test("push and pull go to a configured remote by name, and never force", async () => {
    await using far = await makeRepository({ files });
    await far.git("checkout", "-q", "--detach");
    await using repository = await makeRepository({ files: { z: "z" } });
    await repository.git("remote", "add", "origin", far.path);
    await expect(call(repository, "push", { remote: "origin", branch: "main" })).rejects.toThrow(
      /rejected|fetch first|non-fast-forward/,
    );
    await repository.git("fetch", "-q", "origin");
    await repository.git("reset", "-q", "--hard", "origin/main");
    await repository.git("commit", "-q", "--allow-empty", "-m", "More");
    await call(repository, "push", { remote: "origin", branch: "main" });
    expect(await far.git("rev-parse", "main")).toBe(await repository.head());
    await repository.git("reset", "-q", "--hard", "HEAD~1");
    expect((await call(repository, "pull", { remote: "origin", branch: "main" })).data).toMatchObject({
      head: await far.git("rev-parse", "main"),
    });
    await expect(call(repository, "pull", { remote: "nowhere", branch: "main" })).rejects.toMatchObject({
      code: "no-such-remote",
    });
  });

  test("clone takes a repository of the workspace, and no other path or protocol", async () => {
    await using repository = await makeRepository({ files });
    await repository.git("clone", "-q", ".", "inner");
    await call(repository, "clone", { address: "inner", folder: "copy", depth: 1 });
    expect(await readFile(join(repository.path, "copy/a.txt"), "utf8")).toBe(files["a.txt"]);
    for (const address of [
      "ext::sh -c id",
      "file:///etc",
      "http://x/y",
      "-u/x",
      "git@-oProxyCommand=x:y",
      "--upload-pack=x",
      "../up",
      "/etc",
    ]) {
      await expect(call(repository, "clone", { address, folder: "no" }), address).rejects.toBeInstanceOf(ToolFailure);
    }
    for (const folder of [".git/x", "../x", "/tmp/x"]) {
      await expect(call(repository, "clone", { address: "inner", folder }), folder).rejects.toBeInstanceOf(ToolFailure);
    }
  });

  test("a folder without a repository is not taken for the repository around it", async () => {
    await using repository = await makeRepository({ files });
    await expect(call({ ...repository, path: join(repository.path, "dir") }, "status")).rejects.toMatchObject({
      code: "not-a-repository",
    });
  });

  test("works in a repository without commits", async () => {
    await using repository = await makeRepository({ files, commit: false });
    expect((await call(repository, "status")).data).toMatchObject({ head: null, branch: "main" });
    await call(repository, "add", { paths: ["."] });
    expect((await call(repository, "commit", { message: "First" })).success).toBe(true);
  });

  test("a lock left by a call that was ended does not block the next", async () => {
    await using repository = await makeRepository({ files });
    const hang = join(repository.path, "../hang.sh");
    const tool = gitTools.find(({ name }) => name === "git.add");
    if (tool === undefined) throw new Error("no tool git.add");
    const workspace = await openProcessWorkspace({
      root: repository.path,
      sandbox: "none",
      clock: systemClock,
      random: systemRandom,
    });
    await writeFile(join(repository.path, ".git/index.lock"), hang);
    const context = {
      workspace,
      signal: AbortSignal.abort(),
      clock: systemClock,
      deadlineMs: systemClock.now() + 1_000,
    };
    await expect(tool.run(tool.input.parse({ paths: ["a.txt"] }), context)).rejects.toMatchObject({
      code: "git-failed",
    });
    await workspace.close();
    expect((await call(repository, "add", { paths: ["a.txt"] })).success).toBe(true);
  });
});

describe("what a model writes never becomes an option", () => {
  const bad = [
    "--force",
    "-f",
    "",
    "a..b",
    "a b",
    "a~1:",
    "x.lock",
    ".x",
    "a/.b",
    "a//b",
    "@{u}",
    "a\nb",
    "a\\b",
    "HEAD:x",
    "refs/heads/x:y",
    "a".repeat(300),
  ];

  test("names that are no names are refused before anything runs", () => {
    for (const text of bad) {
      expect(isBranchName(text), text).toBe(false);
      expect(isRevision(text), text).toBe(false);
      const push = gitTools.find(({ name }) => name === "git.push");
      expect(push?.input.safeParse({ remote: "origin", branch: text }).success, text).toBe(false);
    }
    for (const remote of ["--force", "", "a b", "https://x/y", "../x", "a:b"]) {
      const push = gitTools.find(({ name }) => name === "git.push");
      expect(push?.input.safeParse({ remote, branch: "main" }).success, remote).toBe(false);
    }
    for (const text of ["main", "feature/x-1", "v1.2", "ü"]) expect(isBranchName(text), text).toBe(true);
    for (const text of ["HEAD", "HEAD~2^2", "main^", "origin/main", "0123abc"])
      expect(isRevision(text), text).toBe(true);
  });

  test("whatever isBranchName takes, git takes", async () => {
    await using repository = await makeRepository({ files: {} });
    const part = fc.constantFrom(
      "a",
      ".",
      "-",
      "@",
      "{",
      "/",
      ".lock",
      "~",
      "^",
      "HEAD",
      "é",
      " ",
      "*",
      "\\",
      "\u0085",
      "\u200b",
    );
    const names = fc
      .sample(
        fc.array(part, { minLength: 1, maxLength: 5 }).map((parts) => parts.join("")),
        400,
      )
      .filter(isBranchName);
    for (const name of names.slice(0, 60)) {
      await expect(repository.git("check-ref-format", "--branch", name), JSON.stringify(name)).resolves.toBe(name);
    }
  });

  test("an empty message and parameters nobody knows are refused", () => {
    const commit = gitTools.find(({ name }) => name === "git.commit");
    for (const params of [{ message: "" }, { message: " \n\t" }, { message: "x", amend: true }, {}]) {
      expect(commit?.input.safeParse(params).success).toBe(false);
    }
  });

  test("paths of git's own folder and outside are refused by every tool that takes paths", async () => {
    await using repository = await makeRepository({ files });
    for (const path of [".git/config", "../x", "/etc/passwd", ".GIT/hooks"]) {
      for (const name of ["add", "diff", "log", "checkout"]) {
        await expect(call(repository, name, { paths: [path] }), `${name} ${path}`).rejects.toBeInstanceOf(ToolFailure);
      }
    }
    // Literal names, not patterns.
    await expect(call(repository, "add", { paths: [":(top)*"] })).rejects.toMatchObject({ code: "git-failed" });
  });
});

describe("parsing", () => {
  test("reads git's machine formats, odd names included", () => {
    const status = "# branch.oid (initial)\0# branch.head (detached)\0u UU N... 1 2 3 4 a b c x y\0? n\n.txt\0";
    expect(parseStatus(status)).toEqual({
      head: null,
      branch: null,
      entries: [
        { path: "x y", kind: "conflicted", index: "U", worktree: "U" },
        { path: "n\n.txt", kind: "untracked", index: "?", worktree: "?" },
      ],
    });
    expect(parseNumstat("1\t2\ta\tb\0-\t-\tbin\0")).toEqual([
      { path: "a\tb", added: 1, deleted: 2, binary: false },
      { path: "bin", added: 0, deleted: 0, binary: true },
    ]);
    expect(parseLog("")).toEqual([]);
  });

  test("never throws, whatever it is given", () => {
    fc.assert(fc.property(fc.string(), (text) => void [parseStatus(text), parseLog(text), parseNumstat(text)]));
  });
});
