// Runs one program to its end: with a deadline, a cancel, bounded output, and nobody left behind. It decides nothing about
// where the program may reach: that is the sandbox's and the environment's part.
//
// R1  The result comes when the first process has ended and its pipes are closed; what it left running is ended first, because a
//     background child that holds the pipe would keep the caller waiting until the deadline.
// R2  Output beyond the limit is read and dropped, never held: a command that talks too much is slow, not dead.

import type { Clock, Random } from "../../runtime/index.ts";
import { ToolFailure } from "../tool.ts";
import { KeptOutput } from "./kept-output.ts";
import { endTree, type ProcessTree } from "./process-tree.ts";
import type { ExecResult } from "./workspace.ts";

export interface ProcessRequest {
  readonly program: string;
  readonly args: readonly string[];
  /** Absolute. */
  readonly cwd: string;
  /** The whole environment: nothing is inherited. */
  readonly env: Readonly<Record<string, string>>;
  readonly stdin?: string | undefined;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
  readonly outputMaxBytes: number;
  readonly leftovers: Leftovers;
}

/**
 * Who may be left when the first process has ended. `contained`: nobody, a PID namespace ends them all with it. `hunted`: whatever a
 * repository's code started; looked for after every end. `wanted`: what the user's own git keeps for them (a credential cache, an
 * ssh master), so only a cut ends it.
 */
export type Leftovers = "contained" | "hunted" | "wanted";

const MARKER_NAME = "FLOTILLA_EXEC";

type Cut = "timeout" | "cancel";

/** Rejects with ToolFailure `no-such-program` when the program cannot be started; every other end is in the result. */
export async function runProcess(request: ProcessRequest, clock: Clock, random: Random): Promise<ExecResult> {
  const startMs = clock.monotonic();
  const { execa } = await import("execa");
  if (request.signal?.aborted) return neverStarted();
  const marker = random.id();
  const stdout = new KeptOutput(request.outputMaxBytes);
  const stderr = new KeptOutput(request.outputMaxBytes);
  const child = execa(request.program, request.args, {
    cwd: request.cwd,
    env: { ...request.env, [MARKER_NAME]: marker },
    extendEnv: false,
    // Its own session and group: no terminal to ask on, and one signal reaches the group.
    detached: true,
    cleanup: false,
    buffer: false,
    reject: false,
    ...(request.stdin === undefined ? { stdin: "ignore" as const } : { input: request.stdin }),
  });
  child.stdout?.on("data", (chunk: Buffer) => stdout.push(chunk));
  child.stderr?.on("data", (chunk: Buffer) => stderr.push(chunk));

  let cut: Cut | undefined;
  let sweeping: Promise<void> = Promise.resolve();
  const sweep = (gentle: boolean) => {
    if (child.pid === undefined) return;
    const tree: ProcessTree = { leader: child.pid, marker: `${MARKER_NAME}=${marker}` };
    sweeping = sweeping.then(() => endTree(tree, clock, gentle));
  };
  const cutShort = (why: Cut) => {
    if (cut !== undefined) return;
    cut = why;
    // The first process of a PID namespace takes everyone with it, so there is nobody to be gentle to.
    sweep(request.leftovers !== "contained");
  };
  const timer = clock.schedule(request.timeoutMs, () => cutShort("timeout"), true);
  const onAbort = () => cutShort("cancel");
  request.signal?.addEventListener("abort", onAbort, { once: true });
  if (request.leftovers === "hunted") child.nodeChildProcess.once("exit", () => sweep(false));

  const ended = await child;
  timer.cancel();
  request.signal?.removeEventListener("abort", onAbort);
  await sweeping;
  if (child.pid === undefined) {
    throw new ToolFailure(
      "no-such-program",
      `The program ${request.program} could not be started: ${ended.originalMessage ?? "unknown reason"}.`,
    );
  }
  return {
    exitCode: cut === undefined ? (ended.exitCode ?? null) : null,
    stdout: stdout.text(),
    stderr: stderr.text(),
    timedOut: cut === "timeout",
    cancelled: cut === "cancel",
    truncated: stdout.truncated || stderr.truncated,
    durationMs: clock.monotonic() - startMs,
  };
}

const neverStarted = (): ExecResult => ({
  exitCode: null,
  stdout: "",
  stderr: "",
  timedOut: false,
  cancelled: true,
  truncated: false,
  durationMs: 0,
});
