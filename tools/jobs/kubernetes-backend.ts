// The WorkspaceBackend of a Kubernetes cluster: a job is a Job whose Pod clones the repository and runs the program. WB1–WB5 of backend.ts hold.
// It is not what the Job looks like (kubernetes-manifest.ts), how it ends (kubernetes-end.ts) or is watched (kubernetes-job.ts).
//
// KB1  The Job's name is made from the job's id, and the API server gives a name once: of two that start one id, one creates it and the other
//      finds it. That it is ours and of that id says its annotation: a hash in a name is no proof.
// KB2  The Job first, then its Secret, which belongs to it: whoever dies in between leaves a Pod that waits, and the next start of that id, which
//      finds the Job, makes the Secret. No Secret is left without an owner.

import { z } from "zod";
import type { Clock } from "../../runtime/index.ts";
import { fail } from "../errors.ts";
import type { BackendJob, JobSpec, WorkspaceBackend } from "./backend.ts";
import { checkedJobId, checkSpec, fleetName, jobRefused, resolvedSettings } from "./job-check.ts";
import { ApiRefusal, type ApiRequest, KubernetesConnection, unavailable } from "./kubernetes-connection.ts";
import type { SeenJob } from "./kubernetes-end.ts";
import { KubernetesJob } from "./kubernetes-job.ts";
import {
  FLEET_LABEL,
  JOB_ID_ANNOTATION,
  JOB_LABEL,
  jobManifest,
  jobName,
  type KubernetesShape,
  secretManifest,
} from "./kubernetes-manifest.ts";
import { News } from "./news.ts";

const GIB = 2 ** 30;
const MINUTE_MS = 60_000;
const WATCH_S = 240;
const PAGE = 500;

const names = z.array(z.string().min(1)).default([]);

/** What an operator may set; plain data. */
const kubernetesSettings = z.strictObject({
  /** A file. Default KUBECONFIG, else ~/.kube/config, else what a Pod of the cluster is given. */
  kubeconfig: z.string().optional(),
  /** Of that configuration. Default its current one. */
  context: z.string().optional(),
  /** Default the configuration's, else `default`. It exists; nodes/deploy/workspaces-rbac.yaml says what is needed there. */
  namespace: z.string().optional(),
  /** Of jobs in a namespace that several fleets use. */
  fleet: fleetName.default("flotilla"),
  /** Of the program, and of the clone, which has git: of nodes/deploy/Containerfile and the same, unless they say otherwise. */
  image: z.string().min(1).default("flotilla:0.1.0"),
  cloneImage: z.string().min(1).optional(),
  /** Secrets of the namespace with which images are pulled. */
  imagePullSecrets: names,
  /** Secrets of the namespace whose every key becomes a variable of the program. */
  secrets: names,
  /** A Secret of the namespace for the clone: its `gitconfig` is git's configuration, its other keys are files beside it. */
  gitSecret: z.string().optional(),
  /** Of Pods; they get no token of it. Default the namespace's own. */
  serviceAccount: z.string().optional(),
  nodeSelector: z.record(z.string(), z.string()).default({}),
  /** As in a Pod. */
  tolerations: z.array(z.record(z.string(), z.union([z.string(), z.number()]))).default([]),
  /** Bounds of a job that names none, and of its workspace. */
  cpus: z.number().positive().default(2),
  memoryBytes: z
    .number()
    .int()
    .positive()
    .default(4 * GIB),
  workspaceBytes: z
    .number()
    .int()
    .positive()
    .default(10 * GIB),
  /** How long a job may wait for a node that begins it. */
  startWithinMs: z
    .number()
    .positive()
    .default(15 * MINUTE_MS),
  /** How long an image may fail to be pulled, or a container to be made. */
  troubleMaxMs: z.number().positive().default(MINUTE_MS),
  /** How long a Job that has ended is kept where nobody removes it. */
  keepEndedS: z.number().int().positive().default(3_600),
});

export type KubernetesBackendOptions = z.input<typeof kubernetesSettings> & { readonly clock: Clock };
type Settings = z.output<typeof kubernetesSettings>;

export class KubernetesBackend implements WorkspaceBackend {
  readonly kind = "kubernetes";
  readonly takesFolders = false;
  readonly #options: Settings;
  readonly #clock: Clock;
  readonly #closing = new AbortController();
  /** Those whose end is not known yet, by the Job's uid: whoever asks for one gets the same. */
  readonly #watched = new Map<string, KubernetesJob>();
  readonly #news: News;
  #opening: Promise<KubernetesConnection> | undefined;

