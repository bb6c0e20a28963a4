// The command line: reads arguments, runs a command, prints, and answers with an exit status.
// It is not the work itself (task.ts) nor how things look (task-text.ts, progress.ts).
//
// C1  Status 0: a winner was verified. 2: none was. 1: nothing could be done as asked (usage, set-up, no model answered).
//     130 and 143: cancelled by SIGINT and SIGTERM.
// C2  With --json stdout holds one object and nothing else; what people may want to see goes to stderr.
// C3  Every refusal is one sentence on stderr that names what was wrong and what to do.

import { readFileSync } from "node:fs";
import { Command, CommanderError } from "commander";
import { type AgentResult, roleNames } from "../actors/index.ts";
import { isFlotillaError, systemClock, systemRandom } from "../runtime/index.ts";
import { addDeadLetterCommands } from "./dead-letters.ts";
import { makeDemoRepository } from "./demo.ts";
import { addDoctorCommand } from "./doctor.ts";
import { sentenceOf } from "./errors.ts";
import { addFleetFlags } from "./fleet-flags.ts";
import type { TaskPlan } from "./job.ts";
import { addNodeCommand } from "./node.ts";
import { addNodesCommand } from "./nodes.ts";
import { type ModelChoice, type TaskFlags, type TaskOptions, taskOptions, wantsColour } from "./options.ts";
import { clip, makePaper, type Paper, plain } from "./paper.ts";
import { progressLine } from "./progress.ts";
import { addServerCommand } from "./server.ts";
import { runTask } from "./task.ts";
import { type FinishedTask, taskText } from "./task-text.ts";
import { addUpCommand } from "./up.ts";
import { taskView } from "./views.ts";
import { addVllmSimCommand } from "./vllm-sim.ts";
import { addWhyCommand } from "./why.ts";

/** Where a command prints, and what may stop it. */
export interface Terminal {
  readonly out: { write(text: string): unknown; readonly isTTY?: boolean; readonly columns?: number };
  readonly err: { write(text: string): unknown };
  /** Aborts when the user wants to stop; its reason is the exit status. */
  readonly signal: AbortSignal;
}

const COLUMNS = 80;

/** Runs the command that `args` name and resolves with its exit status (C1). Never rejects for what a user can do wrong. */
export async function runCli(args: readonly string[], terminal: Terminal): Promise<number> {
  let status = 0;
  const program = makeProgram(terminal, (done) => {
    status = done;
  });
  try {
    await program.parseAsync(args, { from: "user" });
    return status;
  } catch (error) {
    if (terminal.signal.aborted) return cancelled(terminal);
    // commander has said it already.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 1;
    terminal.err.write(`flotilla: ${plain(sentence(error))}\n`);
    return 1;
  }
}

function cancelled({ err, signal }: Terminal): number {
  err.write("flotilla: cancelled; nothing was changed in the repository.\n");
  return typeof signal.reason === "number" ? signal.reason : 1;
}

/** Our own errors are written for users; anything else is a defect and needs its stack. */
const sentence = (error: unknown): string =>
  isFlotillaError(error) ? sentenceOf(error) : error instanceof Error ? `defect: ${error.stack}` : String(error);

function makeProgram(terminal: Terminal, done: (status: number) => void): Command {
  const program = new Command("flotilla")
    .description("Give a repository and a task; get the best of N agents' committed, verified solutions.")
    .version(version())
    .showHelpAfterError("(flotilla --help lists the commands and options)")
    .configureOutput({
      writeOut: (text) => terminal.out.write(text),
      writeErr: (text) => terminal.err.write(text),
      outputError: (text, write) => write(text.replace(/^error:/, "flotilla:")),
    })
    .exitOverride();
  addFleetFlags(
    program.command("task").description("run a task with agents on a repository; the winner's work becomes a branch"),
  )
    .option("--repo <path-or-url>", "git repository: a folder or an address (required)")
    .option("--task <text>", "what to do, in your words (required)")
    .option("--role <name>", `role of the agents: ${roleNames().join(", ")} (default: DEV)`)
    .option("--agents <count>", "how many agents try (default: 3)")
    .option("--model-url <url>", "OpenAI-compatible server (FLOTILLA_MODEL_URL; key in FLOTILLA_API_KEY)")
    .option("--model <name>", "model on that server, with --servers one that a node has, or mock (FLOTILLA_MODEL)")
    .option("--timeout <duration>", "time for the agents: 90s, 5m, 1h (default: 5m)")
    .option("--apply", "merge the winner's branch into the branch that is checked out")
    .option("--keep", "keep the agents' clones")
    .option("--json", "print one JSON object and nothing else")
    .allowExcessArguments(false)
    .action(async (flags: TaskFlags) => done(await taskCommand(taskOptions(flags), terminal)));
  program
    .command("demo")
    .description("make a small repository and run a task on it with three scripted agents")
    .option("--json", "print one JSON object and nothing else")
    .allowExcessArguments(false)
    .action(async ({ json }: { json?: boolean }) => done(await demoCommand(json ?? false, terminal)));
  addUpCommand(program, terminal, done);
  addServerCommand(program, terminal, done);
  addNodeCommand(program, terminal, done);
  addNodesCommand(program, terminal, done);
  addWhyCommand(program, terminal, done);
  addDoctorCommand(program, terminal, done);
  addDeadLetterCommands(program, terminal, done);
  addVllmSimCommand(program, terminal, done);
  return program;
}

