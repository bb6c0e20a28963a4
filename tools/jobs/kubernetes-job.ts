// One job as a Kubernetes Job: watched to its end, read, cancelled, removed. How it stands is kubernetes-end.ts; it only looks and acts.
//
// KJ1  What the watch says only wakes; what is decided is decided on what is read then, of the Job and its Pods together. So an API server that
//      restarts, a watch that breaks and a change that nobody saw cost time and no end.
// KJ2  A job is ended by its own deadline, with the reason kept beside it in one patch: the Job stays for the next life to read, and its TTL holds.
// KJ3  A job is Lost only when nobody could be asked until its deadline and some more was over: until then its Pod may run.

import type { Clock } from "../../runtime/index.ts";
import { fail } from "../errors.ts";
import type { BackendJob, JobEnd, JobLine } from "./backend.ts";
import { followLog, type LogPiece, LogRefused, stampedPiece } from "./followed-log.ts";
import { failedEnd } from "./job-check.ts";
import { ApiRefusal, type KubernetesConnection } from "./kubernetes-connection.ts";
import { newest, type Seen, type SeenJob, type SeenPod, standingOf, troubleOf } from "./kubernetes-end.ts";
import { AGENT_CONTAINER, CLONE_CONTAINER, END_ANNOTATION, JOB_LABEL } from "./kubernetes-manifest.ts";
import type { News } from "./news.ts";

const RETRY_MS = 1_000;
const LOG_LOOK_EVERY_MS = 1_000;
/** Looks in vain, a second apart, after which nobody waits for the log of a job that has ended. */
const LOG_MISSES_MAX = 30;
const LOST_AFTER_MS = 60_000;
const REMOVED_WITHIN_MS = 90_000;
/** Not there, or its name belongs to another Job by now. */
const GONE = [404, 409];

export interface KubernetesJobParts {
  readonly connection: KubernetesConnection;
  readonly clock: Clock;
  readonly news: News;
  readonly closing: AbortSignal;
  readonly startWithinMs: number;
  readonly troubleMaxMs: number;
}

export interface JobPlace {
  readonly jobId: string;
  readonly namespace: string;
  readonly job: SeenJob;
}

export class KubernetesJob implements BackendJob {
  readonly jobId: string;
  readonly place: string;
  readonly ended: Promise<JobEnd>;
  /** Settles when this life no longer looks at it. */
  readonly watching: Promise<void>;
  readonly #parts: KubernetesJobParts;
  readonly #namespace: string;
  readonly #name: string;
  readonly #uid: string;
  /** By which the cluster itself has ended it. */
  readonly #deadlineMs: number;
  #trouble: { readonly reason: string; readonly sinceMs: number } | undefined;
  #isOver = false;
  #isRemoved = false;

