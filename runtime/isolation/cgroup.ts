// Bounds on all memory of one process and of what it starts, by cgroup v2, where this node may make groups of its own below the one it runs in.
// That is so for a service with `Delegate=yes` (systemd) and where the memory controller is there; elsewhere it says why not, and changes nothing.
//
//     <the group it was given>/           nobody is in it: the kernel lets only groups without processes have bounded children
//        ├─ flotilla-node/                the node, and all that it starts without a bound
//        └─ <name of one process>/        memory.max, no swap, ended as one
//
// CG1  Only a group in which there is nobody but this node and what it has started is divided: other people's processes are not moved.
// CG2  What is left in a process's group when that has ended is ended with it, and the group is removed.

import { mkdir, readFile, rmdir, writeFile } from "node:fs/promises";
import { basename, dirname, join, relative } from "node:path";
import { type Clock, sleep } from "../clock.ts";

const OWN_GROUP = "flotilla-node";
/** While the node's own processes are moved it may start others. */
const MOVES_MAX = 10;
/** The kernel takes a moment to clear up after what it has ended. */
const REMOVE_TRIES = 40;
const REMOVE_PAUSE_MS = 25;

/** Whether all memory of a process can be bounded here. */
export type MemoryBound =
  | { readonly kind: "in force"; readonly groups: Cgroups }
  | { readonly kind: "absent"; readonly why: string };

/** Where the kernel tells of processes; a test has its own. */
export interface ProcessTable {
  readonly folder: string;
  readonly pid: number;
}

/** Finds out, once for each node, and divides the group where that is allowed (CG1). Never throws. */
export async function memoryBound(
  clock: Clock,
  table: ProcessTable = { folder: "/proc", pid: process.pid },
): Promise<MemoryBound> {
  try {
    return { kind: "in force", groups: new Cgroups(clock, await divided(table)) };
  } catch (error) {
    return { kind: "absent", why: error instanceof Error ? error.message : String(error) };
  }
}

export class Cgroups {
  readonly #clock: Clock;
  /** The group that was given. */
  readonly folder: string;

  constructor(clock: Clock, folder: string) {
    this.#clock = clock;
    this.folder = folder;
  }

  /** A group for one process, of that name and bound. Throws what the file system throws. */
  async make(name: string, memoryBytes: number): Promise<Cgroup> {
    const folder = join(this.folder, name);
    await mkdir(folder);
    await writeFile(join(folder, "memory.max"), String(memoryBytes));
    await writeFile(join(folder, "memory.oom.group"), "1");
    // Absent where swap is not accounted for, and then there is none to speak of.
    await writeFile(join(folder, "memory.swap.max"), "0", { flag: "r+" }).catch(ignoreAbsent);
    return new Cgroup(this.#clock, folder);
  }
}

export class Cgroup {
  readonly #clock: Clock;
  readonly #folder: string;

  constructor(clock: Clock, folder: string) {
    this.#clock = clock;
    this.#folder = folder;
  }

  async add(pid: number): Promise<void> {
    await writeFile(join(this.#folder, "cgroup.procs"), String(pid));
  }

  /** Its process has ended (CG2). Whether the kernel ended it because the bound was reached. */
  async close(): Promise<boolean> {
    const events = await readFile(join(this.#folder, "memory.events"), "utf8").catch(() => "");
    await writeFile(join(this.#folder, "cgroup.kill"), "1", { flag: "r+" }).catch(ignoreAbsent);
    void this.#remove();
    return /^oom_kill [1-9]/m.test(events);
  }

  async #remove(): Promise<void> {
    for (let tries = 0; tries < REMOVE_TRIES; tries++) {
      const isGone = await rmdir(this.#folder).then(
        () => true,
        () => false,
      );
      if (isGone) return;
      await sleep(this.#clock, REMOVE_PAUSE_MS);
    }
  }
}

function ignoreAbsent(error: NodeJS.ErrnoException): void {
  if (error.code !== "ENOENT") throw error;
}

/** The folder of the group that was given, divided. Throws an Error that says why there is none. */
async function divided(table: ProcessTable): Promise<string> {
  const own = await ownGroup(table);
  const isDivided = basename(own) === OWN_GROUP;
  const given = isDivided ? dirname(own) : own;
  const controllers = await readFile(join(given, "cgroup.controllers"), "utf8");
  if (!controllers.split(/\s+/).includes("memory")) throw new Error(`${given} has no memory controller`);
  if (isDivided) return given;
  try {
    await moveDown(given, table);
    await writeFile(join(given, "cgroup.subtree_control"), "+memory");
    return given;
  } catch (error) {
    throw new Error(`${given} may not be divided: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** The folder of this process's own group. */
async function ownGroup({ folder, pid }: ProcessTable): Promise<string> {
  const groups = await readFile(join(folder, String(pid), "cgroup"), "utf8").catch(() => "");
  const path = /^0::(.*)$/m.exec(groups)?.[1];
  const mounts = await readFile(join(folder, String(pid), "mountinfo"), "utf8").catch(() => "");
  const mount = mounts.split("\n").find((line) => / - cgroup2 /.test(line));
  if (path === undefined || mount === undefined) throw new Error("there is no cgroup v2 here");
  const [, , , root = "/", point = ""] = mount.split(" ");
  const within = relative(root, path);
  if (within.startsWith("..")) throw new Error(`its own group ${path} is not visible here`);
  return join(point, within);
}

/** Has this node's processes live one level below, so that the level above can be divided. */
async function moveDown(given: string, table: ProcessTable): Promise<void> {
  const procs = join(given, "cgroup.procs");
  const own = join(given, OWN_GROUP);
  const present = async () => (await readFile(procs, "utf8")).split("\n").filter((line) => line !== "");
  for (const pid of await present()) {
    if (!(await isOurs(Number(pid), table))) throw new Error(`process ${pid}, which is not the node's, lives in it`);
  }
  await mkdir(own, { recursive: true });
  for (let moves = 0; moves < MOVES_MAX; moves++) {
    const pids = await present();
    if (pids.length === 0) return;
    for (const pid of pids) await writeFile(join(own, "cgroup.procs"), pid);
  }
}

/** Whether a process is this one or was started by it or by its like. */
async function isOurs(pid: number, table: ProcessTable): Promise<boolean> {
  if (pid === table.pid) return true;
  // "4711 (name, perhaps with spaces) S <parent> …"
  const stat = await readFile(join(table.folder, String(pid), "stat"), "utf8").catch(() => "");
  const parent = Number(/\) \S (\d+)/.exec(stat)?.[1] ?? 0);
  return parent > 1 && isOurs(parent, table);
}
