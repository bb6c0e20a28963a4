// files.diff: what differs between two files, or between a file and the last commit.

import { createTwoFilesPatch, FILE_HEADERS_ONLY } from "diff";
import { z } from "zod";
import { DIFF_FLAGS, openGit } from "../git/index.ts";
import { defineTool, type ToolContext, ToolFailure } from "../tool.ts";
import { type ResolvedPath, resolveInside } from "../workspace/paths.ts";
import { pathInput } from "./path-input.ts";
import { readText } from "./text-file.ts";

/** Comparing is done on this thread, and two long files without a common line would hold it for minutes. */
const COMPARE_MAX_MS = 1_000;

export const diffTool = defineTool({
  name: "files.diff",
  description:
    "Shows the difference between a file and the last commit, or from it to another file, as a unified diff.",
  input: z.strictObject({ path: pathInput, other: pathInput.optional() }),
  risk: "read",
  sideEffects: "none",
  timeoutMs: 20_000,
  outputMaxBytes: 64 * 1024,
  async run({ path, other }, context) {
    const from = await resolveInside(context.workspace.root, path, "follow");
    const patch =
      other === undefined
        ? await sinceCommit(from, context)
        : await between(from, await resolveInside(context.workspace.root, other, "follow"));
    const same = patch === "";
    return { success: true, content: same ? "No differences." : patch, data: { same } };
  },
});

async function sinceCommit(file: ResolvedPath, context: ToolContext): Promise<string> {
  const path = file.relative || ".";
  const git = await openGit(context);
  const known = await git.run(["ls-tree", "-r", "--name-only", "HEAD", "--", path]);
  if (known.stdout === "")
    throw new ToolFailure("not-in-commit", `${path} is not in the last commit: all of it is new.`);
  return (await git.run(["diff", ...DIFF_FLAGS, "HEAD", "--", path])).stdout;
}

async function between(from: ResolvedPath, to: ResolvedPath): Promise<string> {
  const [before, after] = await Promise.all([readText(from), readText(to)]);
  if (before.text === after.text) return "";
  const options = { context: 3, timeout: COMPARE_MAX_MS, headerOptions: FILE_HEADERS_ONLY };
  const patch = createTwoFilesPatch(from.relative, to.relative, before.text, after.text, undefined, undefined, options);
  if (patch === undefined)
    throw new ToolFailure(
      "too-different",
      `${from.relative} and ${to.relative} differ too much to compare; read them instead.`,
    );
  return patch;
}