  constructor({ jobId, namespace, job }: JobPlace, parts: KubernetesJobParts) {
    this.jobId = jobId;
    this.#namespace = namespace;
    this.#name = job.metadata.name;
    this.#uid = job.metadata.uid;
    this.place = `job ${namespace}/${this.#name}`;
    this.#parts = parts;
    this.#deadlineMs = Date.parse(job.metadata.creationTimestamp) + (job.spec?.activeDeadlineSeconds ?? 0) * 1_000;
    const ended = Promise.withResolvers<JobEnd>();
    this.ended = ended.promise;
    this.watching = this.#watch().then((end) => {
      if (end === undefined) return;
      this.#isOver = true;
      ended.resolve(end);
    });
  }

  async *logs(signal: AbortSignal): AsyncGenerator<JobLine, void> {
    const { news, closing } = this.#parts;
    const stop = AbortSignal.any([signal, closing]);
    const listener = news.listen(this.#name);
    try {
      for (const container of [CLONE_CONTAINER, AGENT_CONTAINER]) {
        let pod = "";
        let missed = 0;
        const source = {
          state: async () => {
            const seen = await this.#look().catch(() => undefined);
            missed = seen === undefined ? missed + 1 : 0;
            if (missed > 0) return this.#isOver && missed > LOG_MISSES_MAX ? "gone" : "waiting";
            const found = newest(seen?.pods ?? []);
            pod = found?.metadata.name ?? pod;
            const state = logStateOf(found, container);
            return state === "waiting" && this.#isOver ? "gone" : state;
          },
          open: (sinceS: number | undefined, until: AbortSignal) => this.#pieces(pod, container, sinceS, until),
          pause: () => listener.next(LOG_LOOK_EVERY_MS),
        };
        yield* followLog(source, stop);
      }
    } finally {
      listener.close();
    }
  }

  async cancel(): Promise<void> {
    if (!this.#isOver && standingOf(await this.#look(), this.#patience()).kind !== "ended") {
      await this.#end({ kind: "cancelled" });
    }
    if (!this.#parts.closing.aborted) await Promise.race([this.ended, this.watching]);
  }

  async remove(): Promise<void> {
    const { clock, news, connection } = this.#parts;
    const seen = await this.#look();
    if (seen.job !== undefined && standingOf(seen, this.#patience()).kind === "ended") {
      await Promise.race([this.ended, this.watching]);
    }
    this.#isRemoved = true;
    const endMs = clock.monotonic() + REMOVED_WITHIN_MS;
    const listener = news.listen(this.#name);
    try {
      // Foreground: the Job is there until its Pods are gone.
      const body = { propagationPolicy: "Foreground", preconditions: { uid: this.#uid } };
      await connection.find({ method: "DELETE", path: this.#jobPath(), body }, GONE);
      for (;;) {
        const { job, pods } = await this.#look();
        if (job === undefined && pods.length === 0) return;
        if (clock.monotonic() > endMs) {
          throw fail(
            "BackendUnavailable",
            `The Pods of ${this.place} are not gone after ${REMOVED_WITHIN_MS / 1_000} s.`,
          );
        }
        await listener.next(RETRY_MS);
      }
    } finally {
      listener.close();
    }
  }

  /** The Job and its Pods as they are now; another Job of that name is none of ours. */
  async #look(): Promise<Seen> {
    const { connection } = this.#parts;
    const query = { labelSelector: `${JOB_LABEL}=${this.#name}` };
    const [job, all] = await Promise.all([
      connection.find<SeenJob>({ method: "GET", path: this.#jobPath() }),
      connection.find<{ items: readonly SeenPod[] }>({ method: "GET", path: `${this.#corePath()}/pods`, query }),
    ]);
    const pods = (all?.items ?? []).filter(
      ({ metadata }) => metadata.labels?.["batch.kubernetes.io/controller-uid"] === this.#uid,
    );
    return { job: job?.metadata.uid === this.#uid ? job : undefined, pods };
  }

  /** Resolves with how it ended; undefined when this life ends first. */
  async #watch(): Promise<JobEnd | undefined> {
    const { news, closing } = this.#parts;
    const listener = news.listen(this.#name);
    try {
      while (!closing.aborted) {
        const next = await this.#step().catch((error: unknown) => this.#unheard(error));
        if (typeof next !== "number") return next;
        await listener.next(next);
      }
      return undefined;
    } finally {
      listener.close();
    }
  }

  /** How it ended, or in how many milliseconds to look again at the latest. */
  async #step(): Promise<JobEnd | number> {
    const seen = await this.#look();
    this.#note(newest(seen.pods));
    const standing = standingOf(seen, this.#patience());
    if (standing.kind === "goes on") return standing.lookInMs;
    if (standing.kind === "ended") {
      return seen.job === undefined && this.#isRemoved ? { kind: "cancelled" } : standing.end;
    }
    await this.#end(standing.end);
    return RETRY_MS;
  }

  /** Since when its Pod has had the trouble it has. */
  #note(pod: SeenPod | undefined): void {
    const trouble = troubleOf(pod);
    if (trouble === undefined) this.#trouble = undefined;
    else this.#trouble ??= { reason: trouble.reason, sinceMs: this.#parts.clock.monotonic() };
  }

  #patience() {
    const { clock, startWithinMs, troubleMaxMs } = this.#parts;
    const troubleForMs = this.#trouble === undefined ? 0 : clock.monotonic() - this.#trouble.sinceMs;
    return { nowMs: clock.now(), troubleForMs, troubleMaxMs, startWithinMs };
  }

  /** The API server could not be asked, or does not let us look (KJ3). */
  #unheard(error: unknown): JobEnd | number {
    if (this.#parts.clock.now() < this.#deadlineMs + LOST_AFTER_MS) return RETRY_MS;
    return failedEnd("Lost", `How it ended cannot be known: ${(error as Error).message}`, true);
  }

  /** KJ2. A Job that is gone needs no end. */
  async #end(end: JobEnd): Promise<void> {
    const metadata = { annotations: { [END_ANNOTATION]: JSON.stringify(end) }, uid: this.#uid };
    const body = { metadata, spec: { activeDeadlineSeconds: 0 } };
    await this.#parts.connection.find({ method: "PATCH", path: this.#jobPath(), body }, GONE);
  }

  async *#pieces(
    pod: string,
    container: string,
    sinceS: number | undefined,
    signal: AbortSignal,
  ): AsyncGenerator<LogPiece, void> {
    const since = sinceS === undefined ? {} : { sinceTime: new Date(sinceS * 1_000).toISOString() };
    const query = { container, follow: "true", timestamps: "true", ...since };
    try {
      const path = `${this.#corePath()}/pods/${pod}/log`;
      // Only what a terminal would show of it: a Pod's log does not tell its streams apart.
      for await (const line of await this.#parts.connection.lines(path, query, signal)) {
        yield stampedPiece("stdout", Buffer.from(`${line}\n`));
      }
    } catch (error) {
      throw error instanceof ApiRefusal ? new LogRefused(error.message) : error;
    }
  }

  #jobPath = (): string => `/apis/batch/v1/namespaces/${this.#namespace}/jobs/${this.#name}`;
  #corePath = (): string => `/api/v1/namespaces/${this.#namespace}`;
}

function logStateOf(pod: SeenPod | undefined, container: string) {
  const { initContainerStatuses = [], containerStatuses = [] } = pod?.status ?? {};
  const state = [...initContainerStatuses, ...containerStatuses].find(({ name }) => name === container)?.state;
  if (state?.terminated !== undefined) return "ended";
  return state?.running === undefined ? "waiting" : "printing";
}
