// The agent as an actor: opens its clone and workspace, makes the model, runs the agent, streams what it does and sends in its result.
// It is not how an agent works (agent/agent.ts). Everything it is made from is plain data, so that it can live on any node.
//
// AA1  Cancelling `work` cancels the model call and the tool's process tree, and the stream ends only when both have ended and the
//      workspace is closed: a stopped agent leaves no process behind, and no clone that it made itself.
// AA2  A stream without a chunk for a call's time-out is given up; a model may think longer than that. So the agent says every
//      second that it lives, and a reader learns within a call's time-out that it does not.
// AA3  The agent's own time ends a little before its caller's, so that a result with what was done until then arrives in time.
// AA4  The result goes to the topic of the task (subjects.ts) and nowhere else, before the stream says so; once nobody reads the stream
//      any more it is not sent. The same for every place an agent may live in: who reads the topic need not be who spawned the agent.

import { type ActorSystem, actorContext, type Clock, defineActor } from "../runtime/index.ts";
import {
  MemoryAudit,
  openProcessWorkspace,
  type Policy,
  type Sandbox,
  standardTools,
  ToolRegistry,
} from "../tools/index.ts";
import { runAgent } from "./agent/agent.ts";
import { type MockVariant, mockModel } from "./agent/mock-model.ts";
import type { Model } from "./agent/model.ts";
import { NodeModel } from "./agent/node-model.ts";
import { OpenAiModel } from "./agent/openai-model.ts";
import type { AgentProgress } from "./agent/progress.ts";
import type { AgentResult } from "./agent/result.ts";
import { ownNode } from "./own-node.ts";
import { sendResult } from "./result-post.ts";
import { type AgentOrder, type OpenWorkplace, openWorkplace } from "./workplace.ts";

/** Which model an agent asks, as plain data. */
export type ModelSpec =
  | { readonly kind: "openai"; readonly url: string; readonly model: string; readonly apiKey?: string }
  /** A server of the agent's own node that has this model. */
  | { readonly kind: "node"; readonly model: string }
  /** The mock is asked for by name and never stands in for another model. Variant: default "clean". */
  | { readonly kind: "mock"; readonly variant?: MockVariant };

/** What an agent is made from. */
export interface AgentSetup {
  readonly model: ModelSpec;
  readonly policy: Policy;
  /** The role's words for the model. */
  readonly instructions: string;
  /** Default `auto`. */
  readonly sandbox?: "auto" | Sandbox;
}

/** What `work` streams: where it is, progress while it lasts, and that the result was sent. */
export type AgentEvent =
  /** `node`: the name of the node that the agent lives on; absent in a process that is alone. */
  | { readonly kind: "began"; readonly node?: string }
  /** Nothing new, but the agent lives. */
  | { readonly kind: "working" }
  | { readonly kind: "progress"; readonly progress: AgentProgress }
  /** The result is in the topic of the task. */
  | ({ readonly kind: "answered" } & Pick<AgentResult, "success" | "finalState" | "error">);

/** Share of the caller's time kept for reading the clone and reporting (AA3), and its bound. */
const REPORT_SHARE = 0.1;
const REPORT_MAX_MS = 5_000;

/** Well below the runtime's default time-out of 30 s for a chunk (AA2). */
const HEARTBEAT_MS = 1_000;

/** Events a slow reader may be behind; more are dropped, the result never is. */
const EVENTS_MAX = 256;

/** What results and pages call the model. */
export const modelName = (spec: ModelSpec): string => (spec.kind === "mock" ? "mock" : spec.model);

class AgentActor {
  readonly #setup: AgentSetup;

  constructor(setup: AgentSetup) {
    this.#setup = setup;
  }

