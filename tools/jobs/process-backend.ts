// The WorkspaceBackend of this host: jobs are processes of this user, each with a supervisor and a folder of its own (job-folder.ts), so that
// they live on when their caller does not. WB1–WB5 of backend.ts hold; it isolates nothing: the agent's tools have their own sandbox.
//
//     start ─ claim (a folder, once) ─▶ supervisor (job-supervisor.ts) ─▶ program
//                                            └─ started, exit, *.log ─┐
//     find ────────────────────────────────── watch the folder ◀──────┘ ─▶ ended
//
// PB1  Who dies between the claim and the start leaves a job that has not begun. `start` of the same id begins it; `find` decides that it never
//      will, and says so as StartFailed, which may be tried again: the secrets that it needs are not written anywhere (WB5).
// PB2  What a job may have left running is looked for by its first process, as long as its number means that one, and by a mark in its
//      environment. Told to end, its program has GRACE_MS to end what it has started itself.
// PB3  Bounds on processors and memory are not held: they are for the forms that can.

import { stat } from "node:fs/promises";
import { join } from "node:path";
import { type Clock, type Random, sleep } from "../../runtime/index.ts";
import { fail } from "../errors.ts";
import { toolsOptions } from "../options.ts";
import { isRunnable } from "../workspace/environment.ts";
import { endTree } from "../workspace/process-tree.ts";
import {
  type BackendJob,
  type JobEnd,
  type JobLine,
  type JobSpec,
  WORKSPACE_ARGUMENT,
  type WorkspaceBackend,
} from "./backend.ts";
import { type Claim, JobFolder, jobsIn, type Started, type Verdict } from "./job-folder.ts";
import { jobLines } from "./job-log.ts";
import { lookFor, type ProcessIdentity, startSupervisor } from "./job-supervisor.ts";

const MARKER_NAME = "FLOTILLA_JOB";
const LOOK_EVERY_MS = 25;
/** Between the claim and the first word of the supervisor. */
const BEGINS_WITHIN_MS = 5_000;
/** For the program to end what it has started, after SIGTERM. */
const GRACE_MS = 2_000;
/** For what was printed last to reach its file. */
const DRAIN_MS = 500;
const JOB_ID = /^[A-Za-z0-9_-]{1,200}$/;

export interface ProcessBackendOptions {
  /** Where jobs are kept; made when it is needed. The same folder for every life. */
  readonly folder: string;
  readonly clock: Clock;
  readonly random: Random;
}

export class ProcessBackend implements WorkspaceBackend {
  readonly kind = "process";
  readonly takesFolders = true;
  readonly #options: ProcessBackendOptions;
  readonly #closing = new AbortController();
  readonly #jobs = new Map<string, ProcessJob>();

  constructor(options: ProcessBackendOptions) {
    this.#options = options;
  }

  async start(spec: JobSpec, signal: AbortSignal): Promise<BackendJob> {
    signal.throwIfAborted();
    const { folder: parent, random, clock } = this.#options;
    const folder = new JobFolder(parent, checkedId(spec.jobId));
    const known = await this.#known(folder, spec.jobId);
    if (known !== undefined && (await folder.readStarted()) !== undefined) return known;
    const { workspace, command, env } = await startable(spec);
    const { jobId, labels, timeoutMs } = spec;
    await folder.claim(parent, { jobId, labels, workspace, timeoutMs, marker: random.id() });
    const claim = await folder.readClaim();
    if (claim === undefined) throw fail("BackendUnavailable", `The job ${jobId} was removed while it was started.`);
    const own = { TMPDIR: join(folder.path, "tmp"), [MARKER_NAME]: claim.marker };
    let problem: Error | undefined;
    startSupervisor({ folder: folder.path, command, cwd: workspace, env: { ...env, ...own } }, (error) => {
      problem = error;
    });
    const endMs = clock.monotonic() + BEGINS_WITHIN_MS;
    while ((await folder.readStarted()) === undefined) {
      if (problem !== undefined || clock.monotonic() > endMs) {
        const why = problem?.message ?? "its first process said nothing";
        throw fail("BackendUnavailable", `The job ${jobId} could not be started: ${why}.`);
      }
      await sleep(clock, 2);
    }
    return this.#job(folder, claim);
  }

