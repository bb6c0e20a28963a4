// What the commands over the fleet's services share: reaching them, who the person is, and where they print.
//
// CS1  Who a person is is what they say: the fleet checks who may reach it, and no further. What is recorded says a name; the commands say so.
// CS2  With --json stdout holds one JSON value and nothing else.

import { userInfo } from "node:os";
import type { Command } from "commander";
import { type By, bySchema, type ServiceCall } from "../actors/index.ts";
import { type ActorSystem, connect, isFlotillaError } from "../runtime/index.ts";
import type { Terminal } from "./cli.ts";
import { fail } from "./errors.ts";
import { addFleetFlags } from "./fleet-flags.ts";
import { type FleetFlags, fleetOptions, wantsColour } from "./options.ts";
import { makePaper, type Paper, plain } from "./paper.ts";

interface ServiceFlags extends FleetFlags {
  readonly json?: boolean;
}

export interface PersonFlags {
  readonly as?: string;
  readonly role?: string;
}

/** Where a command prints. */
export interface Place {
  readonly terminal: Terminal;
  readonly json: boolean;
  readonly paper: Paper;
}

const COLUMNS = 80;

/** A person waits no longer than this for a service that is not there. */
const CALL_MS = 10_000;

/** What a command does with a service; resolves with its exit status. */
export type Run<Api, Flags = object> = (
  service: Api,
  args: readonly string[],
  flags: Flags,
  place: Place,
  fleet: Pick<ActorSystem, "ports" | "clock">,
) => Promise<number>;

/** Makes a function that adds the commands of a group; all of them speak to the same service. */
export const commandsOf =
  <Api>(
    group: Command,
    terminal: Terminal,
    done: (status: number) => void,
    serviceOf: (fleet: ActorSystem, call: ServiceCall) => Api,
  ) =>
  <Flags>(usage: string, description: string, run: Run<Api, Flags>, isDefault = false): Command =>
    addFleetFlags(group.command(usage, { isDefault }).description(description))
      .option("--json", "print JSON and nothing else")
      .allowExcessArguments(false)
      // The command itself comes last, its flags before it.
      .action(async (...given: unknown[]) => {
        const flags = given.at(-2) as ServiceFlags & Flags;
        const args = given.slice(0, -2) as string[];
        const call = { timeoutMs: CALL_MS, signal: terminal.signal };
        const place = placeOf(terminal, flags.json);
        done(await onFleet(flags, (fleet) => run(serviceOf(fleet, call), args, flags, place, fleet)));
      });

export const addPersonFlags = (command: Command): Command =>
  command
    .option("--as <name>", "who you are, for the record; nobody checks it (default: your name on this machine)")
    .option("--role <role>", "as what: po, architect, qa, … (default: none)");

/** The person who makes a change (CS1). Throws OptionInvalid. */
export function personOf({ as = userInfo().username, role }: PersonFlags): By {
  const parsed = bySchema.safeParse({ kind: "human", id: as, ...(role !== undefined && { role }) });
  if (parsed.success) return parsed.data;
  const option = parsed.error.issues[0]?.path[0] === "role" ? "--role" : "--as";
  throw fail("OptionInvalid", `${option}: expected a name of 1 to ${option === "--as" ? 200 : 40} characters.`);
}

export const placeOf = (terminal: Terminal, json = false): Place => ({
  terminal,
  json,
  paper: makePaper(terminal.out.columns ?? COLUMNS, !json && wantsColour(terminal.out.isTTY === true)),
});

/** Runs a command on the fleet. Throws what it throws; ServicesMissing where nobody answers for a service. */
async function onFleet<T>(flags: FleetFlags, run: (fleet: ActorSystem) => Promise<T>): Promise<T> {
  await using fleet = await connect(fleetOptions(flags));
  try {
    return await run(fleet);
  } catch (error) {
    if (!isFlotillaError(error, "NoSuchActor")) throw error;
    const message = `this fleet has no such service: ${error.message}. Start its services, or correct --servers and --prefix.`;
    throw fail("ServicesMissing", message, { cause: error });
  }
}

/** Under which name something was recorded (CS1). */
export const recordedText = ({ id, role }: By): string =>
  `Recorded as ${plain(id)}${role === undefined ? "" : ` (${plain(role)})`}; nobody has checked the name.`;

/** One JSON value (CS2), or text. */
export function print<T>({ terminal, json }: Place, value: T, text: () => string): void {
  terminal.out.write(json ? `${JSON.stringify(value)}\n` : text());
}
