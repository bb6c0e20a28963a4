// files.write and files.append: text into a file.

import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import { z } from "zod";
import { defineTool, ToolFailure } from "../tool.ts";
import { type ResolvedPath, resolveInside } from "../workspace/paths.ts";
import { withFileErrors } from "./file-failure.ts";
import { pathInput } from "./path-input.ts";
import { modeOf, readTextIfAny, replaceFile } from "./text-file.ts";

const input = z.strictObject({
  path: pathInput,
  content: z.string(),
  createDirs: z.boolean().default(true).describe("Make the folders on the way"),
});

const shared = { input, risk: "write", sideEffects: "workspace", timeoutMs: 10_000, outputMaxBytes: 4 * 1024 } as const;

export const writeTool = defineTool({
  ...shared,
  name: "files.write",
  description: "Writes a text file, replacing what was there. The file keeps its permissions.",
  async run({ path, content, createDirs }, { workspace, signal }) {
    const target = await fileToWrite(workspace.root, path);
    const mode = await modeOf(target);
    signal.throwIfAborted();
    if (createDirs) await makeParents(target);
    const bytes = await replaceFile(target, content, mode);
    const created = mode === undefined;
    const said = `${created ? "Created" : "Replaced"} ${target.relative} (${bytes} bytes).`;
    return { success: true, content: said, data: { path: target.relative, bytes, created } };
  },
});

export const appendTool = defineTool({
  ...shared,
  name: "files.append",
  description: "Adds text at the end of a file, exactly as given; makes the file if there is none.",
  async run({ path, content, createDirs }, { workspace, signal }) {
    const target = await fileToWrite(workspace.root, path);
    const before = await readTextIfAny(target);
    signal.throwIfAborted();
    if (createDirs) await makeParents(target);
    const bytes = await replaceFile(target, (before?.text ?? "") + content, before?.mode);
    const added = bytes - (before?.bytes ?? 0);
    const said = `Added ${added} bytes to ${target.relative} (now ${bytes} bytes).`;
    return {
      success: true,
      content: said,
      data: { path: target.relative, added, bytes, created: before === undefined },
    };
  },
});

/** Where a file to be written lies. A path that ends in "/" means a folder and is refused, as is the root. */
export async function fileToWrite(root: string, path: string): Promise<ResolvedPath> {
  const target = await resolveInside(root, path, "entry");
  if (target.relative === "" || path.endsWith("/")) {
    throw new ToolFailure("is-a-folder", `${path} is a folder; name a file.`);
  }
  return target;
}

function makeParents(target: ResolvedPath): Promise<unknown> {
  return withFileErrors(target.relative, () => mkdir(dirname(target.absolute), { recursive: true }));
}
