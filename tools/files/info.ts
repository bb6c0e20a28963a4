// files.info: what a path is, without reading it all. A link is described, not followed.

import type { Stats } from "node:fs";
import { lstat, readlink } from "node:fs/promises";
import { isBinaryFile } from "isbinaryfile";
import { z } from "zod";
import { defineTool } from "../tool.ts";
import { resolveInside } from "../workspace/paths.ts";
import { withFileErrors } from "./file-failure.ts";
import { pathInput } from "./path-input.ts";

export const infoTool = defineTool({
  name: "files.info",
  description:
    "Tells what a path is: file, folder or link, its size, permissions, time of change, and whether it is binary.",
  input: z.strictObject({ path: pathInput }),
  risk: "read",
  sideEffects: "none",
  timeoutMs: 10_000,
  outputMaxBytes: 4 * 1024,
  async run({ path }, { workspace }) {
    const found = await resolveInside(workspace.root, path, "entry");
    return withFileErrors(found.relative, async () => {
      const stats = await lstat(found.absolute);
      const kind = kindOf(stats);
      const data = {
        path: found.relative || ".",
        kind,
        bytes: stats.size,
        mode: (stats.mode & 0o777).toString(8).padStart(3, "0"),
        modifiedMs: Math.round(stats.mtimeMs),
        ...(kind === "file" && { binary: await isBinaryFile(found.absolute) }),
        ...(kind === "link" && { target: await readlink(found.absolute) }),
      };
      const lines = Object.entries({ ...data, modifiedMs: stats.mtime.toISOString() });
      return {
        success: true,
        content: lines.map(([name, value]) => `${LABELS[name] ?? name}: ${value}`).join("\n"),
        data,
      };
    });
  },
});

const LABELS: Readonly<Record<string, string>> = { modifiedMs: "modified" };

function kindOf(stats: Stats): "file" | "folder" | "link" | "other" {
  if (stats.isFile()) return "file";
  if (stats.isDirectory()) return "folder";
  return stats.isSymbolicLink() ? "link" : "other";
}