  /** Asks nothing of a cluster yet. Throws JobRefused for settings that cannot be. */
  constructor({ clock, ...given }: KubernetesBackendOptions) {
    this.#options = resolvedSettings("the Kubernetes backend", kubernetesSettings, given);
    this.#clock = clock;
    const streams = (["jobs", "pods"] as const).map((kind) => (signal: AbortSignal) => this.#changes(kind, signal));
    this.#news = new News(streams, clock);
  }

  async start(spec: JobSpec, signal: AbortSignal): Promise<BackendJob> {
    checkSpec(spec);
    signal.throwIfAborted();
    const connection = await this.#connection();
    const shape = this.#shape(connection);
    const body = jobManifest(spec, shape);
    const path = this.#jobsPath(connection);
    const made = await this.#made<SeenJob>(connection, { method: "POST", path, body }, spec.jobId);
    const job = made ?? (await connection.find<SeenJob>({ method: "GET", path: `${path}/${body.metadata?.name}` }));
    if (job === undefined)
      throw fail("BackendUnavailable", `The Job of ${spec.jobId} was removed while it was started.`);
    if (job.metadata.annotations?.[JOB_ID_ANNOTATION] !== spec.jobId) {
      throw jobRefused(spec.jobId, `the Job ${job.metadata.name} is somebody else's`);
    }
    const secret = secretManifest(spec, shape, job.metadata.uid);
    const secrets = `/api/v1/namespaces/${shape.namespace}/secrets`;
    // KB2. One that is there is this Job's: its name is.
    if (secret !== undefined) await this.#made(connection, { method: "POST", path: secrets, body: secret }, spec.jobId);
    return this.#job(connection, spec.jobId, job);
  }

  async find(jobId: string): Promise<BackendJob | undefined> {
    const name = jobName(this.#options.fleet, checkedJobId(jobId));
    const connection = await this.#connection();
    const path = `${this.#jobsPath(connection)}/${name}`;
    const job = await connection.find<SeenJob>({ method: "GET", path });
    if (job?.metadata.annotations?.[JOB_ID_ANNOTATION] !== jobId) return undefined;
    return this.#job(connection, jobId, job);
  }

  async list(): Promise<readonly string[]> {
    const connection = await this.#connection();
    const jobIds: string[] = [];
    let next: string | undefined;
    do {
      const query: Record<string, string> = { labelSelector: this.#selector(), limit: String(PAGE) };
      if (next !== undefined) query.continue = next;
      const page = await connection.find<JobPage>({ method: "GET", path: this.#jobsPath(connection), query });
      const items = page?.items ?? [];
      jobIds.push(...items.flatMap(({ metadata }) => metadata.annotations?.[JOB_ID_ANNOTATION] ?? []));
      next = page?.metadata?.continue || undefined;
    } while (next !== undefined);
    return jobIds;
  }

  /** Jobs go on; `ended` of those that run stays open. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    await this.#news[Symbol.asyncDispose]();
    await Promise.all([...this.#watched.values()].map(({ watching }) => watching));
  }

  /** What was created; undefined: it was there. */
  async #made<T>(connection: KubernetesConnection, request: ApiRequest, jobId: string): Promise<T | undefined> {
    try {
      return await connection.ask<T>(request);
    } catch (error) {
      if (!(error instanceof ApiRefusal)) throw error;
      if (error.reason === "AlreadyExists") return undefined;
      throw mayMend(error) ? unavailable(error) : jobRefused(jobId, error.message);
    }
  }

  #job(connection: KubernetesConnection, jobId: string, job: SeenJob): KubernetesJob {
    const { uid } = job.metadata;
    const watched = this.#watched.get(uid);
    if (watched !== undefined) return watched;
    const { startWithinMs, troubleMaxMs } = this.#options;
    const own = { clock: this.#clock, news: this.#news, closing: this.#closing.signal };
    const parts = { connection, ...own, startWithinMs, troubleMaxMs };
    const made = new KubernetesJob({ jobId, namespace: this.#namespace(connection), job }, parts);
    this.#watched.set(uid, made);
    void made.watching.then(() => this.#watched.delete(uid));
    return made;
  }

  #connection(): Promise<KubernetesConnection> {
    if (this.#closing.signal.aborted) throw fail("BackendUnavailable", "The backend is closed.");
    this.#opening ??= KubernetesConnection.open(this.#options, this.#clock).catch((error: unknown) => {
      this.#opening = undefined;
      throw error;
    });
    return this.#opening;
  }

  /** Names of Jobs that may have changed (NewsStream). Without a version to go on from, a watch begins with all that is there. */
  async *#changes(kind: "jobs" | "pods", signal: AbortSignal): AsyncGenerator<string | undefined, void> {
    const connection = await this.#connection();
    const namespace = `namespaces/${this.#namespace(connection)}`;
    const path = kind === "jobs" ? `/apis/batch/v1/${namespace}/jobs` : `/api/v1/${namespace}/pods`;
    const query = { watch: "true", timeoutSeconds: String(WATCH_S), labelSelector: this.#selector() };
    const lines = await connection.lines(path, query, signal);
    yield undefined;
    for await (const line of lines) {
      const { object } = JSON.parse(line) as { object?: SeenJob };
      yield object?.metadata?.labels?.[JOB_LABEL];
    }
  }

  #shape(connection: KubernetesConnection): KubernetesShape {
    const { image, cloneImage = image } = this.#options;
    return { ...this.#options, namespace: this.#namespace(connection), cloneImage };
  }

  #namespace = (connection: KubernetesConnection): string =>
    this.#options.namespace ?? connection.namespace ?? "default";

  #jobsPath = (connection: KubernetesConnection): string =>
    `/apis/batch/v1/namespaces/${this.#namespace(connection)}/jobs`;

  #selector = (): string => `${FLEET_LABEL}=${this.#options.fleet}`;
}

interface JobPage {
  readonly items: readonly SeenJob[];
  readonly metadata?: { readonly continue?: string };
}

/** A server that is busy or broken, or a quota that is used up: both may be otherwise later. */
const mayMend = ({ status, message }: ApiRefusal): boolean =>
  status === 429 ||
  (status >= 500 && !/too large/.test(message)) ||
  (status === 403 && message.includes("exceeded quota"));
