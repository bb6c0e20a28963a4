// One life of a model server: from its start, or the first look at one that somebody else runs, to its loss. Whether another follows is
// engine.ts's decision.
//
// EL1  A life of a process leaves nothing behind: it is over when the last of the process's group is gone.
// EL2  A process that falls silent is told lost at once and ended only after patienceMs without an answer: loading a large model again takes
//      minutes, a busy front comes back within seconds.
// EL3  A server of somebody else's is only ever looked at: its life goes on, lost and found, until it is let go.

import { accessSync, constants } from "node:fs";
import { join } from "node:path";
import { type Clock, type FlotillaError, sleep } from "../../runtime/index.ts";
import { programPlaces } from "../options.ts";
import { type EnginePorts, engineCommand, engineEnvironment, servedName } from "./arguments.ts";
import { type EngineFailure, explainFailure, failureError } from "./failure.ts";
import { type AdoptedSettings, childEnvironment, type VllmSettings } from "./options.ts";
import { enginePorts } from "./ports.ts";
import { type AttachedServer, hung, Probe } from "./probe.ts";
import { EngineProcess } from "./process.ts";
import { Watch, type Watched } from "./watch.ts";

/** A process as it was started. */
export interface StartedServer {
  readonly url: string;
  readonly ports: EnginePorts;
  readonly process: EngineProcess;
}

/** The engine whose life it is. */
export interface Living extends Watched {
  started(server: StartedServer): void;
  attached(server: AttachedServer, probe: Probe): void;
  /** It is lost, for now. */
  lost(failure: FlotillaError): void;
}

export interface LifeParts<Settings> {
  readonly settings: Settings;
  /** What people call it. */
  readonly name: string;
  readonly living: Living;
  readonly clock: Clock;
  /** Aborts when it is to end. */
  readonly signal: AbortSignal;
}

/** After SIGTERM: vLLM gives its devices back within this, on a busy machine too. */
const END_MAX_MS = 10_000;
const MS_IN_S = 1_000;

/** Starts the process and resolves when it is gone, with why. `last`: its ports the last time. */
export function liveStarted(parts: LifeParts<VllmSettings>, last?: EnginePorts): Promise<FlotillaError> {
  // What is left is the machine: no process, no port to be had.
  return started(parts, last).catch((error: Error) =>
    failureError(parts.name, {
      code: "EngineFailed",
      sentence: `it could not be started: ${error.message}`,
      remedy: "look at what else runs on this machine",
    }),
  );
}

async function started(parts: LifeParts<VllmSettings>, last?: EnginePorts): Promise<FlotillaError> {
  const { settings, name, living, clock, signal } = parts;
  const start = await startOf(settings, last);
  if ("code" in start) return failureError(name, start);
  const { ports, command, environment } = start;
  signal.throwIfAborted();
  const process = new EngineProcess(command, environment, clock);
  const url = `http://127.0.0.1:${ports.port}`;
  living.started({ url, ports, process });
  const over = new AbortController();
  let isOurs = false;
  // Told at once; explained again when all it printed is here and the rest of its group is gone.
  void process.exited.then((exit) => {
    over.abort();
    if (!isOurs) living.lost(failureError(name, explainFailure(process.log, exit), process.log));
  });
  const either = AbortSignal.any([signal, over.signal]);
  try {
    const failure = await tended({ ...parts, signal: either }, url, process).catch((error: unknown) => {
      if (!either.aborted) throw error;
    });
    if (failure !== undefined) {
      living.lost(failure);
      return failure;
    }
  } finally {
    isOurs = true;
    await (signal.aborted ? process.end(END_MAX_MS) : process.kill());
  }
  return failureError(name, explainFailure(process.log, await process.exited), process.log);
}

interface Start {
  readonly ports: EnginePorts;
  readonly command: readonly string[];
  readonly environment: Readonly<NodeJS.ProcessEnv>;
}

async function startOf(settings: VllmSettings, last?: EnginePorts): Promise<Start | EngineFailure> {
  const ports = await enginePorts(settings, last);
  if (!("port" in ports)) return ports;
  const environment = childEnvironment(engineEnvironment(settings));
  const [program = "", ...rest] = engineCommand(settings, ports);
  const path = foundProgram(program, environment);
  return path === undefined ? programMissing(program) : { ports, command: [path, ...rest], environment };
}

/** Why a start would fail as things are now, before it is tried: a port that is in use, a program that is not there. Undefined: it would not. */
export async function startFailure(name: string, settings: VllmSettings): Promise<FlotillaError | undefined> {
  const start = await startOf(settings);
  return "code" in start ? failureError(name, start) : undefined;
}

