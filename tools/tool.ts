// What an agent may do to the world: one tool, one call of it, one result.
// It is not how a call runs (run-tool.ts) nor whether it may (policy.ts).
//
// T1  The schema a model sees is made from `input`, so a call that obeys it is a call that works.
// T2  A tool throws ToolFailure for what it expected to go wrong; anything else it throws is reported as a defect.
// T3  Every call ends in a ToolResult: refusals, failures, timeouts and cancellations are values, not exceptions.

import type { z } from "zod";
import type { Clock } from "../runtime/index.ts";
import type { Workspace } from "./workspace/workspace.ts";

/** How much a call can hurt: look, change the workspace, run the repository's own code, reach beyond the workspace. */
export type Risk = "read" | "write" | "execute" | "network";

/** What stays behind after a call. */
export type SideEffects = "none" | "workspace" | "repository" | "external";

/** What a running tool may use. */
export interface ToolContext {
  readonly workspace: Workspace;
  /** Aborts at the call's deadline and when its caller cancels. */
  readonly signal: AbortSignal;
  readonly clock: Clock;
  /** Milliseconds since the epoch after which nobody waits for the call. */
  readonly deadlineMs: number;
}

/** What a tool hands back: `content` for the model to read, `data` for programs. `success: false` is an honest no (tests failed). */
export interface ToolOutput {
  readonly success: boolean;
  readonly content: string;
  readonly data?: Readonly<Record<string, unknown>>;
}

export interface Tool<Input extends z.ZodType = z.ZodType> {
  /** "files.read": family, a dot, operation. */
  readonly name: string;
  readonly description: string;
  readonly input: Input;
  readonly risk: Risk;
  readonly sideEffects: SideEffects;
  readonly timeoutMs: number;
  /** Bytes of `content` kept; the middle of longer output is cut and the cut is said. */
  readonly outputMaxBytes: number;
  run(input: z.output<Input>, context: ToolContext): Promise<ToolOutput>;
}

/** Who asks for a call, and for what. */
export interface Caller {
  readonly agentId: string;
  readonly role: string;
  readonly taskId: string;
  readonly traceId: string;
}

/** One use of a tool. `params` is checked against the tool's schema before anything runs. */
export interface ToolCall {
  readonly tool: string;
  readonly params: unknown;
  readonly caller: Caller;
  readonly signal?: AbortSignal;
  /** Upper bound on the tool's own timeout. */
  readonly timeoutMs?: number;
}

/** How a call ended. Only `ok` did what was asked; `failed` ran and says why not. */
export type Outcome = "ok" | "failed" | "denied" | "invalid" | "unknown" | "timeout" | "cancelled" | "defect";

export interface ToolResult {
  readonly tool: string;
  readonly outcome: Outcome;
  readonly content: string;
  readonly data: Readonly<Record<string, unknown>>;
  /** Present unless the outcome is `ok`: a stable code and one sentence that says what to do. */
  readonly error?: { readonly code: string; readonly message: string };
  readonly durationMs: number;
  /** Bytes of content before it was cut. */
  readonly bytes: number;
  readonly truncated: boolean;
}

/** Thrown by a tool for what it expects can go wrong: no such file, a conflict, a path outside the workspace. */
export class ToolFailure extends Error {
  override readonly name = "ToolFailure";
  readonly code: string;
  readonly data: Readonly<Record<string, unknown>>;

  constructor(code: string, message: string, data: Readonly<Record<string, unknown>> = {}) {
    super(message);
    this.code = code;
    this.data = data;
  }
}

/** Keeps the input's type while the tool goes into lists of any tool. */
export function defineTool<Input extends z.ZodType>(tool: Tool<Input>): Tool {
  return tool as unknown as Tool;
}
