// What the command line refuses: each time one clear sentence, status 1, nothing on stdout, and the repository as it was.

import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { runCli } from "../../api/cli.ts";
import { makeFolder, makeRepository } from "../support/git-repository.ts";

async function run(...args: string[]): Promise<{ status: number; out: string; err: string }> {
  const text = { out: "", err: "" };
  const status = await runCli(args, {
    out: { write: (piece) => (text.out += piece) },
    err: { write: (piece) => (text.err += piece) },
    signal: new AbortController().signal,
  });
  return { status, ...text };
}

const task = (repo: string, ...more: string[]) =>
  run("task", "--repo", repo, "--task", "Add f() function to a.js", "--model", "mock", ...more);

describe("a usage error", () => {
  it.each([
    ["an unknown option", ["task", "--agnets", "3"], ["unknown option '--agnets'", "Did you mean --agents?"]],
    ["an unknown command", ["tsak"], ["unknown command 'tsak'", "Did you mean task?"]],
    ["a word too many", ["task", "more"], ["too many arguments"]],
    ["an option without its value", ["task", "--repo"], ["--repo", "argument missing"]],
    ["a missing repository", ["task", "--task", "x", "--model", "mock"], ["--repo", "it is missing"]],
    ["a missing task", ["task", "--repo", ".", "--model", "mock"], ["--task", "it is missing"]],
    ["an empty task", ["task", "--repo", ".", "--task", " ", "--model", "mock"], ["--task", '" "']],
    ["no model", ["task", "--repo", ".", "--task", "x"], ["no model is chosen", "--model-url", "--model mock"]],
  ])("%s", async (_, args, words) => {
    const { status, out, err } = await run(...args);
    expect({ status, out }).toEqual({ status: 1, out: "" });
    for (const word of words) expect(err).toContain(word);
    expect(err).toMatch(/^flotilla: /);
  });

  it("is help when nothing was asked, and help is no error when it was", async () => {
    expect(await run()).toMatchObject({ status: 1, out: "", err: expect.stringContaining("Commands:") });
    expect(await run("--help")).toMatchObject({ status: 0, out: expect.stringContaining("task"), err: "" });
    expect(await run("--version")).toMatchObject({ status: 0, out: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) });
  });
});

describe("a repository that agents cannot start from", () => {
  it("is missing, no repository, or has no commits", async () => {
    await using folder = await makeFolder();
    await using empty = await makeRepository({ files: {}, commit: false });
    const answers = [await task(join(folder.path, "none")), await task(folder.path), await task(empty.path)];
    expect(answers.map(({ status, out }) => ({ status, out }))).toEqual(Array(3).fill({ status: 1, out: "" }));
    expect(answers.map(({ err }) => err)).toEqual([
      expect.stringMatching(/^flotilla: There is no folder/),
      expect.stringMatching(/is not a git repository/),
      expect.stringMatching(/has no commits yet: make a first commit/),
    ]);
  });

  it("is bare or dirty, and stays as it was", async () => {
    await using repository = await makeRepository({ files: { "a.js": "1;\n" } });
    await using folder = await makeFolder();
    await repository.git("clone", "--quiet", "--bare", ".", folder.path);
    expect((await task(folder.path)).err).toMatch(/bare repository.*clone it/);
    await writeFile(join(repository.path, "a.js"), "2;\n");
    const before = await repository.git("for-each-ref");
    expect(await task(repository.path)).toMatchObject({
      status: 1,
      out: "",
      err: expect.stringMatching(/a\.js: commit or stash/),
    });
    expect(await repository.git("for-each-ref")).toBe(before);
    expect(await repository.git("status", "--porcelain")).toBe(" M a.js");
  });
});

describe("a council that cannot be", () => {
  it.each([
    ["nobody", ["--agents", "0"], /--agents: expected a whole number from 1 to 64, got "0"/],
    ["too many", ["--agents", "10000"], /--agents: expected a whole number from 1 to 64, got "10000"/],
    ["a role nobody has", ["--role", "PILOT"], /No agents configured for role PILOT; configured: DEV,/],
  ])("%s", async (_, more, message) => {
    await using repository = await makeRepository({ files: { "a.js": "1;\n" } });
    const { status, out, err } = await task(repository.path, ...more);
    expect({ status, out }).toEqual({ status: 1, out: "" });
    expect(err).toMatch(message);
    expect(err.trim().split("\n")).toHaveLength(1);
  });
});
