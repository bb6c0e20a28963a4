// The process table: everything that a process has started, however deep and in whatever session, and which of it is left. Reads /proc, so on
// Linux only.

import { readdirSync, readFileSync } from "node:fs";

export interface ProcessEntry {
  readonly pid: number;
  readonly parent: number;
  readonly group: number;
  /** Z: dead, and nobody has asked for it. */
  readonly state: string;
  /** In clock ticks since the machine's start: with the pid it names a process for good. */
  readonly startedAt: string;
  readonly command: string;
}

export function processTable(): readonly ProcessEntry[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => entryOf(Number(name)) ?? []);
}

function entryOf(pid: number): ProcessEntry | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    const fields = stat.slice(stat.lastIndexOf(") ") + 2).split(" ");
    const [state = "", parent, group] = fields;
    const command = readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ").slice(0, 200);
    return { pid, parent: Number(parent), group: Number(group), state, startedAt: fields[19] ?? "", command };
  } catch {
    return undefined;
  }
}

/** The process, what it has started, what that has started, and all of their groups: a watcher that was given away is still in one. */
export function familyOf(pid: number): readonly ProcessEntry[] {
  const table = processTable().filter(({ state }) => state !== "Z");
  const own = table.find((entry) => entry.pid === pid)?.group;
  const family = new Set([pid]);
  for (let size = 0; size !== family.size; ) {
    size = family.size;
    for (const entry of table) {
      // The group that it was started in is that of whoever started it.
      const isOfGroup = entry.group !== own && family.has(entry.group);
      if (family.has(entry.parent) || isOfGroup) family.add(entry.pid);
    }
  }
  return table.filter((entry) => family.has(entry.pid));
}

/** Those that live still. */
export function leftOf(entries: readonly ProcessEntry[]): readonly ProcessEntry[] {
  return entries.filter(({ pid, startedAt }) => {
    const now = entryOf(pid);
    return now !== undefined && now.startedAt === startedAt && now.state !== "Z";
  });
}
