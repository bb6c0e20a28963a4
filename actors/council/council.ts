// A council: N agents of one role on one task, each in its own clone, until the collector has an outcome.
// It is not where results are compared (ranking.ts) nor where clones are made: it is handed their paths.
//
//     submission ─▶ collector ◀─ result, or why there is none ── agent 001 … N ── progress ─▶ caller
//                       └────────── outcome ─▶ caller; then everyone is stopped
//
// CN1  The collector knows the task before the first agent starts, so it ends in time whatever happens to the agents.
// CN2  An agent that ends without a result is reported as lost at once; nobody waits for it until the deadline.
// CN3  When runCouncil settles, its agents have ended, with their processes.

import type { ActorSystem, Handle } from "../../runtime/index.ts";
import { type Sandbox, standardPolicy } from "../../tools/index.ts";
import { mockVariant } from "../agent/mock-model.ts";
import type { AgentProgress } from "../agent/progress.ts";
import type { AgentLimits, AgentTask } from "../agent/result.ts";
import { Agent, type ModelSpec } from "../agent-actor.ts";
import type { TaskOutcome } from "../collected-task.ts";
import { type CollectorHandle, spawnCollector } from "../collector.ts";
import { type Role, roleNamed } from "./roles.ts";

export interface CouncilAgent {
  /** From `agentIds`. */
  readonly agentId: string;
  /** Absolute path of this agent's own clone. */
  readonly workspacePath: string;
}

export interface CouncilRequest {
  readonly taskId: string;
  /** The task in the user's words. */
  readonly text: string;
  /** Name of a role, in any case. */
  readonly role: string;
  readonly agents: readonly CouncilAgent[];
  /** Commit that all clones start from. */
  readonly baseCommit: string;
  readonly model: ModelSpec;
  /** Milliseconds for everything. */
  readonly timeoutMs: number;
  readonly limits?: AgentLimits;
  readonly sandbox?: "auto" | Sandbox;
  /** Default: the task's id. */
  readonly traceId?: string;
  /** From `contentKey`: an outcome kept by the collector under it is answered at once. */
  readonly contentKey?: string;
  /** So many verified results are enough. Default: everyone is waited for. */
  readonly quorum?: number;
  /** Default: one for this task alone. */
  readonly collector?: CollectorHandle;
  /** Ends the task with what is there: the outcome says `cancelled` for the rest. */
  readonly signal?: AbortSignal;
  /** Must not throw. */
  readonly onProgress?: (event: CouncilProgress) => void;
}

export type CouncilProgress =
  | { readonly kind: "started"; readonly agentId: string }
  | { readonly kind: "agent"; readonly agentId: string; readonly progress: AgentProgress }
  | { readonly kind: "answered"; readonly agentId: string; readonly success: boolean }
  | { readonly kind: "lost"; readonly agentId: string; readonly message: string };

export const DEFAULT_AGENT_LIMITS: AgentLimits = { stepsMax: 60, roundsMax: 8, tokensMax: 400_000 };

/** Time for agents to end their processes once they are no longer wanted. */
const STOP_MS = 10_000;
/** The collector ends the task itself; its caller only must not give up before. */
const OUTCOME_SLACK_MS = 10_000;

/**
 * Runs the council and resolves with its outcome: at the deadline, when cancelled, or when everyone has answered, whichever is first.
 * Throws NoAgentsForRole, and what the collector's `open` throws.
 */
export async function runCouncil(system: ActorSystem, request: CouncilRequest): Promise<TaskOutcome> {
  const role = roleNamed(request.role);
  const collector = request.collector ?? (await spawnCollector(system));
  try {
    const { taskId, text, agents, timeoutMs, contentKey, quorum } = request;
    const opened = await collector.open({
      taskId,
      text,
      agentIds: agents.map((agent) => agent.agentId),
      deadlineMs: system.clock.now() + timeoutMs,
      ...(contentKey !== undefined && { contentKey }),
      ...(quorum !== undefined && { quorum }),
    });
    return opened.kind === "cached" ? opened.outcome : await new Session(system, request, role, collector).run();
  } finally {
    if (request.collector === undefined) await system.stop(collector);
  }
}

