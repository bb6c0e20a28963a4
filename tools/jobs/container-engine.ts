// What is asked of a container engine (docker, podman), over the one package that speaks its API. It decides nothing about jobs.
//
// CE1  Every question has an end: the package loses a reply that breaks off in its middle, so each is given its time.
// CE2  A stream ends with its signal by being destroyed: the package's own abort fails, at the end of a reply, where nobody can catch it.
// CE3  An answer that refuses is an EngineRefusal with its status; whatever else goes wrong is BackendUnavailable.

import type { Readable } from "node:stream";
import type Docker from "dockerode";
import { type Clock, isFlotillaError } from "../../runtime/index.ts";
import { fail } from "../errors.ts";
import { type LogPiece, LogRefused, stampedPiece } from "./followed-log.ts";
import { DOCKER_SOCKET, engineAddress } from "./options.ts";

const ANSWER_WITHIN_MS = 30_000;
const PULL_WITHIN_MS = 15 * 60_000;

/** The engine's own words for a request that it does not take. */
export class EngineRefusal extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

export interface SeenContainer {
  readonly id: string;
  /** created, running, paused, restarting, removing, exited, dead; podman has more. */
  readonly status: string;
  readonly startedAtMs: number;
  readonly exitCode: number;
  readonly isOutOfMemory: boolean;
  /** Why it could not be started; "" otherwise. */
  readonly error: string;
  readonly labels: Readonly<Record<string, string>>;
}

export class ContainerEngine {
  readonly address: string;
  /** rootless, selinux, userns, … as the engine names what it has. */
  readonly security: ReadonlySet<string>;
  readonly #docker: Docker;
  readonly #clock: Clock;

  private constructor(docker: Docker, clock: Clock, address: string, security: ReadonlySet<string>) {
    this.#docker = docker;
    this.#clock = clock;
    this.address = address;
    this.security = security;
  }

  /** `given`: an address as DOCKER_HOST has it; without one the environment says where. Throws BackendUnavailable. */
  static async open(given: string | undefined, clock: Clock): Promise<ContainerEngine> {
    const address = given ?? engineAddress();
    if (address === undefined) {
      const places = `${DOCKER_SOCKET} and podman's socket are not there, and DOCKER_HOST is not set`;
      throw fail("BackendUnavailable", `There is no container engine here: ${places}.`);
    }
    const { default: Engine } = await import("dockerode");
    const docker = new Engine(connection(address, given !== undefined));
    const info = await asked<{ SecurityOptions?: readonly string[] }>(docker.info(), ANSWER_WITHIN_MS, address, clock);
    const names = (info.SecurityOptions ?? []).map((option) => /^(?:name=)?([\w-]+)/.exec(option)?.[1] ?? option);
    return new ContainerEngine(docker, clock, address, new Set(names));
  }

  /** `name`: an id will do. */
  async inspect(name: string): Promise<SeenContainer | undefined> {
    const info = await this.#orAbsent(this.#docker.getContainer(name).inspect());
    if (info === undefined) return undefined;
    const { Status, StartedAt, ExitCode, OOMKilled, Error: error } = info.State;
    return {
      id: info.Id,
      status: Status,
      startedAtMs: Date.parse(StartedAt),
      exitCode: ExitCode,
      isOutOfMemory: OOMKilled,
      error: error ?? "",
      labels: info.Config.Labels ?? {},
    };
  }

  /** Throws EngineRefusal: 404 without the image, 409 when the name is taken. */
  async create(options: Docker.ContainerCreateOptions): Promise<void> {
    await this.#ask(this.#docker.createContainer({ ...options }));
  }

  /** One that runs stays as it is. Throws EngineRefusal when it cannot be started. */
  async start(name: string): Promise<void> {
    try {
      await this.#ask(this.#docker.getContainer(name).start());
    } catch (error) {
      if (!(error instanceof EngineRefusal) || error.status !== 304) throw error;
    }
  }

  /** SIGTERM, and SIGKILL after the grace; resolves when it has ended. */
  async stop(name: string, graceS: number): Promise<void> {
    const stopping = this.#docker.getContainer(name).stop({ t: graceS });
    await this.#unless([304, 404], stopping, graceS * 1_000 + ANSWER_WITHIN_MS);
  }

  /** Ends it if it runs, and resolves when it is gone. */
  async remove(name: string): Promise<void> {
    // 409: somebody else is removing it.
    await this.#unless([404, 409], this.#docker.getContainer(name).remove({ force: true, v: true }));
  }

  /** Labels of all containers that have this label, ended or not. */
  async labelled(label: string): Promise<readonly Readonly<Record<string, string>>[]> {
    const filters = JSON.stringify({ label: [label] });
    const found = await this.#unless([], this.#docker.listContainers({ all: true, filters }));
    return (found ?? []).map(({ Labels }) => Labels ?? {});
  }

