// Puts the members of a deliberation in order by their proposals, and says why. Pure: the same members in any order give the same ranking.
// It is not a judge of proposals: the parts of a score come from proposal-score.ts.
//
// PR1  Who has no proposal stands behind everyone who has, with a score of 0 and the reason.
// PR2  The order is total: equal scores are decided by fewer revisions, then by the agent's id; never by time.
// PR3  Of equal proposals the best placed one counts; the others lose `distinct`, and both say so.
// PR4  A part counts when it tells something: measured for one member at least, and not whole for everyone by default. For a member whom
//      nobody judged the field's median stands in the score, and in the reasons, not in its parts: to be judged by nobody is no merit.

import type { Brief } from "./deliberation-request.ts";
import type { DeliberationEntry, ProposalReview, ProposalRevision } from "./orchestrator-api.ts";
import {
  type Measured,
  median,
  PROPOSAL_WEIGHTS,
  type ProposalPart,
  readProposal,
  requirementsPart,
  sameness,
  substancePart,
} from "./proposal-score.ts";

export interface JudgedReview extends ProposalReview {
  /** By the rubric's names. */
  readonly items: Readonly<Record<string, number>>;
}

/** A member's part in a deliberation so far. */
export interface Candidate {
  readonly agentId: string;
  readonly revisions: readonly ProposalRevision[];
  readonly reviews: readonly JudgedReview[];
  /** Its answers that did not come or were cut off. */
  readonly faults: number;
  /** What happened to it, a sentence each. */
  readonly notes: readonly string[];
  readonly usage: DeliberationEntry["usage"];
  /** Why it has no proposal. */
  readonly error?: { readonly code: string; readonly message: string };
}

const REASONS_MAX = 20;

type Parts = Partial<Record<ProposalPart, number>>;

interface Judged {
  readonly candidate: Candidate;
  readonly proposal: string;
  readonly parts: Parts;
  readonly reasons: readonly string[];
}

interface Scored extends Judged {
  readonly score: number;
  /** What it was scored from. */
  readonly from: Judged;
}

/** Ranks members with distinct ids, the best first. */
export function rankProposals(candidates: readonly Candidate[], brief: Brief): readonly DeliberationEntry[] {
  const judged = candidates.flatMap((candidate) => {
    const proposal = candidate.revisions.at(-1)?.text;
    return proposal === undefined ? [] : [judge(candidate, proposal, brief)];
  });
  const ranked = scored(withDistinct(scored(judged)));
  const without = candidates.filter(({ revisions }) => revisions.length === 0).sort(byId);
  return [
    ...ranked.map(entryOf),
    ...without.map((candidate, index) => emptyEntry(candidate, ranked.length + index + 1)),
  ];
}

function judge(candidate: Candidate, proposal: string, brief: Brief): Judged {
  const read = readProposal(proposal);
  const substance = substancePart(read, brief.task);
  const requirements = brief.requirements.length === 0 ? undefined : requirementsPart(read, brief.requirements);
  const parts: Parts = {
    ...part("reviews", median(candidate.reviews.flatMap(({ score }) => score ?? []))),
    ...part("rubric", rubricPart(candidate.reviews, brief)),
    ...part("requirements", requirements?.value),
    ...part("substance", substance.value),
    ...part("reliable", 1 / (1 + candidate.faults)),
  };
  return {
    candidate,
    proposal,
    parts,
    reasons: [...candidate.notes, ...reviewReasons(candidate, requirements, substance)],
  };
}

const part = (name: ProposalPart, value: number | undefined): Parts =>
  value === undefined ? {} : { [name]: round(value) };

function reviewReasons(
  { reviews }: Candidate,
  requirements: Measured | undefined,
  substance: Measured,
): readonly string[] {
  const given = reviews.map(({ round, reviewer, score }) =>
    score === undefined
      ? `Round ${round}: ${reviewer} gave no score that can be read.`
      : `Round ${round}: ${reviewer} gave it ${score}.`,
  );
  return [...given, ...(requirements?.reasons ?? []), ...substance.reasons];
}

