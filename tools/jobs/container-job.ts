// One job in its container: how it stands, how it ends, what it prints. It is not how the container is made (container-backend.ts).
//
// CJ1  Why a job was ended is kept before it is ended, in the labels of an empty volume: an engine keeps nothing else that can be written
//      once a container is there, and its exit code (143, 137) does not tell a cancel from a time that was over.
// CJ2  A container that was made and not started for STARTED_WITHIN_MS is started by whoever looks at it: its maker has died in between. The
//      maker himself starts it only well before that, so that nobody starts what has already run and ended: the engine would run it again.
// CJ3  A job is Lost only when nobody could be asked for a while after its time was over. An engine that restarts loses nothing.

import type { Clock } from "../../runtime/index.ts";
import type { BackendJob, JobEnd, JobLine } from "./backend.ts";
import { type ContainerEngine, EngineRefusal, type SeenContainer } from "./container-engine.ts";
import { followLog } from "./followed-log.ts";
import { failedEnd, keptEnd } from "./job-check.ts";
import type { News } from "./news.ts";

export const STARTED_WITHIN_MS = 10_000;
/** For the program to end in order, after SIGTERM. */
export const STOP_GRACE_S = 10;
/** Looked at this often although there is no news: a stream of news can hang without breaking. */
const LOOK_EVERY_MS = 10_000;
const LOG_LOOK_EVERY_MS = 500;
const LOST_AFTER_MS = 60_000;
/** Docker's word for never. */
const NEVER_MS = 0;

/** How a container stands, by what the engine says of it. */
export type Standing =
  | { readonly kind: "unstarted" }
  | { readonly kind: "runs"; readonly sinceMs: number }
  | { readonly kind: "ended"; readonly end: JobEnd };

/** `kept`: why it was ended (CJ1). */
export function standingOf(seen: SeenContainer, kept: JobEnd | undefined): Standing {
  const { status, error, exitCode, isOutOfMemory, startedAtMs } = seen;
  if (status === "created" || status === "initialized" || status === "configured") {
    if (error !== "") return { kind: "ended", end: startFailed(error) };
    return kept === undefined ? { kind: "unstarted" } : { kind: "ended", end: kept };
  }
  if (status !== "exited" && status !== "dead" && status !== "stopped") return { kind: "runs", sinceMs: startedAtMs };
  if (kept !== undefined) return { kind: "ended", end: kept };
  if (!(startedAtMs > NEVER_MS))
    return { kind: "ended", end: startFailed(error || "it has ended and was never started") };
  // The mark is also set when a child was killed and the program went on.
  if (isOutOfMemory && exitCode !== 0) return { kind: "ended", end: outOfMemory(exitCode) };
  return { kind: "ended", end: { kind: "exited", code: exitCode } };
}

/** A program that is not in the image never will be; an engine that has no room may have some later. */
const startFailed = (why: string): JobEnd =>
  failedEnd(
    "StartFailed",
    `The container could not be started: ${why}.`,
    !/not found|no such file|permission denied|not a directory|invalid/i.test(why),
  );

const outOfMemory = (exitCode: number): JobEnd =>
  failedEnd("OutOfMemory", `It needed more memory than it was given, and ended with ${exitCode}.`, false);

export interface ContainerJobParts {
  readonly engine: ContainerEngine;
  readonly clock: Clock;
  readonly news: News;
  readonly closing: AbortSignal;
}

export interface ContainerOfJob {
  readonly jobId: string;
  /** The container's name, and the volume's that keeps why it was ended. */
  readonly name: string;
  readonly id: string;
  readonly timeoutMs: number;
}

export class ContainerJob implements BackendJob {
  readonly jobId: string;
  readonly place: string;
  readonly ended: Promise<JobEnd>;
  /** Settles when this life no longer looks at it. */
  readonly watching: Promise<void>;
  readonly #container: ContainerOfJob;
  readonly #parts: ContainerJobParts;
  readonly #foundMs: number;
  #isOver = false;
  /** Whether it is removed by us: then that it is gone is no surprise. */
  #isRemoved = false;

