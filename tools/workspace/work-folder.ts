// Folders on a node for agents that make their clones there: one for each agent, gone with it, and gone later when it could not go with it.
//
//     flotilla-agent-<namespace>-<pid>-<chance>/      whose process it is can be read from its name
//     flotilla-kept-<chance>/                         asked to stay
//
// WF1  A folder is removed when it is disposed of; one of a process that has died, by the next process that opens one. A process that ends
//      in order does not wait for agents that were ended in the midst of their work, and removes their folders last.
// WF2  A process is only taken for dead where its number means anything: in the same namespace of process ids. Two containers with one
//      temp folder do not see each other's processes, and must not remove each other's folders.

import { mkdtemp, readdir, readlink, realpath, rm } from "node:fs/promises";
import { join } from "node:path";
import { toolsOptions } from "../options.ts";

export interface WorkFolder extends AsyncDisposable {
  /** Absolute real path. */
  readonly path: string;
}

/** Makes a folder under `parent` (default: FLOTILLA_WORKSPACES, else the temp folder) that is removed when it is disposed of unless `keep`. */
export async function openWorkFolder(keep = false, parent = toolsOptions().workspaces): Promise<WorkFolder> {
  await removeLeftFolders(parent);
  const prefix = keep ? "flotilla-kept-" : `flotilla-agent-${await namespace()}-${process.pid}-`;
  const path = await realpath(await mkdtemp(join(parent, prefix)));
  const remove = async () => {
    if (!keep) await rm(path, { recursive: true, force: true, maxRetries: 3 });
  };
  return { path, [Symbol.asyncDispose]: remove };
}

/**
 * Removes what processes that have died have left under `parent` (WF1, WF2); with `own` also what is this process's, when its agents have
 * ended. Resolves with the paths.
 */
export async function removeLeftFolders(
  parent = toolsOptions().workspaces,
  { own: isOver = false }: { readonly own?: boolean } = {},
): Promise<readonly string[]> {
  const own = await namespace();
  const left = (await readdir(parent)).filter((name) => {
    const [, space, pid] = /^flotilla-agent-(\d+)-(\d+)-\w+$/.exec(name) ?? [];
    return space === own && pid !== undefined && ((isOver && Number(pid) === process.pid) || !isAlive(Number(pid)));
  });
  const paths = left.map((name) => join(parent, name));
  // One that somebody else is removing, or may not be removed, keeps nobody from working.
  await Promise.allSettled(paths.map((path) => rm(path, { recursive: true, force: true, maxRetries: 3 })));
  return paths;
}

/** The number of this process's namespace of process ids; "0" where there are none. */
async function namespace(): Promise<string> {
  const link = await readlink("/proc/self/ns/pid").catch(() => "");
  return /\d+/.exec(link)?.[0] ?? "0";
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // Not allowed to: it is somebody else's, and alive.
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
