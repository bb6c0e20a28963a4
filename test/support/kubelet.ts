// Plays the scheduler and the one node of a cluster whose control plane is real: it binds Pods, runs their containers' commands as processes of
// this host (played-container.ts), writes their status as a kubelet does, and serves their logs to the API server.
//
// Of a Pod it knows: init containers and containers in their order, env, envFrom and $(NAME), activeDeadlineSeconds, deletion with its grace,
// images that cannot be pulled. It isolates nothing and takes every Pod of every namespace.

import { once } from "node:events";
import { mkdir, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:https";
import type { Socket } from "node:net";
import { join } from "node:path";
import { sleep, systemClock, type Timer } from "../../runtime/index.ts";
import { KubernetesConnection } from "../../tools/jobs/kubernetes-connection.ts";
import type { ControlPlane } from "./control-plane.ts";
import { makeFolder } from "./git-repository.ts";
import { PlayedContainer, stampOf } from "./played-container.ts";

interface ContainerSpec {
  readonly name: string;
  readonly image: string;
  readonly command: readonly string[];
  readonly workingDir?: string;
  readonly env?: readonly { readonly name: string; readonly value?: string }[];
  readonly envFrom?: readonly { readonly secretRef: { readonly name: string } }[];
}

export interface PodObject {
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly uid: string;
    readonly deletionTimestamp?: string;
    readonly deletionGracePeriodSeconds?: number;
    readonly labels?: Readonly<Record<string, string>>;
  };
  readonly spec: {
    readonly nodeName?: string;
    readonly activeDeadlineSeconds?: number;
    readonly initContainers?: readonly ContainerSpec[];
    readonly containers: readonly ContainerSpec[];
    readonly volumes?: readonly { readonly name: string }[];
    readonly automountServiceAccountToken?: boolean;
  };
  readonly status?: { readonly phase?: string; readonly conditions?: readonly { readonly type: string }[] };
}

const NODE = "played-node";
const RETRY_MS = 100;

export class Kubelet implements AsyncDisposable {
  /** Whether Pods find a node. */
  hasRoom = true;
  /** Why an image cannot be pulled. */
  imageTrouble: (image: string) => string | undefined = () => undefined;
  readonly api: KubernetesConnection;
  readonly #pods = new Map<string, PlayedPod>();
  readonly #closing = new AbortController();
  readonly #sockets = new Set<Socket>();
  readonly #folder: { readonly path: string } & AsyncDisposable;
  readonly #server: Server;
  readonly #working = new Set<Promise<void>>();

  private constructor(api: KubernetesConnection, folder: { readonly path: string } & AsyncDisposable, server: Server) {
    this.api = api;
    this.#folder = folder;
    this.#server = server;
  }

