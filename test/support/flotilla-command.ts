// The command `flotilla` as a user runs it: a process of its own, with a temp folder of its own to look for left-overs in.

import { spawn } from "node:child_process";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { ROOT } from "../tidy/source.ts";
import { makeFolder } from "./git-repository.ts";

export interface CommandResult {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** What it left in its temp folder. */
  readonly leftOver: readonly string[];
}

export interface CommandOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** Told whatever the command prints, with the way to send it a signal, once: a second one means "at once". */
  readonly onOutput?: (text: string, kill: (signal: NodeJS.Signals) => void) => void;
}

/** Variables that would choose a model or colours for the command. */
const clean = (env: NodeJS.ProcessEnv): NodeJS.ProcessEnv =>
  Object.fromEntries(
    Object.entries(env).filter(([name]) => !/^(FLOTILLA_|INIT_CWD|npm_|NO_COLOR|FORCE_COLOR)/.test(name)),
  );

export async function flotilla(args: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
  await using folder = await makeFolder("flotilla-command-");
  const env = { ...clean(process.env), ...options.env, TMPDIR: folder.path };
  const child = spawn(process.execPath, [join(ROOT, "api/main.ts"), ...args], {
    env,
    stdio: ["ignore", "pipe", "pipe"],
  });
  const text = { stdout: "", stderr: "" };
  let killed = false;
  const kill = (signal: NodeJS.Signals) => {
    if (!killed) killed = child.kill(signal);
  };
  for (const name of ["stdout", "stderr"] as const) {
    child[name].setEncoding("utf8").on("data", (piece: string) => {
      text[name] += piece;
      options.onOutput?.(piece, kill);
    });
  }
  const status = await new Promise<number | null>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", resolve);
  });
  return { status, ...text, leftOver: await readdir(folder.path) };
}
