// A council: N agents of one role on one task, each in its own clone, until the collector has an outcome.
// It is not where results are compared (ranking.ts) nor where clones are made: agents are handed theirs, or where to make them from.
//
//     submission ─▶ collector ◀─ agent.results.{taskId} ── agent 001 … N ── progress ─▶ caller
//                    ▲  └────────── outcome ─▶ caller; then everyone is stopped
//                    └─ who has no result, and why ── caller, when an agent's stream breaks
//
// CN1  The collector knows the task before the first agent starts, so it ends in time whatever happens to the agents.
// CN2  An agent that ends without a result is reported as lost at once; nobody waits for it until the deadline.
// CN3  When runCouncil settles, its agents have ended, with their processes. One for which a place was still waited for has not begun, and
//      is ended as soon as it is made.
// CN4  An agent whose node is lost is begun anew elsewhere, once: with a new clone, which it must be able to make itself, and while at
//      least half of the time is left, because it needs as long as the first did. Should both answer, the collector keeps one (CT2).

import { type ActorSystem, type Handle, isFlotillaError, type SpawnOptions } from "../../runtime/index.ts";
import type { Sandbox } from "../../tools/index.ts";
import { mockVariant } from "../agent/mock-model.ts";
import type { AgentProgress } from "../agent/progress.ts";
import type { AgentLimits } from "../agent/result.ts";
import { Agent, type ModelSpec } from "../agent-actor.ts";
import type { TaskOutcome } from "../collected-task.ts";
import { type CollectorHandle, spawnCollector } from "../collector.ts";
import { fail } from "../errors.ts";
import type { AgentOrder, Workplace } from "../workplace.ts";
import { type Role, roleNamed } from "./roles.ts";
import { WaitingPlaces } from "./waiting-places.ts";

/** One of the council, from `agentIds`, and its clone. */
export type CouncilAgent = { readonly agentId: string } & Workplace;

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
  /** No node takes the agent yet; told again when the reason changes. */
  | { readonly kind: "waiting"; readonly agentId: string; readonly why: string }
  /** `node`: the name of the one it lives on; absent in a process that is alone. */
  | { readonly kind: "started"; readonly agentId: string; readonly attempt: number; readonly node?: string }
  | { readonly kind: "agent"; readonly agentId: string; readonly progress: AgentProgress }
  | { readonly kind: "answered"; readonly agentId: string; readonly success: boolean }
  /** Its node was lost; it is begun anew (CN4). */
  | { readonly kind: "again"; readonly agentId: string; readonly message: string }
  | { readonly kind: "lost"; readonly agentId: string; readonly message: string };

export const DEFAULT_AGENT_LIMITS: AgentLimits = { stepsMax: 60, roundsMax: 8, tokensMax: 400_000 };

/** Time for agents to end their processes once they are no longer wanted. */
const STOP_MS = 10_000;
/** The collector ends the task itself; its caller only must not give up before. */
const OUTCOME_SLACK_MS = 10_000;
const ATTEMPTS_MAX = 2;
/** How a stream from an agent ends when its node is lost, cut off or told to leave. */
const NODE_LOST: ReadonlySet<string> = new Set([
  "ActorEnded",
  "LeaseLost",
  "NodeLost",
  "StreamBroken",
  "Unavailable",
  "Unknown",
]);

/**
 * Runs the council and resolves with its outcome: at the deadline, when cancelled, or when everyone has answered, whichever is first.
 * Throws NoAgentsForRole, CollectorLost, and what spawning a collector and its `open` throw.
 */
