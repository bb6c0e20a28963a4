// The workspace runner: takes requests for agents, runs each as a job in a workspace, and keeps the branches of stories.
// It is not where workspaces run (tools/jobs/backend.ts), what one job goes through (job-run.ts), nor who decides what is wanted.
//
//     agent.requests ─▶ a record, then acknowledged ─▶ queue by priority ─▶ at most runningMax JobRuns
//
// WR1  A request becomes a record once, however often it comes; acknowledged is what is in the store.
// WR2  Every job ends in a result of its executor or in agent.result.missing.
// WR3  Another life goes on with every job where this one left it, and clears away what is nobody's.
// WR4  `stop` leaves jobs running: they are the next life's.

import type { ActorSystem, LogLevel, Random } from "../../runtime/index.ts";
import type { Depot, DepotStory, WorkspaceBackend } from "../../tools/index.ts";
import { putText } from "../agent-executor-text.ts";
import { fail as failAny } from "../errors.ts";
import { agentRequests, type DataOf } from "../events/channels.ts";
import { consume } from "../events/consumer.ts";
import type { RepositoryRef } from "../planning/story.ts";
import { fail } from "./errors.ts";
import { JobBook } from "./job-book.ts";
import { postState, RUNNER } from "./job-posts.ts";
import {
  type AgentRequested,
  backendIdOf,
  hasEnded,
  type JobRecord,
  jobIdOf,
  jobOf,
  nextQueued,
} from "./job-record.ts";
import { JobRun } from "./job-run.ts";
import type { RunnerSetup } from "./runner-settings.ts";
import { verifyStory } from "./story-verification.ts";
import type { Integrated, Job, WorkspaceRunnerApi } from "./workspace-runner-api.ts";

export interface RunnerParts {
  readonly system: ActorSystem;
  /** Becomes the service's: it is disposed of with it. */
  readonly backend: WorkspaceBackend;
  readonly depot: Depot;
  readonly setup: RunnerSetup;
  readonly random: Random;
  readonly log: (level: LogLevel, message: string, data?: Readonly<Record<string, unknown>>) => void;
}

const LIVE_MAX = 20_000;
const JOBS_MAX = 500;
const INTAKE = 16;
const VERIFY_TIMEOUT_MS = 600_000;

export class WorkspaceRunnerService implements WorkspaceRunnerApi {
  readonly #parts: RunnerParts;
  readonly #book: JobBook;
  readonly #runs = new Map<string, JobRun>();
  readonly #closing = new AbortController();
  #consuming: Promise<void> | undefined;

  constructor(parts: RunnerParts) {
    this.#parts = parts;
    this.#book = new JobBook(parts.system);
  }

