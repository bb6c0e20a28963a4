// Whether a process was started by this one, or by what this one started: by /proc, so on Linux only; elsewhere nothing is known to descend.

import { readFileSync } from "node:fs";

/** Deeper than any tree of ours. */
const STEPS_MAX = 64;

export function descendsFrom(pid: number, ancestor: number, parentOf = parentByProc): boolean {
  let at = pid;
  for (let step = 0; step < STEPS_MAX && at > 1; step++) {
    if (at === ancestor) return true;
    at = parentOf(at) ?? 0;
  }
  return false;
}

/** "4242 (a name) S 17 …": the name may hold anything, parentheses too. */
function parentByProc(pid: number): number | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8");
    return Number(text.slice(text.lastIndexOf(")") + 2).split(" ")[1]);
  } catch {
    return undefined;
  }
}
