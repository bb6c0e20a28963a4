// The shapes that leave through the doors as JSON, made from what the house knows. Field names here are promises to scripts.

import type { AgentResult, RankedResult, TaskOutcome } from "../actors/index.ts";

/** One agent's part in a finished task. An agent that never answered has no rank and says why in `error`. */
export interface ResultView extends Pick<AgentResult, "agentId" | "success" | "operations" | "auditTrail"> {
  /** 1 is best; equal patches share a rank. */
  readonly rank: number | null;
  /** 0…1; from 0.5 on verified. */
  readonly score: number;
  readonly scoreParts: RankedResult["scoreParts"] | null;
  readonly finalState: AgentResult["finalState"];
  /** Full hash; null without a commit. */
  readonly commit: string | null;
  readonly diffStat: AgentResult["diffStat"];
  readonly error: AgentResult["error"];
  /** Name of the node that the agent was on; null in one process, and without an answer. */
  readonly node: string | null;
}

/** What `flotilla task --json` prints. */
export interface TaskView {
  readonly taskId: string;
  /** `completed`: everyone answered; `partial`: some did in time; `empty`: nobody did. */
  readonly status: TaskOutcome["status"];
  readonly role: string;
  /** Agent id; null when no work was verified. */
  readonly winner: string | null;
  readonly model: string;
  /** Best first, then those without an answer. */
  readonly results: readonly ResultView[];
  readonly durationMs: number;
  /** Name of the node that the collector was on; null in one process. */
  readonly collector: string | null;
}

export function taskView(outcome: TaskOutcome, role: string, model: string, durationMs: number): TaskView {
  const { taskId, status, ranking, missing } = outcome;
  const answered = new Map(outcome.results.map((result) => [result.agentId, result]));
  const ranked = ranking.entries.flatMap((entry) => {
    const result = answered.get(entry.agentId);
    return result === undefined ? [] : [resultView(entry, result)];
  });
  const silent = missing.filter(({ agentId }) => !answered.has(agentId)).map(missingView);
  const results = [...ranked, ...silent];
  const { winner } = ranking;
  return { taskId, status, role, winner, model, results, durationMs, collector: outcome.collectedOn ?? null };
}

function resultView({ agentId, rank, score, scoreParts, success }: RankedResult, result: AgentResult): ResultView {
  const { operations, auditTrail, finalState, commit, diffStat, error, place } = result;
  const ranked = { agentId, rank, score, scoreParts, success };
  const node = place?.node ?? null;
  return { ...ranked, operations, auditTrail, finalState, commit, diffStat, error, node };
}

const missingView = ({ agentId, reason, message }: TaskOutcome["missing"][number]): ResultView => ({
  agentId,
  rank: null,
  score: 0,
  scoreParts: null,
  success: false,
  operations: [],
  auditTrail: [],
  finalState: "failed",
  commit: null,
  diffStat: null,
  error: { code: reason, message },
  node: null,
});
