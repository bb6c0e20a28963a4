// The WorkspaceBackend of a container engine of this host: docker or podman, over the engine's API. WB1–WB5 of backend.ts hold.
// It is not how a job in its container ends or is read (container-job.ts), nor the engine's API (container-engine.ts).
//
//     start ─ create, by name: 409 if it is there ─▶ start ─▶ runs ─▶ exited      the container itself is all that is kept of a job
//               └ 404: pull the image, once more
//
// CB1  The name is made from the job's id, and the engine gives a name once: whoever's create succeeds starts it, everybody else finds it.
// CB2  A container has no rights that a program of the user who runs us has not: all capabilities dropped, none to be gained, nothing to write
//      but the workspace and a /tmp in memory. It does reach the network that it is given.

import { realpath } from "node:fs/promises";
import type Docker from "dockerode";
import { z } from "zod";
import type { Clock } from "../../runtime/index.ts";
import { fail } from "../errors.ts";
import type { BackendJob, JobEnd, JobSpec, WorkspaceBackend } from "./backend.ts";
import { ContainerEngine, EngineRefusal } from "./container-engine.ts";
import { beginContainer, ContainerJob, STARTED_WITHIN_MS, STOP_GRACE_S } from "./container-job.ts";
import {
  checkedJobId,
  checkSpec,
  commandAt,
  failedEnd,
  fleetName,
  isFinalForImages,
  jobRefused,
  resolvedSettings,
} from "./job-check.ts";
import { News } from "./news.ts";

const GIB = 2 ** 30;
const WORKSPACE = "/workspace";
/** HOME and the like of an agent; in memory, so that it ends with the container. */
const TEMPORARY = "rw,exec,nosuid,nodev,mode=1777,size=1g";

const JOB_LABEL = "flotilla.job";
const FLEET_LABEL = "flotilla.fleet";
const TIMEOUT_LABEL = "flotilla.timeout-ms";

/** What an operator may set; plain data. */
const containerSettings = z.strictObject({
  /** Where the engine listens, as DOCKER_HOST has it. Default DOCKER_HOST, /var/run/docker.sock, podman's socket of this user, in this order. */
  engine: z.string().optional(),
  /** Of jobs whose containers stand beside those of other fleets. */
  fleet: fleetName.default("flotilla"),
  /** Of nodes/deploy/Containerfile, unless it says otherwise. Pulled where it is not there. */
  image: z.string().min(1).default("flotilla:0.1.0"),
  /** The fleet's NATS may listen on this host's loopback alone: hence `host`. */
  network: z.string().min(1).default("host"),
  /** Bounds of a job that names none; swap counts as memory. */
  cpus: z.number().positive().default(2),
  memoryBytes: z
    .number()
    .int()
    .positive()
    .default(4 * GIB),
  processesMax: z.number().int().positive().default(1_024),
  /** `uid:gid`. Default whoever runs us, to whom the workspace belongs. */
  user: z.string().optional(),
});

export type ContainerBackendOptions = z.input<typeof containerSettings> & { readonly clock: Clock };
type Settings = z.output<typeof containerSettings>;

export class ContainerBackend implements WorkspaceBackend {
  readonly kind = "container";
  readonly takesFolders = true;
  readonly #clock: Clock;
  readonly #options: Settings;
  readonly #closing = new AbortController();
  /** Those whose end is not known yet, by the container's id: whoever asks for one gets the same. */
  readonly #watched = new Map<string, ContainerJob>();
  readonly #news: News;
  #opening: Promise<ContainerEngine> | undefined;

  /** Asks nothing of an engine yet. Throws JobRefused for settings that cannot be. */
  constructor({ clock, ...given }: ContainerBackendOptions) {
    this.#options = resolvedSettings("the container backend", containerSettings, given);
    this.#clock = clock;
    this.#news = new News([(signal) => this.#events(signal)], clock);
  }

