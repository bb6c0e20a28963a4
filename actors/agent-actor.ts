// The agent as an actor: streams what it does, until its result was sent. What it does is in agent-work.ts, and how it works in agent/.
// Everything it is made from is plain data, so that it can live on any node.
//
// AA1  Cancelling `work` cancels the model call and the tool's process tree, and the stream ends only when both have ended and the
//      workspace is closed: a stopped agent leaves no process behind, and no clone that it made itself.
// AA2  A stream without a chunk for a call's time-out is given up; a model may think longer than that. So the agent says every
//      second that it lives, and a reader learns within a call's time-out that it does not.
// AA3  The agent's own time ends a little before its caller's, so that a result with what was done until then arrives in time.
// AA4  The result goes to the topic of the task (events/channels.ts) and nowhere else, before the stream says so; once nobody reads the stream
//      any more it is not sent. The same for every place an agent may live in: who reads the topic need not be who spawned the agent.

import { actorContext, defineActor } from "../runtime/index.ts";
import type { Policy, Sandbox } from "../tools/index.ts";
import type { MockVariant } from "./agent/mock-model.ts";
import type { AgentProgress } from "./agent/progress.ts";
import type { AgentResult } from "./agent/result.ts";
import type { Work } from "./agent-work.ts";
import type { ProposalBehaviour } from "./orchestrator/mock-proposals.ts";
import { ownNode } from "./own-node.ts";
import type { AgentOrder } from "./workplace.ts";

/** Which model an agent asks, as plain data. */
export type ModelSpec =
  | { readonly kind: "openai"; readonly url: string; readonly model: string; readonly apiKey?: string }
  /** A server of the agent's own node that has this model. */
  | { readonly kind: "node"; readonly model: string }
  /**
   * The mock is asked for by name and never stands in for another model. Variant, of one that works on tasks: default "clean". Behaviour, of
   * one that proposes in a deliberation: default by its number in the council.
   */
  | { readonly kind: "mock"; readonly variant?: MockVariant; readonly behaviour?: ProposalBehaviour };

/** What an agent is made from. */
export interface AgentSetup {
  readonly model: ModelSpec;
  /** What its tools may do. Default: the standard policy. */
  readonly policy?: Policy;
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
    const working = this.#work({ order, system, time, onProgress }).finally(() => events.close());
    try {
      yield* events;
      const { success, finalState, error } = await working;
      yield { kind: "answered", success, finalState, error };
    } finally {
      heartbeat.cancel();
      await Promise.allSettled([working]);
    }
  }

  async #work(work: Work): Promise<AgentResult> {
    const { workOn } = await import("./agent-work.ts");
    return workOn(this.#setup, work);
  }
}

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