  /** Takes up what a former life has left, and begins to take requests (WR3). Throws DocumentUnreadable, Unavailable. */
  async start(): Promise<void> {
    const { system, log } = this.#parts;
    await this.#book.load();
    await this.#book.prune(system.clock.now());
    for (const record of this.#book.live()) {
      await postState(system, record);
      if (record.state !== "queued") this.#run(record.jobId);
    }
    await this.#removeWorkspaces();
    void this.#removeJobs().catch((error) => log("warn", "former jobs could not be removed", { error: String(error) }));
    this.#schedule();
    this.#consuming = consume({
      ...{ system, log, channel: agentRequests, name: RUNNER, concurrency: INTAKE, signal: this.#closing.signal },
      laneOf: ({ data }) => jobIdOf(data),
      handle: (event, { sequence }) =>
        event.type === "agent.requested" ? this.#take(event.data, sequence) : this.#unwanted(event.data),
    });
    this.#consuming.catch((error: unknown) => log("error", "requests are no longer taken", { error: String(error) }));
  }

  /** WR4. May be called twice. */
  async stop(): Promise<void> {
    this.#closing.abort();
    await Promise.allSettled([this.#consuming, ...[...this.#runs.values()].map(({ done }) => done)]);
    await this.#parts.backend[Symbol.asyncDispose]();
  }

  async jobs(filter: Parameters<WorkspaceRunnerApi["jobs"]>[0] = {}): Promise<readonly Job[]> {
    const { state, storyId, max = JOBS_MAX } = filter;
    const fits = ({ state: is, request }: JobRecord) =>
      (state === undefined || is === state) && (storyId === undefined || request.storyId === storyId);
    const found = this.#book.all().filter(fits);
    return found
      .sort((one, other) => other.sequence - one.sequence)
      .slice(0, max)
      .map(jobOf);
  }

  async job(jobId: string): Promise<Job> {
    return jobOf(this.#book.get(jobId));
  }

  async cancel(jobId: string): Promise<Job> {
    const record = await this.#book.change(jobId, { isCancelled: true });
    if (hasEnded(record)) return jobOf(record);
    const run = this.#run(jobId);
    run.cancel();
    await run.done;
    return jobOf(this.#book.get(jobId));
  }

  async integrate({ jobId, commit, bundle }: Parameters<WorkspaceRunnerApi["integrate"]>[0]): Promise<Integrated> {
    const { request, base } = this.#book.get(jobId);
    const bytes = await this.#parts.system.ports.blobs.get(bundle);
    if (bytes === undefined || base === undefined) {
      const message = `The work of job ${jobId} is not in the fleet's blobs${base === undefined ? ", and the job was never begun" : ""}.`;
      throw failAny("OriginMissing", message, { data: { jobId, bundle } });
    }
    const message = `Merge ${request.taskId}: ${request.title}`;
    return this.#parts.depot.integrate(storyOf(request), { jobId, commit, base, bytes, message });
  }

  async verify(request: Parameters<WorkspaceRunnerApi["verify"]>[0]) {
    const { depot, system, random } = this.#parts;
    const { timeoutMs = VERIFY_TIMEOUT_MS } = request;
    return verifyStory(storyOf(request), {
      depot,
      clock: system.clock,
      random,
      timeoutMs,
      signal: this.#closing.signal,
    });
  }

  async deliver(request: Parameters<WorkspaceRunnerApi["deliver"]>[0]) {
    return this.#parts.depot.deliver(storyOf(request));
  }

  /** WR1 */
  async #take(request: DataOf<typeof agentRequests, "agent.requested">, sequence: number): Promise<void> {
    const { system, setup } = this.#parts;
    const jobId = jobIdOf(request);
    let record = this.#book.find(jobId);
    if (record === undefined) {
      if (this.#book.liveCount >= LIVE_MAX)
        throw fail("RunnerFull", `The runner has ${LIVE_MAX} jobs that have not ended.`);
      const [text, context] = [
        await putText(system, jobId, request.text),
        await putText(system, jobId, request.context),
      ];
      record = await this.#book.create({
        ...{ jobId, request: { ...request, text, context } as JobRecord["request"], backend: setup.backend, sequence },
        ...{ state: "queued", tries: 0, freeTries: 0, isCancelled: false, queuedAtMs: system.clock.now() },
      });
    }
    const { storyId, taskId } = record.request;
    if (storyId !== request.storyId || taskId !== request.taskId) {
      const message = `The job ${jobId} is of task ${taskId} of story ${storyId}, so task ${request.taskId} of story ${request.storyId} cannot have one of that name.`;
      throw fail("JobIdTaken", message, { data: { jobId } });
    }
    if (record.state !== "queued") return;
    await postState(system, record);
    this.#schedule();
  }

  async #unwanted(data: DataOf<typeof agentRequests, "agent.request.cancelled">): Promise<void> {
    const jobId = jobIdOf(data);
    if (this.#book.find(jobId) === undefined) return;
    const record = await this.#book.change(jobId, { isCancelled: true });
    if (!hasEnded(record)) this.#run(jobId).cancel();
  }

  /** Begins what waits, as long as there is room. */
  #schedule(): void {
    const { runningMax } = this.#parts.setup;
    while (!this.#closing.signal.aborted && this.#runs.size < runningMax) {
      const waiting = this.#book.live().filter(({ jobId }) => !this.#runs.has(jobId));
      const next = nextQueued(waiting);
      if (next === undefined) return;
      this.#run(next.jobId);
    }
  }

  /** The run of a job that has not ended; there is one at a time. */
  #run(jobId: string): JobRun {
    const known = this.#runs.get(jobId);
    if (known !== undefined) return known;
    const { system, backend, depot, setup, log } = this.#parts;
    const run = new JobRun({ system, backend, depot, setup, log, book: this.#book }, jobId, this.#closing.signal);
    this.#runs.set(jobId, run);
    void run.done
      .catch((error: unknown) => log("error", `job ${jobId} was left`, { error: String(error) }))
      .then(async () => {
        this.#runs.delete(jobId);
        this.#schedule();
        if (!this.#closing.signal.aborted) await this.#book.prune(system.clock.now());
      })
      .catch((error: unknown) => log("warn", "old jobs could not be forgotten", { error: String(error) }));
    return run;
  }

  /** Of jobs that have ended, and of what died while it was verified. Before any call: theirs are not in the book. */
  async #removeWorkspaces(): Promise<void> {
    const { depot } = this.#parts;
    for (const jobId of await depot.workspaces()) if (!this.#isLive(jobId)) await depot.removeWorkspace(jobId);
  }

  /** Jobs at the backend that are no live job's current try. */
  async #removeJobs(): Promise<void> {
    const { backend, log } = this.#parts;
    for (const id of await backend.list()) {
      if (this.#book.live().some((record) => backendIdOf(record) === id)) continue;
      log("info", `the job ${id} is nobody's any more and is removed`);
      await (await backend.find(id))?.remove();
    }
  }

  #isLive(jobId: string): boolean {
    const record = this.#book.find(jobId);
    return record !== undefined && !hasEnded(record);
  }
}

function storyOf(request: {
  readonly storyId: string;
  readonly repository: RepositoryRef | AgentRequested["repository"];
}): DepotStory {
  const { url, branch } = request.repository;
  return { storyId: request.storyId, origin: { url, ...(branch !== undefined && { branch }) } };
}