  async start(spec: JobSpec, signal: AbortSignal): Promise<BackendJob> {
    checkSpec(spec);
    signal.throwIfAborted();
    const engine = await this.#engine();
    const name = this.#nameOf(spec.jobId);
    const container = containerOf(spec, await folderOf(spec), this.#options, this.#user(engine), engine.security);
    const problem = await this.#made(engine, { name, ...container }, signal);
    if (problem !== undefined) return neverBegun(spec.jobId, container.Image ?? "", problem);
    const job = await this.find(spec.jobId);
    if (job !== undefined) return job;
    if ((await engine.inspect(name)) !== undefined)
      throw jobRefused(spec.jobId, `the container ${name} is somebody else's`);
    throw fail("BackendUnavailable", `The container ${name} was removed while it was started.`);
  }

  async find(jobId: string): Promise<BackendJob | undefined> {
    const engine = await this.#engine();
    const name = this.#nameOf(checkedJobId(jobId));
    const seen = await engine.inspect(name);
    if (seen?.labels[JOB_LABEL] !== jobId || seen.labels[FLEET_LABEL] !== this.#options.fleet) return undefined;
    const watched = this.#watched.get(seen.id);
    if (watched !== undefined) return watched;
    const timeoutMs = Number(seen.labels[TIMEOUT_LABEL]);
    const parts = { engine, clock: this.#clock, news: this.#news, closing: this.#closing.signal };
    const job = new ContainerJob({ jobId, name, id: seen.id, timeoutMs }, parts);
    this.#watched.set(seen.id, job);
    void job.watching.then(() => this.#watched.delete(seen.id));
    return job;
  }

  async list(): Promise<readonly string[]> {
    const engine = await this.#engine();
    const all = await engine.labelled(this.#fleetLabel());
    return all.flatMap((labels) => labels[JOB_LABEL] ?? []);
  }

  /** Jobs go on; `ended` of those that run stays open. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    await this.#news[Symbol.asyncDispose]();
    await Promise.all([...this.#watched.values()].map(({ watching }) => watching));
  }

  /** Why there is no container of this name and will be none; undefined: there is one, started or to be started by its maker (CB1). */
  async #made(
    engine: ContainerEngine,
    container: Docker.ContainerCreateOptions,
    signal: AbortSignal,
  ): Promise<string | undefined> {
    const [name = "", image = ""] = [container.name, container.Image];
    for (let isPulled = false; ; isPulled = true) {
      const beganMs = this.#clock.monotonic();
      try {
        await engine.create(container);
        // CJ2: if the engine took this long to answer, somebody else may have started it already.
        if (this.#clock.monotonic() - beganMs < STARTED_WITHIN_MS / 2) await beginContainer(engine, name);
        return undefined;
      } catch (error) {
        if (!(error instanceof EngineRefusal)) throw error;
        if (error.status === 409) return undefined;
        if (error.status !== 404 || isPulled) throw refused(name, error);
      }
      const problem = await engine.pull(image, signal);
      if (problem !== undefined) return problem;
    }
  }

  #engine(): Promise<ContainerEngine> {
    if (this.#closing.signal.aborted) throw fail("BackendUnavailable", "The backend is closed.");
    this.#opening ??= ContainerEngine.open(this.#options.engine, this.#clock).catch((error: unknown) => {
      this.#opening = undefined;
      throw error;
    });
    return this.#opening;
  }

  async *#events(signal: AbortSignal): AsyncGenerator<string | undefined, void> {
    yield* (await this.#engine()).events(this.#fleetLabel(), signal);
  }

  /** Whoever is root in a rootless engine's container is the engine's user outside. */
  #user(engine: ContainerEngine): string {
    if (this.#options.user !== undefined) return this.#options.user;
    const isOurs = !engine.security.has("rootless") && process.getuid !== undefined && process.getgid !== undefined;
    return isOurs ? `${process.getuid?.()}:${process.getgid?.()}` : "0:0";
  }

  /** Neither part has a dot, so no two jobs of two fleets share a name. */
  #nameOf = (jobId: string): string => `${this.#options.fleet}.${jobId}`;

  #fleetLabel = (): string => `${FLEET_LABEL}=${this.#options.fleet}`;
}

/** The container of a job, as the engine is asked for it. */
export function containerOf(
  spec: JobSpec,
  folder: string,
  options: Settings,
  user: string,
  security: ReadonlySet<string>,
): Docker.ContainerCreateOptions {
  const { jobId, labels, env, secretEnv, resources = {}, timeoutMs } = spec;
  const [program = "", ...args] = commandAt(spec, WORKSPACE);
  const memory = resources.memoryBytes ?? options.memoryBytes;
  const own = { [JOB_LABEL]: jobId, [FLEET_LABEL]: options.fleet, [TIMEOUT_LABEL]: String(timeoutMs) };
  const described = Object.entries(labels).map(([key, value]) => [`flotilla.label.${key}`, value]);
  // A label of SELinux's would have to be put on the folder, which is not ours.
  const unlabelled = security.has("selinux") ? ["label=disable"] : [];
  return {
    Image: options.image,
    Entrypoint: [program],
    Cmd: args,
    Env: Object.entries({ HOME: "/tmp", ...env, ...secretEnv }).map(([name, value]) => `${name}=${value}`),
    WorkingDir: WORKSPACE,
    User: user,
    Labels: { ...Object.fromEntries(described), ...own },
    StopTimeout: STOP_GRACE_S,
    HostConfig: {
      Mounts: [{ Type: "bind", Source: folder, Target: WORKSPACE, ReadOnly: false }],
      Tmpfs: { "/tmp": TEMPORARY },
      ReadonlyRootfs: true,
      NetworkMode: options.network,
      CapDrop: ["ALL"],
      SecurityOpt: ["no-new-privileges", ...unlabelled],
      // A first process that passes signals on and collects the dead: an agent's program does neither.
      Init: true,
      NanoCpus: Math.round((resources.cpus ?? options.cpus) * 1e9),
      Memory: memory,
      MemorySwap: memory,
      PidsLimit: options.processesMax,
      // CB1: it is started once.
      RestartPolicy: { Name: "no" },
      AutoRemove: false,
    },
  };
}

async function folderOf({ source, jobId }: JobSpec): Promise<string> {
  if (source.kind !== "folder")
    throw jobRefused(jobId, "containers of this host are given folders, not addresses to clone");
  const folder = await realpath(source.path).catch(() => undefined);
  if (folder === undefined) throw jobRefused(jobId, `its workspace ${source.path} is not there`);
  return folder;
}

const refused = (name: string, { status, message }: EngineRefusal) =>
  fail(
    status >= 500 ? "BackendUnavailable" : "JobRefused",
    `The engine does not make the container ${name}: ${message}.`,
  );

/** There is nothing of it: no image, no container. */
function neverBegun(jobId: string, image: string, why: string): BackendJob {
  const message = `The image ${image} cannot be pulled: ${why}.`;
  const end: JobEnd = failedEnd("ImageUnavailable", message, !isFinalForImages(why));
  const nothing = async () => {};
  return {
    jobId,
    place: `image ${image}`,
    logs: async function* () {},
    ended: Promise.resolve(end),
    cancel: nothing,
    remove: nothing,
  };
}
