// Removes a folder that others have worked in: whatever modes they left behind, as far as this user may.

import { chmod, readdir, rm } from "node:fs/promises";
import { join } from "node:path";

const RETRIES = 3;

/** Removes it with everything in it; nothing to do where there is none. */
export async function removeFolder(path: string): Promise<void> {
  const remove = () => rm(path, { recursive: true, force: true, maxRetries: RETRIES });
  await remove().catch(async (error: NodeJS.ErrnoException) => {
    if (error.code !== "EACCES" && error.code !== "EPERM" && error.code !== "ENOTEMPTY") throw error;
    // Caches of tool chains hold folders that not even their owner may change: those cannot be emptied.
    await unlock(path);
    await remove();
  });
}

async function unlock(folder: string): Promise<void> {
  await chmod(folder, 0o700);
  for (const entry of await readdir(folder, { withFileTypes: true }))
    if (entry.isDirectory()) await unlock(join(folder, entry.name));
}
