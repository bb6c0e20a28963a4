// A small container engine behind the Docker HTTP API, on a unix socket, for tests where there is no real one. Written from the API's
// documentation (v1.43: paths, statuses, bodies, the frames of logs); its containers are real processes (played-container.ts).
//
// It is not isolated, has no networks, and takes only what the backend asks for: an unknown path is a 404 that says so.

import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { join } from "node:path";
import { systemRandom } from "../../runtime/index.ts";
import { makeFolder } from "./git-repository.ts";
import { PlayedContainer, stampOf } from "./played-container.ts";

interface CreateBody {
  readonly Image: string;
  readonly Entrypoint: readonly string[];
  readonly Cmd: readonly string[];
  readonly Env: readonly string[];
  readonly WorkingDir: string;
  readonly User: string;
  readonly Labels: Readonly<Record<string, string>>;
  readonly HostConfig: {
    readonly Mounts: readonly { readonly Source: string; readonly Target: string }[];
    readonly Tmpfs: Readonly<Record<string, string>>;
  };
}

interface FakeContainer {
  readonly id: string;
  readonly name: string;
  readonly body: CreateBody;
  readonly temporary: { readonly path: string } & AsyncDisposable;
  played?: PlayedContainer;
  status: "created" | "running" | "exited";
  exitCode: number;
  error: string;
  isOutOfMemory: boolean;
  finishedAtMs: number;
  starts: number;
}

/** What a registry says of an image: it can be pulled, is refused at once, or fails while it is pulled. */
export type FakeImage = "pullable" | { readonly status: number; readonly message: string } | { readonly error: string };

export interface FakeDockerOptions {
  /** Name and tag → what the registry says. Others are not found there. */
  readonly registry?: Readonly<Record<string, FakeImage>>;
  /** Images that are there. Default flotilla:0.1.0. */
  readonly images?: readonly string[];
  /** As /info has them: "name=rootless". */
  readonly security?: readonly string[];
}

type Answer = (match: RegExpExecArray, query: URLSearchParams, body: unknown, reply: ServerResponse) => unknown;

const NEVER = "0001-01-01T00:00:00Z";
const MISSING = { status: 404, message: "pull access denied, repository does not exist or may require 'docker login'" };

export class FakeDocker implements AsyncDisposable {
  readonly address: string;
  /** "POST /containers/create", in their order. */
  readonly requests: string[] = [];
  readonly containers = new Map<string, FakeContainer>();
  readonly volumes = new Map<string, { readonly Name: string; readonly Labels: Readonly<Record<string, string>> }>();
  readonly #images: Set<string>;
  readonly #options: FakeDockerOptions;
  readonly #socket: string;
  readonly #folder: AsyncDisposable;
  readonly #followers = new Set<(event: object, labels: Readonly<Record<string, string>>) => void>();
  readonly #sockets = new Set<Socket>();
  #server: Server | undefined;
  /** Asked before each start is done: a test may hold it up. */
  beforeStart: () => Promise<void> = async () => {};

  private constructor(folder: { readonly path: string } & AsyncDisposable, options: FakeDockerOptions) {
    this.#folder = folder;
    this.#socket = join(folder.path, "docker.sock");
    this.#options = options;
    this.#images = new Set(options.images ?? ["flotilla:0.1.0"]);
    this.address = `unix://${this.#socket}`;
  }

  static async open(options: FakeDockerOptions = {}): Promise<FakeDocker> {
    const engine = new FakeDocker(await makeFolder("flotilla-docker-"), options);
    await engine.comeBack();
    return engine;
  }

