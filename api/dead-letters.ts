// `flotilla dead-letters`: tasks of a fleet that failed for good, listed, shown and replayed; and the way to its dead events (dead-events.ts).
// It decides nothing about them; runtime/tasks/dead-letters.ts does.
//
// DL1  With --json stdout holds one JSON value and nothing else.
// DL2  Of several ids to replay each is tried; the status is 1 when one of them could not be.

import type { Command } from "commander";
import { connect, isFlotillaError, type TaskDeadLetter, type TaskDeadLetters } from "../runtime/index.ts";
import type { Terminal } from "./cli.ts";
import { addFleetFlags } from "./fleet-flags.ts";
import { since } from "./fleet-text.ts";
import { type FleetFlags, fleetOptions, wantsColour } from "./options.ts";
import { clip, makePaper, type Paper, plain, table } from "./paper.ts";

export type DeadLetterList = Pick<TaskDeadLetters, "list" | "show" | "replay">;

interface Flags extends FleetFlags {
  readonly json?: boolean;
}

const COLUMNS = 80;
const ID_WIDTH = 40;
const STACK_LINES_MAX = 12;

/** Adds the commands to the program. */
export function addDeadLetterCommands(program: Command, terminal: Terminal, done: (status: number) => void): void {
  const group = program
    .command("dead-letters")
    .description("tasks that failed for good, and events that were passed over: list them, show why, run tasks again");
  const add = (action: Action, ids: string, description: string) =>
    addFleetFlags(group.command(`${action}${ids}`).description(description))
      .option("--json", "print JSON and nothing else")
      .allowExcessArguments(false)
      // The command itself comes last, its flags before it.
      .action(async (...given: unknown[]) => {
        const flags = given.at(-2) as Flags;
        await using fleet = await connect(fleetOptions(flags));
        const json = flags.json ?? false;
        done(await deadLettersCommand(action, given.slice(0, -2).flat() as string[], fleet.deadTasks, json, terminal));
      });
  add("list", "", "all of them, the longest dead first");
  add("show", " <id>", "one of them, with every attempt");
  add("replay", " <ids...>", "put them into the queue again, under their ids");
  addFleetFlags(group.command("events").description("events that a service passed over, and why"))
    .option("--json", "print JSON and nothing else")
    .allowExcessArguments(false)
    .action(async (flags: Flags) => {
      // The services' schemas, which tasks need none of.
      const { deadEventsCommand } = await import("./dead-events.ts");
      await using fleet = await connect(fleetOptions(flags));
      done(await deadEventsCommand(fleet, flags.json ?? false, terminal));
    });
}

type Action = "list" | "show" | "replay";

/** Runs one of the commands and resolves with its exit status. Throws TaskNotDead (show). */
export function deadLettersCommand(
  action: Action,
  ids: readonly string[],
  list: DeadLetterList,
  json: boolean,
  terminal: Terminal,
): Promise<number> {
  const paper = makePaper(terminal.out.columns ?? COLUMNS, !json && wantsColour(terminal.out.isTTY === true));
  const place: Place = { list, json, terminal, paper };
  if (action === "list") return listCommand(place);
  return action === "show" ? showCommand(ids[0] ?? "", place) : replayCommand(ids, place);
}

interface Place {
  readonly list: DeadLetterList;
  readonly json: boolean;
  readonly terminal: Terminal;
  readonly paper: Paper;
}

async function listCommand({ list, json, terminal, paper }: Place): Promise<number> {
  const letters = await list.list();
  if (json) terminal.out.write(`${JSON.stringify(letters)}\n`);
  else terminal.out.write(letters.length === 0 ? "No dead letters.\n" : listText(letters, paper));
  return 0;
}

function listText(letters: readonly TaskDeadLetter[], { columns, colour }: Paper): string {
  const rows = letters.map(({ id, type, method, failedAtMs, history }) => [
    clip(id, ID_WIDTH),
    clip(`${type}.${method}`, ID_WIDTH),
    since(failedAtMs),
    String(history.at(-1)?.attempt ?? 0),
    clip(`${history.at(-1)?.code}: ${history.at(-1)?.message}`, columns),
  ]);
  const [head = "", ...body] = table([["id", "task", "dead since (UTC)", "attempts", "last failure"], ...rows], [3]);
  const lines = [colour.bold(head), ...body.map((line) => clip(line, Math.max(columns, head.length)))];
  return `${lines.join("\n")}\n\nflotilla dead-letters show ID tells more; flotilla dead-letters replay ID runs it again.\n`;
}

async function showCommand(id: string, { list, json, terminal, paper }: Place): Promise<number> {
  const letter = await list.show(id);
  terminal.out.write(json ? `${JSON.stringify(letter)}\n` : showText(letter, paper));
  return 0;
}

function showText({ id, type, method, submittedAtMs, failedAtMs, history }: TaskDeadLetter, { colour }: Paper): string {
  const attempts = history.flatMap(({ attempt, node, atMs, code, message, stack }) => [
    "",
    colour.bold(`Attempt ${attempt}`) +
      colour.dim(`  ${since(atMs)}  ${node === undefined ? "node unknown" : plain(node)}`),
    `${plain(code)}: ${plain(message)}`,
    ...(stack === undefined ? [] : plain(stack).split("\n").slice(0, STACK_LINES_MAX)).map((line) => colour.dim(line)),
  ]);
  return `${[
    colour.bold(plain(id)),
    `Task       ${plain(type)}.${plain(method)}`,
    `Submitted  ${since(submittedAtMs)}`,
    `Dead since ${since(failedAtMs)} (UTC)`,
    ...attempts,
  ].join("\n")}\n`;
}

async function replayCommand(ids: readonly string[], { list, json, terminal }: Place): Promise<number> {
  const outcomes: {
    readonly id: string;
    readonly replayed: boolean;
    readonly code?: string;
    readonly message?: string;
  }[] = [];
  for (const id of ids) {
    try {
      await list.replay(id);
      outcomes.push({ id, replayed: true });
    } catch (error) {
      if (!isFlotillaError(error)) throw error;
      outcomes.push({ id, replayed: false, code: error.code, message: error.message });
    }
  }
  if (json) terminal.out.write(`${JSON.stringify(outcomes)}\n`);
  for (const { id, replayed, message } of outcomes) {
    if (!replayed)
      terminal.err.write(
        `flotilla: ${plain(String(message))}; flotilla dead-letters list shows those that are there.\n`,
      );
    else if (!json) terminal.out.write(`${plain(id)} is in the queue again.\n`);
  }
  return outcomes.every(({ replayed }) => replayed) ? 0 : 1;
}