  async hasImage(image: string): Promise<boolean> {
    return (await this.#orAbsent(this.#docker.getImage(image).inspect())) !== undefined;
  }

  /** Why the image cannot be had; undefined: it is there now. Rejects with the signal's reason. */
  async pull(image: string, signal: AbortSignal): Promise<string | undefined> {
    try {
      const progress = await this.#stream(this.#docker.pull(image), signal);
      return await asked(lastError(progress), PULL_WITHIN_MS, this.address, this.#clock);
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof EngineRefusal) return error.message;
      throw error;
    }
  }

  /** Names of containers with this label to which something happened; undefined at first (NewsStream). */
  async *events(label: string, signal: AbortSignal): AsyncGenerator<string | undefined, void> {
    const filters = JSON.stringify({ type: ["container"], label: [label] });
    const events = await this.#stream(this.#docker.getEvents({ filters }), signal);
    yield undefined;
    for await (const line of linesOf(events)) {
      const event = JSON.parse(line) as { Actor?: { Attributes?: { name?: string } } };
      yield event.Actor?.Attributes?.name;
    }
  }

  /** Its log from a second on, followed; LogRefused when the engine keeps none. */
  async *logs(name: string, sinceS: number | undefined, signal: AbortSignal): AsyncGenerator<LogPiece, void> {
    const since = sinceS === undefined ? {} : { since: sinceS };
    const options = {
      follow: true,
      stdout: true,
      stderr: true,
      timestamps: true,
      abortSignal: signal,
      ...since,
    } as const;
    try {
      const log = await this.#stream(this.#docker.getContainer(name).logs(options), signal);
      for await (const { kind, bytes } of framesOf(log)) yield stampedPiece(kind === 2 ? "stderr" : "stdout", bytes);
    } catch (error) {
      throw error instanceof EngineRefusal ? new LogRefused(error.message) : error;
    }
  }

  /** The labels of a volume; undefined: there is none. */
  async volume(name: string): Promise<Readonly<Record<string, string>> | undefined> {
    const found = await this.#orAbsent(this.#docker.getVolume(name).inspect());
    return found === undefined ? undefined : (found.Labels ?? {});
  }

  /** An empty volume with these labels; one that is there stays as it is. */
  async keepVolume(name: string, labels: Readonly<Record<string, string>>): Promise<void> {
    await this.#unless([], this.#docker.createVolume({ Name: name, Labels: { ...labels } }));
  }

  async removeVolume(name: string): Promise<void> {
    await this.#orAbsent(this.#docker.getVolume(name).remove({}));
  }

  #ask<T>(answer: Promise<T>, withinMs = ANSWER_WITHIN_MS): Promise<T> {
    return asked(answer, withinMs, this.address, this.#clock);
  }

  /** CE2 */
  async #stream(answer: Promise<NodeJS.ReadableStream>, signal: AbortSignal): Promise<Readable> {
    const stream = (await this.#ask(answer)) as Readable;
    const end = () => stream.destroy();
    signal.addEventListener("abort", end, { once: true });
    stream.on("error", () => {}).once("close", () => signal.removeEventListener("abort", end));
    if (signal.aborted) end();
    return stream;
  }

  #orAbsent<T>(answer: Promise<T>): Promise<T | undefined> {
    return this.#unless([404], answer);
  }

  /** Undefined for a refusal with one of these statuses; any other is the engine's trouble, not the job's. */
  async #unless<T>(statuses: readonly number[], answer: Promise<T>, withinMs?: number): Promise<T | undefined> {
    try {
      return await this.#ask(answer, withinMs);
    } catch (error) {
      if (!(error instanceof EngineRefusal)) throw error;
      if (statuses.includes(error.status)) return undefined;
      throw fail("BackendUnavailable", `The container engine refuses: ${error.message}.`, { cause: error });
    }
  }
}

/** The package takes DOCKER_HOST for granted wherever `host` is not named; of its certificates it knows only by the environment. */
function connection(address: string, isGiven: boolean): Docker.DockerOptions {
  const path = /^(?:unix:\/\/)?(\/.*)?$/.exec(address);
  if (path !== null) return { socketPath: path[1] ?? DOCKER_SOCKET, host: undefined };
  if (!isGiven) return {};
  const { protocol, hostname, port } = new URL(address);
  return { protocol: protocol === "https:" ? "https" : "http", host: hostname, port: port || "2375" };
}

/** CE1, CE3. */
async function asked<T>(answer: Promise<T>, withinMs: number, address: string, clock: Clock): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = clock.schedule(withinMs, () => late.reject(new Error(`no answer within ${withinMs} ms`)), true);
  try {
    return await Promise.race([answer, late.promise]);
  } catch (error) {
    if (error instanceof EngineRefusal || isFlotillaError(error)) throw error;
    const { statusCode, message, json } = error as {
      statusCode?: number;
      message: string;
      json?: { message?: string };
    };
    if (statusCode !== undefined) throw new EngineRefusal(statusCode, json?.message ?? message.trim());
    throw fail("BackendUnavailable", `The container engine at ${address} cannot be asked: ${message}.`, {
      cause: error,
    });
  } finally {
    timer.cancel();
  }
}

/** The error that a pull's progress ends with. */
async function lastError(progress: Readable): Promise<string | undefined> {
  let found: string | undefined;
  for await (const line of linesOf(progress)) {
    const { error } = JSON.parse(line) as { error?: string };
    found = error ?? found;
  }
  return found;
}

async function* linesOf(stream: Readable): AsyncGenerator<string, void> {
  let rest = "";
  for await (const chunk of stream.setEncoding("utf8")) {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop() ?? "";
    yield* lines.filter((line) => line.trim() !== "");
  }
  if (rest.trim() !== "") yield rest;
}

const HEADER_BYTES = 8;

/** The engine's frames, one for each message: kind (1 stdout, 2 stderr), three zero bytes, length, bytes. */
async function* framesOf(stream: Readable): AsyncGenerator<{ kind: number; bytes: Buffer }, void> {
  let held: Buffer = Buffer.alloc(0);
  for await (const chunk of stream) {
    held = held.length === 0 ? (chunk as Buffer) : Buffer.concat([held, chunk as Buffer]);
    for (;;) {
      if (held.length < HEADER_BYTES) break;
      const end = HEADER_BYTES + held.readUInt32BE(4);
      if (held.length < end) break;
      yield { kind: held.readUInt8(0), bytes: held.subarray(HEADER_BYTES, end) };
      held = held.subarray(end);
    }
  }
}