  /** Works on one task. The stream rejects when there is no result: no clone or workspace could be made, or it could not be sent. */
  async *work(order: AgentOrder): AsyncGenerator<AgentEvent, void> {
    const { signal, deadlineMs, clock, random, system } = actorContext();
    const reportMs = Math.min(REPORT_MAX_MS, (deadlineMs - clock.now()) * REPORT_SHARE);
    const events = new EventQueue();
    const node = ownNode(system)?.name;
    events.push({ kind: "began", ...(node !== undefined && { node }) });
    const beat = () => {
      events.push({ kind: "working" });
      heartbeat = clock.schedule(HEARTBEAT_MS, beat);
    };
    // The actor's own timers would wait until this message is done.
    let heartbeat = clock.schedule(HEARTBEAT_MS, beat);
    const time = { clock, random, signal, deadlineMs: deadlineMs - reportMs };
    const onProgress = (progress: AgentProgress) => events.push({ kind: "progress", progress });
    const working = this.#run(order, system, time, onProgress).finally(() => events.close());
    try {
      yield* events;
      const { success, finalState, error } = await working;
      yield { kind: "answered", success, finalState, error };
    } finally {
      heartbeat.cancel();
      await Promise.allSettled([working]);
    }
  }

  async #run(
    order: AgentOrder,
    system: ActorSystem,
    time: AgentTime,
    onProgress: (event: AgentProgress) => void,
  ): Promise<AgentResult> {
    await using place = await openWorkplace(order, system.ports.blobs, time.signal);
    const result = await this.#runIn(place, order, system, time, onProgress);
    // Nobody waits for it (AA4).
    if (time.signal.aborted) return result;
    const placed = await withPlace(result, place, order, system);
    await sendResult(system, placed);
    return placed;
  }

  async #runIn(
    place: OpenWorkplace,
    order: AgentOrder,
    system: ActorSystem,
    time: AgentTime,
    onProgress: (event: AgentProgress) => void,
  ): Promise<AgentResult> {
    const { policy, instructions, sandbox = "auto" } = this.#setup;
    const { clock, random } = time;
    const { path: root, scratchParent } = place;
    const scratch = scratchParent === undefined ? {} : { scratchParent };
    const workspace = await openProcessWorkspace({ root, clock, random, sandbox, ...scratch });
    const task = { ...order, workspacePath: root };
    try {
      return await runAgent(task, {
        ...time,
        model: this.#model(order, system, clock),
        tools: new ToolRegistry(standardTools()),
        workspace,
        policy,
        audit: new MemoryAudit(),
        instructions,
        onProgress,
      });
    } finally {
      await workspace.close();
    }
  }

  #model({ taskId, agentId }: AgentOrder, system: ActorSystem, clock: Clock): Model {
    const spec = this.#setup.model;
    // A header takes no line breaks and no letters beyond Latin ones, which ids may have.
    const session = `${encodeURIComponent(taskId)}/${encodeURIComponent(agentId)}`;
    switch (spec.kind) {
      case "mock":
        return mockModel(spec.variant ?? "clean", clock);
      case "node":
        return new NodeModel({ model: spec.model, session, clock, node: () => ownNode(system) });
      case "openai": {
        const { url, model, apiKey } = spec;
        return new OpenAiModel({ url, model, session, clock, ...(apiKey !== undefined && { apiKey }) });
      }
    }
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

type AgentTime = Pick<Parameters<typeof runAgent>[1], "clock" | "random" | "signal" | "deadlineMs">;

/** Spawned with one AgentSetup. Works on one task at a time. */
export const Agent = defineActor("agent", AgentActor, { version: "1" });

/** What is pushed, to one reader, until it is closed and empty. */
class EventQueue implements AsyncIterable<AgentEvent> {
  readonly #waiting: AgentEvent[] = [];
  #closed = false;
  #wake: () => void = () => {};

  push(event: AgentEvent): void {
    if (this.#waiting.length < EVENTS_MAX) this.#waiting.push(event);
    this.#wake();
  }

  close(): void {
    this.#closed = true;
    this.#wake();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<AgentEvent, void> {
    for (;;) {
      const event = this.#waiting.shift();
      if (event !== undefined) yield event;
      else if (this.#closed) return;
      else await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }
}
