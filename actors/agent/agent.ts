// One agent's work on one task: plan → execute → verify, in rounds, until it is verified or something ends it.
// It is not an actor (agent-actor.ts), nor the choice among agents (council/).
//
// A1  runAgent never rejects: every end, cancellation and defects included, is an AgentResult that holds what was done until then.
// A2  `success` means verified (verify.ts, Y1), never that the model said so.
// A3  The work ends at `deadlineMs` by itself; only the reading of the clone for the report comes after it.

import { type Clock, isFlotillaError, type Random } from "../../runtime/index.ts";
import {
  type AskPerson,
  type Audit,
  type Caller,
  decide,
  type Policy,
  type Tool,
  type ToolEnvironment,
  type ToolRegistry,
  type Workspace,
} from "../../tools/index.ts";
import { type Change, readChange } from "./change.ts";
import { Conversation } from "./conversation.ts";
import { type Executed, Execution, type ExecutionContext } from "./execute.ts";
import type { Model } from "./model.ts";
import { type Planned, Planner } from "./planner.ts";
import type { AgentProgress } from "./progress.ts";
import { roundFeedback, systemPrompt, taskPrompt } from "./prompt.ts";
import type { AgentResult, AgentTask, FinalState, Verification } from "./result.ts";
import { testToolsOf, verify } from "./verify.ts";

/** What an agent works with. */
export interface AgentEnvironment {
  readonly model: Model;
  readonly tools: ToolRegistry;
  readonly workspace: Workspace;
  readonly policy: Policy;
  readonly audit: Audit;
  readonly clock: Clock;
  readonly random: Random;
  readonly signal: AbortSignal;
  /** Milliseconds since the epoch at which the work ends, whatever it has reached. */
  readonly deadlineMs: number;
  /** The role's own words for the model. */
  readonly instructions?: string;
  /** Asks a person where the policy wants one. Default: nobody can be asked, and such calls are denied. */
  readonly approve?: AskPerson;
  /** What the agent shall be told with the next results: sentences, each given once. Must not throw. Default: nothing. */
  readonly notices?: () => readonly string[];
  /** Must not throw. */
  readonly onProgress?: (event: AgentProgress) => void;
}

/** Why the work ended before it was verified. */
interface Failure {
  readonly code: string;
  readonly message: string;
}

/** What is known of the clone at the end of a round. */
interface Judged {
  readonly change: Change;
  readonly verification: Verification;
}

/** Works on the task until it is verified or ends. Never rejects (A1). */
export async function runAgent(task: AgentTask, env: AgentEnvironment): Promise<AgentResult> {
  const started = env.clock.monotonic();
  const deadline = new AbortController();
  const timer = env.clock.schedule(env.deadlineMs - env.clock.now(), () => deadline.abort());
  const work = new Work(task, env, AbortSignal.any([env.signal, deadline.signal]));
  try {
    const failure = await work.run().catch((error: unknown) => failureOf(error, env));
    return await work.report(failure, env.clock.monotonic() - started);
  } finally {
    timer.cancel();
  }
}

/** How the work ended, in the words of a caller who waits for the task and not for one request of it. */
function failureOf(error: unknown, { clock, deadlineMs, signal }: AgentEnvironment): Failure {
  if (clock.now() >= deadlineMs)
    return { code: "DeadlineExceeded", message: "The time for the task was up before it was done." };
  if (signal.aborted) return { code: "Cancelled", message: "The task was cancelled before it was done." };
  if (isFlotillaError(error)) return { code: error.code, message: error.message };
  return { code: "AgentDefect", message: `The agent broke: ${error instanceof Error ? error.message : String(error)}` };
}

class Work {
  readonly #task: AgentTask;
  readonly #env: AgentEnvironment;
  readonly #context: ExecutionContext;
  readonly #offered: readonly Tool[];
  readonly #planner: Planner;
  readonly #execution: Execution;
  /** What the last verification found; undefined once a step has run after it. */
  #judged: Judged | undefined;