/** Resolves with why the process has to end; undefined, or a rejection, when it has ended or the signal aborted. */
async function tended(
  parts: LifeParts<VllmSettings>,
  url: string,
  process: EngineProcess,
): Promise<FlotillaError | undefined> {
  const { settings, name, living, clock, signal } = parts;
  const { watch: limits, apiKey } = settings;
  const probe = new Probe({ url, model: servedName(settings), apiKey, watch: limits, signal, clock });
  const fail = (failure: EngineFailure) => failureError(name, failure, process.log);
  let late: (lastWhy: string) => EngineFailure = (lastWhy) => notReady(settings.readyTimeoutMs, lastWhy);
  for (let withinMs = settings.readyTimeoutMs; ; withinMs = limits.patienceMs) {
    const attached = await attachedWithin(withinMs, probe, parts, late);
    if ("code" in attached) return fail(attached);
    living.attached(attached, probe);
    const loss = await new Watch({ probe, attached, watched: living, limits, clock, signal }).untilLost();
    const failure: EngineFailure = { code: "EngineHung", ...hung(loss.why) };
    if (loss.kind === "broken") return fail(broken(loss.why, process.log));
    if (loss.kind === "stalled") return fail(failure);
    living.lost(fail(failure));
    late = () => failure;
  }
}

async function attachedWithin(
  withinMs: number,
  probe: Probe,
  { settings, clock, signal }: LifeParts<VllmSettings>,
  late: (lastWhy: string) => EngineFailure,
): Promise<AttachedServer | EngineFailure> {
  const endMs = clock.monotonic() + withinMs;
  for (;;) {
    const attempt = await probe.attach();
    signal.throwIfAborted();
    if (attempt.kind === "attached") return attempt.attached;
    if (attempt.kind === "failed") return attempt.failure;
    if (clock.monotonic() >= endMs) return late(attempt.why);
    await sleep(clock, settings.watch.everyMs, signal);
  }
}

/** Looks at a server that somebody else runs until the signal aborts (EL3). */
export async function liveAdopted(parts: LifeParts<AdoptedSettings>): Promise<void> {
  const { settings, name, living, clock, signal } = parts;
  const { url, model, apiKey, watch: limits } = settings;
  const probe = new Probe({ url, model, apiKey, watch: limits, signal, clock });
  while (!signal.aborted) {
    const attempt = await probe.attach();
    if (signal.aborted) return;
    if (attempt.kind === "attached") {
      const { attached } = attempt;
      living.attached(attached, probe);
      const watch = new Watch({ probe, attached, watched: living, limits, clock, signal });
      const loss = await watch.untilLost().catch(() => undefined);
      if (loss === undefined || signal.aborted) return;
      living.lost(
        failureError(name, loss.kind === "stalled" ? { code: "EngineHung", ...hung(loss.why) } : away(url, loss.why)),
      );
    } else {
      living.lost(failureError(name, attempt.kind === "failed" ? attempt.failure : away(url, attempt.why)));
    }
    await sleep(clock, limits.everyMs, signal).catch(() => {});
  }
}

function foundProgram(program: string, environment: Readonly<NodeJS.ProcessEnv>): string | undefined {
  if (program.includes("/")) return isExecutable(program) ? program : undefined;
  return programPlaces(environment)
    .path.map((folder) => join(folder, program))
    .find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

const programMissing = (program: string): EngineFailure => ({
  code: "EngineProgramMissing",
  sentence: `there is no program ${program}${program.includes("/") ? "" : " on the PATH"}`,
  remedy: "install vLLM (pip install vllm), or name it with the option program",
});

/** What ended behind its front has said why, if it could. */
function broken(why: string, log: readonly string[]): EngineFailure {
  const said = explainFailure(log, { code: null, signal: null });
  if (said.code !== "EngineFailed") return said;
  return { code: "EngineFailed", sentence: `its engine has ended (${why})`, remedy: "read the last lines of its log" };
}

const notReady = (withinMs: number, why: string): EngineFailure => ({
  code: "EngineNotReady",
  sentence: `it was not ready within ${withinMs / MS_IN_S} s (${why})`,
  remedy: "read the last lines of its log; if it only takes long, raise the option readyTimeoutMs",
});

const away = (url: string, why: string): EngineFailure => ({
  code: "EngineUnreachable",
  sentence: `it does not answer at ${url} (${why})`,
  remedy: "start it, or correct the option url",
});