  static async start(plane: ControlPlane): Promise<Kubelet> {
    const api = await KubernetesConnection.open({ kubeconfig: plane.kubeconfig }, systemClock);
    const kubelet = new Kubelet(api, await makeFolder("flotilla-kubelet-"), createServer(await plane.certificate()));
    kubelet.#serveLogs();
    kubelet.#server.listen(0, "127.0.0.1");
    await once(kubelet.#server, "listening");
    const { port } = kubelet.#server.address() as { port: number };
    const node = { apiVersion: "v1", kind: "Node", metadata: { name: NODE } };
    await api.ask({ method: "POST", path: "/api/v1/nodes", body: node });
    const status = {
      addresses: [{ type: "InternalIP", address: "127.0.0.1" }],
      daemonEndpoints: { kubeletEndpoint: { Port: port } },
      conditions: [{ type: "Ready", status: "True" }],
    };
    await api.ask({ method: "PATCH", path: `/api/v1/nodes/${NODE}/status`, body: { status } });
    kubelet.#keep(kubelet.#follow());
    return kubelet;
  }

  /** Its node's memory or disk is at an end. */
  async evict(pod: string): Promise<void> {
    await this.#named(pod).end({ reason: "Evicted", message: "The node was low on resource: memory." });
  }

  /** The kernel ends its program. */
  async endForMemory(pod: string): Promise<void> {
    await this.#named(pod).endForMemory();
  }

  /** Connections over which logs are read break. */
  breakLogs(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Whether a program of the Pod runs. */
  isRunning(pod: string): boolean {
    return this.#named(pod).isRunning;
  }

  /** Makes an empty file in one of the Pod's volumes. */
  async touch(pod: string, path: string): Promise<void> {
    await writeFile(join(this.#named(pod).folder, path), "");
  }

  printedBy(pod: string, container: string): number {
    return this.#named(pod).containers.get(container)?.messages.length ?? 0;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    this.breakLogs();
    this.#server.close();
    await Promise.all([...this.#pods.values()].map((pod) => pod.abandon()));
    await Promise.all(this.#working);
    await this.#folder[Symbol.asyncDispose]();
  }

  #named(name: string): PlayedPod {
    const found = [...this.#pods.values()].find(({ pod }) => pod.metadata.name === name);
    if (found === undefined) throw new Error(`no Pod ${name} runs here`);
    return found;
  }

  #keep(work: Promise<void>): void {
    this.#working.add(work);
    void work.finally(() => this.#working.delete(work));
  }

  async #follow(): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      try {
        for await (const line of await this.api.lines("/api/v1/pods", { watch: "true" }, signal)) {
          const { type, object } = JSON.parse(line) as { type: string; object: PodObject };
          if (type !== "ERROR") this.#keep(this.#see(type, object));
        }
      } catch {
        // The API server is away: a kubelet goes on, and tells it later.
      }
      await sleep(systemClock, RETRY_MS, signal).catch(() => {});
    }
  }

  async #see(type: string, pod: PodObject): Promise<void> {
    const { uid, name, namespace, deletionTimestamp } = pod.metadata;
    const known = this.#pods.get(uid);
    if (type === "DELETED") return void this.#pods.delete(uid);
    if (known !== undefined) return known.see(pod);
    if (deletionTimestamp !== undefined) return;
    const path = `/api/v1/namespaces/${namespace}/pods/${name}`;
    if (pod.spec.nodeName === undefined) {
      if (!this.hasRoom) return await this.#sayFull(path);
      const target = { apiVersion: "v1", kind: "Node", name: NODE };
      const body = { apiVersion: "v1", kind: "Binding", metadata: { name }, target };
      await this.api.ask({ method: "POST", path: `${path}/binding`, body }).catch(() => {});
      return;
    }
    const folder = join(this.#folder.path, uid);
    const played = new PlayedPod(pod, folder, this.api, (image) => this.imageTrouble(image));
    this.#pods.set(uid, played);
    await played.run();
  }

  async #sayFull(path: string): Promise<void> {
    const message = "0/1 nodes are available: 1 Insufficient memory.";
    const conditions = [{ type: "PodScheduled", status: "False", reason: "Unschedulable", message }];
    await this.api.ask({ method: "PATCH", path: `${path}/status`, body: { status: { conditions } } }).catch(() => {});
  }

  /** GET /containerLogs/{namespace}/{pod}/{container}, as the API server asks it. */
  #serveLogs(): void {
    this.#server.on("secureConnection", (socket) => {
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket)).on("error", () => {});
    });
    this.#server.on("request", async (request, reply) => {
      const { pathname, searchParams } = new URL(request.url ?? "/", "https://kubelet");
      const [, , , pod = "", container = ""] = pathname.split("/");
      const played = [...this.#pods.values()].find((each) => each.pod.metadata.name === pod)?.containers.get(container);
      if (played === undefined) return void reply.writeHead(404).end(`no log of ${pathname}`);
      reply.writeHead(200, { "content-type": "text/plain" }).flushHeaders();
      const since = searchParams.get("sinceTime");
      const isFollowed = searchParams.get("follow") === "true";
      let isWhole = true;
      for await (const { atMs, bytes } of played.follow(since === null ? 0 : Date.parse(since), isFollowed)) {
        if (reply.destroyed) return;
        const isStamped = isWhole && searchParams.get("timestamps") === "true";
        reply.write(Buffer.concat([Buffer.from(isStamped ? `${stampOf(atMs)} ` : ""), bytes]));
        isWhole = bytes.at(-1) === 10;
      }
      reply.end();
    });
  }
}

