// What a task consists of between the command line (cli.ts) and where it is run (task.ts, fleet-task.ts), as plain data.

import type { CouncilProgress, ModelSpec, TaskOutcome } from "../actors/index.ts";
import type { Clock, Random } from "../runtime/index.ts";
import type { Sandbox } from "../tools/index.ts";
import type { TaskOptions } from "./options.ts";

/** A work tree to start from. */
export interface Source {
  readonly path: string;
  readonly head: string;
  readonly branch: string | null;
  /** The address that it was cloned from for this task, so it is ours to remove; null for the user's own. */
  readonly address: string | null;
}

export interface TaskPlan {
  readonly taskId: string;
  readonly source: Source;
  /** Canonical name of the role. */
  readonly role: string;
  /** What keeps the agents' commands apart on this machine; null when they run elsewhere. */
  readonly sandbox: Sandbox | null;
  /** Names of the nodes that take agents; null when they run in this process. */
  readonly nodes: readonly string[] | null;
}

export interface TaskEnvironment {
  readonly clock: Clock;
  readonly random: Random;
  /** Cancels the task: it then rejects with the signal's reason. */
  readonly signal: AbortSignal;
  /** Told once, before the agents start. */
  readonly onPlan: (plan: TaskPlan) => void;
  readonly onProgress: (event: CouncilProgress) => void;
}

/** What is to be done, wherever that is. */
export interface Job {
  readonly taskId: string;
  readonly source: Source;
  readonly role: string;
  /** Of the agents. */
  readonly ids: readonly string[];
  readonly model: ModelSpec;
  /** What the winner's branch will be called. */
  readonly branch: string;
  readonly options: TaskOptions;
  readonly env: TaskEnvironment;
}

/** What came of it. */
export interface Done {
  readonly outcome: TaskOutcome;
  /** The branch that now holds the winner's commit; null without a winner. */
  readonly branch: string | null;
  /** Folder here with the agents' clones when they were kept here; else null. */
  readonly keptIn: string | null;
}
