// What an agent has done to its clone since it got it: the commit it stands on, what is not committed, and the difference.
// It judges nothing (verify.ts).
//
// The state is read by the agent's own git tool, inside its workspace: the clone is not trusted, and a git of this host
// would run what the clone's configuration says. The difference comes from the objects alone.

import { z } from "zod";
import { type Caller, changesSince, runTool, type ToolEnvironment } from "../../tools/index.ts";
import { fail } from "../errors.ts";
import type { AgentTask, DiffStat } from "./result.ts";

export interface Change {
  /** Full hash of the commit the clone stands on; null when it is still the one it started from. */
  readonly commit: string | null;
  /** Whether that commit was made on top of the one it started from; true when it is still that one. */
  readonly descends: boolean;
  /** Paths that differ from that commit, untracked ones included, ignored ones not. */
  readonly uncommitted: readonly string[];
  /** Unified diff of the commits since the start; "" when there are none. */
  readonly diff: string;
  readonly diffStat: DiffStat | null;
}

/** What the git.status tool gives beside its text. */
const Status = z.object({ head: z.string(), entries: z.array(z.object({ path: z.string() })) });

/** Long enough for a large work tree; short enough for the report of a cancelled agent. */
const STATUS_TIMEOUT_MS = 10_000;

/** Works also after the agent's signal has aborted. Rejects with CloneUnreadable when the clone can no longer be read. */
export async function readChange(task: AgentTask, caller: Caller, tools: ToolEnvironment): Promise<Change> {
  const { workspacePath, baseCommit } = task;
  const result = await runTool({ tool: "git.status", params: {}, caller, timeoutMs: STATUS_TIMEOUT_MS }, tools);
  const status = Status.safeParse(result.data);
  if (!status.success) {
    throw fail(
      "CloneUnreadable",
      `The state of the agent's clone cannot be read: ${result.error?.message ?? result.content}`,
    );
  }
  const { head, entries } = status.data;
  const uncommitted = entries.map(({ path }) => path);
  if (head === baseCommit) return { commit: null, descends: true, uncommitted, diff: "", diffStat: null };
  const { descends, diff, diffStat } = await changesSince({ clone: workspacePath, base: baseCommit, commit: head });
  return { commit: head, descends, uncommitted, diff, diffStat };
}
