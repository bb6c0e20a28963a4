// git tools that change the agent's own clone: branch, checkout, add, commit.

import { existsSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { defineTool, ToolFailure } from "../tool.ts";
import { behindDashes, branchName, pathList, revision } from "./inputs.ts";
import { parseList } from "./parse.ts";
import { statusOf } from "./reading.ts";
import { type Git, openGit } from "./run-git.ts";

const CHANGE = { risk: "write", sideEffects: "repository", timeoutMs: 60_000, outputMaxBytes: 16 * 1024 } as const;

const branchTool = defineTool({
  name: "git.branch",
  description: "Lists branches, or makes a new one without switching to it.",
  input: z.strictObject({
    create: branchName.optional().describe("Name of a branch to make; absent to list"),
    from: revision.optional().describe("Where the new branch starts; HEAD if absent"),
  }),
  ...CHANGE,
  async run({ create, from }, context) {
    const git = await openGit(context);
    if (create !== undefined) await git.run(["branch", "--no-track", "--", create, from ?? "HEAD"]);
    const { stdout } = await git.run([
      "for-each-ref",
      "--format=%(refname:short)%00%(objectname)%00%(HEAD)%00",
      "refs/heads",
    ]);
    const branches = branchesOf(stdout);
    const lines = branches.map(({ name, commit, current }) => `${current ? "*" : " "} ${name} ${commit.slice(0, 12)}`);
    return { success: true, content: lines.join("\n") || "No branches.", data: { branches } };
  },
});

function branchesOf(output: string) {
  const fields = output.split("\0");
  const branches: { name: string; commit: string; current: boolean }[] = [];
  for (let at = 0; at + 3 <= fields.length; at += 3) {
    const [name = "", commit = "", mark] = fields.slice(at, at + 3);
    branches.push({ name: name.trimStart(), commit, current: mark === "*" });
  }
  return branches;
}

const checkoutTool = defineTool({
  name: "git.checkout",
  description:
    "Switches to a branch or commit, makes a branch and switches to it, or restores files from a commit. Refuses to overwrite changes when switching.",
  input: z
    .strictObject({
      ref: revision.optional().describe("Branch or commit; HEAD if absent"),
      create: branchName.optional().describe("Make this branch at ref and switch to it"),
      paths: pathList.optional().describe("Restore only these files from ref; their changes are lost"),
    })
    .refine(({ create, paths }) => create === undefined || paths === undefined, "create and paths exclude each other"),
  ...CHANGE,
  async run({ ref, create, paths }, context) {
    const git = await openGit(context);
    const making = create === undefined ? [] : ["--no-track", "-b", create];
    await git.run([
      "checkout",
      "--quiet",
      "--no-guess",
      ...making,
      ref ?? "HEAD",
      ...(await behindDashes(context, paths)),
    ]);
    const { branch, head } = await statusOf(git);
    return { success: true, content: `On ${branch ?? "no branch"} at ${head}.`, data: { branch, head } };
  },
});

const addTool = defineTool({
  name: "git.add",
  description: "Stages files, folders or deletions for the next commit. Files that .gitignore names are refused.",
  input: z.strictObject({ paths: pathList }),
  ...CHANGE,
  async run({ paths }, context) {
    const git = await openGit(context);
    const where = await behindDashes(context, paths);
    await refuseNested(git, context.workspace.root, where);
    await git.run(["add", "--all", ...where]);
    const staged = await stagedPaths(git);
    return {
      success: true,
      content: staged.length === 0 ? "Nothing is staged." : `Staged: ${staged.join(", ")}`,
      data: { staged },
    };
  },
});

/** `git add` runs a status inside each nested repository it meets, with that one's configuration (G4), and would commit a bare link to it. */
async function refuseNested(git: Git, root: string, where: readonly string[]): Promise<void> {
  const stages = parseList((await git.run(["ls-files", "--stage", "-z", ...where])).stdout);
  const links = stages
    .filter((stage) => stage.startsWith("160000 "))
    .map((stage) => stage.slice(stage.indexOf("\t") + 1));
  // A submodule that was never filled holds no configuration, and nothing runs.
  const filled = links.filter((path) => existsSync(join(root, path, ".git")));
  const { entries } = await statusOf(git, where);
  const loose = entries.filter(({ kind, path }) => kind === "untracked" && path.endsWith("/")).map(({ path }) => path);
  const nested = [...filled, ...loose];
  if (nested.length === 0) return;
  throw new ToolFailure(
    "nested-repository",
    `${nested.join(", ")} is a repository of its own: name other paths, or delete its .git folder.`,
    { nested },
  );
}

async function stagedPaths(git: Git): Promise<readonly string[]> {
  const { stdout } = await git.run([
    "diff",
    "--cached",
    "--name-only",
    "--no-renames",
    "--ignore-submodules=all",
    "-z",
    "--",
  ]);
  return parseList(stdout);
}

/** Used when the clone's own configuration names nobody; commits of an agent must never carry the user's name by accident. */
const NOBODY = { name: "Flotilla agent", email: "agent@flotilla.invalid" } as const;

function identity(git: Git): Readonly<Record<string, string>> {
  const name = git.config("user.name") || NOBODY.name;
  const email = git.config("user.email") || NOBODY.email;
  return { GIT_AUTHOR_NAME: name, GIT_AUTHOR_EMAIL: email, GIT_COMMITTER_NAME: name, GIT_COMMITTER_EMAIL: email };
}

const MESSAGE_MAX = 10_000;

const commitTool = defineTool({
  name: "git.commit",
  description: "Commits what is staged.",
  input: z.strictObject({
    message: z
      .string()
      .max(MESSAGE_MAX)
      .refine((text) => text.trim() !== "", "is empty; say what the commit does"),
  }),
  ...CHANGE,
  async run({ message }, context) {
    const git = await openGit(context);
    const staged = await stagedPaths(git);
    if (staged.length === 0)
      throw new ToolFailure("nothing-to-commit", "Nothing is staged; stage the changed files with git.add first.");
    const env = identity(git);
    await git.run(["commit", "--quiet", "--no-verify", "--no-gpg-sign", "--file=-"], { stdin: message, env });
    const { stdout } = await git.run(["rev-parse", "--verify", "HEAD"]);
    const commit = stdout.trim();
    return {
      success: true,
      content: `Committed ${commit.slice(0, 12)}: ${staged.join(", ")}`,
      data: { commit, files: staged },
    };
  },
});

export const changingTools = [branchTool, checkoutTool, addTool, commitTool] as const;
