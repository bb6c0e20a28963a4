// A process beside this one: the one that answers. It says "ready" when it does, and ends when its standard input does.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { systemClock } from "../runtime/index.ts";

const CLOSE_MAX_MS = 5_000;

/** The other side: says that this process is ready, and ends it with its standard input, after `closing` if that does not hang. */
export function beReady(closing?: () => Promise<unknown>): void {
  console.log("ready");
  process.stdin.resume().once("end", async () => {
    systemClock.schedule(CLOSE_MAX_MS, () => process.exit(1));
    await closing?.();
    process.exit();
  });
}

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
