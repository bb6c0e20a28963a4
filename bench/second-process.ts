// A process beside this one: the one that answers. It says "ready" when it does, and ends when its standard input does.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";

/** Starts `node PROGRAM …ARGS` and waits until it is ready; disposing of it ends it. Throws when it exits before that. */
export async function startProcess(program: string, ...args: readonly string[]): Promise<AsyncDisposable> {
  const child = spawn(process.execPath, [program, ...args], { stdio: ["pipe", "pipe", "inherit"] });
  const exit = once(child, "exit");
  const ready = once(createInterface({ input: child.stdout }), "line");
  const first = await Promise.race([ready, exit.then(() => undefined)]);
  if (first === undefined) throw new Error(`${program} exited before it was ready`);
  return {
    async [Symbol.asyncDispose]() {
      child.stdin.end();
      await exit;
    },
  };
}