  async find(jobId: string): Promise<BackendJob | undefined> {
    const folder = new JobFolder(this.#options.folder, checkedId(jobId));
    return this.#known(folder, jobId);
  }

  list(): Promise<readonly string[]> {
    return jobsIn(this.#options.folder);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    await Promise.allSettled([...this.#jobs.values()].map(({ watching }) => watching));
  }

  /** The job of a folder that is there. */
  async #known(folder: JobFolder, jobId: string): Promise<ProcessJob | undefined> {
    const claim = await folder.readClaim();
    if (claim === undefined) return void this.#jobs.delete(jobId);
    return this.#job(folder, claim);
  }

  #job(folder: JobFolder, claim: Claim): ProcessJob {
    const held = this.#jobs.get(claim.jobId);
    // Another mark: it was removed and started anew.
    if (held?.claim.marker === claim.marker) return held;
    const job = new ProcessJob(folder, claim, this.#options.clock, this.#closing.signal);
    this.#jobs.set(claim.jobId, job);
    return job;
  }
}

function checkedId(jobId: string): string {
  if (JOB_ID.test(jobId)) return jobId;
  throw fail(
    "JobRefused",
    `${JSON.stringify(jobId.slice(0, 80))} is no id of a job: 1 to 200 letters, digits, _ and -.`,
  );
}

/** What of a spec can be run here. Throws JobRefused. */
async function startable(spec: JobSpec) {
  const { source, jobId } = spec;
  const refuse = (why: string) => fail("JobRefused", `The job ${jobId} cannot be started here: ${why}.`);
  if (source.kind !== "folder") throw refuse("processes of this host are given folders, not addresses to clone");
  const workspace = source.path;
  if (!(await stat(workspace).catch(() => undefined))?.isDirectory())
    throw refuse(`its workspace ${workspace} is not a folder`);
  const { path, home, toolchains, userGit } = toolsOptions();
  const given = { ...toolchains, ...userGit, PATH: path, HOME: home, LANG: "C.UTF-8", LC_ALL: "C.UTF-8" };
  const env = { ...given, ...spec.env, ...spec.secretEnv };
  const command = spec.command.map((part) => part.replaceAll(WORKSPACE_ARGUMENT, workspace));
  const [program = ""] = command;
  if (!(await isRunnable(program, workspace, env.PATH)))
    throw refuse(`there is no program ${JSON.stringify(program)} on this machine`);
  return { workspace, command, env };
}

class ProcessJob implements BackendJob {
  readonly claim: Claim;
  readonly ended: Promise<JobEnd>;
  /** Settles when this life no longer looks at it. */
  readonly watching: Promise<void>;
  readonly #folder: JobFolder;
  readonly #clock: Clock;
  readonly #closing: AbortSignal;
  readonly #foundMs: number;
  #started: Started | undefined;
  #isOver = false;

  constructor(folder: JobFolder, claim: Claim, clock: Clock, closing: AbortSignal) {
    this.#folder = folder;
    this.claim = claim;
    this.#clock = clock;
    this.#closing = closing;
    this.#foundMs = clock.monotonic();
    const ended = Promise.withResolvers<JobEnd>();
    this.ended = ended.promise;
    this.watching = this.#watch().then(
      (end) => {
        if (end === undefined) return;
        this.#isOver = true;
        ended.resolve(end);
      },
      (error: Error) => ended.resolve(failed("Lost", `Its folder cannot be read: ${error.message}.`, false)),
    );
  }

  get jobId(): string {
    return this.claim.jobId;
  }

  get place(): string {
    const by = this.#started?.by;
    return by === undefined || by === "nobody" ? `folder ${this.#folder.path}` : `pid ${by.pid}`;
  }

