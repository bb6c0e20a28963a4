// The agent as an actor: opens the workspace, makes the model, runs the agent, streams what it does and then its result.
// It is not how an agent works (agent/agent.ts). Everything it is made from is plain data, so that it can live on any node.
//
// AA1  Cancelling `work` cancels the model call and the tool's process tree, and the stream ends only when both have ended and the
//      workspace is closed: a stopped agent leaves no process behind.
// AA2  A stream without a chunk for a call's time-out is given up; a model may think longer than that. So the agent says every
//      second that it lives, and a reader learns within a call's time-out that it does not.
// AA3  The agent's own time ends a little before its caller's, so that a result with what was done until then arrives in time.

import { actorContext, type Clock, defineActor } from "../runtime/index.ts";
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
import { OpenAiModel } from "./agent/openai-model.ts";
import type { AgentProgress } from "./agent/progress.ts";
import type { AgentResult, AgentTask } from "./agent/result.ts";

/** Which model an agent asks, as plain data. */
export type ModelSpec =
  | { readonly kind: "openai"; readonly url: string; readonly model: string; readonly apiKey?: string }
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

/** What `work` streams: progress while it lasts, then one result. */
export type AgentEvent =
  /** Nothing new, but the agent lives. */
  | { readonly kind: "working" }
  | { readonly kind: "progress"; readonly progress: AgentProgress }
  | { readonly kind: "result"; readonly result: AgentResult };

/** Share of the caller's time kept for reading the clone and reporting (AA3), and its bound. */
const REPORT_SHARE = 0.1;
const REPORT_MAX_MS = 5_000;

/** Well below the runtime's default time-out of 30 s for a chunk (AA2). */
const HEARTBEAT_MS = 1_000;

/** Events a slow reader may be behind; more are dropped, the result never is. */
const EVENTS_MAX = 256;

/** What results and pages call the model. */
export const modelName = (spec: ModelSpec): string => (spec.kind === "mock" ? "mock" : spec.model);

function modelOf(spec: ModelSpec, clock: Clock): Model {
  if (spec.kind === "mock") return mockModel(spec.variant ?? "clean", clock);
  const { url, model, apiKey } = spec;
  return new OpenAiModel({ url, model, clock, ...(apiKey !== undefined && { apiKey }) });
}

class AgentActor {
  readonly #setup: AgentSetup;

  constructor(setup: AgentSetup) {
    this.#setup = setup;
  }

  /** Works on one task. The last event is the result; without one the stream rejects (no workspace could be opened). */
  async *work(task: AgentTask): AsyncGenerator<AgentEvent, void> {
    const { signal, deadlineMs, clock, random } = actorContext();
    const reportMs = Math.min(REPORT_MAX_MS, (deadlineMs - clock.now()) * REPORT_SHARE);
    const events = new EventQueue();
    const beat = () => {
      events.push({ kind: "working" });
      heartbeat = clock.schedule(HEARTBEAT_MS, beat);
    };
    // The actor's own timers would wait until this message is done.
    let heartbeat = clock.schedule(HEARTBEAT_MS, beat);
    const time = { clock, random, signal, deadlineMs: deadlineMs - reportMs };
    const onProgress = (progress: AgentProgress) => events.push({ kind: "progress", progress });
    const working = this.#run(task, time, onProgress).finally(() => events.close());
    try {
      yield* events;
      yield { kind: "result", result: await working };
    } finally {
      heartbeat.cancel();
      await Promise.allSettled([working]);
    }
  }

  async #run(task: AgentTask, time: AgentTime, onProgress: (event: AgentProgress) => void): Promise<AgentResult> {
    const { model, policy, instructions, sandbox = "auto" } = this.#setup;
    const { clock, random } = time;
    const workspace = await openProcessWorkspace({ root: task.workspacePath, clock, random, sandbox });
    try {
      return await runAgent(task, {
        ...time,
        model: modelOf(model, clock),
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
}

type AgentTime = Pick<Parameters<typeof runAgent>[1], "clock" | "random" | "signal" | "deadlineMs">;

/** Spawned with one AgentSetup. Works on one task at a time. */
export const Agent = defineActor("agent", AgentActor);

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
