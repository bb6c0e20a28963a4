// What an agent is asked and what it answers, as plain data: the shapes that travel between actors and out of the doors.

import type { AuditEntry, TestReport } from "../../tools/index.ts";

/** Bounds of one agent's work, checked before each model call. */
export interface AgentLimits {
  /** Tool calls in all. */
  readonly stepsMax: number;
  /** Plans asked of the model, repairs not counted. */
  readonly roundsMax: number;
  /** Input and output tokens in all, as the server counts them. */
  readonly tokensMax: number;
}

export interface AgentTask {
  readonly taskId: string;
  readonly agentId: string;
  readonly role: string;
  /** The task in the user's words. */
  readonly text: string;
  /** Absolute path of this agent's own clone. */
  readonly workspacePath: string;
  /** Commit the clone started from. */
  readonly baseCommit: string;
  readonly limits: AgentLimits;
  readonly traceId: string;
}

/** One executed step of a plan, in order. */
export interface Operation {
  readonly tool: string;
  readonly operation: string;
  readonly success: boolean;
  readonly durationMs: number;
  readonly error?: string;
}

/** `committed`: the change is committed and verified. `rejected`: committed, but verification says no. `uncommitted`: changes without a commit. */
export type FinalState = "committed" | "rejected" | "uncommitted" | "unchanged" | "failed";

export interface DiffStat {
  readonly files: readonly { readonly path: string; readonly added: number; readonly deleted: number }[];
  readonly added: number;
  readonly deleted: number;
}

/** What verification found, each part with its evidence. */
export interface Verification {
  readonly verified: boolean;
  /** One sentence for each thing that stands in the way; empty when verified. */
  readonly findings: readonly string[];
  readonly tests?: TestReport | undefined;
  /** Findings of the linters run on the changed files. */
  readonly lint: readonly { readonly path: string; readonly line: number; readonly message: string }[];
}

/** Where a result comes from. */
export interface ResultPlace {
  /** Name of the node; the id of a process that is alone. */
  readonly node: string;
  /** 1, or 2 when the node of the first attempt was lost. */
  readonly attempt: number;
  /** Hash of the blob with the agent's verified work as a bundle on top of the start; absent without verified work. */
  readonly bundle?: string;
  /** Path on that node of a clone that was to be kept. */
  readonly keptIn?: string;
}

export interface AgentResult {
  readonly taskId: string;
  readonly agentId: string;
  readonly role: string;
  readonly success: boolean;
  readonly operations: readonly Operation[];
  readonly auditTrail: readonly AuditEntry[];
  readonly finalState: FinalState;
  /** Full hash of the agent's commit; null when there is none. */
  readonly commit: string | null;
  readonly diffStat: DiffStat | null;
  /** Unified diff from the base commit; "" when nothing changed. */
  readonly diff: string;
  readonly verification: Verification | null;
  /** Why not, in one sentence with a stable code; null on success. */
  readonly error: { readonly code: string; readonly message: string } | null;
  readonly reasoning: readonly string[];
  readonly usage: { readonly inputTokens: number; readonly outputTokens: number; readonly modelCalls: number };
  readonly durationMs: number;
  /** Absent in a process that is alone, when the clone was made for the agent. */
  readonly place?: ResultPlace;
}