  /** The engine's process ends; its containers go on, as with live-restore. */
  async goAway(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    this.#followers.clear();
    for (const socket of this.#sockets) socket.destroy();
    if (server !== undefined) await new Promise((resolve) => server.close(resolve));
  }

  async comeBack(): Promise<void> {
    this.#server = createServer((request, reply) => void this.#serve(request, reply));
    this.#server.on("connection", (socket) => {
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket)).on("error", () => {});
    });
    this.#server.listen(this.#socket);
    await once(this.#server, "listening");
  }

  /** Connections break; the engine stays. */
  breakConnections(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  named(name: string): FakeContainer | undefined {
    return this.containers.get(name) ?? [...this.containers.values()].find(({ id }) => id === name);
  }

  /** As somebody else's `docker rm -f`. */
  async removeContainer(name: string): Promise<void> {
    const container = this.named(name);
    if (container === undefined) return;
    await container.played?.kill();
    this.containers.delete(container.name);
    await container.temporary[Symbol.asyncDispose]();
    this.#tell(container, "destroy");
  }

  /** As the kernel, when its memory is at an end. */
  async endForMemory(name: string): Promise<void> {
    const container = this.named(name);
    if (container === undefined) return;
    container.isOutOfMemory = true;
    await container.played?.kill();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.goAway();
    for (const name of [...this.containers.keys()]) await this.removeContainer(name);
    await this.#folder[Symbol.asyncDispose]();
  }

  readonly #routes: readonly (readonly [RegExp, Answer])[] = [
    [/^GET \/info$/, () => ({ status: 200, json: { SecurityOptions: this.#options.security ?? ["name=seccomp"] } })],
    [/^POST \/containers\/create$/, (_, query, body) => this.#create(query.get("name") ?? "", body as CreateBody)],
    [/^GET \/containers\/json$/, (_, query) => this.#list(JSON.parse(query.get("filters") ?? "{}"))],
    [/^GET \/containers\/([^/]+)\/json$/, ([, name = ""]) => this.#inspect(name)],
    [/^POST \/containers\/([^/]+)\/start$/, ([, name = ""]) => this.#start(name)],
    [/^POST \/containers\/([^/]+)\/stop$/, ([, name = ""], query) => this.#stop(name, Number(query.get("t") ?? 10))],
    [/^GET \/containers\/([^/]+)\/logs$/, ([, name = ""], query, _body, reply) => this.#logs(name, query, reply)],
    [/^DELETE \/containers\/([^/]+)$/, ([, name = ""], query) => this.#remove(name, query.get("force") === "true")],
    [/^POST \/images\/create$/, (_, query, _body, reply) => this.#pull(query, reply)],
    [/^GET \/events$/, (_, query, _body, reply) => this.#events(JSON.parse(query.get("filters") ?? "{}"), reply)],
    [/^POST \/volumes\/create$/, (_, _query, body) => this.#keepVolume(body as { Name: string; Labels: object })],
    [/^GET \/volumes\/([^/]+)$/, ([, name = ""]) => this.#volume(name)],
    [
      /^DELETE \/volumes\/([^/]+)$/,
      ([, name = ""]) => (this.volumes.delete(name) ? { status: 204 } : none("volume", name)),
    ],
  ];

  async #serve(request: IncomingMessage, reply: ServerResponse): Promise<void> {
    const { pathname, searchParams } = new URL(request.url ?? "/", "http://engine");
    const asked = `${request.method} ${decodeURIComponent(pathname)}`;
    this.requests.push(asked);
    const text = (await request.toArray()).join("");
    for (const [pattern, answer] of this.#routes) {
      const match = pattern.exec(asked);
      if (match === null) continue;
      const given = await answer(match, searchParams, text === "" ? undefined : JSON.parse(text), reply);
      if (given !== undefined) send(reply, given as Given);
      return;
    }
    send(reply, refusal(404, `page not found: ${asked}`));
  }

  async #create(name: string, body: CreateBody): Promise<Given> {
    if (!this.#images.has(body.Image)) return refusal(404, `No such image: ${body.Image}`);
    const taken = this.containers.get(name);
    if (taken !== undefined) {
      return refusal(409, `Conflict. The container name "/${name}" is already in use by container "${taken.id}".`);
    }
    const id = Array.from({ length: 6 }, () => systemRandom.id())
      .join("")
      .slice(0, 64);
    const rest = { exitCode: 0, error: "", isOutOfMemory: false, finishedAtMs: 0, starts: 0 };
    // Its place is taken before anything is waited for.
    const container = { id, name, body, status: "created" as const, ...rest };
    const whole = container as unknown as FakeContainer;
    this.containers.set(name, whole);
    Object.assign(whole, { temporary: await makeFolder("flotilla-docker-tmp-") });
    this.#tell(whole, "create");
    return { status: 201, json: { Id: id, Warnings: [] } };
  }

  async #start(name: string): Promise<Given> {
    await this.beforeStart();
    const container = this.named(name);
    if (container === undefined) return none("container", name);
    if (container.status === "running") return { status: 304 };
    const { Entrypoint, Cmd, Env, WorkingDir, HostConfig } = container.body;
    const env = Object.fromEntries(Env.map((line) => line.split(/=(.*)/s).slice(0, 2)));
    const mounts = HostConfig.Mounts.map(({ Source, Target }) => [Target, Source]);
    const temporary = Object.keys(HostConfig.Tmpfs).map((path) => [path, container.temporary.path]);
    const folders = Object.fromEntries([...mounts, ...temporary]);
    container.status = "running";
    container.starts += 1;
    try {
      container.played = await PlayedContainer.start({
        command: [...Entrypoint, ...Cmd],
        env,
        folders,
        cwd: WorkingDir,
      });
    } catch (error) {
      container.status = "created";
      container.exitCode = 127;
      container.error = `OCI runtime create failed: unable to start container process: ${(error as Error).message}`;
      return refusal(400, container.error);
    }
    this.#tell(container, "start");
    void container.played.exited.then((code) => {
      container.exitCode = code;
      container.status = "exited";
      container.finishedAtMs = Date.now();
      this.#tell(container, "die");
    });
    return { status: 204 };
  }

  #inspect(name: string): Given {
    const container = this.named(name);
    if (container === undefined) return none("container", name);
    const { id, body, played, status, exitCode, error, isOutOfMemory, finishedAtMs } = container;
    const State = {
      Status: status,
      Running: status === "running",
      OOMKilled: isOutOfMemory,
      ExitCode: exitCode,
      Error: error,
      StartedAt: played === undefined ? NEVER : stampOf(played.startedAtMs),
      FinishedAt: finishedAtMs === 0 ? NEVER : stampOf(finishedAtMs),
    };
    return { status: 200, json: { Id: id, Name: `/${container.name}`, State, Config: { Labels: body.Labels } } };
  }

  #list({ label: [label = ""] = [] }: { readonly label?: readonly string[] }): Given {
    const found = [...this.containers.values()].filter(({ body }) => hasLabel(body.Labels, label));
    return {
      status: 200,
      json: found.map(({ id, name, body }) => ({ Id: id, Names: [`/${name}`], Labels: body.Labels })),
    };
  }

  async #stop(name: string, graceS: number): Promise<Given> {
    const container = this.named(name);
    if (container === undefined) return none("container", name);
    if (container.status !== "running") return { status: 304 };
    await container.played?.stop(graceS * 1_000);
    return { status: 204 };
  }

  async #remove(name: string, isForced: boolean): Promise<Given> {
    const container = this.named(name);
    if (container === undefined) return none("container", name);
    if (container.status === "running" && !isForced) return refusal(409, "cannot remove container: it is running");
    await this.removeContainer(name);
    return { status: 204 };
  }

  async #logs(name: string, query: URLSearchParams, reply: ServerResponse): Promise<Given | undefined> {
    const container = this.named(name);
    if (container === undefined) return none("container", name);
    reply.writeHead(200, { "content-type": "application/vnd.docker.multiplexed-stream" }).flushHeaders();
    const sinceMs = Number(query.get("since") ?? 0) * 1_000;
    const isFollowed = query.get("follow") === "true";
    for await (const { stream, atMs, bytes } of container.played?.follow(sinceMs, isFollowed) ?? []) {
      if (reply.destroyed) return undefined;
      const content = Buffer.concat([
        Buffer.from(query.get("timestamps") === "true" ? `${stampOf(atMs)} ` : ""),
        bytes,
      ]);
      const header = Buffer.alloc(8);
      header.writeUInt8(stream === "stdout" ? 1 : 2, 0);
      header.writeUInt32BE(content.length, 4);
      reply.write(Buffer.concat([header, content]));
    }
    reply.end();
    return undefined;
  }

  #pull(query: URLSearchParams, reply: ServerResponse): Given | undefined {
    const image = `${query.get("fromImage")}:${query.get("tag") ?? "latest"}`;
    const found = this.#options.registry?.[image] ?? MISSING;
    if (found !== "pullable" && "status" in found) return refusal(found.status, found.message);
    reply.writeHead(200, { "content-type": "application/json" });
    reply.write(`${JSON.stringify({ status: `Pulling from ${query.get("fromImage")}` })}\r\n`);
    if (found === "pullable") {
      this.#images.add(image);
      reply.end(`${JSON.stringify({ status: `Status: Downloaded newer image for ${image}` })}\r\n`);
    } else {
      reply.end(`${JSON.stringify({ errorDetail: { message: found.error }, error: found.error })}\r\n`);
    }
    return undefined;
  }

  #events({ label: [label = ""] = [] }: { readonly label?: readonly string[] }, reply: ServerResponse): undefined {
    reply.writeHead(200, { "content-type": "application/json" }).flushHeaders();
    const follower = (event: object, labels: Readonly<Record<string, string>>) => {
      if (hasLabel(labels, label)) reply.write(`${JSON.stringify(event)}\n`);
    };
    this.#followers.add(follower);
    reply.on("close", () => this.#followers.delete(follower));
    return undefined;
  }

  #tell({ id, name, body }: FakeContainer, action: string): void {
    const event = { Type: "container", Action: action, Actor: { ID: id, Attributes: { name, ...body.Labels } } };
    for (const follower of this.#followers) follower(event, body.Labels);
  }

  #keepVolume({ Name, Labels }: { Name: string; Labels: object }): Given {
    const kept = this.volumes.get(Name) ?? { Name, Labels: Labels as Record<string, string> };
    this.volumes.set(Name, kept);
    return { status: 201, json: kept };
  }

  #volume(name: string): Given {
    const kept = this.volumes.get(name);
    return kept === undefined ? none("volume", name) : { status: 200, json: kept };
  }
}

interface Given {
  readonly status: number;
  readonly json?: unknown;
}

const refusal = (status: number, message: string): Given => ({ status, json: { message } });
const none = (what: string, name: string): Given => refusal(404, `No such ${what}: ${name}`);

const hasLabel = (labels: Readonly<Record<string, string>>, wanted: string): boolean =>
  wanted === "" || Object.entries(labels).some(([key, value]) => `${key}=${value}` === wanted);

function send(reply: ServerResponse, { status, json }: Given): void {
  reply
    .writeHead(status, { "content-type": "application/json" })
    .end(json === undefined ? undefined : JSON.stringify(json));
}
