// What remains to be done after a node that was killed: ends those of its processes that did not end by themselves, because an actor in them
// never lets go of its thread, and removes the node's folder. It is a shell that reads until the node is gone; in an orderly end it has
// nobody to end.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";

/** Seconds after the node's end: processes that can hear of it are gone by then (actor-process.ts). */
const GRACE_S = 4;

/** $1 folder. Each line is the list of pids as it is now; the last one counts. */
const GUARD = `pids=
while read -r line; do pids=$line; done
if [ -n "$pids" ]; then sleep ${GRACE_S}; kill -9 $pids 2>/dev/null; fi
rm -rf -- "$1"`;

export class Guard {
  readonly #shell: ChildProcess;
  readonly #ended: Promise<unknown>;

  constructor(folder: string, failed: (error: Error) => void) {
    // A session of its own: a signal to the terminal's programs must not end it before the node.
    this.#shell = spawn("sh", ["-c", GUARD, "sh", folder], { stdio: ["pipe", "ignore", "ignore"], detached: true });
    this.#shell.stdin?.on("error", () => {});
    this.#ended = once(this.#shell, "exit").catch(failed);
    this.#shell.unref();
  }

  /** Tells it who is there now. */
  guards(pids: readonly number[]): void {
    this.#shell.stdin?.write(`${pids.join(" ")}\n`);
  }

  /** Nobody is there any more. Resolves when the folder is gone. */
  async close(): Promise<void> {
    this.#shell.ref();
    this.#shell.stdin?.end("\n");
    await this.#ended;
  }
}