  logs(signal: AbortSignal): AsyncIterable<JobLine> {
    const either = AbortSignal.any([signal, this.#closing]);
    return jobLines(this.#folder.path, () => this.#isOver, this.#clock, either);
  }

  async cancel(): Promise<void> {
    if (!this.#isOver) await this.#end("cancelled");
  }

  async remove(): Promise<void> {
    await this.cancel();
    if ((await this.#folder.readClaim())?.marker === this.claim.marker) await this.#folder.remove();
  }

  /** Resolves with how it ended; undefined when this life ends first. */
  async #watch(): Promise<JobEnd | undefined> {
    for (;;) {
      const end = await this.#look();
      if (end !== undefined) return end;
      await sleep(this.#clock, LOOK_EVERY_MS, this.#closing).catch(() => {});
      if (this.#closing.aborted) return undefined;
    }
  }

  async #look(): Promise<JobEnd | undefined> {
    const started = await this.#begin();
    if (started === undefined) return undefined;
    if (started.by === "nobody")
      return failed("StartFailed", "Whoever asked for it ended before its program was started.", true);
    const verdict = await this.#folder.readVerdict();
    if (verdict !== undefined) return this.#verdict(verdict);
    const isGone = lookFor(started.by) !== "running";
    // Read after that look: a supervisor that is gone has written it, or never will.
    const code = await this.#folder.readExit();
    if (code !== undefined) return this.#exited(code, started.by);
    if (isGone) return this.#lost();
    if (this.#clock.now() >= started.atMs + this.claim.timeoutMs) await this.#end("timed_out");
    return undefined;
  }

  /** Who runs it; undefined while that is not known yet (PB1). */
  async #begin(): Promise<Started | undefined> {
    if (this.#started !== undefined) return this.#started;
    this.#started = await this.#folder.readStarted();
    if (this.#started !== undefined) return this.#started;
    if (!(await this.#folder.isThere())) return { by: "nobody", atMs: 0 };
    if (this.#clock.monotonic() > this.#foundMs + BEGINS_WITHIN_MS) await this.#folder.startByNobody();
    return undefined;
  }

  async #exited(code: number, by: ProcessIdentity): Promise<JobEnd> {
    await this.#waitFor(DRAIN_MS, async () => lookFor(by) !== "running");
    await this.#sweep();
    return { kind: "exited", code };
  }

  async #lost(): Promise<JobEnd> {
    const isThere = await this.#folder.isThere();
    await this.#sweep();
    return isThere
      ? failed("Lost", "Its processes were ended from outside.", true)
      : failed("Deleted", "Somebody removed its folder.", true);
  }

  async #verdict(kind: Verdict): Promise<JobEnd> {
    await this.#kill();
    return { kind };
  }

  async #end(verdict: Verdict): Promise<void> {
    await this.#folder.writeVerdict(verdict);
    if ((await this.#folder.readVerdict()) !== undefined) await this.#kill();
  }

  /** Its program first, so that it ends in order what it has started; then whoever is left (PB2). */
  async #kill(): Promise<void> {
    const by = this.#started?.by;
    if (by !== undefined && by !== "nobody" && lookFor(by) === "running") {
      try {
        process.kill(by.pid, "SIGTERM");
      } catch {
        // Gone in this moment.
      }
      const hasEnded = async () => (await this.#folder.readExit()) !== undefined;
      await this.#waitFor(GRACE_MS, async () => lookFor(by) !== "running" || (await hasEnded()));
    }
    await this.#sweep();
  }

  async #waitFor(withinMs: number, check: () => Promise<boolean>): Promise<void> {
    const endMs = this.#clock.monotonic() + withinMs;
    while (this.#clock.monotonic() < endMs && !(await check())) await sleep(this.#clock, LOOK_EVERY_MS / 5);
  }

  async #sweep(): Promise<void> {
    const by = this.#started?.by;
    const leader = by === undefined || by === "nobody" || lookFor(by) === "reused" ? -1 : by.pid;
    await endTree({ leader, marker: `${MARKER_NAME}=${this.claim.marker}` }, this.#clock, false);
  }
}

const failed = (code: string, message: string, retryable: boolean): JobEnd => ({
  kind: "failed",
  code,
  message,
  retryable,
});
