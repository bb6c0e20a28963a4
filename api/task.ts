// The main job, from a repository and a task to a branch with the best agent's work: inspect, clone, run the council, publish.
// It prints nothing (cli.ts does) and decides nothing about whose work is best (actors/).
//
// K1  The user's work tree, index and branches are never touched; they gain one branch, and only `apply` merges it.
// K2  What was made in the temp folder is removed however the task ends, unless `keep`; a clone that holds the only copy of the
//     winner's branch stays.

import { mkdir, mkdtemp, realpath, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  agentIds,
  type CouncilAgent,
  type CouncilProgress,
  type ModelSpec,
  roleNamed,
  runCouncil,
  type TaskOutcome,
} from "../actors/index.ts";
import { type Clock, connect, type Random } from "../runtime/index.ts";
import {
  applyBranch,
  cloneForAgent,
  cloneRemote,
  inspectRepository,
  lendDependencies,
  openProcessWorkspace,
  publishBranch,
  type Sandbox,
} from "../tools/index.ts";
import type { ModelChoice, TaskOptions } from "./options.ts";
import type { FinishedTask } from "./task-text.ts";

/** Clones made at a time: each is a handful of git processes. */
const CLONES_AT_ONCE = 8;

/** A work tree to start from. */
export interface Source {
  readonly path: string;
  readonly head: string;
  readonly branch: string | null;
  /** Cloned from an address for this task, so it is ours to remove. */
  readonly cloned: boolean;
}

export interface TaskPlan {
  readonly taskId: string;
  readonly source: Source;
  /** Canonical name of the role. */
  readonly role: string;
  readonly sandbox: Sandbox;
}

export interface TaskEnvironment {
  readonly clock: Clock;
  readonly random: Random;
  /** Cancels the task: it then rejects with the signal's reason. */
  readonly signal: AbortSignal;
  /** Told once, before the agents start. */
  readonly onPlan: (plan: TaskPlan) => void;
  readonly onProgress: (event: CouncilProgress) => void;
}

/** Runs the task to its end. Throws what the user has to mend (no such role, no repository …) and the signal's reason. */
export async function runTask(options: TaskOptions, env: TaskEnvironment): Promise<FinishedTask> {
  const role = roleNamed(options.role);
  const ids = agentIds(role, options.agents);
  const taskId = env.random.id();
  const folder = await realpath(await mkdtemp(join(tmpdir(), `flotilla-${taskId}-`)));
  const made = { clones: join(folder, "agents"), repository: join(folder, "repository") };
  let hasOnlyCopy = false;
  try {
    const source = await openSource(options.repo, made.repository, env.signal);
    const plan = { taskId, source, role: role.name, sandbox: await sandboxHere(folder, env) };
    env.onPlan(plan);
    const agents = await cloneAll(ids, source, made.clones, env.signal);
    const finished = await work(options, plan, agents, env);
    hasOnlyCopy = source.cloned && finished.branch !== null;
    return { ...finished, keptIn: options.keep ? made.clones : null };
  } finally {
    if (!options.keep) await rm(hasOnlyCopy ? made.clones : folder, { recursive: true, force: true });
  }
}

async function openSource(repo: string, into: string, signal: AbortSignal): Promise<Source> {
  const named = await inspectRepository(repo);
  if (named.kind === "local") return { ...named, cloned: false };
  const path = await cloneRemote({ url: named.url, into, signal });
  const clone = await inspectRepository(path);
  if (clone.kind === "remote") throw new Error(`${path} is a clone and not an address`);
  return { ...clone, cloned: true };
}

/** What keeps the agents' commands apart on this machine, found out by a trial before anything is promised. */
async function sandboxHere(root: string, { clock, random }: TaskEnvironment): Promise<Sandbox> {
  const workspace = await openProcessWorkspace({ root, clock, random });
  await workspace.close();
  return workspace.sandbox;
}

async function cloneAll(
  ids: readonly string[],
  source: Source,
  folder: string,
  signal: AbortSignal,
): Promise<readonly CouncilAgent[]> {
  await mkdir(folder);
  const agents: CouncilAgent[] = [];
  for (let start = 0; start < ids.length; start += CLONES_AT_ONCE) {
    signal.throwIfAborted();
    const batch = ids.slice(start, start + CLONES_AT_ONCE).map(async (agentId) => {
      const author = { name: `Flotilla ${agentId}`, email: `${agentId}@flotilla.invalid` };
      const request = { source: source.path, into: join(folder, agentId), commit: source.head, author };
      const workspacePath = await cloneForAgent(request);
      await lendDependencies({ source: source.path, clone: workspacePath });
      return { agentId, workspacePath };
    });
    agents.push(...(await Promise.all(batch)));
  }
  return agents;
}

async function work(
  options: TaskOptions,
  { taskId, source, sandbox, role }: TaskPlan,
  agents: readonly CouncilAgent[],
  { clock, random, signal, onProgress }: TaskEnvironment,
): Promise<Omit<FinishedTask, "keptIn">> {
  const started = clock.monotonic();
  await using system = await connect({ clock, random });
  const outcome = await runCouncil(system, {
    taskId,
    text: options.task,
    role,
    agents,
    baseCommit: source.head,
    model: specOf(options.model),
    timeoutMs: options.timeoutMs,
    sandbox,
    signal,
    onProgress,
  });
  signal.throwIfAborted();
  const branch = await publish(outcome, source, agents);
  const applied = branch !== null && options.apply ? await applyBranch({ source: source.path, branch }) : null;
  const durationMs = Math.round(clock.monotonic() - started);
  return { taskId, text: options.task, role, outcome, repository: source, branch, applied, durationMs };
}

function specOf(choice: ModelChoice): ModelSpec {
  if (choice.kind === "mock") return choice;
  const { url, model, apiKey } = choice;
  return { kind: "openai", url, model, ...(apiKey !== undefined && { apiKey }) };
}

/** The name of the branch that now holds the winner's commit; null without a winner. */
async function publish(
  { taskId, ranking, results }: TaskOutcome,
  source: Source,
  agents: readonly CouncilAgent[],
): Promise<string | null> {
  const commit = results.find(({ agentId }) => agentId === ranking.winner)?.commit ?? null;
  const clone = agents.find(({ agentId }) => agentId === ranking.winner)?.workspacePath;
  if (commit === null || clone === undefined) return null;
  const branch = `flotilla/${taskId}`;
  await publishBranch({ source: source.path, clone, commit, branch });
  return branch;
}
