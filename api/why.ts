// `flotilla why`: why an actor is where it is, or what keeps it waiting.
//
// WY1  It prints what was decided when the actor was placed, as its node has kept it; nothing is decided anew.

import type { Command } from "commander";
import { explain } from "../placement/index.ts";
import {
  type ActorSystem,
  type AnyHandle,
  connect,
  isFlotillaError,
  type NodeRecord,
  type WaitingPlacement,
} from "../runtime/index.ts";
import type { Terminal } from "./cli.ts";
import { fail } from "./errors.ts";
import { addFleetFlags } from "./fleet-flags.ts";
import { since } from "./fleet-text.ts";
import { type FleetFlags, fleetOptions, wantsColour } from "./options.ts";
import { makePaper, plain, table, wrap } from "./paper.ts";

interface Flags extends FleetFlags {
  readonly namespace?: string;
  readonly json?: boolean;
}

const COLUMNS = 80;
const INDENT = "    ";

export function addWhyCommand(program: Command, terminal: Terminal, done: (status: number) => void): void {
  addFleetFlags(program.command("why [actor]").description("why an actor is where it is, or what keeps it waiting"))
    .option("--namespace <name>", 'of the actor\'s name (default: "default")')
    .option("--json", "print one JSON value and nothing else")
    .addHelpText(
      "after",
      "\nACTOR: a name, or an address as logs show it (type/id@node). Without: everything that waits.",
    )
    .allowExcessArguments(false)
    .action(async (actor: string | undefined, flags: Flags) => {
      await using system = await connect(fleetOptions(flags));
      done(await whyCommand(system, actor, flags, terminal));
    });
}

/** What waits under that name, else the actor of that name or address, else what waits of that type. */
async function whyCommand(
  system: ActorSystem,
  actor: string | undefined,
  flags: Flags,
  terminal: Terminal,
): Promise<number> {
  const waiting = waitingOf(system.nodes());
  if (actor === undefined) return tellWaiting(waiting, flags, terminal);
  const named = waiting.filter(({ name }) => name === actor);
  if (named.length > 0) return tellWaiting(named, flags, terminal);
  try {
    return await tellDecision(system, actor, flags, terminal);
  } catch (error) {
    const alike = waiting.filter(({ type }) => type === actor);
    if (alike.length === 0 || !isFlotillaError(error, "NoSuchActor")) throw error;
    return tellWaiting(alike, flags, terminal);
  }
}

type Waiting = WaitingPlacement & { readonly asker: string };

const waitingOf = (nodes: readonly NodeRecord[]): Waiting[] =>
  nodes
    .flatMap(({ name, waiting = [] }) => waiting.map((each) => ({ ...each, asker: name })))
    .sort((one, other) => one.sinceMs - other.sinceMs);

function tellWaiting(waiting: readonly Waiting[], { json = false }: Flags, { out }: Terminal): number {
  if (json) out.write(`${JSON.stringify(waiting)}\n`);
  else if (waiting.length === 0) out.write("Nothing waits for a place.\n");
  else {
    const rows = waiting.map(({ type, name, sinceMs, asker }) => [
      plain(name === undefined ? type : `${type} "${name}"`),
      since(sinceMs),
      plain(asker),
    ]);
    const [head = "", ...lines] = table([["waits for a place", "since (UTC)", "asked by"], ...rows]);
    const width = makePaper(out.columns ?? COLUMNS, false).columns - INDENT.length;
    // What is against each node is as long as there are nodes: it stands under its own request, whole.
    const told = lines.flatMap((line, at) => [
      line,
      ...wrap(waiting[at]?.why ?? "", width).map((text) => INDENT + text),
    ]);
    out.write(`${[head, ...told].join("\n")}\n`);
  }
  return 0;
}

async function tellDecision(
  system: ActorSystem,
  actor: string,
  { namespace, json = false }: Flags,
  { out }: Terminal,
): Promise<number> {
  const [, id, node] = /^[\w.-]+\/(\d+)@(\S+)$/.exec(actor) ?? [];
  const isAddress = id !== undefined && node !== undefined;
  const found: AnyHandle | undefined = isAddress ? undefined : await system.get(actor, undefined, namespace);
  const decision = await system.decision(found ?? { id: id ?? "", node: node ?? "" });
  if (decision === undefined) throw fail("DecisionUnknown", UNKNOWN(actor), { data: { actor } });
  const { colour } = makePaper(out.columns ?? COLUMNS, !json && wantsColour(out.isTTY === true));
  if (json) out.write(`${JSON.stringify(decision)}\n`);
  else {
    const [head = "", ...lines] = explain(decision).map(plain);
    out.write(`${[colour.bold(`${plain(actor)} is ${head}`), ...lines].join("\n")}\n`);
  }
  return 0;
}

const UNKNOWN = (actor: string): string =>
  `nobody has kept why ${actor} is where it is: it has ended, was spawned without name, resources and placement, or lives in a process that is no daemon.`;
