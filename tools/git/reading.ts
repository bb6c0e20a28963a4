// git tools that change nothing: status, log, diff.

import { z } from "zod";
import { defineTool } from "../tool.ts";
import { behindDashes, pathList, revision } from "./inputs.ts";
import { LOG_FORMAT, parseLog, parseNumstat, parseStatus, type Status } from "./parse.ts";
import { type Git, openGit } from "./run-git.ts";

const READ = { risk: "read", sideEffects: "none", timeoutMs: 30_000, outputMaxBytes: 64 * 1024 } as const;

const STATUS = [
  "status",
  "--porcelain=v2",
  "--branch",
  "-z",
  "--untracked-files=all",
  "--ignore-submodules=all",
  "--no-renames",
] as const;

/** `where`: `--` and paths, to look at these only. */
export async function statusOf(git: Git, where: readonly string[] = []): Promise<Status> {
  const { stdout } = await git.run([...STATUS, ...where]);
  return parseStatus(stdout);
}

const statusTool = defineTool({
  name: "git.status",
  description:
    "Shows the branch, the commit it stands on, and every file that differs from it, staged, unstaged or untracked.",
  input: z.strictObject({}),
  ...READ,
  async run(_input, context) {
    const status = await statusOf(await openGit(context));
    const lines = status.entries.map((entry) => `${entry.index}${entry.worktree} ${entry.path}`);
    const where = `On ${status.branch ?? "no branch"} at ${status.head ?? "no commit"}`;
    return {
      success: true,
      content: [where, ...(lines.length === 0 ? ["Nothing changed."] : lines)].join("\n"),
      data: { ...status },
    };
  },
});

const LOG_DEFAULT = 20;
const LOG_MAX = 500;

const logTool = defineTool({
  name: "git.log",
  description: "Lists commits, newest first, optionally only those that touch some paths.",
  input: z.strictObject({
    from: revision.optional().describe("Where to start; HEAD if absent"),
    maxCount: z.int().min(1).max(LOG_MAX).optional().describe(`How many commits at most; ${LOG_DEFAULT} if absent`),
    paths: pathList.optional(),
  }),
  ...READ,
  async run({ from, maxCount, paths }, context) {
    const git = await openGit(context);
    const { stdout } = await git.run([
      ...[
        "log",
        "-z",
        `--format=tformat:${LOG_FORMAT}`,
        "--no-color",
        `--max-count=${maxCount ?? LOG_DEFAULT}`,
        from ?? "HEAD",
      ],
      ...(await behindDashes(context, paths)),
    ]);
    const commits = parseLog(stdout);
    const lines = commits.map(
      ({ commit, date, author, message }) => `${commit.slice(0, 12)} ${date} ${author}: ${message.split("\n")[0]}`,
    );
    return { success: true, content: lines.join("\n") || "No commits.", data: { commits } };
  },
});

/** Neither the user's diff programs nor converters named by a checkout's attributes run. */
export const DIFF_FLAGS = [
  "--no-ext-diff",
  "--no-textconv",
  "--no-color",
  "--no-renames",
  "--ignore-submodules=all",
] as const;

const diffTool = defineTool({
  name: "git.diff",
  description:
    "Shows changed lines: of the work tree (default), of what is staged, from a commit to the work tree, or between two commits.",
  input: z
    .strictObject({
      from: revision.optional().describe("Commit to compare with"),
      to: revision.optional().describe("Second commit; needs from"),
      staged: z.boolean().optional().describe("Compare what is staged instead of the work tree"),
      paths: pathList.optional(),
    })
    .refine(
      ({ from, to, staged }) => to === undefined || (from !== undefined && staged !== true),
      "to needs from, and excludes staged",
    ),
  ...READ,
  async run({ from, to, staged, paths }, context) {
    const what = [
      ...(staged === true ? ["--cached"] : []),
      ...(from === undefined ? [] : [from]),
      ...(to === undefined ? [] : [to]),
    ];
    const rest = [...what, ...(await behindDashes(context, paths))];
    const git = await openGit(context);
    const numbers = await git.run(["diff", ...DIFF_FLAGS, "--numstat", "-z", ...rest]);
    const patch = await git.run(["diff", ...DIFF_FLAGS, ...rest]);
    const files = parseNumstat(numbers.stdout);
    return { success: true, content: patch.stdout || "No differences.", data: { files } };
  },
});

export const readingTools = [statusTool, logTool, diffTool] as const;
