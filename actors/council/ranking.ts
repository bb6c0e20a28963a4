// Puts a task's candidates in order and names a winner, or nobody. Pure: the same candidates in any order give the same ranking.
// It is not a judge of code: the parts of a score come from score-parts.ts.
//
// R1  A candidate that is not verified never stands above one that is, and never wins: without a verified one nobody wins.
// R2  The order is total. Equal scores are decided by fewer changed lines, then fewer operations, then the agent's id;
//     never by time, which differs from run to run.
// R3  Equal patches are one candidate: the best of them is ranked, the others share its rank and count as its votes.

import type { AgentResult, AgentTask } from "../agent/result.ts";
import { patchKey } from "./patch.ts";
import { changedLines, fieldOf, hasChange, isVerified, type ScoreParts, scoreParts, WEIGHTS } from "./score-parts.ts";

export interface RankedResult {
  readonly agentId: string;
  /** 1 is best; equal patches share a rank. */
  readonly rank: number;
  /** 0…1, four decimals. From 0.5 on: verified. */
  readonly score: number;
  readonly scoreParts: ScoreParts;
  /** Verified by tests, diff and commit; what the agent claims is not enough. */
  readonly success: boolean;
  /** How many agents came to this patch; 1 when it stands alone. */
  readonly votes: number;
  /** The agent whose equal patch is ranked in this one's place; null when this one is ranked itself. */
  readonly sameAs: string | null;
  /** One sentence for each thing that cost it something; at most 20. */
  readonly reasons: readonly string[];
}

export interface Ranking {
  /** Best first, everyone exactly once. */
  readonly entries: readonly RankedResult[];
  /** Agent id, or null when no candidate is verified. */
  readonly winner: string | null;
}

/** The upper half of the scale belongs to the verified (R1); the lower stops short of it. */
const VERIFIED_FROM = 0.5;
const UNVERIFIED_MAX = 0.49;
const REASONS_MAX = 20;

interface Candidate {
  readonly result: AgentResult;
  readonly verified: boolean;
  readonly score: number;
  readonly parts: ScoreParts;
  readonly reasons: readonly string[];
}

/** Ranks results with distinct agent ids by what their verification found. */
export function rank(results: readonly AgentResult[], task: Pick<AgentTask, "text">): Ranking {
  const field = fieldOf(results, task.text);
  const candidates = results
    .map((result): Candidate => {
      const { parts, reasons } = scoreParts(result, field);
      const verified = isVerified(result);
      return {
        result,
        verified,
        parts,
        score: scoreOf(parts, verified),
        reasons: [...gateReasons(result), ...reasons],
      };
    })
    .sort(compare);
  const groups = groupEqual(candidates);
  const entries = groups.flatMap((group, index) => group.map((member) => entryOf(member, group, index + 1)));
  const best = candidates[0];
  return { entries, winner: best?.verified ? best.result.agentId : null };
}

function scoreOf(parts: ScoreParts, verified: boolean): number {
  const keys = Object.keys(WEIGHTS) as (keyof ScoreParts)[];
  const quality = keys.reduce((sum, key) => sum + WEIGHTS[key] * parts[key], 0);
  const score = verified ? VERIFIED_FROM + quality * (1 - VERIFIED_FROM) : quality * UNVERIFIED_MAX;
  // Rounded before it is compared: two scores that print the same are the same.
  return Math.round(Math.min(1, score) * 10_000) / 10_000;
}

/** The scale alone keeps the verified first (R1). */
function compare(a: Candidate, b: Candidate): number {
  return (
    b.score - a.score ||
    changedLines(a.result) - changedLines(b.result) ||
    a.result.operations.length - b.result.operations.length ||
    (a.result.agentId < b.result.agentId ? -1 : 1)
  );
}

function gateReasons(result: AgentResult): readonly string[] {
  if (isVerified(result) || !hasChange(result)) return [];
  const findings = result.verification?.findings ?? [];
  return findings.length > 0 ? findings : [result.error?.message ?? "It was not verified."];
}

/** Candidates in order, those with equal patches behind the best of them (R3). */
function groupEqual(candidates: readonly Candidate[]): readonly (readonly Candidate[])[] {
  return [...Map.groupBy(candidates, groupKey).values()];
}

/** Equal patches with unequal outcomes stay apart: a flaky test must not lend its luck to both. */
function groupKey(candidate: Candidate): string {
  const { result, verified } = candidate;
  if (!hasChange(result)) return `unchanged ${result.agentId}`;
  const counts = JSON.stringify(result.verification?.tests?.counts ?? null);
  return `${verified} ${result.finalState} ${counts} ${patchKey(result.diff)}`;
}

function entryOf(member: Candidate, group: readonly Candidate[], rankOfGroup: number): RankedResult {
  const first = group[0]?.result.agentId ?? member.result.agentId;
  return {
    agentId: member.result.agentId,
    rank: rankOfGroup,
    score: member.score,
    scoreParts: member.parts,
    success: member.verified,
    votes: group.length,
    sameAs: first === member.result.agentId ? null : first,
    reasons: member.reasons.slice(0, REASONS_MAX),
  };
}
