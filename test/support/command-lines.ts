// The command lines of this machine's living processes, for tests that ask who runs and what can be seen of it. Reads /proc: on Linux only.

import { readFileSync } from "node:fs";
import { processTable } from "./process-tree.ts";

export const commandLines = (): readonly string[] =>
  processTable()
    .filter(({ state, pid }) => state !== "Z" && pid !== process.pid)
    .flatMap(({ pid }) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
      } catch {
        return [];
      }
    });

/** Processes with this word as a whole argument; the shell whose script merely mentions it is none. */
export const countCarrying = (word: string): number =>
  commandLines().filter((line) => line.includes(`${word} `) && !line.includes("echo begun")).length;
