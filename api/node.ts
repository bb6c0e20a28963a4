// `flotilla node`: a process that joins a fleet and hosts actors until it is told to stop.
// It is a member like any other: `connect({ accepts: true })` does the work.
//
// ND1  What a user can do wrong is found before the fleet hears of this node; its modules are loaded first.
// ND2  Stopping is orderly and status 0: nothing new is taken, what can live elsewhere is handed over, then the node leaves. A second
//      signal ends the process at once (main.ts); then the others notice within the lease.
// ND3  With --json stdout holds one object, written when the node is ready; log lines and everything else go to stderr.

import type { Command } from "commander";
import {
  type ActorSystem,
  type ActorType,
  connect,
  foldedLog,
  loadActorModule,
  systemClock,
  systemRandom,
} from "../runtime/index.ts";
import type { Terminal } from "./cli.ts";
import { addFleetFlags } from "./fleet-flags.ts";
import { logText, nodeText } from "./fleet-text.ts";
import { type NodeFlags, type NodeOptions, nodeOptions, wantsColour } from "./options.ts";
import { makePaper } from "./paper.ts";

const COLUMNS = 80;
const CHANCE_LENGTH = 4;
/** Joining takes longer than this only behind a dead node of the same name, or a slow server. */
const SLOW_MS = 3_000;

const SLOW = "still connecting; a node of this name that died lately holds its place for one lease";
const PASSWORD = "the password in --servers can be read by everybody on this machine; FLOTILLA_SERVERS hides it";

export function addNodeCommand(program: Command, terminal: Terminal, done: (status: number) => void): void {
  addFleetFlags(program.command("node").description("join a fleet and host actors and tasks until told to stop"))
    .option("--actors <files...>", "modules that export the actor types to host")
    .option("--name <name>", "what people call this node (default: the machine's name and a random part)")
    .option("--labels <key=value...>", "labels of this node: zone=a,gpu=a100")
    .option("--allow-code", "load actors that scripts bring: they run with all rights of this process")
    .option(
      "--lease <profile>",
      "how soon a dead node is noticed: normal (10 to 12 s), fast (within 4 s; quiet networks)",
    )
    .option(
      "--warm-processes <count>",
      'processes that wait ready for actors with isolation: "process" (default: 1 once used)',
    )
    .option("--json", "print one JSON object when ready; everything else goes to stderr")
    .allowExcessArguments(false)
    .action(async (flags: NodeFlags) =>
      done(await nodeCommand(nodeOptions(flags, systemRandom.id().slice(0, CHANCE_LENGTH)), terminal)),
    );
}

async function nodeCommand(options: NodeOptions, { out, err, signal }: Terminal): Promise<number> {
  const live = options.json ? err : out;
  const paper = makePaper(out.columns ?? COLUMNS, !options.json && wantsColour(out.isTTY === true));
  const say = (line: string) => void live.write(`${line}\n`);
  const types = await loadTypes(options.actors);
  if (options.showsPassword) err.write(`flotilla: ${PASSWORD}\n`);
  const log = foldedLog(systemClock, (text, line) => say(logText(text, line, paper)));
  try {
    say("connecting …");
    const slow = systemClock.schedule(SLOW_MS, () => say(SLOW));
    const { fleet, actors: _, json: __, showsPassword: ___, ...own } = options;
    const joining = connect({ ...fleet, ...own, actors: types, accepts: true, log: log.sink });
    await using system = await joining.finally(() => slow.cancel());
    if (!signal.aborted) {
      const [own, ...others] = system.nodes();
      if (own !== undefined && system.facts !== undefined) say(nodeText(own, others, system.facts, paper));
      if (options.json) out.write(`${JSON.stringify(readyView(system))}\n`);
      say("ready; Ctrl-C hands over and leaves");
      await aborted(signal);
    }
    say(leavingText(system.stats().actors));
    await system.close();
    say("left");
    return 0;
  } finally {
    log.close();
  }
}

const leavingText = (actors: number): string =>
  actors === 0
    ? "leaving …"
    : `leaving: ${actors} ${actors === 1 ? "actor is" : "actors are"} here; what can live elsewhere is handed over …`;

async function loadTypes(files: readonly string[]): Promise<readonly ActorType[]> {
  const types: ActorType[] = [];
  for (const file of files) types.push(...(await loadActorModule(file)));
  return types;
}

function readyView(system: ActorSystem): object {
  const [own] = system.nodes();
  return { ready: true, ...own, ...system.facts };
}

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => (signal.aborted ? resolve() : signal.addEventListener("abort", () => resolve())));
