// Everything below a folder as plain data, so that two moments can be compared: kinds, permissions, contents, link targets.

import { lstat, readdir, readFile, readlink } from "node:fs/promises";
import { join } from "node:path";

export async function snapshot(folder: string): Promise<Readonly<Record<string, string>>> {
  const names = (await readdir(folder, { recursive: true })).sort();
  const entries = await Promise.all(
    names.map(async (name) => [name, await describeEntry(join(folder, name))] as const),
  );
  return Object.fromEntries(entries);
}

async function describeEntry(path: string): Promise<string> {
  const stats = await lstat(path);
  const mode = (stats.mode & 0o7777).toString(8);
  if (stats.isSymbolicLink()) return `link ${await readlink(path)}`;
  if (!stats.isFile()) return `${stats.isDirectory() ? "folder" : "other"} ${mode}`;
  return `file ${mode} ${(await readFile(path)).toString("base64")}`;
}
