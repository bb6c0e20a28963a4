// `flotilla task` and `flotilla demo`: runs a task, shows how it goes, and reports what became of it.
// It is not the work itself (task.ts) nor how things look (task-text.ts, progress.ts).
//
// TC1  Status 0: a winner was verified. 2: none was. 1: no agent could ask its model.
// TC2  With --json stdout holds one object and nothing else; what people may want to see goes to stderr.

import type { Command } from "commander";
import { type AgentResult, roleNames } from "../actors/index.ts";
import { systemClock, systemRandom } from "../runtime/index.ts";
import type { Terminal } from "./cli.ts";
import { makeDemoRepository } from "./demo.ts";
import { addFleetFlags } from "./fleet-flags.ts";
import type { TaskPlan } from "./job.ts";
import { type ModelChoice, type TaskFlags, type TaskOptions, taskOptions, wantsColour } from "./options.ts";
import { clip, makePaper, type Paper, plain } from "./paper.ts";
import { progressLine } from "./progress.ts";
import { runTask } from "./task.ts";
import { type FinishedTask, taskText } from "./task-text.ts";
import { taskView } from "./views.ts";

const COLUMNS = 80;

export function addTaskCommand(program: Command, terminal: Terminal, done: (status: number) => void): void {
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
}

export function addDemoCommand(program: Command, terminal: Terminal, done: (status: number) => void): void {
  program
    .command("demo")
    .description("make a small repository and run a task on it with three scripted agents")
    .option("--json", "print one JSON object and nothing else")
    .allowExcessArguments(false)
    .action(async ({ json }: { json?: boolean }) => done(await demoCommand(json ?? false, terminal)));
}

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
