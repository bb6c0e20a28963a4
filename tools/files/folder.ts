// files.delete and files.mkdir: names that come and go.

import { lstat, mkdir, rm, unlink } from "node:fs/promises";
import { z } from "zod";
import { defineTool, ToolFailure } from "../tool.ts";
import { resolveInside } from "../workspace/paths.ts";
import { withFileErrors } from "./file-failure.ts";
import { pathInput } from "./path-input.ts";

const shared = { risk: "write", sideEffects: "workspace", timeoutMs: 20_000, outputMaxBytes: 4 * 1024 } as const;

export const deleteTool = defineTool({
  ...shared,
  name: "files.delete",
  description: "Deletes a file or a link; with recursive true also a folder and all that is in it.",
  input: z.strictObject({ path: pathInput, recursive: z.boolean().default(false) }),
  async run({ path, recursive }, { workspace, signal }) {
    const target = await resolveInside(workspace.root, path, "entry");
    if (target.relative === "")
      throw new ToolFailure("is-the-root", "The root of the workspace cannot be deleted; name what is in it.");
    return withFileErrors(target.relative, async () => {
      const isFolder = (await lstat(target.absolute)).isDirectory();
      if (isFolder && !recursive) {
        throw new ToolFailure(
          "is-a-folder",
          `${target.relative} is a folder; set recursive to true to delete it with all that is in it.`,
        );
      }
      signal.throwIfAborted();
      await (isFolder ? rm(target.absolute, { recursive: true }) : unlink(target.absolute));
      return {
        success: true,
        content: `Deleted ${target.relative}.`,
        data: { path: target.relative, kind: isFolder ? "folder" : "file" },
      };
    });
  },
});

export const mkdirTool = defineTool({
  ...shared,
  name: "files.mkdir",
  description: "Makes a folder and the folders on the way. A folder that is there already is fine.",
  input: z.strictObject({ path: pathInput }),
  async run({ path }, { workspace }) {
    const target = await resolveInside(workspace.root, path, "follow");
    return withFileErrors(target.relative, async () => {
      const created = (await mkdir(target.absolute, { recursive: true })) !== undefined;
      const said = created
        ? `Made the folder ${target.relative}.`
        : `The folder ${target.relative || "."} was there already.`;
      return { success: true, content: said, data: { path: target.relative, created } };
    });
  },
});
