// Everything below a folder as plain data, so that two moments can be compared: kinds, permissions, contents, link targets.

import { lstat, readdir, readFile, readlink } from "node:fs/promises";
import { join, relative } from "node:path";

/** Relative path → what is there. Links are not followed. */
export async function snapshot(folder: string): Promise<Readonly<Record<string, string>>> {
  // With file types, because without them node goes through links.
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const paths = entries.map((entry) => join(entry.parentPath, entry.name)).sort();
  return Object.fromEntries(
    await Promise.all(paths.map(async (path) => [relative(folder, path), await describeEntry(path)] as const)),
  );
}

async function describeEntry(path: string): Promise<string> {
  const stats = await lstat(path);
  const mode = (stats.mode & 0o7777).toString(8);
  if (stats.isSymbolicLink()) return `link ${await readlink(path)}`;
  if (!stats.isFile()) return `${stats.isDirectory() ? "folder" : "other"} ${mode}`;
  return `file ${mode} ${(await readFile(path)).toString("base64")}`;
}