interface Disruption {
  readonly reason: string;
  readonly message: string;
}

class PlayedPod {
  pod: PodObject;
  readonly containers = new Map<string, PlayedContainer>();
  readonly #api: KubernetesConnection;
  /** Of its volumes. */
  readonly folder: string;
  readonly #troubleOf: (image: string) => string | undefined;
  readonly #startTime = new Date(systemClock.now()).toISOString();
  readonly #states = new Map<string, object>();
  readonly #over = new AbortController();
  #disruption: Disruption | undefined;
  #isOutOfMemory = false;
  #isAbandoned = false;
  #isFinished = false;
  #deadline: Timer | undefined;

  constructor(
    pod: PodObject,
    folder: string,
    api: KubernetesConnection,
    troubleOf: (image: string) => string | undefined,
  ) {
    this.pod = pod;
    this.folder = folder;
    this.#api = api;
    this.#troubleOf = troubleOf;
  }

  async see(pod: PodObject): Promise<void> {
    this.pod = pod;
    if (pod.metadata.deletionTimestamp === undefined) return;
    if (this.#isFinished) return await this.#delete();
    await this.#stop((pod.metadata.deletionGracePeriodSeconds ?? 0) * 1_000);
  }

  get isRunning(): boolean {
    return [...this.#states.values()].some((state) => "running" in state);
  }

  async end(disruption: Disruption): Promise<void> {
    this.#disruption = disruption;
    await this.#stop(0);
  }

  async endForMemory(): Promise<void> {
    this.#isOutOfMemory = true;
    await Promise.all([...this.containers.values()].map((container) => container.kill()));
  }

  /** The test is over. */
  async abandon(): Promise<void> {
    this.#isAbandoned = true;
    await this.#stop(0);
  }

  async run(): Promise<void> {
    const { activeDeadlineSeconds, initContainers = [], containers } = this.pod.spec;
    if (activeDeadlineSeconds !== undefined) {
      const late = {
        reason: "DeadlineExceeded",
        message: "Pod was active on the node longer than the specified deadline",
      };
      this.#deadline = systemClock.schedule(activeDeadlineSeconds * 1_000, () => void this.end(late));
    }
    await this.#write("Pending");
    let code = 0;
    const inOrder = [
      ...initContainers.map((each) => [each, "Pending"] as const),
      ...containers.map((each) => [each, "Running"] as const),
    ];
    for (const [container, phase] of inOrder) {
      if (code === 0 && !this.#over.signal.aborted) code = await this.#runOne(container, phase);
    }
    this.#deadline?.cancel();
    await this.#write(code === 0 && !this.#over.signal.aborted ? "Succeeded" : "Failed");
    this.#isFinished = true;
    if (this.pod.metadata.deletionTimestamp !== undefined) await this.#delete();
  }

  async #stop(graceMs: number): Promise<void> {
    this.#over.abort();
    await Promise.all([...this.containers.values()].map((container) => container.stop(graceMs)));
  }

  /** Its exit code; what keeps it from starting is written and waited out. */
  async #runOne(spec: ContainerSpec, phase: string): Promise<number> {
    const env = await this.#ready(spec);
    if (env === undefined) return 1;
    const folders = { "/workspace": join(this.folder, "workspace"), "/tmp": join(this.folder, "tmp") };
    for (const folder of Object.values(folders)) await mkdir(folder, { recursive: true });
    const command = spec.command.map((part) => expanded(part, env));
    let container: PlayedContainer;
    try {
      container = await PlayedContainer.start({ command, env, folders, cwd: spec.workingDir ?? "/tmp" });
    } catch (error) {
      const message = `failed to create containerd task: ${(error as Error).message}`;
      this.#states.set(spec.name, { terminated: { exitCode: 128, reason: "StartError", message } });
      return 128;
    }
    this.containers.set(spec.name, container);
    if (this.#over.signal.aborted) await container.kill();
    this.#states.set(spec.name, { running: { startedAt: new Date(container.startedAtMs).toISOString() } });
    await this.#write(phase);
    const exitCode = await container.exited;
    const reason = this.#isOutOfMemory ? "OOMKilled" : exitCode === 0 ? "Completed" : "Error";
    const message =
      exitCode === 0
        ? ""
        : Buffer.concat(container.messages.map(({ bytes }) => bytes))
            .toString()
            .slice(-2_048);
    this.#states.set(spec.name, { terminated: { exitCode, reason, ...(message !== "" && { message }) } });
    return exitCode;
  }

  /** Its variables, once its image is there and its Secrets are; undefined when the Pod ends first. */
  async #ready(spec: ContainerSpec): Promise<Readonly<Record<string, string>> | undefined> {
    for (let tries = 0; !this.#over.signal.aborted; tries += 1) {
      const trouble = this.#troubleOf(spec.image);
      const env = trouble === undefined ? await this.#variables(spec).catch(() => undefined) : undefined;
      if (env !== undefined) return env;
      const pull = { reason: tries === 0 ? "ErrImagePull" : "ImagePullBackOff", message: trouble };
      const waiting =
        trouble === undefined ? { reason: "CreateContainerConfigError", message: "secret not found" } : pull;
      this.#states.set(spec.name, { waiting });
      await this.#write("Pending");
      await sleep(systemClock, RETRY_MS, this.#over.signal).catch(() => {});
    }
    return undefined;
  }

  async #variables({ env = [], envFrom = [] }: ContainerSpec): Promise<Readonly<Record<string, string>>> {
    const found: Record<string, string> = {};
    for (const { secretRef } of envFrom) {
      const path = `/api/v1/namespaces/${this.pod.metadata.namespace}/secrets/${secretRef.name}`;
      const { data } = await this.#api.ask<{ data: Readonly<Record<string, string>> }>({ method: "GET", path });
      for (const [name, value] of Object.entries(data)) found[name] = Buffer.from(value, "base64").toString();
    }
    for (const { name, value = "" } of env) found[name] = expanded(value, found);
    return found;
  }

  async #write(phase: string): Promise<void> {
    const statusOf = ({ name, image }: ContainerSpec) => {
      const state = this.#states.get(name) ?? { waiting: { reason: "PodInitializing" } };
      return { name, image, imageID: "", ready: false, restartCount: 0, state };
    };
    const { initContainers = [], containers } = this.pod.spec;
    // What the API server itself has written there stays.
    const kept = this.pod.status?.conditions?.filter(({ type }) => type === "DisruptionTarget") ?? [];
    const isOver = phase === "Failed" && this.#disruption !== undefined;
    const given = isOver && this.#disruption?.reason === "Evicted" ? [BY_KUBELET] : [];
    const status = {
      phase,
      startTime: this.#startTime,
      conditions: [{ type: "PodScheduled", status: "True" }, ...kept, ...given],
      initContainerStatuses: initContainers.map(statusOf),
      containerStatuses: containers.map(statusOf),
      ...(isOver && this.#disruption),
    };
    await this.#told({ method: "PATCH", path: `${this.#path()}/status`, body: { status } });
  }

  async #delete(): Promise<void> {
    await this.#told({ method: "DELETE", path: this.#path(), body: { gracePeriodSeconds: 0 } });
  }

  /** Said until it is heard; a Pod that is gone needs no status. */
  async #told(request: { method: "PATCH" | "DELETE"; path: string; body: unknown }): Promise<void> {
    while (!this.#isAbandoned) {
      const isHeard = await this.#api.find(request).then(
        () => true,
        (error: { code?: string }) => error.code !== "BackendUnavailable",
      );
      if (isHeard) return;
      await sleep(systemClock, RETRY_MS);
    }
  }

  #path = (): string => `/api/v1/namespaces/${this.pod.metadata.namespace}/pods/${this.pod.metadata.name}`;
}

const BY_KUBELET = {
  type: "DisruptionTarget",
  status: "True",
  reason: "TerminationByKubelet",
  message: "low on memory",
};

/** $(NAME) becomes the variable's value where there is one, and $$ one $. */
const expanded = (text: string, env: Readonly<Record<string, string>>): string =>
  text.replace(/\$\$|\$\(([^)]+)\)/g, (found, name?: string) => (name === undefined ? "$" : (env[name] ?? found)));