export async function runCouncil(system: ActorSystem, request: CouncilRequest): Promise<TaskOutcome> {
  const role = roleNamed(request.role);
  const collector = request.collector ?? (await spawnCollector(system, {}, apartFrom(request.model, system)));
  try {
    const { taskId, text, agents, timeoutMs, contentKey, quorum } = request;
    const deadlineMs = system.clock.now() + timeoutMs;
    const opened = await collector.open({
      taskId,
      text,
      agentIds: agents.map((agent) => agent.agentId),
      deadlineMs,
      ...(contentKey !== undefined && { contentKey }),
      ...(quorum !== undefined && { quorum }),
    });
    return opened.kind === "cached"
      ? opened.outcome
      : await new Session(system, request, role, collector, deadlineMs).run();
  } finally {
    if (request.collector === undefined) await system.stop(collector);
  }
}

/**
 * Where the collector goes: with agents beside model servers, to a node that has none for them, so that neither the load nor the loss of a
 * server's node is also the collector's. A preference, because a fleet may have no other node.
 */
function apartFrom(model: ModelSpec, system: ActorSystem): Pick<SpawnOptions, "placement"> {
  if (model.kind !== "node") return {};
  const nodes = system
    .nodes()
    .filter(({ accepts, draining, report }) => {
      return accepts && !draining && !report?.engines.some((engine) => engine.model === model.model);
    })
    .map(({ node }) => node);
  return nodes.length === 0 ? {} : { placement: { nodes } };
}

/** One running council: what ends it ends all its agents. */
class Session {
  readonly #system: ActorSystem;
  readonly #request: CouncilRequest;
  readonly #role: Role;
  readonly #collector: CollectorHandle;
  readonly #deadlineMs: number;
  readonly #waiting: WaitingPlaces;
  /** Whose result is known to be sent. */
  readonly #answered = new Set<string>();
  /** Aborts when no agent is wanted any more. */
  readonly #over = new AbortController();

  constructor(
    system: ActorSystem,
    request: CouncilRequest,
    role: Role,
    collector: CollectorHandle,
    deadlineMs: number,
  ) {
    this.#system = system;
    this.#request = request;
    this.#role = role;
    this.#collector = collector;
    this.#deadlineMs = deadlineMs;
    this.#waiting = new WaitingPlaces(system, (agentId, why) => this.#tell({ kind: "waiting", agentId, why }));
  }

  async run(): Promise<TaskOutcome> {
    const { taskId, timeoutMs, signal } = this.#request;
    const cancel = () => this.#collector.cast.cancel(taskId);
    signal?.addEventListener("abort", cancel, { once: true });
    if (signal?.aborted) cancel();
    const agents = this.#request.agents.map((agent, index) => this.#runAgent(agent, index));
    try {
      const outcome = await this.#collector.with({ timeoutMs: timeoutMs + OUTCOME_SLACK_MS }).outcome(taskId);
      // The last result may have come to the collector before word of it came here.
      for (const { agentId, success } of outcome.results) this.#hasAnswered(agentId, success);
      return outcome;
    } catch (error) {
      if (!isNodeLost(error)) throw error;
      const message = `The collector was lost, and with it what the agents of this task had handed in: ${messageOf(error)}.`;
      throw fail("CollectorLost", message, { cause: error, data: { taskId } });
    } finally {
      signal?.removeEventListener("abort", cancel);
      this.#over.abort();
      await Promise.all(agents);
    }
  }

  /** From its first spawn to its last stop; never rejects (CN2). */
  async #runAgent(agent: CouncilAgent, index: number): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      const error = await this.#attempt(agent, index, attempt);
      if (error === undefined || this.#over.signal.aborted) return;
      if (!this.#isWorthAnother(error, agent, attempt)) return this.#lose(agent.agentId, error);
      this.#tell({ kind: "again", agentId: agent.agentId, message: messageOf(error) });
    }
  }

