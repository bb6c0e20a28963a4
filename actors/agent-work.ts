// What an agent does for its actor: opens its clone and workspace, makes the model, runs the agent and sends in its result.
// It is not how an agent works (agent/agent.ts), and loaded by the first task: a node that has none does not hold tools and models in memory.

import type { ActorSystem } from "../runtime/index.ts";
import { MemoryAudit, openProcessWorkspace, standardPolicy, standardTools, ToolRegistry } from "../tools/index.ts";
import { type AgentEnvironment, runAgent } from "./agent/agent.ts";
import { mockModel } from "./agent/mock-model.ts";
import type { AgentProgress } from "./agent/progress.ts";
import type { AgentResult } from "./agent/result.ts";
import type { AgentSetup } from "./agent-actor.ts";
import { modelOf } from "./model-of.ts";
import { ownNode } from "./own-node.ts";
import { sendResult } from "./result-post.ts";
import { type AgentOrder, type OpenWorkplace, openWorkplace } from "./workplace.ts";

/** How long it has, and what it counts time by. */
type AgentTime = Pick<Parameters<typeof runAgent>[1], "clock" | "random" | "signal" | "deadlineMs">;

/** One task, and what is there to work on it with. */
export interface Work {
  readonly order: AgentOrder;
  readonly system: ActorSystem;
  readonly time: AgentTime;
  readonly onProgress: (event: AgentProgress) => void;
  /** Name of the node whose model servers are asked, where it is not the agent's own. */
  readonly modelNode?: string;
  /** Asks people, and tells what changes meanwhile; see AgentEnvironment. */
  readonly approve?: AgentEnvironment["approve"];
  readonly notices?: AgentEnvironment["notices"];
}

/** Works on one task and sends its result. Rejects when there is none: no clone or workspace could be made, or it could not be sent. */
export async function workOn(setup: AgentSetup, work: Work): Promise<AgentResult> {
  const { order, system, time } = work;
  await using place = await openWorkplace(order, system.ports.blobs, time.signal);
  // Awaited here: the place is closed when this function has returned.
  return await workAt(place, setup, work);
}

/** The same in a place that is open and stays so. */
export async function workAt(place: OpenWorkplace, setup: AgentSetup, work: Work): Promise<AgentResult> {
  const { order, system, time } = work;
  const result = await workIn(place, setup, work);
  // Nobody waits for it (AA4).
  if (time.signal.aborted) return result;
  const placed = await withPlace(result, place, order, system);
  await sendResult(system, placed);
  return placed;
}

async function workIn(place: OpenWorkplace, setup: AgentSetup, work: Work): Promise<AgentResult> {
  const { order, system, time, onProgress, modelNode, approve, notices } = work;
  const { policy = standardPolicy, instructions, sandbox = "auto" } = setup;
  const { clock, random } = time;
  const { path: root, scratchParent } = place;
  const scratch = scratchParent === undefined ? {} : { scratchParent };
  const workspace = await openProcessWorkspace({ root, clock, random, sandbox, ...scratch });
  const task = { ...order, workspacePath: root };
  try {
    return await runAgent(task, {
      ...time,
      model: modelOf(setup.model, {
        ...{ taskId: order.taskId, agentId: order.agentId, system, ...(modelNode !== undefined && { modelNode }) },
        mock: ({ variant = "clean" }) => mockModel(variant, clock),
      }),
      tools: new ToolRegistry(standardTools()),
      workspace,
      policy,
      audit: new MemoryAudit(),
      instructions,
      onProgress,
      ...(approve !== undefined && { approve }),
      ...(notices !== undefined && { notices }),
    });
  } finally {
    await workspace.close();
  }
}

/** The result with where it was made and, when it is worth anything, the work itself. */
async function withPlace(
  result: AgentResult,
  place: OpenWorkplace,
  order: AgentOrder,
  system: ActorSystem,
): Promise<AgentResult> {
  const named = ownNode(system)?.name;
  if (named === undefined && "workspacePath" in order) return result;
  const { attempt = 1 } = order;
  const node = named ?? system.node;
  const bundle = result.success && result.commit !== null ? await place.send(result.commit) : undefined;
  const { keptIn } = place;
  const where = { node, attempt, ...(bundle !== undefined && { bundle }), ...(keptIn !== undefined && { keptIn }) };
  return { ...result, place: where };
}
