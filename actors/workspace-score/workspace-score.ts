// What a job report is worth at a level of rigor: points, a gate, and why. Pure: the same report and table give the same score.
// It is not the measuring (part-measures.ts) nor the levels (rigor-table.ts).
//
// WS1  A required part that failed or was not run blocks, whatever the rest is worth.
// WS2  A part that failed without being required lets nothing pass: at best it warns.
// WS3  A better measure never lowers the score.
// WS4  A level asks all that the laxer ones ask: its score is the lowest of theirs and its own. Weights that move from one part to another
//      between levels would otherwise let a report score higher where more is asked.
// WS5  The weight of a part that was not run and is not required is shared out among the others, and that is said.

import type { Rigor, ScoredReport } from "../planning/story.ts";
import type { JobReport } from "./job-report.ts";
import { MEASURES } from "./part-measures.ts";
import { LEVELS, PARTS, type PartName, type RigorLevel, type RigorTable } from "./rigor-table.ts";

export interface ScoredPart {
  readonly part: PartName;
  readonly outcome: "passed" | "failed" | "not run";
  readonly required: boolean;
  /** 0 to 1: how near it came to what the level asks. */
  readonly value: number;
  /** Of the level; 0 where it was shared out (WS5). */
  readonly weight: number;
  /** What was measured and what is asked, in words. */
  readonly words: string;
}

export interface WorkspaceScore extends ScoredReport {
  readonly parts: readonly ScoredPart[];
}

/** `score` is 0 to 100 with one decimal; `reasons` say what keeps the report from passing and what was not run. */
export function scoreReport(report: JobReport, rigor: Rigor, table: RigorTable): WorkspaceScore {
  const asked = LEVELS.slice(0, LEVELS.indexOf(rigor) + 1);
  const scored = asked.map((level) => {
    const parts = PARTS.map((part) => scorePart(part, report, table[level]));
    return { level, parts, points: pointsOf(parts) };
  });
  const lowest = scored.reduce((low, each) => (each.points < low.points ? each : low));
  const parts = scored.at(-1)?.parts ?? [];
  const { gate } = table[rigor];
  const score = lowest.points;
  const own = scored.at(-1)?.points ?? 0;
  const lowered =
    score < own
      ? [`Score: ${own} by the weights of ${rigor}, ${score} by those of ${lowest.level}; the lower counts.`]
      : [];
  return {
    gate: gateOf(parts, score, gate),
    score,
    reasons: [...parts.flatMap((part) => reasonOf(part, rigor)), ...lowered, ...shortfall(score, gate)],
    parts,
  };
}

function scorePart(part: PartName, report: JobReport, level: RigorLevel): ScoredPart {
  const measure = MEASURES[part](report, level);
  const required = level.required[part];
  if (measure === undefined) {
    return { part, outcome: "not run", required, value: 0, weight: required ? level.weights[part] : 0, words: "" };
  }
  const outcome = measure.value === 1 ? "passed" : "failed";
  return { part, outcome, required, value: measure.value, weight: level.weights[part], words: measure.words };
}

/** Rounded down: what is shown is what is judged, and 89.99 is not 90. */
function pointsOf(parts: readonly ScoredPart[]): number {
  const weight = parts.reduce((sum, each) => sum + each.weight, 0);
  if (weight === 0) return 0;
  const earned = parts.reduce((sum, each) => sum + each.weight * each.value, 0);
  return Math.min(100, Math.floor((earned / weight) * 1_000 + 1e-6) / 10);
}

function gateOf(parts: readonly ScoredPart[], score: number, gate: RigorLevel["gate"]): ScoredReport["gate"] {
  const blocks = parts.some(({ required, outcome }) => required && outcome !== "passed");
  if (blocks || score < gate.warn) return "block";
  const warns = parts.some(({ outcome }) => outcome === "failed");
  return warns || score < gate.pass ? "warn" : "pass";
}

/** Words for people: how the parts are called. */
const CALLED: Readonly<Record<PartName, string>> = {
  build: "Build",
  unit: "Unit tests",
  static: "Static analysis",
  e2e: "End-to-end tests",
  coverage: "Coverage",
  lint: "Lint",
};

function reasonOf({ part, outcome, required, words }: ScoredPart, rigor: Rigor): readonly string[] {
  const need = required ? ` ${rigor} requires it.` : "";
  if (outcome === "failed") return [`${CALLED[part]}: ${words}.${need}`];
  if (outcome === "passed") return [];
  return [`${CALLED[part]}: not run${required ? "." : "; its weight is shared out among the other parts."}${need}`];
}

function shortfall(score: number, { pass, warn }: RigorLevel["gate"]): readonly string[] {
  if (score >= pass) return [];
  return [score < warn ? `Score: ${score}; at least ${warn} is needed.` : `Score: ${score}; ${pass} would pass.`];
}
