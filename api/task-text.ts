// A finished task, told to a person: ranking with its parts, the winner's diff, the audit trail, and what to do next.
// Pure: a finished task in, lines out. The same for programs is views.ts.

import type { AgentResult, RankedResult, TaskOutcome } from "../actors/index.ts";
import { clip, formatMs, type Paper, plain, table, wrap } from "./paper.ts";

/** What became of a task after its council: everything the report needs. */
export interface FinishedTask {
  readonly taskId: string;
  readonly text: string;
  /** Canonical name of the role. */
  readonly role: string;
  readonly outcome: TaskOutcome;
  /** Where the branch is: the user's repository, or the clone of an address. */
  readonly repository: { readonly path: string; readonly head: string; readonly branch: string | null };
  /** The branch that holds the winner's work; null without a winner. */
  readonly branch: string | null;
  /** The merge that `--apply` made; null when it was not asked for or there was nothing to merge. */
  readonly applied: string | null;
  /** Folder of the agents' clones when they were kept; else null. */
  readonly keptIn: string | null;
  readonly durationMs: number;
}

const DIFF_LINES_MAX = 200;
const AUDIT_LINES_MAX = 60;
const REASONS_MAX = 4;

export function taskText(finished: FinishedTask, paper: Paper): string {
  const sections = [ranking(finished, paper), winner(finished, paper), audit(finished, paper), next(finished, paper)];
  return sections
    .filter((lines) => lines.length > 0)
    .map((lines) => `\n${lines.join("\n")}\n`)
    .join("");
}

const title = (text: string, paper: Paper) => paper.colour.bold(text);
const parts = (entry: RankedResult): readonly number[] => {
  const { tests, applies, minimal, focus, lint } = entry.scoreParts;
  return [entry.score, tests, applies, minimal, focus, lint];
};

function ranking({ outcome }: FinishedTask, paper: Paper): string[] {
  const { entries, winner: best } = outcome.ranking;
  const verdict = (entry: RankedResult) =>
    entry.agentId === best
      ? "winner"
      : entry.sameAs !== null
        ? "same patch"
        : entry.success
          ? "verified"
          : "not verified";
  const head = ["#", "agent", "score", "tests", "applies", "minimal", "focus", "lint", ""];
  const rows = entries.map((entry) => [
    String(entry.rank),
    clip(entry.agentId, 20),
    ...parts(entry).map((part) => part.toFixed(2)),
    verdict(entry),
  ]);
  const [header = "", ...body] = table([head, ...rows], [0, 2, 3, 4, 5, 6, 7]);
  const lines = entries.flatMap((entry, index) => {
    const line = body[index] ?? "";
    const shown = entry.agentId === best ? paper.colour.green(line) : line;
    return [shown, ...reasons(entry, paper)];
  });
  const silent = outcome.missing.map(
    ({ agentId, message }) => `-  ${clip(agentId, 20)}  ${clip(message, paper.columns - 26)}`,
  );
  return [title("Ranking", paper), paper.colour.dim(header), ...lines, ...silent];
}

function reasons(entry: RankedResult, { columns, colour }: Paper): string[] {
  const shown =
    entry.sameAs === null ? entry.reasons.slice(0, REASONS_MAX) : [`It is the same patch as ${entry.sameAs}'s.`];
  const more = entry.sameAs === null ? entry.reasons.length - shown.length : 0;
  const all = more > 0 ? [...shown, `… and ${more} more`] : shown;
  return all.flatMap((reason) => wrap(reason, columns - 5).map((line) => colour.dim(`     ${line}`)));
}

const resultOf = ({ outcome }: FinishedTask, agentId: string | null): AgentResult | undefined =>
  outcome.results.find((result) => result.agentId === agentId);

function winner(finished: FinishedTask, paper: Paper): string[] {
  const best = resultOf(finished, finished.outcome.ranking.winner);
  if (best === undefined) return noWinner(finished, paper);
  const { added = 0, deleted = 0, files = [] } = best.diffStat ?? {};
  const counts = best.verification?.tests?.counts;
  const tests = counts === undefined || counts === null ? "tests pass" : `${counts.passed} tests pass`;
  const lines = plain(best.diff).trimEnd().split("\n");
  const shown = lines.slice(0, DIFF_LINES_MAX).map((line) => colourDiff(line, paper));
  const more = lines.length - shown.length;
  if (more > 0) shown.push(paper.colour.dim(`… ${more} more lines; all of them: git show ${finished.branch}`));
  return [
    title(`Winner: ${best.agentId}`, paper),
    `commit ${best.commit?.slice(0, 12)}, ${files.length} file(s), +${added} -${deleted}, ${tests}`,
    ...shown,
  ];
}

