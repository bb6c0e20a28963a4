// Reads a file that somebody else's code may have put there: a runner's report, a changed file, a manifest.
// It does not decide which paths may be read (workspace/paths.ts).
//
// N1  Only a regular file is read: a link could lead out of the workspace, and a pipe or a device never ends.
// N2  Its size is known before it is read, and bounded.

import { constants } from "node:fs";
import { open } from "node:fs/promises";

export type PlainFile =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "missing" | "not-a-file" }
  | { readonly kind: "too-large"; readonly bytes: number };

/** The text of the file at `path` (UTF-8, broken sequences replaced), or why there is none. A link is `missing`. */
export async function readPlainFile(path: string, maxBytes: number): Promise<PlainFile> {
  // O_NONBLOCK: opening a pipe that nobody writes to would wait for ever.
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  const file = await open(path, flags).catch(() => undefined);
  if (file === undefined) return { kind: "missing" };
  try {
    const stats = await file.stat();
    if (!stats.isFile()) return { kind: "not-a-file" };
    if (stats.size > maxBytes) return { kind: "too-large", bytes: stats.size };
    const buffer = Buffer.alloc(stats.size);
    const { bytesRead } = await file.read(buffer, 0, stats.size, 0);
    return { kind: "text", text: buffer.toString("utf8", 0, bytesRead) };
  } finally {
    await file.close();
  }
}
