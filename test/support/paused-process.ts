// Pauses another process for certain: the signal alone may take effect after what is done next.

import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { promisify } from "node:util";
import { waitUntil } from "./wait-until.ts";

const run = promisify(execFile);

/** Its state as ps and /proc write it; T is stopped. */
async function stateOf(pid: number): Promise<string> {
  if (process.platform !== "linux") return (await run("ps", ["-o", "stat=", "-p", String(pid)])).stdout.trim();
  return (await readFile(`/proc/${pid}/stat`, "utf8")).replace(/^.*\) /, "");
}

/** Resolves once the process has stopped; `process.kill(pid, "SIGCONT")` lets it go on. */
export async function pauseProcess(pid: number): Promise<void> {
  process.kill(pid, "SIGSTOP");
  await waitUntil("the process stops", async () => (await stateOf(pid)).startsWith("T"));
}
