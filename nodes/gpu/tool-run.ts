// Runs a GPU tool and waits no longer than it may take. What its output means is for the tools' files.
//
// TR1  It never rejects: a missing program, a late one and one that failed are answers.
// TR2  A late one is killed with its whole group, and nobody waits for its end: a process stuck in a broken driver cannot be killed at all.
// TR3  While one of a program's processes is stuck no other is started, so that they do not pile up: the next run is late at once.

import { type ChildProcess, spawn } from "node:child_process";
import type { Readable } from "node:stream";
import type { Clock } from "../../runtime/index.ts";

export type ToolOutput =
  | { readonly kind: "missing" }
  | { readonly kind: "late"; readonly afterMs: number }
  | { readonly kind: "ended"; readonly code: number; readonly out: string; readonly err: string };

/** Runs a program found on the PATH, without a shell and without input. */
export type RunTool = (program: string, args: readonly string[]) => Promise<ToolOutput>;

export const TOOL_LIMIT_MS = 5_000;
const OUTPUT_MAX_CHARS = 16 * 2 ** 20;

export function toolRunner({ clock, limitMs = TOOL_LIMIT_MS }: { clock: Clock; limitMs?: number }): RunTool {
  const stuck = new Map<string, ChildProcess>();
  return async (program, args) => {
    const before = stuck.get(program);
    if (before?.exitCode === null && before.signalCode === null) return { kind: "late", afterMs: limitMs };
    stuck.delete(program);
    const child = spawn(program, args, { detached: true, stdio: ["ignore", "pipe", "pipe"] });
    const output = await outputOf(child, clock, limitMs);
    if (output.kind === "late") stuck.set(program, child);
    return output;
  };
}

function outputOf(child: ChildProcess, clock: Clock, limitMs: number): Promise<ToolOutput> {
  return new Promise((resolve) => {
    const out = gathered(child.stdout, () => killGroup(child));
    const err = gathered(child.stderr, () => killGroup(child));
    const late = clock.schedule(limitMs, () => {
      killGroup(child);
      child.unref();
      child.stdout?.destroy();
      child.stderr?.destroy();
      resolve({ kind: "late", afterMs: limitMs });
    });
    const end = (output: ToolOutput) => {
      late.cancel();
      resolve(output);
    };
    child.once("error", (error: NodeJS.ErrnoException) =>
      end(error.code === "ENOENT" ? { kind: "missing" } : { kind: "ended", code: -1, out: "", err: error.message }),
    );
    child.once("close", (code) => end({ kind: "ended", code: code ?? -1, out: out(), err: err() }));
  });
}

function gathered(stream: Readable | null, onTooMuch: () => void): () => string {
  let text = "";
  stream?.setEncoding("utf8").on("data", (chunk: string) => {
    if (text.length < OUTPUT_MAX_CHARS) text += chunk;
    else onTooMuch();
  });
  return () => text;
}

function killGroup({ pid }: ChildProcess): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // It has ended by itself.
  }
}

/** What a run came to when it gave nothing to read: "nvidia-smi did not answer within 5 s". */
export function runInWords(program: string, output: ToolOutput): string {
  if (output.kind === "missing") return `${program} is not installed`;
  if (output.kind === "late") return `${program} did not answer within ${output.afterMs / 1000} s`;
  const said = `${output.err}\n${output.out}`.split("\n").find((line) => line.trim() !== "") ?? "it said nothing";
  return `${program} ended with code ${output.code}: ${said.trim().slice(0, 200)}`;
}