  constructor(task: AgentTask, env: AgentEnvironment, signal: AbortSignal) {
    const { agentId, role, taskId, traceId, limits } = task;
    const { workspace, policy, audit, clock, model, deadlineMs } = env;
    const { approve } = env;
    const tools: ToolEnvironment = {
      registry: env.tools,
      workspace,
      policy,
      audit,
      clock,
      ...(approve && { approve }),
    };
    const caller: Caller = { agentId, role, taskId, traceId };
    const onProgress = env.onProgress ?? (() => {});
    const onRound = (round: number) => onProgress({ kind: "planning", agentId, round });
    this.#task = task;
    this.#env = env;
    this.#context = { tools, caller, signal, stepsMax: limits.stepsMax, onProgress };
    // What the policy never allows is not offered: a model that tries it anyway is told so, and it is audited.
    this.#offered = env.tools.list().filter(({ name, risk }) => {
      const { kind } = decide({ role, tool: name, risk }, policy);
      return kind === "allow" || (kind === "ask" && approve !== undefined);
    });
    this.#planner = new Planner({
      model,
      registry: env.tools,
      offered: this.#offered,
      limits,
      clock,
      signal,
      deadlineMs,
      onRound,
    });
    this.#execution = new Execution(this.#context);
  }

  /** Resolves with null when the task is verified, else with why it ended; rejects with what ended it from below. */
  async run(): Promise<Failure | null> {
    const { instructions = "" } = this.#env;
    const testTools = await testToolsOf(this.#task.workspacePath);
    const conversation = new Conversation(
      systemPrompt(this.#task, instructions, this.#offered),
      taskPrompt(this.#task, testTools),
    );
    for (;;) {
      const planned = await this.#planner.next(conversation);
      this.#tell(planned);
      this.#judged = undefined;
      const executed = await this.#execution.run(planned.plan.steps);
      // A failed step is enough to plan anew; running every test for it would only cost time.
      const judged = executed.complete ? await this.#judge() : undefined;
      if (judged?.verification.verified) return null;
      const failure = this.#failureAfter(executed);
      if (failure !== null) return failure;
      conversation.add(planned.said, this.#feedback(executed, judged));
    }
  }

  #tell({ plan }: Planned): void {
    const { agentId } = this.#task;
    this.#context.onProgress({ kind: "planned", agentId, steps: plan.steps.length, reasoning: plan.reasoning });
  }

  async #judge(): Promise<Judged> {
    const change = await readChange(this.#task, this.#context.caller, this.#context.tools);
    const verification = await verify(this.#task, change, this.#context);
    this.#judged = { change, verification };
    const { verified, findings } = verification;
    const hasWorked = change.commit !== null || change.uncommitted.length > 0;
    // A round that only read is not a failed attempt, and must not look like one.
    if (hasWorked) this.#context.onProgress({ kind: "verified", agentId: this.#task.agentId, verified, findings });
    return this.#judged;
  }

  #failureAfter({ stuck }: Executed): Failure | null {
    if (stuck !== undefined) {
      const message = `The agent ran ${stuck.step.tool} again and again with the same result: ${firstLine(stuck.result.content)}`;
      return { code: "Stuck", message };
    }
    const { stepsMax } = this.#task.limits;
    if (this.#execution.operations.length < stepsMax) return null;
    return {
      code: "StepLimit",
      message: `The work is not done after ${stepsMax} steps, which is the limit (stepsMax).`,
    };
  }

  #feedback({ done, skipped, repeated }: Executed, judged: Judged | undefined): string {
    const repetitions = repeated.map(
      ({ tool }) => `${tool} gave the same result as before. Do something else; a third time ends the work.`,
    );
    const notes = [...repetitions, ...(this.#env.notices?.() ?? [])];
    return roundFeedback({ done, skipped, verification: judged?.verification, notes, mark: this.#env.random.id() });
  }

  /** The result, whatever state the clone is in (A1). */
  async report(failure: Failure | null, durationMs: number): Promise<AgentResult> {
    const { taskId, agentId, role } = this.#task;
    const change = this.#judged?.change ?? (await this.#finalChange());
    const verification = await this.#finalVerification(change);
    const success = failure === null;
    return {
      taskId,
      agentId,
      role,
      success,
      operations: this.#execution.operations,
      auditTrail: this.#env.audit.entries({ agentId, taskId }),
      finalState: finalState(change, success),
      commit: change?.commit ?? null,
      diffStat: change?.diffStat ?? null,
      diff: change?.diff ?? "",
      verification,
      error: failure === null ? null : this.#explained(failure),
      reasoning: this.#planner.reasoning,
      usage: this.#planner.usage,
      durationMs,
    };
  }

  /** Undefined when the clone cannot be read any more. */
  async #finalChange(): Promise<Change | undefined> {
    try {
      return await readChange(this.#task, this.#context.caller, this.#context.tools);
    } catch {
      return undefined;
    }
  }

  /** The last verification if it still speaks of this state, else a new one, as long as there is time. */
  async #finalVerification(change: Change | undefined): Promise<Verification | null> {
    if (this.#judged !== undefined) return this.#judged.verification;
    if (change === undefined || this.#context.signal.aborted) return null;
    try {
      return await verify(this.#task, change, this.#context);
    } catch {
      return null;
    }
  }

  /** An end such as "no steps to propose" is told with the step that led to it. */
  #explained({ code, message }: Failure): Failure {
    const last = this.#execution.operations.at(-1);
    if (last?.error === undefined || code === "Stuck") return { code, message };
    return { code, message: `${message} The last step, ${last.tool}, had failed: ${last.error}` };
  }
}

function finalState(change: Change | undefined, success: boolean): FinalState {
  if (change === undefined) return "failed";
  if (change.commit !== null) return success ? "committed" : "rejected";
  return change.uncommitted.length > 0 ? "uncommitted" : "unchanged";
}

const firstLine = (text: string) => (text.split("\n", 1)[0] ?? "").slice(0, 200);
