// Each way in which a hostile checkout makes plain git run a program, set up for real: none works through the git tools.

import { existsSync } from "node:fs";
import { appendFile, chmod, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { refusedKeys } from "../../tools/git/hardening.ts";
import { ToolFailure } from "../../tools/index.ts";
import { callGit as call } from "../support/git-call.ts";
import { makeRepository, type TestRepository } from "../support/git-repository.ts";

const files = { "a.txt": "one\ntwo\n", "dir/b c.txt": "b\n" };

describe("a hostile checkout runs nothing", () => {
  /** Every way here runs `bait` through plain git on a plain call; `tools/` must not. */
  const configured: Record<string, (bait: string) => readonly (readonly [string, string])[]> = {
    "file-system monitor": (bait) => [["core.fsmonitor", bait]],
    "hooks folder": (bait) => [["core.hooksPath", `${bait}-hooks`]],
    "clean and smudge filter": (bait) => [
      ["filter.x.clean", bait],
      ["filter.x.smudge", bait],
    ],
    "filter process": (bait) => [
      ["filter.x.process", bait],
      ["filter.x.required", "true"],
    ],
    "external diff": (bait) => [["diff.external", bait]],
    "diff driver": (bait) => [
      ["diff.x.command", bait],
      ["diff.x.textconv", bait],
    ],
    "merge driver": (bait) => [["merge.x.driver", bait]],
    alias: (bait) => [
      ["alias.status", `!${bait}`],
      ["alias.st", `!${bait}`],
    ],
    pager: (bait) => [
      ["core.pager", bait],
      ["pager.status", bait],
      ["pager.log", bait],
    ],
    editor: (bait) => [
      ["core.editor", bait],
      ["sequence.editor", bait],
    ],
    signing: (bait) => [
      ["gpg.program", bait],
      ["commit.gpgSign", "true"],
      ["log.showSignature", "true"],
    ],
    "ssh command": (bait) => [
      ["core.sshCommand", bait],
      ["remote.origin.url", "ssh://localhost/x"],
    ],
    "upload and receive pack": (bait) => [
      ["remote.origin.url", "."],
      ["remote.origin.uploadpack", bait],
      ["remote.origin.receivepack", bait],
    ],
    "remote helper": (bait) => [
      ["remote.origin.url", `ext::${bait}`],
      ["protocol.ext.allow", "always"],
    ],
    "credential helper": (bait) => [
      ["credential.helper", `!${bait}`],
      ["core.askPass", bait],
    ],
    "alternate refs": (bait) => [["core.alternateRefsCommand", bait]],
    "worktree elsewhere": () => [["core.worktree", "/"]],
  };

  const calls: readonly (readonly [string, Record<string, unknown>])[] = [
    ["status", {}],
    ["log", {}],
    ["diff", {}],
    ["diff", { from: "HEAD~1", to: "HEAD" }],
    ["branch", {}],
    ["checkout", { create: "b" }],
    ["checkout", { paths: ["a.txt"] }],
    ["add", { paths: ["a.txt"] }],
    ["commit", { message: "m" }],
    ["push", { remote: "origin", branch: "main" }],
    ["pull", { remote: "origin", branch: "main" }],
  ];

  async function prey(): Promise<{ repository: TestRepository; bait: string; sprung: () => boolean }> {
    const repository = await makeRepository({ files: { ...files, ".gitattributes": "* filter=x diff=x merge=x\n" } });
    await repository.git("commit", "-q", "--allow-empty", "-m", "Second");
    const bait = join(repository.path, "bait.sh");
    const mark = join(repository.path, "SPRUNG");
    await writeFile(bait, `#!/bin/sh\ntouch '${mark}'\ncat\n`);
    await mkdir(`${bait}-hooks`);
    for (const hook of [
      "pre-commit",
      "post-commit",
      "post-checkout",
      "reference-transaction",
      "commit-msg",
      "pre-push",
      "post-index-change",
      "prepare-commit-msg",
    ]) {
      await writeFile(join(`${bait}-hooks`, hook), `#!/bin/sh\ntouch '${mark}'\n`);
      await chmod(join(`${bait}-hooks`, hook), 0o755);
    }
    await chmod(bait, 0o755);
    await repository.write({ "a.txt": "changed\n" });
    return { repository, bait, sprung: () => existsSync(mark) };
  }

  test.each(Object.entries(configured))("%s", { timeout: 60_000 }, async (_title, keys) => {
    const { repository, bait, sprung } = await prey();
    await using _repository = repository;
    for (const [key, value] of keys(bait)) await repository.git("config", key, value);
    for (const [name, params] of calls.slice(0, 4))
      await call(repository, name, params).catch((error: unknown) => expect(error).toBeInstanceOf(ToolFailure));
    for (const [name, params] of calls.slice(4))
      await call(repository, name, params).catch((error: unknown) => expect(error).toBeInstanceOf(ToolFailure));
    expect(sprung()).toBe(false);
  });

  test("the traps are real: plain git falls into those that need no network", async () => {
    for (const title of ["file-system monitor", "clean and smudge filter", "hooks folder"]) {
      const { repository, bait, sprung } = await prey();
      await using _repository = repository;
      for (const [key, value] of configured[title]?.(bait) ?? []) await repository.git("config", key, value);
      await repository.git("status");
      await repository.git("add", "a.txt").catch(() => undefined);
      await repository.git("commit", "-q", "-m", "x").catch(() => undefined);
      expect(sprung(), title).toBe(true);
    }
  });

  test("hooks in the usual folder", async () => {
    const { repository, bait, sprung } = await prey();
    await using _repository = repository;
    await mkdir(join(repository.path, ".git/hooks"), { recursive: true });
    for (const hook of ["pre-commit", "post-commit", "post-checkout", "reference-transaction", "post-index-change"]) {
      await writeFile(join(repository.path, ".git/hooks", hook), await readFile(join(`${bait}-hooks`, "pre-commit")));
      await chmod(join(repository.path, ".git/hooks", hook), 0o755);
    }
    await call(repository, "checkout", { create: "b" });
    await call(repository, "add", { paths: ["a.txt"] });
    await call(repository, "commit", { message: "m" });
    expect(sprung()).toBe(false);
  });

  test("a file included by the configuration", async () => {
    const { repository, bait, sprung } = await prey();
    await using _repository = repository;
    await repository.write({ "inc.cfg": `[core]\n\tfsmonitor = ${bait}\n` });
    for (const key of ["[include]", '[includeIf "gitdir:/**"]']) {
      await appendFile(join(repository.path, ".git/config"), `${key}\n\tpath = ../inc.cfg\n`);
      await expect(call(repository, "status")).rejects.toMatchObject({
        code: "hostile-config",
        message: expect.stringContaining("include"),
      });
    }
    expect(sprung()).toBe(false);
  });

  test("a second configuration for work trees", async () => {
    const { repository, bait, sprung } = await prey();
    await using _repository = repository;
    await repository.git("config", "extensions.worktreeConfig", "true");
    await repository.git("config", "--worktree", "filter.x.clean", bait);
    await expect(call(repository, "add", { paths: ["a.txt"] })).rejects.toMatchObject({ code: "hostile-config" });
    expect(sprung()).toBe(false);
  });

  test("a submodule with a configuration of its own", async () => {
    const { repository, bait, sprung } = await prey();
    await using _repository = repository;
    const inner = join(repository.path, "sub");
    await repository.git("init", "-q", "sub");
    await writeFile(join(inner, "f"), "x\n");
    await repository.git("-C", "sub", "add", "f");
    await repository.git("-C", "sub", "commit", "-q", "-m", "s");
    await repository.git("add", "sub");
    await repository.git("commit", "-q", "-m", "sub");
    await repository.git("-C", "sub", "config", "core.fsmonitor", bait);
    await repository.git("-C", "sub", "config", "filter.x.clean", bait);
    await writeFile(join(inner, ".gitattributes"), "* filter=x\n");
    await writeFile(join(inner, "f"), "y\n");
    for (const [name, params] of [...calls.slice(0, 9), ["add", { paths: ["."] }] as const]) {
      await call(repository, name, params).catch((error: unknown) => expect(error).toBeInstanceOf(ToolFailure));
    }
    expect(sprung()).toBe(false);
  });

  test("a bare repository inside the tree", async () => {
    const { repository, bait, sprung } = await prey();
    await using _repository = repository;
    await repository.git("init", "-q", "--bare", "dir/bare");
    await appendFile(join(repository.path, "dir/bare/config"), `[core]\n\tfsmonitor = ${bait}\n\tworktree = .\n`);
    await expect(call({ ...repository, path: join(repository.path, "dir/bare") }, "status")).rejects.toBeInstanceOf(
      ToolFailure,
    );
    expect(sprung()).toBe(false);
  });

  test("keys nobody knows are refused, whatever their case", () => {
    expect(refusedKeys(["core.bare", "user.name", "remote.origin.url", "branch.a.b.merge"])).toEqual([]);
    const hostile = [
      "core.fsmonitor",
      "include.path",
      "remote.o.vcs",
      "url.x.insteadof",
      "submodule.s.update",
      "user.signingkey",
      "core.worktree",
    ];
    expect(refusedKeys(hostile)).toEqual(hostile);
  });
});
