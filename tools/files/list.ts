// files.list: the names in a folder, or all files below it.

import { readdir } from "node:fs/promises";
import { z } from "zod";
import { defineTool, type ToolContext, ToolFailure } from "../tool.ts";
import { isGitName, type ResolvedPath, resolveInside } from "../workspace/paths.ts";
import { withFileErrors } from "./file-failure.ts";
import { pathInput } from "./path-input.ts";
import { ripgrep, withoutDot } from "./ripgrep.ts";

const ENTRIES_MAX = 1_000;

export const listTool = defineTool({
  name: "files.list",
  description:
    "Lists the files below a folder, those that .gitignore names left out. With recursive false: the folder's own entries, folders with a / at the end.",
  input: z.strictObject({
    path: pathInput.default("."),
    glob: z.string().min(1).max(256).optional().describe("Only files that match, like *.py or src/**/*.ts"),
    recursive: z.boolean().default(true),
  }),
  risk: "read",
  sideEffects: "none",
  timeoutMs: 20_000,
  outputMaxBytes: 64 * 1024,
  async run({ path, glob, recursive }, context) {
    const folder = await resolveInside(context.workspace.root, path, "follow");
    if (!recursive && glob !== undefined) {
      throw new ToolFailure(
        "invalid-params",
        "A glob is for recursive lists; leave out glob, or set recursive to true.",
      );
    }
    const own = await ownEntries(folder);
    const entries = recursive ? await filesBelow(folder, glob, context) : own;
    const kept = entries.slice(0, ENTRIES_MAX);
    const more = entries.length - kept.length;
    const rest = more > 0 ? [`… and ${more} more; name a folder or a glob to see them.`] : [];
    const content = entries.length === 0 ? "(nothing)" : [...kept, ...rest].join("\n");
    return { success: true, content, data: { path: folder.relative, entries: kept, more } };
  },
});

/** Also tells a folder from a file or nothing, which ripgrep does not. */
function ownEntries(folder: ResolvedPath): Promise<readonly string[]> {
  return withFileErrors(folder.relative, async () => {
    const entries = await readdir(folder.absolute, { withFileTypes: true });
    const visible = entries.filter((entry) => !isGitName(entry.name));
    return visible.map((entry) => (entry.isDirectory() ? `${entry.name}/` : entry.name)).sort();
  });
}

/** Relative to the workspace's root, as the other tools take them. */
async function filesBelow(
  folder: ResolvedPath,
  glob: string | undefined,
  context: ToolContext,
): Promise<readonly string[]> {
  const only = glob === undefined ? [] : [`--glob=${glob}`];
  const { stdout, truncated } = await ripgrep(["--files", "--null", ...only], folder.relative, context);
  if (truncated) throw new ToolFailure("too-many-files", "There are too many files to list; name a folder or a glob.");
  const files = stdout.split("\0").filter((name) => name !== "");
  return files.map(withoutDot).sort();
}
