// Runs the steps of a plan through the one path for tool calls, in order, until one fails.
// It does not judge the work (verify.ts); it notices when an agent goes in circles.
//
// X1  No step runs after one that did not end `ok`, after the step limit, or after the signal has aborted.
// X2  The same step with the same result a third time, with no new change between, is stuck: a fourth will tell no more.

import { createHash } from "node:crypto";
import { type Caller, runTool, type ToolEnvironment, type ToolResult } from "../../tools/index.ts";
import type { PlanStep } from "./plan.ts";
import type { AgentProgress } from "./progress.ts";
import type { StepDone } from "./prompt.ts";
import type { Operation } from "./result.ts";

const REPEATS_MAX = 3;

export interface ExecutionContext {
  readonly tools: ToolEnvironment;
  readonly caller: Caller;
  readonly signal: AbortSignal;
  readonly stepsMax: number;
  readonly onProgress: (event: AgentProgress) => void;
}

export interface Executed {
  readonly done: readonly StepDone[];
  readonly skipped: readonly PlanStep[];
  /** Every step of the plan ran and ended `ok`. */
  readonly complete: boolean;
  /** The step that stands still (X2). */
  readonly stuck: StepDone | undefined;
  /** Steps that gave what they gave before, once short of stuck. */
  readonly repeated: readonly PlanStep[];
}

/** All executions of one agent's work. */
export class Execution {
  readonly #context: ExecutionContext;
  readonly #operations: Operation[] = [];
  /** How often each step gave each result since the last change. */
  readonly #seen = new Map<string, number>();

  constructor(context: ExecutionContext) {
    this.#context = context;
  }

  /** Every step run so far, in order. */
  get operations(): readonly Operation[] {
    return this.#operations;
  }

  /** Never rejects: how each step ended is in its result. */
  async run(steps: readonly PlanStep[]): Promise<Executed> {
    const done: StepDone[] = [];
    const repeated: PlanStep[] = [];
    let stuck: StepDone | undefined;
    for (const step of steps) {
      if (this.#context.signal.aborted || this.#operations.length >= this.#context.stepsMax) break;
      const finished = { step, result: await this.#step(step) };
      done.push(finished);
      const times = this.#count(finished);
      if (times >= REPEATS_MAX) stuck = finished;
      else if (times > 1) repeated.push(step);
      if (stuck !== undefined || finished.result.outcome !== "ok") break;
    }
    const complete = done.length === steps.length && done.every(({ result }) => result.outcome === "ok");
    return { done, skipped: steps.slice(done.length), complete, stuck, repeated };
  }

  async #step(step: PlanStep): Promise<ToolResult> {
    const { tools, caller, signal, onProgress } = this.#context;
    const result = await runTool({ ...step, caller, signal }, tools);
    const { outcome, durationMs } = result;
    const error = result.error && { error: result.error.message };
    const operation = step.tool.slice(step.tool.indexOf(".") + 1);
    this.#operations.push({ tool: step.tool, operation, success: outcome === "ok", durationMs, ...error });
    onProgress({ kind: "step", agentId: caller.agentId, tool: step.tool, outcome, durationMs, ...error });
    return result;
  }

  #count({ step, result }: StepDone): number {
    const key = fingerprint(step, result);
    const times = (this.#seen.get(key) ?? 0) + 1;
    // Reading a file again after changing it is work, not a circle: a first-time change starts the counts anew.
    if (times === 1 && result.outcome === "ok" && this.#changes(step)) this.#seen.clear();
    this.#seen.set(key, times);
    return times;
  }

  #changes(step: PlanStep): boolean {
    return this.#context.tools.registry.get(step.tool)?.sideEffects !== "none";
  }
}

/** Durations inside an output ("passed in 0.03s") would make every result look new. */
const withoutTimes = (text: string) => text.replace(/\d+([.,]\d+)?\s?(ms|s|µs)\b/g, "");

function fingerprint(step: PlanStep, result: ToolResult): string {
  const parts = [step.tool, step.params, result.outcome, result.error?.code, withoutTimes(result.content)];
  return createHash("sha256").update(JSON.stringify(parts)).digest("base64");
}
