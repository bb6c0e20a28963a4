// The Workspace port on this machine: commands are processes of this user, in bubblewrap where it works. W1–W5 of workspace.ts hold.
// The checkout belongs to whoever made it; only the scratch folder is ours.

import { mkdir, mkdtemp, realpath, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { Clock, Random } from "../../runtime/index.ts";
import { fail } from "../errors.ts";
import { type ToolsOptions, toolsOptions } from "../options.ts";
import { ToolFailure } from "../tool.ts";
import { baseEnvironment, homeOf, isRunnable, temporaryOf } from "./environment.ts";
import { runProcess } from "./run-process.ts";
import { type SandboxView, sandboxArguments, sandboxView } from "./sandbox.ts";
import type { ExecOptions, ExecResult, Sandbox, Workspace } from "./workspace.ts";

const OUTPUT_MAX_BYTES = 1024 * 1024;
const PROBE_TIMEOUT_MS = 5_000;
const CLEANING_TIMEOUT_MS = 30_000;

export interface ProcessWorkspaceOptions {
  /** Folder that holds the checkout. Not removed by `close`. */
  readonly root: string;
  /** Where the scratch folder is made. Default the system's temp folder. */
  readonly scratchParent?: string;
  readonly clock: Clock;
  readonly random: Random;
  /** `auto` (default) uses bubblewrap if a trial run works, and nothing otherwise; `bubblewrap` insists on it. */
  readonly sandbox?: "auto" | Sandbox;
  readonly options?: ToolsOptions;
}

/** Opens a workspace on an existing folder. Throws SandboxUnavailable when bubblewrap was insisted on and a trial run fails. */
export async function openProcessWorkspace(request: ProcessWorkspaceOptions): Promise<Workspace> {
  const options = request.options ?? toolsOptions();
  const root = await realpath(request.root);
  const parent = await realpath(request.scratchParent ?? tmpdir());
  const scratch = await mkdtemp(join(parent, "flotilla-scratch-"));
  await Promise.all([mkdir(homeOf(scratch)), mkdir(temporaryOf(scratch))]);
  const view = sandboxView(root, scratch, options);
  const opened = (sandbox: Sandbox) => new ProcessWorkspace({ ...request, root, scratch, sandbox, view, options });
  if (request.sandbox === "none") return opened("none");
  const boxed = opened("bubblewrap");
  const problem = await whyNot(boxed);
  if (problem === undefined) return boxed;
  if (request.sandbox !== "bubblewrap") return opened("none");
  await boxed.close();
  throw fail(
    "SandboxUnavailable",
    `bubblewrap does not work here: ${problem}. Install it (apt-get install bubblewrap) or allow workspaces without it.`,
  );
}

/** A trial run of the real layout: unprivileged containers and some distributions forbid user namespaces although bwrap is there. */
async function whyNot(workspace: Workspace): Promise<string | undefined> {
  try {
    const { exitCode, stderr } = await workspace.exec("true", [], { timeoutMs: PROBE_TIMEOUT_MS });
    return exitCode === 0 ? undefined : stderr.trim() || `its trial run ended with ${exitCode}`;
  } catch (error) {
    return error instanceof ToolFailure ? error.message : String(error);
  }
}

interface Opened {
  readonly root: string;
  readonly scratch: string;
  readonly sandbox: Sandbox;
  readonly view: SandboxView;
  readonly options: ToolsOptions;
  readonly clock: Clock;
  readonly random: Random;
}

class ProcessWorkspace implements Workspace {
  readonly id: string;
  readonly root: string;
  readonly scratch: string;
  readonly sandbox: Sandbox;
  readonly #opened: Opened;
  readonly #closing = new AbortController();
  readonly #running = new Set<Promise<ExecResult>>();

  constructor(opened: Opened) {
    this.id = opened.random.id();
    this.root = opened.root;
    this.scratch = opened.scratch;
    this.sandbox = opened.sandbox;
    this.#opened = opened;
  }

  async exec(program: string, args: readonly string[], options: ExecOptions): Promise<ExecResult> {
    if (this.#closing.signal.aborted)
      throw new ToolFailure("workspace-closed", "The workspace is closed: open another one.");
    const cwd = await this.#folder(options.cwd ?? ".");
    const env = { ...baseEnvironment(this.#opened.options, this.scratch), ...options.env };
    if (!(await isRunnable(program, cwd, env.PATH ?? ""))) {
      throw new ToolFailure(
        "no-such-program",
        `There is no program ${program} on this machine: install it or use another tool.`,
      );
    }
    const running = this.#run(program, args, cwd, env, options);
    this.#running.add(running);
    return await running.finally(() => this.#running.delete(running));
  }

  #run(
    program: string,
    args: readonly string[],
    cwd: string,
    env: Readonly<Record<string, string>>,
    options: ExecOptions,
  ): Promise<ExecResult> {
    const boxed = this.sandbox === "bubblewrap";
    const prefix = boxed ? sandboxArguments(this.#opened.view, program, cwd, options.network ?? false) : [];
    const request = {
      program: boxed ? "bwrap" : program,
      args: boxed ? [...prefix, program, ...args] : args,
      cwd,
      env,
      stdin: options.stdin,
      timeoutMs: options.timeoutMs,
      signal:
        options.signal === undefined ? this.#closing.signal : AbortSignal.any([options.signal, this.#closing.signal]),
      outputMaxBytes: options.outputMaxBytes ?? OUTPUT_MAX_BYTES,
      leftovers: boxed ? ("contained" as const) : ("hunted" as const),
    };
    return runProcess(request, this.#opened.clock, this.#opened.random);
  }

  async #folder(path: string): Promise<string> {
    const real = await realpath(resolve(this.root, path)).catch(() => undefined);
    if (real === undefined)
      throw new ToolFailure("no-such-file", `The folder ${path} does not exist in the workspace.`);
    if (real !== this.root && !real.startsWith(`${this.root}/`)) {
      throw new ToolFailure("outside-workspace", `The folder ${path} lies outside the workspace.`);
    }
    return real;
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await Promise.allSettled(this.#running);
    await this.#removeScratch().catch(async () => {
      await this.#unlockScratch();
      await this.#removeScratch();
    });
  }

  /** Tools leave folders that not even their owner may change (go's module cache); those cannot be emptied. */
  async #unlockScratch(): Promise<void> {
    const { options, clock, random } = this.#opened;
    const args = ["-R", "u+rwX", this.scratch];
    const bounds = { timeoutMs: CLEANING_TIMEOUT_MS, outputMaxBytes: 0, leftovers: "wanted" as const };
    await runProcess({ program: "chmod", args, cwd: "/", env: { PATH: options.path }, ...bounds }, clock, random);
  }

  #removeScratch(): Promise<void> {
    return rm(this.scratch, { recursive: true, force: true, maxRetries: 3 });
  }
}
