// A decision in words, for people: lines of plain text, as `flotilla why` prints them. It decides nothing.

import type { Decision, NodeScore, Rejection } from "../runtime/index.ts";

const DIGITS = 2;

/** Head line, then a table of the nodes that would have done with their scores by scorer, then each other node with what is against it. */
export function explain(decision: Decision): string[] {
  return [...headOf(decision), ...scored(scoresOf(decision)), ...refusedBy(decision.rejected ?? [])];
}

const scoresOf = (decision: Decision): readonly NodeScore[] =>
  decision.kind === "placed" ? (decision.scores ?? []) : [];

function headOf(decision: Decision): string[] {
  if (decision.kind === "placed") return [`on ${decision.node}: ${decision.reasons.join("; ")}`];
  const { why, rejected } = decision;
  if (why !== undefined) return [`nowhere: ${why}`];
  if (rejected.length === 0) return ["nowhere: there is no node"];
  const canPass = rejected.some(({ passes }) => passes);
  return [`nowhere: ${canPass ? "no node can take it now" : "no node of this fleet can take it"}`];
}

function scored(scores: readonly NodeScore[]): string[] {
  const [first] = scores;
  if (first === undefined) return [];
  const names = Object.keys(first.parts);
  const head = ["node", "score", ...names];
  const rows = scores.map(({ node, score, parts }) => [node, shown(score), ...names.map((name) => shown(parts[name]))]);
  return aligned([head, ...rows]);
}

function refusedBy(rejected: readonly Rejection[]): string[] {
  const rows = rejected.map(({ node, reason, passes }) => [node, passes ? `not now: ${reason}` : `no: ${reason}`]);
  return aligned(rows);
}

const shown = (part: number | undefined): string => (part === undefined ? "" : part.toFixed(DIGITS));

/** Columns padded; figures to the right, which begin with a digit, and their heads with them. */
function aligned(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const isFigure = (column: number) => column > 0 && rows.at(-1)?.[column]?.match(/^[\d.]+$/) !== null;
  const padded = (cell: string, column: number) =>
    isFigure(column) ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0);
  return rows.map((row) => `  ${row.map(padded).join("  ")}`.trimEnd());
}
