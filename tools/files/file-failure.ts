// What the file system's own errors are called here, in words a model can act on.

import { ToolFailure } from "../tool.ts";

const FAILURES: Readonly<Record<string, readonly [code: string, sentence: string]>> = {
  ENOENT: ["no-such-file", "does not exist; files.list shows what does"],
  EISDIR: ["is-a-folder", "is a folder; name a file"],
  ENOTDIR: ["not-a-folder", "has a file where a folder must be"],
  EEXIST: ["not-a-folder", "exists and is not a folder"],
  ELOOP: ["is-a-link", "is a symbolic link; name the file it leads to"],
  EMLINK: ["is-a-link", "is a symbolic link; name the file it leads to"],
  ENXIO: ["not-a-file", "is a device, pipe or socket; only files and folders can be used"],
  EACCES: ["not-permitted", "may not be touched by this user"],
  EPERM: ["not-permitted", "may not be touched by this user"],
  EROFS: ["not-permitted", "is on a read-only file system"],
  ENOSPC: ["disk-full", "does not fit: the disk is full"],
  ENAMETOOLONG: ["invalid-path", "has a name that is too long for the file system"],
};

/** Runs `use` and turns an error of the file system into a ToolFailure about `path`. */
export async function withFileErrors<T>(path: string, use: () => Promise<T>): Promise<T> {
  try {
    return await use();
  } catch (error) {
    const known = FAILURES[(error as NodeJS.ErrnoException | undefined)?.code ?? ""];
    if (known === undefined || error instanceof ToolFailure) throw error;
    throw new ToolFailure(known[0], `${path || "."} ${known[1]}.`);
  }
}
