// The main job, from a repository and a task to a branch with the best agent's work: inspect, clone, run the council, publish.
// It prints nothing (cli.ts does), decides nothing about whose work is best (actors/), and knows no other machine (fleet-task.ts).
//
// K1  The user's work tree, index and branches are never touched; they gain one branch, and only `apply` merges it.
// K2  What was made in the temp folder is removed however the task ends, unless `keep`; a clone that holds the only copy of the
//     winner's branch stays.

import { mkdir, mkdtemp, realpath, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { agentIds, authorOf, type ModelSpec, roleNamed, runCouncil, type TaskOutcome } from "../actors/index.ts";
import { connect } from "../runtime/index.ts";
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
import { runOnFleet } from "./fleet-task.ts";
import type { Done, Job, Source, TaskEnvironment } from "./job.ts";
import type { ModelChoice, TaskOptions } from "./options.ts";
import type { FinishedTask } from "./task-text.ts";

/** Clones made at a time: each is a handful of git processes. */
const CLONES_AT_ONCE = 8;

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
    const model = specOf(options.model);
    const job = { taskId, source, role: role.name, ids, model, branch: `flotilla/${taskId}`, options, env };
    const started = env.clock.monotonic();
    const { outcome, branch, keptIn } =
      options.fleet === undefined ? await runHere(job, folder, made.clones) : await runOnFleet(job, options.fleet);
    hasOnlyCopy = source.address !== null && branch !== null;
    const applied = branch !== null && options.apply ? await applyBranch({ source: source.path, branch }) : null;
    const durationMs = Math.round(env.clock.monotonic() - started);
    const repository = { path: source.path, head: source.head, branch: source.branch };
    return { taskId, text: options.task, role: role.name, outcome, repository, branch, applied, keptIn, durationMs };
  } finally {
    // On a fleet the nodes keep the clones.
    if (!options.keep || options.fleet !== undefined)
      await rm(hasOnlyCopy ? made.clones : folder, { recursive: true, force: true });
  }
}

async function openSource(repo: string, into: string, signal: AbortSignal): Promise<Source> {
  const named = await inspectRepository(repo);
  if (named.kind === "local") return { ...named, address: null };
  const path = await cloneRemote({ url: named.url, into, signal });
  const clone = await inspectRepository(path);
  if (clone.kind === "remote") throw new Error(`${path} is a clone and not an address`);
  return { ...clone, address: named.url };
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
): Promise<readonly Clone[]> {
  await mkdir(folder);
  const agents: Clone[] = [];
  for (let start = 0; start < ids.length; start += CLONES_AT_ONCE) {
    signal.throwIfAborted();
    const batch = ids.slice(start, start + CLONES_AT_ONCE).map(async (agentId) => {
      const author = authorOf(agentId);
      const request = { source: source.path, into: join(folder, agentId), commit: source.head, author };
      const workspacePath = await cloneForAgent(request);
      await lendDependencies({ source: source.path, clone: workspacePath });
      return { agentId, workspacePath };
    });
    agents.push(...(await Promise.all(batch)));
  }
  return agents;
}

interface Clone {
  readonly agentId: string;
  readonly workspacePath: string;
}

/** The council in this process, its clones beside each other in `clones`. */
async function runHere(job: Job, folder: string, clones: string): Promise<Done> {
  const { taskId, source, role, ids, model, options, env } = job;
  const { clock, random, signal, onProgress } = env;
  const sandbox = await sandboxHere(folder, env);
  env.onPlan({ taskId, source, role, sandbox, nodes: null });
  const agents = await cloneAll(ids, source, clones, signal);
  await using system = await connect({ clock, random });
  const outcome = await runCouncil(system, {
    ...{ taskId, text: options.task, role, agents, baseCommit: source.head, model },
    ...{ timeoutMs: options.timeoutMs, sandbox, signal, onProgress },
  });
  signal.throwIfAborted();
  const branch = await publish(outcome, job, agents);
  return { outcome, branch, keptIn: options.keep ? clones : null };
}

function specOf(choice: ModelChoice): ModelSpec {
  if (choice.kind !== "openai") return choice;
  const { url, model, apiKey } = choice;
  return { kind: "openai", url, model, ...(apiKey !== undefined && { apiKey }) };
}

/** The name of the branch that now holds the winner's commit; null without a winner. */
async function publish(
  { ranking, results }: TaskOutcome,
  { source, branch }: Job,
  agents: readonly Clone[],
): Promise<string | null> {
  const commit = results.find(({ agentId }) => agentId === ranking.winner)?.commit ?? null;
  const clone = agents.find(({ agentId }) => agentId === ranking.winner)?.workspacePath;
  if (commit === null || clone === undefined) return null;
  await publishBranch({ source: source.path, clone, commit, branch });
  return branch;
}
