// The command line: reads arguments, finds the command that they name, and answers with an exit status.
// What a command takes and does is in its own file.
//
// C1  Status 0: done. 1: nothing could be done as asked (usage, set-up). 130 and 143: cancelled by SIGINT and SIGTERM. What else a command's
//     status says is told in its file.
// C2  Every refusal is one sentence on stderr that names what was wrong and what to do.
// C3  Only what the named command needs is loaded: a daemon that runs for weeks would keep the memory of all that it never uses.

import { readFileSync } from "node:fs";
import { Command, CommanderError } from "commander";
import { isFlotillaError } from "../runtime/index.ts";
import { sentenceOf } from "./errors.ts";
import { plain } from "./paper.ts";

/** Where a command prints, and what may stop it. */
export interface Terminal {
  readonly out: { write(text: string): unknown; readonly isTTY?: boolean; readonly columns?: number };
  readonly err: { write(text: string): unknown };
  /** Aborts when the user wants to stop; its reason is the exit status. */
  readonly signal: AbortSignal;
}

/** Makes a command known to the program; `done` is told the status of a run. */
type AddCommand = (program: Command, terminal: Terminal, done: (status: number) => void) => void;

/** In the order of the help. */
const COMMANDS: Readonly<Record<string, () => Promise<AddCommand>>> = {
  task: async () => (await import("./task-command.ts")).addTaskCommand,
  demo: async () => (await import("./task-command.ts")).addDemoCommand,
  up: async () => (await import("./up.ts")).addUpCommand,
  server: async () => (await import("./server.ts")).addServerCommand,
  node: async () => (await import("./node.ts")).addNodeCommand,
  nodes: async () => (await import("./nodes.ts")).addNodesCommand,
  why: async () => (await import("./why.ts")).addWhyCommand,
  "agent-executor": async () => (await import("./agent-executor.ts")).addAgentExecutorCommand,
  doctor: async () => (await import("./doctor.ts")).addDoctorCommand,
  "dead-letters": async () => (await import("./dead-letters.ts")).addDeadLetterCommands,
  services: async () => (await import("./services/services.ts")).addServicesCommand,
  asyncapi: async () => (await import("./asyncapi.ts")).addAsyncApiCommand,
  story: async () => (await import("./story.ts")).addStoryCommands,
  approvals: async () => (await import("./approvals.ts")).addApprovalCommands,
  jobs: async () => (await import("./jobs.ts")).addJobCommands,
  "vllm-sim": async () => (await import("./vllm-sim.ts")).addVllmSimCommand,
};

/** Runs the command that `args` name and resolves with its exit status (C1). Never rejects for what a user can do wrong. */
export async function runCli(args: readonly string[], terminal: Terminal): Promise<number> {
  let status = 0;
  try {
    const program = makeProgram(terminal);
    for (const load of commandsFor(args)) {
      const add = await load();
      add(program, terminal, (done) => {
        status = done;
      });
    }
    await program.parseAsync(args, { from: "user" });
    return status;
  } catch (error) {
    if (terminal.signal.aborted && !isDefect(error)) return cancelled(terminal);
    // commander has said it already.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 1;
    terminal.err.write(`flotilla: ${plain(sentence(error))}\n`);
    return 1;
  }
}

/** Whether the error says more than that the command was told to stop. */
const isDefect = (error: unknown): boolean =>
  error instanceof Error && !isFlotillaError(error) && error.name !== "AbortError";

function cancelled({ err, signal }: Terminal): number {
  err.write("flotilla: cancelled; nothing was changed in the repository.\n");
  return typeof signal.reason === "number" ? signal.reason : 1;
}

/** Our own errors are written for users; anything else is a defect and needs its stack. */
const sentence = (error: unknown): string =>
  isFlotillaError(error) ? sentenceOf(error) : error instanceof Error ? `defect: ${error.stack}` : String(error);

/** The one that is named, or all where none is: for the help and for what is nearly a name (C3). */
function commandsFor([name = ""]: readonly string[]): readonly (() => Promise<AddCommand>)[] {
  const named = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  return named === undefined ? Object.values(COMMANDS) : [named];
}

function makeProgram(terminal: Terminal): Command {
  return (
    new Command("flotilla")
      .description("Give a repository and a task; get the best of N agents' committed, verified solutions.")
      .version(version())
      // An option of a command may have the name of one of ours: story move --version.
      .enablePositionalOptions()
      .showHelpAfterError("(flotilla --help lists the commands and options)")
      .configureOutput({
        writeOut: (text) => terminal.out.write(text),
        writeErr: (text) => terminal.err.write(text),
        outputError: (text, write) => write(text.replace(/^error:/, "flotilla:")),
      })
      .exitOverride()
  );
}

const version = (): string =>
  String(JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")).version);
