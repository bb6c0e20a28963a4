// The life of one job, from its turn to its end. It can be left at any point and taken up by another life of the runner: what was done is in
// the job's record, at its backend and in the event log, and everything is looked up there before it is done.
//
//     preparing ─ a clone on the story's branch ─▶ base is written ─▶ started at the backend ─▶ running ─▶ its end
//         ▲                                                                                                 │ judgeJob
//         └──────────────────────────────────── again, under the next try's name ◀──────────────────────────┤
//                                                                 results, if none: missing ─▶ ended ◀──────┘ ─▶ cleaned up
//
// JR1  The backend is asked for the try's job before one is started, and a start is known by the try's name (WB1): no crash starts it twice.
// JR2  That there will be no result is posted before the job counts as ended, and a state before it is written: nobody waits for an event
//      that a crash has kept.
// JR3  What the fleet's ports refuse is tried again for as long as it takes; it is no job's fault.

import { isAbsolute } from "node:path";
import { type ActorSystem, isFlotillaError, type LogLevel, sleep } from "../../runtime/index.ts";
import {
  type BackendJob,
  type Depot,
  type JobEnd,
  lendDependencies,
  type WorkspaceBackend,
} from "../../tools/index.ts";
import { blobIn } from "../agent-executor-text.ts";
import { authorOf } from "../council/roles.ts";
import { jobSpecOf, type Prepared } from "./executor-command.ts";
import type { JobBook } from "./job-book.ts";
import { JobLog, secretTexts } from "./job-log.ts";
import { isOfFleet, knownResult, postMissing, postState } from "./job-posts.ts";
import { backendIdOf, hasEnded, type JobRecord } from "./job-record.ts";
import { type JobVerdict, judgeJob } from "./job-verdict.ts";
import type { RunnerSetup } from "./runner-settings.ts";

/** What jobs are run with. */
export interface RunParts {
  readonly system: Pick<ActorSystem, "ports" | "clock" | "node">;
  readonly backend: WorkspaceBackend;
  readonly depot: Depot;
  readonly book: JobBook;
  readonly setup: RunnerSetup;
  readonly log: (level: LogLevel, message: string, data?: Readonly<Record<string, unknown>>) => void;
}

const PAUSE_MIN_MS = 250;
const PAUSE_MAX_MS = 10_000;
/** For the last lines to be posted when a job has ended. */
const LAST_LINES_MS = 5_000;
/** Failures one after the other that nobody expected, before the job is given up. */
const DEFECTS_MAX = 5;

export class JobRun {
  /** Settles when the job has ended or this life of the runner has. */
  readonly done: Promise<void>;
  readonly #parts: RunParts;
  readonly #jobId: string;
  readonly #closing: AbortSignal;
  readonly #cancelling = new AbortController();

  constructor(parts: RunParts, jobId: string, closing: AbortSignal) {
    this.#parts = parts;
    this.#jobId = jobId;
    this.#closing = closing;
    this.done = this.#run();
  }

  /** Ends it; its record says already that nobody wants it. */
  cancel(): void {
    this.#cancelling.abort();
  }

