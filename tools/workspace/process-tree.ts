// Finds and ends everything one command started. It is not how a command is run (run-process.ts).
//
// P1  A process belongs to a command when it is in the command's group, descends from its first process, or carries its marker
//     in its environment (Linux): a child that called setsid leaves the group, and one whose parent died leaves the descent.
// P2  Ending is repeated until a look finds nobody: a process can fork between the look and the signal.
//
// Without a PID namespace this is the best there is, not proof: a process that leaves the group, loses its parent and wipes its
// environment is not found. Under bubblewrap the namespace ends it (sandbox.ts).

import { readdirSync, readFileSync } from "node:fs";
import { type Clock, sleep } from "../../runtime/index.ts";

export interface ProcessEntry {
  readonly pid: number;
  readonly parent: number;
  readonly group: number;
}

/** What tells one command's processes from all others. */
export interface ProcessTree {
  /** Process id of the command's first process, which leads its own group. */
  readonly leader: number;
  /** `NAME=value` that only this command's environment holds. */
  readonly marker: string;
}

/** How long a process may take to clean up after SIGTERM (git removes its lock files then) before SIGKILL. */
const GRACE_MS = 250;
const LOOK_EVERY_MS = 20;
/** Looks after the first SIGKILL. A process that survives them cannot be killed at all (it sleeps in the kernel). */
const LOOKS_MAX = 50;

/** Ends the tree; resolves when nobody of it is left or nothing more can be done. `gentle` gives it time to clean up. */
export async function endTree(tree: ProcessTree, clock: Clock, gentle: boolean): Promise<void> {
  if (gentle) {
    signalAll(await membersOf(tree), "SIGTERM", tree.leader);
    const endMs = clock.monotonic() + GRACE_MS;
    while (clock.monotonic() < endMs) {
      if ((await membersOf(tree)).length === 0) return;
      await sleep(clock, LOOK_EVERY_MS);
    }
  }
  for (let look = 0; look < LOOKS_MAX; look += 1) {
    const members = await membersOf(tree);
    if (members.length === 0) return;
    signalAll(members, "SIGKILL", tree.leader);
    await sleep(clock, LOOK_EVERY_MS);
  }
}

function signalAll(members: readonly number[], signal: NodeJS.Signals, leader: number): void {
  // The group first: one call that no fork inside the group can escape.
  for (const target of members.includes(leader) ? [-leader, ...members] : members) {
    try {
      process.kill(target, signal);
    } catch {
      // Gone already, or another user's (a set-uid program): the next look decides.
    }
  }
}

async function membersOf(tree: ProcessTree): Promise<readonly number[]> {
  const onLinux = process.platform === "linux";
  const entries = onLinux ? listFromProc() : await listFromPs();
  const found = new Set(descendants(entries, tree.leader));
  if (onLinux) for (const { pid } of entries) if (!found.has(pid) && carries(pid, tree.marker)) found.add(pid);
  found.delete(process.pid);
  return [...found];
}

/** Everyone in the leader's group and everyone below them. Pure. */
export function descendants(entries: readonly ProcessEntry[], leader: number): readonly number[] {
  const found = new Set(
    entries.filter((entry) => entry.pid === leader || entry.group === leader).map(({ pid }) => pid),
  );
  for (let before = -1; before !== found.size; ) {
    before = found.size;
    for (const entry of entries) if (found.has(entry.parent)) found.add(entry.pid);
  }
  return [...found];
}

/** Read in one go on purpose: the kernel answers from memory, and the same reads through the thread pool take ten times as long. */
function listFromProc(): readonly ProcessEntry[] {
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  return pids.map((pid) => parseStat(readProc(pid, "stat"))).filter((entry) => entry !== undefined);
}

/** "" for a process that has ended or is another user's. */
function readProc(pid: number | string, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "latin1");
  } catch {
    return "";
  }
}

/** One line of /proc/<pid>/stat; undefined for a zombie, which is dead and only waits for its parent to notice. */
export function parseStat(line: string): ProcessEntry | undefined {
  // The program's name stands in parentheses and may hold blanks and parentheses itself: read from the last one.
  const [state, parent, group] = line.slice(line.lastIndexOf(")") + 2).split(" ");
  if (state === undefined || parent === undefined || group === undefined || state === "Z" || state === "X")
    return undefined;
  return { pid: Number.parseInt(line, 10), parent: Number(parent), group: Number(group) };
}

async function listFromPs(): Promise<readonly ProcessEntry[]> {
  const { execa } = await import("execa");
  const { stdout } = await execa("ps", ["-axo", "pid=,ppid=,pgid=,stat="], { reject: false });
  return parsePs(stdout ?? "");
}

/** The output of `ps -axo pid=,ppid=,pgid=,stat=`, zombies left out. */
export function parsePs(output: string): readonly ProcessEntry[] {
  return output.split("\n").flatMap((line) => {
    const [pid, parent, group, state] = line.trim().split(/\s+/);
    if (pid === undefined || parent === undefined || group === undefined || state === undefined) return [];
    return state.startsWith("Z") ? [] : [{ pid: Number(pid), parent: Number(parent), group: Number(group) }];
  });
}

const carries = (pid: number, marker: string): boolean => readProc(pid, "environ").split("\0").includes(marker);
