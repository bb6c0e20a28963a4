// One host of a fleet, from the look at its machine to its leaving: `flotilla node` is this, `flotilla up` starts a server for it first.
// What it has and runs is the daemon's (nodes/daemon); that it is a member like any other is `connect`'s.
//
// HS1  What a user can do wrong is found before the fleet hears of this node: modules are loaded, the machine is looked at, the ports are taken
//      and the clock is compared with the server's first. Only where this node is the first of its fleet, the server tells the time later.
// HS2  Stopping is orderly and status 0, and the reverse of starting: nothing new is taken, model calls in hand have the grace time, what can
//      live elsewhere is handed over, the node leaves, its model servers end, the door closes. A second signal ends the process at once (main.ts); then the
//      others notice within the lease, and guards end what this process has started.
// HS3  A clock that is off by more than CLOCK_MAX_MS of doctor's keeps a node out: deadlines are moments, so each of its calls would fail.
// HS4  With --json stdout holds one object, written when the node is ready; log lines and everything else go to stderr.

import { flushCompileCache } from "node:module";
import { fleetActorTypes } from "../actors/index.ts";
import { clockVerdict, type Daemon, type Engine, openDaemon } from "../nodes/index.ts";
import {
  type ActorSystem,
  type ActorType,
  connect,
  fleetClock,
  foldedLog,
  isFlotillaError,
  type LogLevel,
  type LogSink,
  loadActorModule,
  nodeName,
  systemClock,
  type Timer,
} from "../runtime/index.ts";
import type { Terminal } from "./cli.ts";
import type { DaemonSettings, HttpAddress } from "./daemon-flags.ts";
import { fail } from "./errors.ts";
import { logText } from "./fleet-text.ts";
import { engineText, machineText, nodeText } from "./host-text.ts";
import { type HttpDoor, type HttpNode, openHttp } from "./http.ts";
import { type NodeOptions, wantsColour } from "./options.ts";
import { makePaper, type Paper } from "./paper.ts";
import { giveBackMemory } from "./spare-memory.ts";
import { aborted } from "./stop-signal.ts";

export interface HostOptions extends NodeOptions {
  readonly daemon: DaemonSettings;
  /** Lines for whoever starts it, when it is ready. */
  readonly welcome?: readonly string[];
}

const COLUMNS = 80;
/** Joining takes longer than this only behind a dead node of the same name, or a slow server. */
const SLOW_MS = 3_000;
/** Between the end of a model server and the last of what it printed. */
const LAST_WORDS_MS = 250;
const SLOW = "still connecting; a node of this name that died lately holds its place for one lease";

/** Runs the host until the terminal's signal aborts. Resolves with the exit status. */
export async function runHost(options: HostOptions, { out, err, signal }: Terminal): Promise<number> {
  const live = options.json ? err : out;
  const paper = makePaper(out.columns ?? COLUMNS, !options.json && wantsColour(out.isTTY === true));
  const say = (line: string) => void live.write(`${line}\n`);
  nodeName("name", options.name);
  const types = [...fleetActorTypes, ...(await loadTypes(options.actors))];
  const log = foldedLog(systemClock, (text, line) => say(logText(text, line, paper)));
  const tell = (level: LogLevel, message: string, data: Readonly<Record<string, unknown>>) =>
    log.sink({ level, atMs: systemClock.now(), node: options.name, message, data });
  const { http: at, graceMs, ...settings } = options.daemon;
  say("looking at this machine …");
  const daemon = await openDaemon({ ...settings, clock: systemClock, log: tell });
  say(machineText(daemon.machine, paper));
  const untell = tellEngines(daemon, say, paper);
  let http: HttpDoor | undefined;
  let node: HttpNode | undefined;
  try {
    http = at && (await openDoor(at, () => node));
    const isClockKnown = await checkClock(options.fleet, say);
    await using system = await join(options, daemon, types, log.sink, say);
    if (!isClockKnown) await checkClock(options.fleet, say);
    const page = daemon.metrics(system);
    node = { system, metrics: () => page.text() };
    if (!signal.aborted) {
      const bound = await system.memoryBound();
      // One that is absent is in the log, with why.
      if (bound?.kind === "in force") say("Memory      limits of processes hold, by control groups");
      await daemon.attach(system);
      // Now and not at the end: a host may never end in order, and the next one shall start as fast.
      flushCompileCache();
      giveBackMemory();
      greet(options, system, http, { say, out, paper });
      await aborted(signal);
    }
    await leave(daemon, system, graceMs, say);
    // An agent that was cut off left its clone.
    await (await import("../tools/index.ts")).removeLeftFolders(undefined, { own: true });
  } finally {
    untell();
    await daemon.close();
    await http?.close();
    log.close();
  }
  say("left");
  return 0;
}

/** HS3. Answers whether there was anything to compare with: a fleet that nobody has joined yet tells no time. Throws ClockOff. */
async function checkClock(fleet: HostOptions["fleet"], say: (line: string) => void): Promise<boolean> {
  const aheadMs = await fleetClock(fleet);
  const { status, found, remedy } = clockVerdict(aheadMs);
  if (status === "fail") throw fail("ClockOff", `${found}. ${remedy}`, { data: { aheadMs } });
  if (status === "warn") say(`${found}. ${remedy}`);
  return aheadMs !== undefined;
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
async function openDoor(at: HttpAddress, node: () => HttpNode | undefined): Promise<HttpDoor> {
  const options = { ...at, node };
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
  const cut = await daemon.leave(graceMs);
  if (cut.length > 0) say(`the grace time of ${graceMs / 1_000} s is over: requests to ${cut.join(", ")} are cut off`);
  await system.close();
  await daemon.close();
}

const leavingText = (actors: number): string =>
  actors === 0
    ? "leaving …"
    : `leaving: ${actors} ${actors === 1 ? "actor is" : "actors are"} here; what can live elsewhere is handed over …`;

/**
 * Says each change of a model server's state in a line. Of a death a moment later, when all is known that its last words tell; of starting only
 * the first, because a death says that it is started again.
 */
function tellEngines({ engines }: Daemon, say: (line: string) => void, paper: Paper): () => void {
  const told = new Map<Engine, string>();
  const due = new Map<Engine, Timer>();
  const tell = (engine: Engine) => {
    due.delete(engine);
    const { kind } = engine.status;
    const line = engineText(engine, paper);
    const shown = kind === "dead" ? line : kind === "busy" ? "ready" : kind;
    if (told.get(engine) === shown || (kind === "starting" && told.has(engine))) return;
    told.set(engine, shown);
    say(line);
  };
  const silence = engines.onChange((engine) => {
    if (engine.status.kind !== "dead") return tell(engine);
    if (!due.has(engine))
      due.set(
        engine,
        systemClock.schedule(LAST_WORDS_MS, () => tell(engine)),
      );
  });
  return () => {
    silence();
    for (const [engine, timer] of due) {
      timer.cancel();
      tell(engine);
    }
  };
}

async function loadTypes(files: readonly string[]): Promise<readonly ActorType[]> {
  const types: ActorType[] = [];
  for (const file of files) types.push(...(await loadActorModule(file)));
  return types;
}