function colourDiff(line: string, { colour }: Paper): string {
  if (/^(diff|index|---|\+\+\+) /.test(line)) return colour.dim(line);
  if (line.startsWith("+")) return colour.green(line);
  if (line.startsWith("-")) return colour.red(line);
  return line.startsWith("@@") ? colour.cyan(line) : line;
}

function noWinner({ outcome }: FinishedTask, paper: Paper): string[] {
  const failed = outcome.results.flatMap(({ agentId, error }) =>
    error === null ? [] : [`${agentId}: ${error.message} (${error.code})`],
  );
  const silent = outcome.missing.map(({ agentId, message }) => `${agentId}: ${message}`);
  const why = [...failed, ...silent].flatMap((line) => wrap(line, paper.columns));
  return [title("No winner: no agent's work was verified.", paper), ...why];
}

/** Every tool call of every agent, in the order they were asked for. */
function audit({ outcome }: FinishedTask, paper: Paper): string[] {
  const entries = outcome.results.flatMap(({ auditTrail }) => auditTrail).sort((a, b) => a.atMs - b.atMs);
  const first = entries[0]?.atMs ?? 0;
  const rows = entries
    .slice(0, AUDIT_LINES_MAX)
    .map((entry) => [
      `${((entry.atMs - first) / 1_000).toFixed(2)}s`,
      clip(entry.agentId, 16),
      clip(entry.tool, 14),
      entry.outcome,
      formatMs(entry.durationMs),
      clip(paramsText(entry.params), Math.max(12, paper.columns - 60)),
    ]);
  const more = entries.length - rows.length;
  const rest = more > 0 ? [paper.colour.dim(`… ${more} more; all of them with --json`)] : [];
  const lines = table(rows, [0, 4]).map((line) => clipLine(line, paper.columns));
  return [title(`Audit trail: ${entries.length} tool calls`, paper), ...lines, ...rest];
}

/** The values alone: in a narrow column "src/utils.py" says more than `{"path":"src/ut…`. */
function paramsText(params: unknown): string {
  if (typeof params !== "object" || params === null) return String(params);
  const values = Object.values(params).map((value) => (typeof value === "string" ? value : JSON.stringify(value)));
  return values.join(" ");
}

const clipLine = (line: string, width: number) => (line.length <= width ? line : `${line.slice(0, width - 1)}…`);

function next(finished: FinishedTask, paper: Paper): string[] {
  const { repository, branch, applied, keptIn, durationMs, outcome } = finished;
  const path = plain(repository.path);
  const lines = [title(`Done in ${(durationMs / 1_000).toFixed(1)} s`, paper), `Repository  ${path}`];
  lines.push(...places(outcome));
  if (branch !== null) lines.push(`Branch      ${branch}`);
  if (keptIn !== null) lines.push(`Clones      ${plain(keptIn)}`);
  if (applied !== null) lines.push(`Merged      into ${repository.branch ?? "HEAD"} as ${applied.slice(0, 12)}`);
  else if (branch !== null) lines.push(`Next        git -C ${quoted(path)} merge ${branch}`);
  return lines;
}

/** Which node each agent was on, and the collector; nothing for a task in one process. */
function places({ results, collectedOn }: TaskOutcome): string[] {
  const entries = results.flatMap(({ agentId, place }) => {
    if (place === undefined) return [];
    const attempt = place.attempt > 1 ? ` (attempt ${place.attempt})` : "";
    const kept = place.keptIn === undefined ? "" : `, clone ${place.keptIn}`;
    return [plain(`${agentId} on ${place.node}${attempt}${kept}`)];
  });
  const lines = entries.map((entry, index) => (index === 0 ? "Agents" : "").padEnd(12) + entry);
  return collectedOn === undefined ? lines : [...lines, `Collector   on ${plain(collectedOn)}`];
}

/** As a shell needs it. */
const quoted = (path: string) => (/^[\w@%+=:,./-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`);