/** One running council: what ends it ends all its agents. */
class Session {
  readonly #system: ActorSystem;
  readonly #request: CouncilRequest;
  readonly #role: Role;
  readonly #collector: CollectorHandle;
  /** Aborts when no agent is wanted any more. */
  readonly #over = new AbortController();

  constructor(system: ActorSystem, request: CouncilRequest, role: Role, collector: CollectorHandle) {
    this.#system = system;
    this.#request = request;
    this.#role = role;
    this.#collector = collector;
  }

  async run(): Promise<TaskOutcome> {
    const { taskId, timeoutMs, signal } = this.#request;
    const cancel = () => this.#collector.cast.cancel(taskId);
    signal?.addEventListener("abort", cancel, { once: true });
    if (signal?.aborted) cancel();
    const agents = this.#request.agents.map((agent, index) => this.#runAgent(agent, index));
    try {
      return await this.#collector.with({ timeoutMs: timeoutMs + OUTCOME_SLACK_MS }).outcome(taskId);
    } finally {
      signal?.removeEventListener("abort", cancel);
      this.#over.abort();
      await Promise.all(agents);
    }
  }

  /** From spawn to stop; never rejects (CN2). */
  async #runAgent(agent: CouncilAgent, index: number): Promise<void> {
    const { agentId } = agent;
    let handle: Handle<typeof Agent> | undefined;
    try {
      handle = await this.#spawn(agentId, index);
      this.#tell({ kind: "started", agentId });
      await this.#follow(agent, handle);
    } catch (error) {
      if (!this.#over.signal.aborted) await this.#lose(agentId, error);
    } finally {
      if (handle !== undefined) await this.#system.stop(handle, { timeoutMs: STOP_MS }).catch(() => {});
    }
  }

  #spawn(agentId: string, index: number): Promise<Handle<typeof Agent>> {
    const { taskId, model, sandbox } = this.#request;
    const setup = {
      model: model.kind === "mock" ? { ...model, variant: model.variant ?? mockVariant(index) } : model,
      policy: standardPolicy,
      instructions: this.#role.prompt,
      ...(sandbox !== undefined && { sandbox }),
    };
    return this.#system.spawn(Agent, { name: agentId, namespace: taskId, args: [setup] });
  }

  async #follow(agent: CouncilAgent, handle: Handle<typeof Agent>): Promise<void> {
    const { agentId } = agent;
    const options = { timeoutMs: this.#request.timeoutMs, signal: this.#over.signal };
    for await (const event of handle.with(options).work(this.#taskOf(agent))) {
      if (event.kind === "progress") this.#tell({ kind: "agent", agentId, progress: event.progress });
      if (event.kind !== "result") continue;
      await this.#collector.report(event.result);
      this.#tell({ kind: "answered", agentId, success: event.result.success });
      return;
    }
    throw new Error("it ended without a result");
  }

  async #lose(agentId: string, error: unknown): Promise<void> {
    const message = `The agent was lost: ${error instanceof Error ? error.message : String(error)}`;
    this.#tell({ kind: "lost", agentId, message });
    // A collector that is gone has ended the whole task: there is nobody left to tell.
    await this.#collector.lose(this.#request.taskId, agentId, message).catch(() => {});
  }

  #taskOf({ agentId, workspacePath }: CouncilAgent): AgentTask {
    const { taskId, text, baseCommit, limits = DEFAULT_AGENT_LIMITS, traceId = taskId } = this.#request;
    return { taskId, agentId, role: this.#role.name, text, workspacePath, baseCommit, limits, traceId };
  }

  #tell(event: CouncilProgress): void {
    this.#request.onProgress?.(event);
  }
}
