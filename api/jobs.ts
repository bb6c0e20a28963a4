// `flotilla jobs`: the workspaces in which agents run: listed, shown, cancelled, and what they print.
// What becomes of them the workspace runner decides.

import type { Command } from "commander";
import { type Client, type Job, type JobState, runnerOf, type WorkspaceRunnerApi } from "../actors/index.ts";
import type { Terminal } from "./cli.ts";
import { fail } from "./errors.ts";
import { since } from "./fleet-text.ts";
import { type JobLine, jobLogs } from "./job-logs.ts";
import { jobStateSchema } from "./job-states.ts";
import { clip, formatMs, type Paper, plain } from "./paper.ts";
import { commandsOf, print, type Run } from "./service-command.ts";
import { tableText } from "./story-text.ts";

export interface JobsFlags {
  readonly state?: string;
  readonly story?: string;
}

export interface LogsFlags {
  readonly follow?: boolean;
}

type Runner = Client<WorkspaceRunnerApi>;

const ID_WIDTH = 40;

/** Adds the commands to the program. */
export function addJobCommands(program: Command, terminal: Terminal, done: (status: number) => void): void {
  const group = program.command("jobs").description("workspaces in which agents run: list, show, cancel, logs");
  const add = commandsOf(group, terminal, done, runnerOf);
  add("list", "all of them", listJobs, true)
    .option("--state <state>", "only those in this state: queued, running, failed, …")
    .option("--story <id>", "only of this story");
  add("show <id>", "one of them", showJob);
  add("cancel <id>", "end one with its processes", cancelJob);
  add("logs <id>", "what one printed; with --json a JSON object each line", logsOfJob).option(
    "--follow",
    "go on until it has ended",
  );
}

export const listJobs: Run<Runner, JobsFlags> = async (runner, _, { state, story }, place) => {
  const jobs = await runner.jobs({
    ...(state !== undefined && { state: stateOf(state) }),
    ...(story !== undefined && { storyId: story }),
  });
  print(place, jobs, () => jobsText(jobs, place.paper));
  return 0;
};

function stateOf(text: string): JobState {
  const parsed = jobStateSchema.safeParse(text);
  if (parsed.success) return parsed.data;
  const states = jobStateSchema.options.join(", ");
  throw fail("OptionInvalid", `--state: expected one of ${states}, got ${JSON.stringify(text.slice(0, ID_WIDTH))}.`);
}

export const showJob: Run<Runner> = async (runner, [id = ""], _, place) => {
  const job = await runner.job(id);
  print(place, job, () => jobText(job, place.paper));
  return 0;
};

export const cancelJob: Run<Runner> = async (runner, [id = ""], _, place) => {
  const job = await runner.cancel(id);
  print(place, job, () => `${plain(job.jobId)} is ${job.state}.\n`);
  return 0;
};

export const logsOfJob: Run<Runner, LogsFlags> = async (runner, [jobId = ""], { follow = false }, place, system) => {
  const { terminal, json } = place;
  for await (const line of jobLogs({ system, runner, jobId, follow, signal: terminal.signal }))
    terminal.out.write(json ? `${JSON.stringify(line)}\n` : lineText(line, place.paper));
  return 0;
};

function lineText({ line, stream, dropped }: JobLine, { colour }: Paper): string {
  const lost = dropped > 0 ? colour.dim(`(${dropped} lines left out)\n`) : "";
  return `${lost}${stream === "stderr" ? colour.yellow(plain(line)) : plain(line)}\n`;
}

function jobsText(jobs: readonly Job[], paper: Paper): string {
  if (jobs.length === 0) return "No jobs.\n";
  const rows = jobs.map(({ jobId, state, agentId, role, backend, error, ...times }) => [
    // Whole: it is what the other commands take.
    plain(jobId),
    state,
    clip(role, ID_WIDTH),
    clip(agentId, ID_WIDTH),
    backend,
    tookText(times),
    error === undefined ? "" : plain(error.code),
  ]);
  return `${tableText([["id", "state", "role", "agent", "backend", "took", "why"], ...rows], [5], paper).join("\n")}\n`;
}

const tookText = ({ startedAtMs, endedAtMs }: Pick<Job, "startedAtMs" | "endedAtMs">): string =>
  startedAtMs === undefined || endedAtMs === undefined ? "-" : formatMs(endedAtMs - startedAtMs);

function jobText(job: Job, { colour }: Paper): string {
  const { jobId, state, storyId, taskId, attempt, agentId, role, backend, place, base, error } = job;
  const at = (name: string, atMs: number | undefined) => (atMs === undefined ? [] : [`${name} ${since(atMs)} (UTC)`]);
  const lines = [
    `${colour.bold(plain(jobId))}  ${state}`,
    `Task       ${plain(taskId)} of the story ${plain(storyId)}, attempt ${attempt}`,
    `Agent      ${plain(agentId)} (${plain(role)})`,
    `Runs as    ${backend}${place === undefined ? "" : `, ${plain(place)}`}`,
    ...(base === undefined ? [] : [`From       ${plain(base)}`]),
    ...at("Queued    ", job.queuedAtMs),
    ...at("Started   ", job.startedAtMs),
    ...at("Ended     ", job.endedAtMs),
    ...(error === undefined ? [] : ["", `${plain(error.code)}: ${plain(error.message)}`]),
    "",
    `What it printed: flotilla jobs logs ${plain(jobId)}`,
  ];
  return `${lines.join("\n")}\n`;
}
