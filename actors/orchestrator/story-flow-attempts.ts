// Attempts at tasks: their names, what an agent is asked, and what becomes of a task by the result. Pure.
//
// FA1  Each attempt has an agent of its own, agent-dev-002 the second: a result's agent says which attempt it is of.
// FA2  Attempts are counted in rounds of `attemptsMax`: when a person sets a failed task back to pending, it has a full round again.
// FA3  Keys do not travel: a model's is left out of the request.

import type { AgentResult } from "../agent/result.ts";
import type { ModelSpec } from "../agent-actor.ts";
import type { agentRequests, DataOf } from "../events/channels.ts";
import type { RepositoryRef, Story, Task } from "../planning/story.ts";
import { fail } from "./story-flow-errors.ts";
import { FLOW } from "./story-flow-steps.ts";

export interface Problem {
  readonly code: string;
  readonly message: string;
}

/** Longest message that is kept on a task, in characters. */
const MESSAGE_MAX = 2_000;
/** Files named in a conflict. */
const FILES_MAX = 20;
const PAUSE_MAX_MS = 60_000;

/** What another attempt cannot change, or nobody wants changed. */
const FINAL: ReadonlySet<string> = new Set([
  ...["Cancelled", "ModelUnset", "NoAgentsForRole", "RepositoryUnset", "RoleUnknown", "TaskAmbiguous"],
]);

/** What a task is called where stories are not told apart: in topics and jobs. */
export const workId = (storyId: string, taskId: string): string => `${storyId}-${taskId}`;

export const jobIdOf = (storyId: string, taskId: string, attempt: number): string =>
  `${workId(storyId, taskId)}-${attempt}`;

/** FA1. */
export const agentIdOf = (role: string, attempt: number): string =>
  `agent-${role.toLowerCase()}-${String(attempt).padStart(3, "0")}`;

export const problemOf = ({ code, message }: Problem): Problem => ({ code, message: message.slice(0, MESSAGE_MAX) });

export type Request = DataOf<typeof agentRequests, "agent.requested">;

export interface RequestParts {
  readonly attempt: number;
  readonly repository: RepositoryRef;
  readonly model: ModelSpec;
  readonly context: string;
  readonly timeoutMs: number;
}

/** What an agent is asked; a task that failed before says why, so that the next attempt can do better. */
export function requestOf(story: Story, task: Task, parts: RequestParts): Request {
  const { attempt, repository, model, context, timeoutMs } = parts;
  const { role, title, priority, error } = task;
  const before = error && `\n\nAn attempt before this one came to nothing (${error.code}): ${error.message}`;
  return {
    ...{ storyId: story.id, taskId: task.id, attempt, agentId: agentIdOf(role, attempt), role, title, priority },
    ...{ text: task.text + (before ?? ""), repository, context, model: withoutKey(model), timeoutMs, by: FLOW },
  };
}

/** FA3. */
function withoutKey(model: ModelSpec): Request["model"] {
  return model.kind === "openai" ? { kind: "openai", url: model.url, model: model.model } : model;
}

export type Verdict =
  /** Of another attempt, or of a task that nobody waits for. */
  | { readonly kind: "moot" }
  | { readonly kind: "merge"; readonly commit: string; readonly bundle: string }
  | { readonly kind: "failed"; readonly error: Problem };

const isAwaited = ({ state }: Story, task: Task | undefined): task is Task =>
  task?.status === "dispatched" && task.phase === state;

export function verdictOnResult(story: Story, task: Task | undefined, result: AgentResult): Verdict {
  if (!isAwaited(story, task) || result.agentId !== agentIdOf(task.role, task.attempt)) return { kind: "moot" };
  const { success, commit, place, error } = result;
  if (!success && error !== null) return { kind: "failed", error };
  if (success && commit !== null && place?.bundle !== undefined) return { kind: "merge", commit, bundle: place.bundle };
  const lacks = success ? (commit === null ? "a commit" : "a bundle with its commit") : "success or a reason";
  return { kind: "failed", error: fail("ResultIncomplete", `${result.agentId} ended without ${lacks}.`) };
}

export const verdictOnMissing = (story: Story, task: Task | undefined, attempt: number, error: Problem): Verdict =>
  isAwaited(story, task) && task.attempt === attempt ? { kind: "failed", error } : { kind: "moot" };

export function conflictProblem(files: readonly string[]): Problem {
  const more = files.length > FILES_MAX ? ` and ${files.length - FILES_MAX} more` : "";
  const named = files.slice(0, FILES_MAX).join(", ");
  return fail("MergeConflict", `Other work came first and changed the same places in ${named}${more}.`);
}

/** Whether the task is tried again (FA2), and after how long. */
export function afterFailure(
  attempt: number,
  { code }: Problem,
  { attemptsMax, retryPauseMs }: { readonly attemptsMax: number; readonly retryPauseMs: number },
): { readonly status: "failed" } | { readonly status: "pending"; readonly pauseMs: number } {
  if (FINAL.has(code) || attempt % attemptsMax === 0) return { status: "failed" };
  return { status: "pending", pauseMs: Math.min(PAUSE_MAX_MS, retryPauseMs * 2 ** ((attempt % attemptsMax) - 1)) };
}