  get #record(): JobRecord {
    return this.#parts.book.get(this.#jobId);
  }

  async #run(): Promise<void> {
    for (let failures = 0; !this.#closing.aborted && !hasEnded(this.#record); ) {
      try {
        await this.#step();
        failures = 0;
      } catch (error) {
        if (this.#closing.aborted) return;
        this.#parts.log("warn", `job ${this.#jobId} goes on after a failure`, { error: String(error) });
        if (!isOfFleet(error) && ++failures >= DEFECTS_MAX) return void (await this.#giveUp(error).catch(() => {}));
        await this.#pause(failures);
      }
    }
  }

  /** One try, from wherever it stands to its end and what follows from that. */
  async #step(): Promise<void> {
    const { isCancelled, tries } = this.#record;
    if (tries === 0 && isCancelled) return this.#finish(NEVER_BEGUN, false);
    if (tries === 0) await this.#begin({ tries: 1, startedAtMs: this.#parts.system.clock.now() });
    const jobLog = new JobLog(
      { ...this.#parts, clock: this.#parts.system.clock, secrets: this.#secrets },
      this.#record,
    );
    const end = await this.#tryOnce(jobLog);
    if (end === undefined) return;
    const record = this.#record;
    const known = await knownResult(this.#parts.system, record);
    const { setup, system } = this.#parts;
    const timeoutMs = Math.min(record.request.timeoutMs, setup.timeoutMaxMs);
    const verdict = judgeJob({
      ...{ end, hasResult: known === "result", isCancelled: record.isCancelled, timeoutMs },
      ...{ tries: record.tries - record.freeTries, retries: setup.retries, lastWords: jobLog.lastWords },
      leftMs: (record.startedAtMs ?? 0) + timeoutMs - system.clock.now(),
    });
    if (verdict.kind === "again") await this.#again(verdict);
    else await this.#finish(verdict, known !== undefined);
  }

  get #secrets(): readonly string[] {
    return secretTexts(this.#parts.setup.secretEnv);
  }

  async #begin(change: Partial<JobRecord>): Promise<void> {
    const next = { ...this.#record, ...change, state: "preparing" } as const;
    await postState(this.#parts.system, next);
    await this.#parts.book.change(this.#jobId, { ...change, state: "preparing" });
  }

  /** How this try ended; undefined when this life ends first. Rejects only with what the fleet's ports refuse and with defects. */
  async #tryOnce(jobLog: JobLog): Promise<JobEnd | undefined> {
    try {
      const there = await this.#parts.backend.find(backendIdOf(this.#record));
      if (there !== undefined) return await this.#follow(there, jobLog);
      if (this.#record.state === "running") return failed("Lost", "Its workspace is gone.", true);
      if (this.#record.isCancelled) return { kind: "cancelled" };
      return await this.#follow(await this.#start(), jobLog);
    } catch (error) {
      if (this.#closing.aborted) return undefined;
      if (this.#cancelling.signal.aborted) return { kind: "cancelled" };
      if (!isFlotillaError(error) || isOfFleet(error)) throw error;
      return failed(error.code, error.message, error.retryable);
    }
  }

  async #start(): Promise<BackendJob> {
    const { backend, book, setup } = this.#parts;
    const signal = AbortSignal.any([this.#closing, this.#cancelling.signal]);
    const prepared = await this.#prepare(signal);
    const { base, bundle } = prepared;
    // Before the start: whoever takes it up then knows what the agent's commit is made on.
    const record = await book.change(this.#jobId, { base, ...(bundle !== undefined && { bundle }) });
    return backend.start(jobSpecOf(record, prepared, setup), signal);
  }

  async #prepare(signal: AbortSignal): Promise<Prepared> {
    const { backend, depot, system } = this.#parts;
    const { request, jobId } = this.#record;
    const { url, branch } = request.repository;
    const origin = { url, ...(branch !== undefined && { branch }) };
    const story = { storyId: request.storyId, origin };
    if (backend.takesFolders) {
      const author = authorOf(request.agentId);
      // A container sees its workspace and nothing of what it would borrow from.
      const isWhole = backend.kind !== "process";
      const { path, base } = await depot.workspace(story, { jobId, author, isWhole, signal });
      if (isAbsolute(url) && !isWhole) await lendDependencies({ source: url, clone: path });
      return { source: { kind: "folder", path }, base };
    }
    const tip = await depot.story(story, signal);
    const beyond = await depot.beyondStart(story, tip);
    const bundle = beyond === undefined ? undefined : await system.ports.blobs.put(beyond);
    return { source: { kind: "clone", ...origin }, base: tip.commit, ...(bundle !== undefined && { bundle }) };
  }

  /** Reads what it prints and waits for its end; it is ended when nobody wants it. */
  async #follow(job: BackendJob, jobLog: JobLog): Promise<JobEnd | undefined> {
    const { log, book, system } = this.#parts;
    if (this.#record.state !== "running" || this.#record.place !== job.place) {
      await postState(system, { ...this.#record, state: "running" });
      await book.change(this.#jobId, { state: "running", place: job.place });
    }
    const cancel = () =>
      void job
        .cancel()
        .catch((error) => log("warn", `job ${this.#jobId} could not be cancelled`, { error: String(error) }));
    if (this.#record.isCancelled) cancel();
    else this.#cancelling.signal.addEventListener("abort", cancel, { once: true });
    const reading = new AbortController();
    const logs = jobLog.stream(job, AbortSignal.any([reading.signal, this.#closing])).catch((error) => {
      if (!this.#closing.aborted) log("warn", `the log of job ${this.#jobId} is cut`, { error: String(error) });
    });
    try {
      const end = await this.#unlessClosed(job.ended);
      if (end !== undefined)
        await Promise.race([logs, sleep(system.clock, LAST_LINES_MS, reading.signal).catch(() => {})]);
      return end;
    } finally {
      reading.abort();
      this.#cancelling.signal.removeEventListener("abort", cancel);
    }
  }

  async #unlessClosed<T>(promise: Promise<T>): Promise<T | undefined> {
    const closed = Promise.withResolvers<undefined>();
    const onAbort = () => closed.resolve(undefined);
    if (this.#closing.aborted) return undefined;
    this.#closing.addEventListener("abort", onAbort, { once: true });
    return Promise.race([promise, closed.promise]).finally(() => this.#closing.removeEventListener("abort", onAbort));
  }

  async #again({ isFree, error }: Extract<JobVerdict, { kind: "again" }>): Promise<void> {
    const { tries, freeTries } = this.#record;
    this.#parts.log("warn", `job ${this.#jobId} is begun again`, { try: tries, ...error });
    await this.#removePlace();
    await this.#pause(tries);
    if (this.#closing.aborted) return;
    await this.#begin({ tries: tries + 1, freeTries: freeTries + (isFree ? 1 : 0) });
  }

  /** JR2 */
  async #finish({ state, error }: Extract<JobVerdict, { kind: "over" }>, isTold: boolean): Promise<void> {
    const { system, book } = this.#parts;
    const change = { state, endedAtMs: system.clock.now(), ...(error !== undefined && { error }) };
    const ended = { ...this.#record, ...change };
    if (error !== undefined && !isTold) await postMissing(system, ended, error);
    await postState(system, ended);
    await book.change(this.#jobId, change);
    await this.#cleanUp(ended).catch((problem: unknown) =>
      this.#parts.log("warn", `job ${this.#jobId} left something behind`, { error: String(problem) }),
    );
  }

  async #giveUp(error: unknown): Promise<void> {
    const message = `The runner could not go on with it: ${error instanceof Error ? error.message : String(error)}`;
    const code = isFlotillaError(error) ? error.code : "RunnerDefect";
    await this.#finish({ kind: "over", state: "failed", error: { code, message } }, false);
  }

  async #cleanUp({ request, bundle }: JobRecord): Promise<void> {
    await this.#removePlace();
    const { blobs } = this.#parts.system.ports;
    const hashes = [blobIn(request.text), blobIn(request.context), bundle].filter((hash) => hash !== undefined);
    for (const hash of hashes) await blobs.delete(hash);
  }

  async #removePlace(): Promise<void> {
    const { backend, depot } = this.#parts;
    await (await backend.find(backendIdOf(this.#record)))?.remove();
    await depot.removeWorkspace(this.#jobId);
  }

  async #pause(times: number): Promise<void> {
    const pauseMs = Math.min(PAUSE_MAX_MS, PAUSE_MIN_MS * 2 ** Math.min(times, 10));
    const either = AbortSignal.any([this.#closing, this.#cancelling.signal]);
    await sleep(this.#parts.system.clock, pauseMs, either).catch(() => {});
  }
}

const NEVER_BEGUN = {
  kind: "over",
  state: "cancelled",
  error: { code: "Cancelled", message: "The job was cancelled before it was begun." },
} as const;

const failed = (code: string, message: string, retryable: boolean): JobEnd => ({
  kind: "failed",
  code,
  message,
  retryable,
});