  constructor(container: ContainerOfJob, parts: ContainerJobParts) {
    this.jobId = container.jobId;
    this.place = `container ${container.id.slice(0, 12)}`;
    this.#container = container;
    this.#parts = parts;
    this.#foundMs = parts.clock.now();
    const ended = Promise.withResolvers<JobEnd>();
    this.ended = ended.promise;
    this.watching = this.#watch().then((end) => {
      if (end === undefined) return;
      this.#isOver = true;
      ended.resolve(end);
    });
  }

  async *logs(signal: AbortSignal): AsyncGenerator<JobLine, void> {
    const { engine, news, closing } = this.#parts;
    const { id, name } = this.#container;
    const listener = news.listen(name);
    const source = {
      state: () => this.#logState(),
      open: (sinceS: number | undefined, stop: AbortSignal) => engine.logs(id, sinceS, stop),
      pause: () => listener.next(LOG_LOOK_EVERY_MS),
    };
    try {
      yield* followLog(source, AbortSignal.any([signal, closing]));
    } finally {
      listener.close();
    }
  }

  async cancel(): Promise<void> {
    const seen = await this.#look();
    if (seen !== undefined && seen.kind !== "ended") await this.#end({ kind: "cancelled" });
    if (!this.#parts.closing.aborted) await this.ended;
  }

  async remove(): Promise<void> {
    const { engine } = this.#parts;
    const { id, name } = this.#container;
    const seen = await this.#look();
    if (seen?.kind === "ended") await Promise.race([this.ended, this.watching]);
    this.#isRemoved = true;
    await engine.remove(id);
    for (const listener = this.#parts.news.listen(name); ; await listener.next(LOG_LOOK_EVERY_MS)) {
      if ((await engine.inspect(id)) !== undefined) continue;
      listener.close();
      return await engine.removeVolume(endVolume(name));
    }
  }

  /** Undefined: the container is gone. */
  async #look(): Promise<Standing | undefined> {
    const { engine } = this.#parts;
    const { id, name } = this.#container;
    const [seen, kept] = await Promise.all([engine.inspect(id), engine.volume(endVolume(name))]);
    return seen === undefined ? undefined : standingOf(seen, keptEnd(kept?.[END_LABEL]));
  }

  /** Resolves with how it ended; undefined when this life ends first. */
  async #watch(): Promise<JobEnd | undefined> {
    const { news, closing } = this.#parts;
    const listener = news.listen(this.#container.name);
    try {
      while (!closing.aborted) {
        const next = await this.#step().catch((error: unknown) => this.#unheard(error));
        if (typeof next !== "number") return next;
        await listener.next(Math.min(next, LOOK_EVERY_MS));
      }
      return undefined;
    } finally {
      listener.close();
    }
  }

  /** How it ended, or in how many milliseconds to look again at the latest. */
  async #step(): Promise<JobEnd | number> {
    const { clock, engine } = this.#parts;
    const standing = await this.#look();
    if (standing === undefined) return this.#isRemoved ? { kind: "cancelled" } : deleted;
    if (standing.kind === "ended") return standing.end;
    const sinceMs = standing.kind === "runs" ? standing.sinceMs : this.#foundMs;
    const leftMs = sinceMs + this.#container.timeoutMs - clock.now();
    if (leftMs <= 0) {
      await this.#end({ kind: "timed_out" });
      return 0;
    }
    if (standing.kind === "runs") return leftMs;
    const waitMs = this.#foundMs + STARTED_WITHIN_MS - clock.now();
    if (waitMs > 0) return Math.min(waitMs, leftMs);
    // CJ2.
    await beginContainer(engine, this.#container.name);
    return LOG_LOOK_EVERY_MS;
  }

  /** The engine could not be asked (CJ3). */
  #unheard(error: unknown): JobEnd | number {
    const { clock } = this.#parts;
    const untilMs = this.#foundMs + this.#container.timeoutMs + LOST_AFTER_MS;
    if (clock.now() < untilMs) return LOG_LOOK_EVERY_MS;
    return failedEnd("Lost", `How it ended cannot be known: ${(error as Error).message}`, true);
  }

  async #end(end: JobEnd): Promise<void> {
    const { engine } = this.#parts;
    const { id, name } = this.#container;
    await keepEnd(engine, name, end);
    await engine.stop(id, STOP_GRACE_S);
  }

  async #logState() {
    const standing = await this.#look().catch(() => "unheard" as const);
    if (standing === "unheard") return this.#isOver ? "gone" : "waiting";
    if (standing === undefined) return "gone";
    if (standing.kind === "unstarted") return "waiting";
    return standing.kind === "runs" ? "printing" : "ended";
  }
}

const END_LABEL = "flotilla.end";

const endVolume = (name: string): string => `${name}.end`;

/** CJ1. The first one stays. */
const keepEnd = (engine: ContainerEngine, name: string, end: JobEnd): Promise<void> =>
  engine.keepVolume(endVolume(name), { [END_LABEL]: JSON.stringify(end) });

/** Starts a container that was made. That it is refused is an end of its job: not every engine keeps it with the container. */
export async function beginContainer(engine: ContainerEngine, name: string): Promise<void> {
  try {
    await engine.start(name);
  } catch (error) {
    if (!(error instanceof EngineRefusal)) throw error;
    await keepEnd(engine, name, startFailed(error.message));
  }
}

const deleted: JobEnd = failedEnd("Deleted", "Somebody removed its container.", true);