const version = (): string =>
  String(JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")).version);

async function demoCommand(json: boolean, terminal: Terminal): Promise<number> {
  const { path, task, language } = await makeDemoRepository(systemClock, systemRandom);
  if (language === "JavaScript")
    terminal.err.write("flotilla: no python3 on this machine; the demo uses JavaScript.\n");
  return taskCommand(taskOptions({ repo: path, task, model: "mock", json }, {}), terminal);
}

async function taskCommand(options: TaskOptions, terminal: Terminal): Promise<number> {
  const { out, err, signal } = terminal;
  const live = options.json ? err : out;
  const paper = makePaper(out.columns ?? COLUMNS, !options.json && wantsColour(out.isTTY === true));
  const started = systemClock.monotonic();
  const finished = await runTask(options, {
    clock: systemClock,
    random: systemRandom,
    signal,
    onPlan: (plan) => live.write(`${planText(plan, options, paper)}\n\n`),
    onProgress: (event) => {
      const line = progressLine(event, systemClock.monotonic() - started, paper);
      if (line !== undefined) live.write(`${line}\n`);
    },
  });
  return report(finished, options, terminal, paper);
}

const SANDBOXES = {
  bubblewrap: "bubblewrap",
  none: "none: commands run with your own access; bubblewrap would confine them",
  nodes: "each node's own: bubblewrap where it works",
} as const;

function planText({ taskId, source, role, sandbox, nodes }: TaskPlan, options: TaskOptions, paper: Paper): string {
  const { colour } = paper;
  const where = `${source.path} (${source.branch ?? "detached"} at ${source.head.slice(0, 12)})`;
  return [
    colour.bold(`Task ${taskId}: ${plain(options.task)}`),
    `Repository  ${plain(where)}`,
    `Agents      ${options.agents} in role ${role}`,
    `Model       ${modelText(options.model)}`,
    ...(nodes === null ? [] : [`Nodes       ${clip(nodes.join(", "), paper.columns - 12)}`]),
    `Sandbox     ${SANDBOXES[sandbox ?? "nodes"]}`,
  ].join("\n");
}

function modelText(choice: ModelChoice): string {
  if (choice.kind === "mock") return "mock: scripted agents, no language model is asked";
  return choice.kind === "node"
    ? `${plain(choice.model)} on each agent's own node`
    : `${plain(choice.model)} at ${plain(choice.url)}`;
}

function report(finished: FinishedTask, options: TaskOptions, { out, err }: Terminal, paper: Paper): number {
  const { outcome, durationMs } = finished;
  const model = options.model.kind === "mock" ? "mock" : options.model.model;
  const unasked = whyUnasked(outcome.results);
  if (options.json) out.write(`${JSON.stringify(taskView(outcome, finished.role, model, durationMs))}\n`);
  else if (unasked === undefined) out.write(taskText(finished, paper));
  if (unasked !== undefined) err.write(`flotilla: no agent could ask its model. ${plain(unasked)}\n`);
  if (outcome.ranking.winner !== null) return 0;
  return unasked === undefined ? 2 : 1;
}

/** The first agent's reason, when no agent got a single reply from its model: then the set-up is wrong and not the agents' work. */
function whyUnasked(results: readonly AgentResult[]): string | undefined {
  const reasons = results.flatMap(({ error, operations, reasoning }) =>
    error?.code.startsWith("Model") && operations.length === 0 && reasoning.length === 0 ? [error.message] : [],
  );
  return reasons.length === results.length ? reasons[0] : undefined;
}
