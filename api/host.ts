// One host of a fleet, from the look at its machine to its leaving: `flotilla node` is this, `flotilla up` starts a server for it first.
// What it has and runs is the daemon's (nodes/daemon); that it is a member like any other is `connect`'s.
//
// HS1  What a user can do wrong is found before the fleet hears of this node: modules are loaded, the machine is looked at and the ports are
//      taken first.
// HS2  Stopping is orderly and status 0, and the reverse of starting: nothing new is taken, model calls in hand have the grace time, what can
//      live elsewhere is handed over, the node leaves, its model servers end. A second signal ends the process at once (main.ts); then the
//      others notice within the lease, and guards end what this process has started.
// HS3  With --json stdout holds one object, written when the node is ready; log lines and everything else go to stderr.

import { flushCompileCache } from "node:module";
import { fleetActorTypes } from "../actors/index.ts";
import { type Daemon, openDaemon } from "../nodes/index.ts";
import {
  type ActorSystem,
  type ActorType,
  connect,
  foldedLog,
  isFlotillaError,
  type LogLevel,
  type LogSink,
  loadActorModule,
  systemClock,
} from "../runtime/index.ts";
import type { Terminal } from "./cli.ts";
import type { DaemonSettings, HttpAddress } from "./daemon-flags.ts";
import { engineText, logText, machineText, nodeText } from "./fleet-text.ts";
import { type HttpDoor, openHttp } from "./http.ts";
import { type NodeOptions, wantsColour } from "./options.ts";
import { makePaper, type Paper } from "./paper.ts";

export interface HostOptions extends NodeOptions {
  readonly daemon: DaemonSettings;
  /** Lines for whoever starts it, when it is ready. */
  readonly welcome?: readonly string[];
}

const COLUMNS = 80;
/** Joining takes longer than this only behind a dead node of the same name, or a slow server. */
const SLOW_MS = 3_000;
const SLOW = "still connecting; a node of this name that died lately holds its place for one lease";

/** Runs the host until the terminal's signal aborts. Resolves with the exit status. */
export async function runHost(options: HostOptions, { out, err, signal }: Terminal): Promise<number> {
  const live = options.json ? err : out;
  const paper = makePaper(out.columns ?? COLUMNS, !options.json && wantsColour(out.isTTY === true));
  const say = (line: string) => void live.write(`${line}\n`);
  const types = [...fleetActorTypes, ...(await loadTypes(options.actors))];
  const log = foldedLog(systemClock, (text, line) => say(logText(text, line, paper)));
  const tell = (level: LogLevel, message: string, data: Readonly<Record<string, unknown>>) =>
    log.sink({ level, atMs: systemClock.now(), node: options.name, message, data });
  const { http: at, graceMs, ...settings } = options.daemon;
  say("looking at this machine …");
  const daemon = await openDaemon({ ...settings, clock: systemClock, log: tell });
  say(machineText(daemon.machine, paper));
  const untell = tellEngines(daemon, say, paper);
  try {
    await using system = await join(options, daemon, types, log.sink, say);
    const http = at && (await openDoor(at, daemon, system));
    if (!signal.aborted) {
      await daemon.attach(system);
      greet(options, system, http, { say, out, paper });
      // A host may never end in order, and the next one shall start as fast.
      flushCompileCache();
      await aborted(signal);
    }
    await leave(daemon, system, graceMs, say);
    await http?.close();
    say("left");
    return 0;
  } finally {
    untell();
    await daemon.close(0);
    log.close();
  }
}

async function join(
  { fleet, name, labels, allowCode, lease, warmProcesses }: HostOptions,
  daemon: Daemon,
  actors: readonly ActorType[],
  log: LogSink,
  say: (line: string) => void,
): Promise<ActorSystem> {
  say("connecting …");
  const slow = systemClock.schedule(SLOW_MS, () => say(SLOW));
  const { admission, machine } = daemon;
  const joining = connect({
    ...{ ...fleet, name, labels, allowCode, lease, actors, admission, log },
    ...(warmProcesses !== undefined && { warmProcesses }),
    accepts: true,
    resources: machine.amounts,
  });
  return joining.finally(() => slow.cancel());
}

/** The default port is a wish: several nodes of one machine take what is free. */
async function openDoor(at: HttpAddress, daemon: Daemon, system: ActorSystem): Promise<HttpDoor> {
  const page = daemon.metrics(system);
  const options = { ...at, system, metrics: () => page.text() };
  return openHttp(options).catch((error: unknown) => {
    if (at.isWish && isFlotillaError(error, "PortTaken")) return openHttp({ ...options, port: 0 });
    throw error;
  });
}

interface Place {
  readonly say: (line: string) => void;
  readonly out: Terminal["out"];
  readonly paper: Paper;
}

function greet(
  options: HostOptions,
  system: ActorSystem,
  http: HttpDoor | undefined,
  { say, out, paper }: Place,
): void {
  const [own, ...others] = system.nodes();
  if (own !== undefined && system.facts !== undefined) say(nodeText(own, others, system.facts, paper));
  if (http !== undefined) say(`HTTP at ${http.url}: /healthz /readyz /metrics /nodes`);
  for (const line of options.welcome ?? []) say(line);
  if (options.json)
    out.write(`${JSON.stringify({ ready: true, ...own, ...system.facts, ...(http && { http: http.url }) })}\n`);
  say("ready; Ctrl-C hands over and leaves");
}

/** HS2 */
async function leave(daemon: Daemon, system: ActorSystem, graceMs: number, say: (line: string) => void): Promise<void> {
  const { actors } = daemon.report();
  say(leavingText(actors));
  daemon.admission.close("its node is leaving");
  await system.drain();
  await daemon.quiet(graceMs);
  await system.close();
  await daemon.close(0);
}

const leavingText = (actors: number): string =>
  actors === 0
    ? "leaving …"
    : `leaving: ${actors} ${actors === 1 ? "actor is" : "actors are"} here; what can live elsewhere is handed over …`;

/** Says each change of a model server's state in a line. */
function tellEngines({ engines }: Daemon, say: (line: string) => void, paper: Paper): () => void {
  const told = new Map<object, string>();
  return engines.onChange((engine) => {
    const { kind } = engine.status;
    const shown = kind === "busy" ? "ready" : kind;
    if (told.get(engine) === shown) return;
    told.set(engine, shown);
    say(engineText(engine, paper));
  });
}

async function loadTypes(files: readonly string[]): Promise<readonly ActorType[]> {
  const types: ActorType[] = [];
  for (const file of files) types.push(...(await loadActorModule(file)));
  return types;
}

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => (signal.aborted ? resolve() : signal.addEventListener("abort", () => resolve())));
