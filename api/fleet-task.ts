// A task whose agents live on the nodes of a fleet, which share no disk with the repository: what they need travels by blobs, their results
// by a topic (actors/), and the winner's commit comes back by a blob.
//
//     repository ─ bundle ─▶ blobs ─▶ each agent's node: clone, work, commit ─ bundle ─▶ blobs ─▶ a new branch of the repository
//                                         └─ agent.results.{taskId} ─▶ collector on another node ─ outcome ─▶ here
//
// FT1  What can be told before anything is sent is told then: nobody takes agents, nobody has the model.
// FT2  Blobs that were made for the task are deleted with it: the start by who put it, the work by who asked for it.
// FT3  An address is cloned by the nodes themselves, at the commit found here; one of this machine (file://) is sent like a folder.

import { Agent, type ModelSpec, type Origin, runCouncil, type TaskOutcome } from "../actors/index.ts";
import { type ActorSystem, connect, type EngineReport, type NodeRecord } from "../runtime/index.ts";
import { bundleStart, publishBundle } from "../tools/index.ts";
import { fail } from "./errors.ts";
import type { Done, Job } from "./job.ts";
import type { FleetOptions } from "./options.ts";

/** Runs the council on a fleet. Throws what `connect` and bundleStart throw, FleetWithoutAgents, ModelNotOnFleet, and the signal's reason. */
export async function runOnFleet(job: Job, fleet: FleetOptions): Promise<Done> {
  const { taskId, source, role, model, env } = job;
  const { clock, random } = env;
  await using system = await connect({ ...fleet, clock, random, name: `task-${taskId}` });
  const nodes = takers(system.nodes(), model).map(({ name }) => name);
  env.onPlan({ taskId, source, role, sandbox: null, nodes });
  const origin = await originOf(job, system);
  try {
    return await runFrom(origin, job, system);
  } finally {
    if (origin.kind === "bundle") await system.ports.blobs.delete(origin.blob).catch(() => {});
  }
}

async function runFrom(origin: Origin, job: Job, system: ActorSystem): Promise<Done> {
  const { taskId, source, role, ids, model, options, env } = job;
  const { signal, onProgress } = env;
  const outcome = await runCouncil(system, {
    ...{ taskId, text: options.task, role, baseCommit: source.head, model },
    ...{ agents: ids.map((agentId) => ({ agentId, origin })), timeoutMs: options.timeoutMs, signal, onProgress },
  });
  try {
    signal.throwIfAborted();
    return { outcome, branch: await publish(outcome, job, system), keptIn: null };
  } finally {
    await forget(outcome, system);
  }
}

/** The nodes that agents may go to (FT1). */
function takers(all: readonly NodeRecord[], spec: ModelSpec): readonly NodeRecord[] {
  const hosts = all.filter(
    ({ accepts, draining, types, allowsCode }) =>
      accepts && !draining && (allowsCode || types.some(({ type }) => type === Agent.type)),
  );
  if (hosts.length === 0) {
    const message = "no node of this fleet takes agents; start one with: flotilla node --servers …";
    throw fail("FleetWithoutAgents", message);
  }
  if (spec.kind !== "node") return hosts;
  const { model } = spec;
  const having = hosts.filter(({ report }) => report?.engines.some((engine) => engine.model === model));
  if (having.length > 0) return having;
  throw fail("ModelNotOnFleet", `no node of this fleet has the model ${JSON.stringify(model)}; ${modelsText(hosts)}.`, {
    data: { model },
  });
}

/** "it has A on gpu1 (ready), B on gpu2 (starting: loading weights)". */
function modelsText(nodes: readonly NodeRecord[]): string {
  const text = ({ model, state, why }: EngineReport, { name }: NodeRecord) =>
    `${model} on ${name} (${why === undefined ? state : `${state}: ${why}`})`;
  const models = nodes.flatMap((node) => (node.report?.engines ?? []).map((engine) => text(engine, node)));
  if (models.length === 0) return "it has no models; --model mock runs scripted agents without one";
  const more = models.length > MODELS_MAX ? ` and ${models.length - MODELS_MAX} more` : "";
  return `it has ${models.slice(0, MODELS_MAX).join(", ")}${more}`;
}

const MODELS_MAX = 10;

async function originOf({ source, branch, options }: Job, system: ActorSystem): Promise<Origin> {
  const { address, path, head } = source;
  const { keep } = options;
  if (address !== null && !address.startsWith("file:")) return { kind: "address", url: address, keep };
  const { blobs } = system.ports;
  const start = { source: path, commit: head, branch, bytesMax: blobs.blobMaxBytes };
  const { bytes, shallow } = await bundleStart(start);
  const blob = await blobs.put(bytes);
  return { kind: "bundle", blob, branch, keep, ...(shallow !== undefined && { shallow }) };
}

/** As `publish` of a task in this process, from the winner's bundle. */
async function publish(
  { ranking, results }: TaskOutcome,
  { source, branch }: Job,
  { ports }: ActorSystem,
): Promise<string | null> {
  const best = results.find(({ agentId }) => agentId === ranking.winner);
  if (best === undefined || best.commit === null) return null;
  const { node = "?", bundle = "" } = best.place ?? {};
  const bytes = await ports.blobs.get(bundle);
  if (bytes === undefined) {
    const message = `the winner's commit did not arrive: node ${node} sent no bundle of it, or it was deleted from the fleet's blobs.`;
    throw fail("WorkMissing", message, { data: { agentId: best.agentId, node } });
  }
  await publishBundle({ source: source.path, bytes, base: source.head, commit: best.commit, branch });
  return branch;
}

/** FT2. What cannot be deleted now stays until somebody clears the fleet's blobs; the task is done all the same. */
async function forget({ results }: TaskOutcome, { ports }: ActorSystem): Promise<void> {
  const bundles = results.flatMap(({ place }) => place?.bundle ?? []);
  await Promise.allSettled(bundles.map((bundle) => ports.blobs.delete(bundle)));
}
