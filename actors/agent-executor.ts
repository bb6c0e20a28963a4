// One agent's work on one task in a process, container or Job of its own: what `flotilla agent-executor` is asked, and does once it has joined
// the fleet. It is not who decides that it is started, nor what becomes of its result (workspace-runner/). The work itself is loaded when it
// begins (agent-executor-work.ts).
//
//     a clone, or where to clone from ─▶ on the story's branch ─▶ the agent (agent-work.ts) ─▶ agent.results.{storyId-taskId}
//
// AX1  When ExecuteTask resolves the result is in the topic and, where it is verified, its commit in blobs. When it rejects, or the process
//      dies, there is none of it, and whoever started it says so.
// AX2  A node of the fleet has its name to itself (NodeNameTaken), and an executor's is its job's: two of one job cannot be at work at once.

import { createHash } from "node:crypto";
import type { ActorSystem, Clock, LogLevel, Random } from "../runtime/index.ts";
import type { Sandbox } from "../tools/index.ts";
import type { AgentProgress } from "./agent/progress.ts";
import type { AgentResult } from "./agent/result.ts";
import type { ModelSpec } from "./agent-actor.ts";
import type { PolicyRules } from "./policy-rules.ts";

export interface ExecutorOrder {
  readonly storyId: string;
  readonly taskId: string;
  readonly attempt: number;
  readonly agentId: string;
  readonly role: string;
  /** What the agent is told to do: text, or BLOB_PREFIX and the hash of a blob that putText made. */
  readonly text: string;
  /** What else the fleet knows of it, in the same forms; "" for nothing. */
  readonly context: string;
  readonly model: ModelSpec;
  /** Name of the node whose model servers are asked, with a model of kind `node`. */
  readonly modelNode?: string;
  /** Absolute path of a clone, or of an empty folder with `repository`. */
  readonly workspace: string;
  /** What to clone into an empty workspace. */
  readonly repository?: { readonly url: string; readonly branch?: string };
  /** Commit to start from. Default: where the clone stands. */
  readonly base?: string;
  /** Hash of the blob with what leads from the clone to `base` (Depot.beyondStart). */
  readonly bundle?: string;
  /** Beside the standard policy (policy-rules.ts). */
  readonly policyRules?: PolicyRules;
  /** All the time there is, the report's included. */
  readonly timeoutMs: number;
}

export interface ExecutorEnvironment {
  readonly clock: Clock;
  readonly random: Random;
  /** Aborts when it shall stop; then there is no result. */
  readonly signal: AbortSignal;
  readonly onProgress: (event: AgentProgress) => void;
  readonly log: (level: LogLevel, message: string) => void;
  readonly sandbox?: "auto" | Sandbox;
}

const NODE_NAME_MAX = 64;

/** Name of the node that a job's executor is (AX2). */
export function executorName(jobId: string): string {
  const name = `executor-${jobId}`;
  if (name.length <= NODE_NAME_MAX) return name;
  const hash = createHash("sha256").update(jobId).digest("hex").slice(0, 16);
  return `${name.slice(0, NODE_NAME_MAX - hash.length - 1)}-${hash}`;
}

/**
 * Works on one task and posts its result (AX1). Throws NoAgentsForRole, OriginMissing, CloneFailed, NotARepository, GitFailed, Cancelled, and what
 * posting throws.
 */
export type ExecuteTask = (system: ActorSystem, order: ExecutorOrder, env: ExecutorEnvironment) => Promise<AgentResult>;

/** Loads tools and models: a third of an executor's start, for which nobody has to wait who has to join the fleet as well. */
export const loadExecutor = async (): Promise<ExecuteTask> => (await import("./agent-executor-work.ts")).execute;