/** The rubric's items by their weights, each by the median of what reviewers said; undefined when they said nothing. */
function rubricPart(reviews: readonly JudgedReview[], { rubric }: Brief): number | undefined {
  const judged = rubric.flatMap(({ name, weight }) => {
    const value = median(reviews.flatMap(({ items }) => items[name] ?? []));
    return value === undefined ? [] : [{ value, weight }];
  });
  const total = judged.reduce((sum, { weight }) => sum + weight, 0);
  return total === 0 ? undefined : judged.reduce((sum, { value, weight }) => sum + value * weight, 0) / total;
}

/** In order, with scores (PR2, PR4). */
function scored(judged: readonly Judged[]): readonly Scored[] {
  const names = (Object.keys(PROPOSAL_WEIGHTS) as ProposalPart[]).filter((name) => tells(name, judged));
  return judged.map((one) => score(one, names, judged)).sort(compare);
}

function tells(name: ProposalPart, judged: readonly Judged[]): boolean {
  const byDefault = name === "distinct" || name === "reliable";
  return judged.some(({ parts }) => parts[name] !== undefined && !(byDefault && parts[name] === 1));
}

function score(one: Judged, names: readonly ProposalPart[], field: readonly Judged[]): Scored {
  let [sum, weights] = [0, 0];
  const reasons = [...one.reasons];
  const parts: Record<string, number> = {};
  for (const name of names) {
    const own = one.parts[name];
    const value = own ?? median(field.flatMap(({ parts }) => parts[name] ?? [])) ?? 0;
    if (own !== undefined) parts[name] = own;
    else
      reasons.push(
        `Nobody's judgement of its ${name} could be read; the council's median, ${round(value)}, stands for it.`,
      );
    sum += PROPOSAL_WEIGHTS[name] * value;
    weights += PROPOSAL_WEIGHTS[name];
  }
  return { ...one, parts, reasons, score: round(sum / weights), from: one };
}

/** The proposals again, with what equality costs (PR3). Without equal ones, as they were. */
function withDistinct(inOrder: readonly Scored[]): readonly Judged[] {
  const groups = Map.groupBy(inOrder, ({ proposal }) => sameness(proposal));
  return inOrder.map(({ from: one, proposal }) => {
    const [first, ...others] = (groups.get(sameness(proposal)) ?? []).map(({ candidate }) => candidate.agentId);
    const isFirst = first === one.candidate.agentId;
    const parts = { ...one.parts, distinct: isFirst ? 1 : 0 };
    if (others.length === 0) return { ...one, parts };
    const reason = isFirst
      ? `${others.join(", ")} came to the same proposal.`
      : `It is equal to the proposal of ${first}, which is ranked before it.`;
    return { ...one, parts, reasons: [reason, ...one.reasons] };
  });
}

const byId = (a: Candidate, b: Candidate): number => (a.agentId < b.agentId ? -1 : 1);

const compare = (a: Scored, b: Scored): number =>
  b.score - a.score || a.candidate.revisions.length - b.candidate.revisions.length || byId(a.candidate, b.candidate);

/** Rounded before it is compared: two scores that print the same are the same. */
const round = (value: number): number => Math.round(value * 10_000) / 10_000;

function entryOf({ candidate, proposal, parts, score, reasons }: Scored, index: number): DeliberationEntry {
  const { agentId, revisions, usage } = candidate;
  const reviews = candidate.reviews.map(({ items: _, ...review }) => review);
  return {
    ...{ agentId, rank: index + 1, score, parts, reasons: reasons.slice(0, REASONS_MAX) },
    ...{ proposal, revisions: [...revisions], reviews, usage: { ...usage } },
  };
}

function emptyEntry({ agentId, usage, error, notes }: Candidate, rank: number): DeliberationEntry {
  const reasons = error === undefined ? [...notes] : [error.message, ...notes];
  return {
    ...{ agentId, rank, score: 0, parts: {}, reasons: reasons.slice(0, REASONS_MAX) },
    ...{ proposal: "", revisions: [], reviews: [], usage: { ...usage }, ...(error !== undefined && { error }) },
  };
}