  /** Answers with what it ended with, undefined when its result was sent. */
  async #attempt(agent: CouncilAgent, index: number, attempt: number): Promise<unknown> {
    let handle: Handle<typeof Agent> | undefined;
    try {
      handle = await this.#spawn(agent.agentId, index, attempt);
      await this.#follow(agent, handle, attempt);
      return undefined;
    } catch (error) {
      return error ?? new Error("it ended without saying why");
    } finally {
      if (handle !== undefined) await this.#stop(handle);
    }
  }

  /** CN4. */
  #isWorthAnother(error: unknown, agent: CouncilAgent, attempt: number): boolean {
    const hasTime = this.#leftMs() >= this.#request.timeoutMs / 2;
    return isNodeLost(error) && "origin" in agent && attempt < ATTEMPTS_MAX && hasTime;
  }

  #leftMs(): number {
    return Math.max(1, this.#deadlineMs - this.#system.clock.now());
  }

  async #spawn(agentId: string, index: number, attempt: number): Promise<Handle<typeof Agent>> {
    const { taskId, model, sandbox } = this.#request;
    const setup = {
      model: model.kind === "mock" ? { ...model, variant: model.variant ?? mockVariant(index) } : model,
      instructions: this.#role.prompt,
      ...(sandbox !== undefined && { sandbox }),
    };
    // The name of an attempt that was lost is free only when the fleet has given its node up.
    const name = attempt === 1 ? agentId : `${agentId}-${attempt}`;
    const beside = model.kind === "node" ? { placement: { model: model.model, near: taskId } } : {};
    const spawning = this.#system.spawn(Agent, { name, namespace: taskId, args: [setup], ...beside });
    return await this.#waiting.during(
      name,
      agentId,
      untilOver(spawning, this.#over.signal, (late) => this.#stop(late)),
    );
  }

  async #stop(handle: Handle<typeof Agent>): Promise<void> {
    await this.#system.stop(handle, { timeoutMs: STOP_MS }).catch(() => {});
  }

  async #follow(agent: CouncilAgent, handle: Handle<typeof Agent>, attempt: number): Promise<void> {
    const { agentId } = agent;
    const options = { timeoutMs: this.#leftMs(), signal: this.#over.signal };
    for await (const event of handle.with(options).work(this.#orderOf(agent, attempt))) {
      if (event.kind === "began")
        this.#tell({ kind: "started", agentId, attempt, ...(event.node !== undefined && { node: event.node }) });
      if (event.kind === "progress") this.#tell({ kind: "agent", agentId, progress: event.progress });
      if (event.kind === "answered") return this.#hasAnswered(agentId, event.success);
    }
    throw new Error("it ended without a result");
  }

  async #lose(agentId: string, error: unknown): Promise<void> {
    const message = `The agent was lost: ${messageOf(error)}`;
    this.#tell({ kind: "lost", agentId, message });
    // A collector that is gone has ended the whole task: there is nobody left to tell.
    await this.#collector.lose(this.#request.taskId, agentId, message).catch(() => {});
  }

  #orderOf(agent: CouncilAgent, attempt: number): AgentOrder {
    const { taskId, text, baseCommit, limits = DEFAULT_AGENT_LIMITS, traceId = taskId } = this.#request;
    return { ...agent, taskId, role: this.#role.name, text, baseCommit, limits, traceId, attempt };
  }

  #hasAnswered(agentId: string, success: boolean): void {
    if (this.#answered.has(agentId)) return;
    this.#answered.add(agentId);
    this.#tell({ kind: "answered", agentId, success });
  }

  #tell(event: CouncilProgress): void {
    this.#request.onProgress?.(event);
  }
}

const isNodeLost = (error: unknown): boolean => isFlotillaError(error) && NODE_LOST.has(error.code);

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** `making`, but no longer than until `over` aborts; what is made after that is handed to `late`. */
async function untilOver<Made>(making: Promise<Made>, over: AbortSignal, late: (made: Made) => unknown): Promise<Made> {
  const ended = Promise.withResolvers<never>();
  const onAbort = () => {
    ended.reject(over.reason);
    making.then(late, () => {});
  };
  if (over.aborted) onAbort();
  over.addEventListener("abort", onAbort, { once: true });
  try {
    return await Promise.race([making, ended.promise]);
  } finally {
    over.removeEventListener("abort", onAbort);
  }
}
