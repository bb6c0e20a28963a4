// How good one proposal is, part by part, each in 0…1: what its text shows by rule, and what other members said of it.
// It is not the order of proposals (proposal-ranking.ts), and no part comes from what a proposal says of itself.
//
// PS1  Words are compared, never pieces of words: "authentication" does not speak of "then".
// PS2  More is not better: length counts up to what a reader needs, and falls beyond it; what is said twice counts once.

/** What each part weighs. Parts that nothing was measured for fall away, and the others weigh more. */
export const PROPOSAL_WEIGHTS = {
  /** The median of the scores that reviewers gave. */
  reviews: 0.35,
  /** What reviewers said of each thing in the rubric, by its weights. */
  rubric: 0.2,
  /** Share of the requirements' words that it speaks of. */
  requirements: 0.2,
  /** Whether it says, of the task, something that can be done and checked. */
  substance: 0.15,
  /** 0 for one that says the same as a better placed one. */
  distinct: 0.05,
  /** Falls with each of its author's answers that did not come or were cut off. */
  reliable: 0.05,
} as const;

export type ProposalPart = keyof typeof PROPOSAL_WEIGHTS;

/** What makes up `substance`. */
const SUBSTANCE = { length: 0.25, relevance: 0.25, concreteness: 0.3, economy: 0.2 };
/** Words from which a text is long enough, and beyond which it is too long. */
const WORDS_MIN = 60;
const WORDS_MAX = 900;
/** Shorter sentences ("Yes.", "Steps:") may well be said twice. */
const SENTENCE_WORDS_MIN = 3;

const WORD = /[\p{L}\p{N}_]+/gu;
const STEP = /^\s*(?:[-*+]|\d+[.)])\s+\S.*/gm;
/** A path, a call, or code. */
const NAME =
  /\b[\w-]+\/[\w./-]+|\b\w+\.(?:[cm]?[jt]sx?|py|go|rs|java|rb|sql|ya?ml|json|toml|md|sh|html|css)\b|\b\w+\(|`[^`\n]+`/g;
const CHECKS: ReadonlySet<string> = new Set("test check verify assert cover coverage measure lint".split(" "));
const RISKS: ReadonlySet<string> = new Set(
  "risk edge fail failure error limit unless assume assumption invalid empty missing concurrent rollback break wrong".split(
    " ",
  ),
);
const STOP_WORDS: ReadonlySet<string> = new Set(
  "a an and any are as at be but by can do for from has have if in into is it its must no not of on or shall should so that the their then there this to was what when where which will with without".split(
    " ",
  ),
);

const wordsOf = (text: string): readonly string[] => text.toLowerCase().match(WORD) ?? [];

/** A word without its ending, so that "tests" speaks of "test". */
function stem(word: string): string {
  const short = word.replace(/(?:ing|ed|es|s)$/, "");
  return short.length >= 3 ? short.replace(/e$/, "") : word;
}

/** The stems of the words that say something. */
function stemsOf(text: string): ReadonlySet<string> {
  return new Set(
    wordsOf(text)
      .filter((word) => !STOP_WORDS.has(word))
      .map(stem),
  );
}

/** A text's words, looked up many times. */
export interface ReadProposal {
  readonly text: string;
  readonly stems: ReadonlySet<string>;
  readonly words: number;
}

export const readProposal = (text: string): ReadProposal => ({
  text,
  stems: stemsOf(text),
  words: wordsOf(text).length,
});

/** Share of the words of `wanted` that the proposal has; 1 when `wanted` has none that say something. */
export function coverage({ stems }: ReadProposal, wanted: string): number {
  const words = stemsOf(wanted);
  if (words.size === 0) return 1;
  return [...words].filter((word) => stems.has(word)).length / words.size;
}

export interface Measured {
  readonly value: number;
  /** One sentence for each thing that cost it something. */
  readonly reasons: readonly string[];
}

export function requirementsPart(proposal: ReadProposal, requirements: readonly string[]): Measured {
  const covered = requirements.map((requirement) => coverage(proposal, requirement));
  const reasons = requirements
    .filter((_, index) => (covered[index] ?? 0) < 0.5)
    .map((text) => `It does not speak of: ${text}`);
  return { value: covered.reduce((sum, share) => sum + share, 0) / covered.length, reasons };
}

export function substancePart(proposal: ReadProposal, task: string): Measured {
  const { text, words } = proposal;
  const parts = {
    length: words <= WORDS_MAX ? Math.min(1, words / WORDS_MIN) : WORDS_MAX / words,
    relevance: coverage(proposal, task),
    concreteness: concreteness(proposal),
    economy: economy(text),
  };
  const reasons: string[] = [];
  if (parts.length < 1)
    reasons.push(words < WORDS_MIN ? `It has ${words} words.` : `It has ${words} words where ${WORDS_MAX} are enough.`);
  if (parts.relevance < 0.5) reasons.push("It hardly speaks of the task.");
  if (parts.concreteness < 0.3)
    reasons.push("It says little that could be done and checked: steps, names, tests, risks.");
  if (parts.economy < 0.8) reasons.push("It says the same things again.");
  const names = Object.keys(SUBSTANCE) as (keyof typeof SUBSTANCE)[];
  return { value: names.reduce((sum, name) => sum + SUBSTANCE[name] * parts[name], 0), reasons };
}

/** What could be done and checked, each kind counted once for each different thing; no number of things makes it whole. */
function concreteness({ text, stems }: ReadProposal): number {
  const among = (words: ReadonlySet<string>) => [...words].filter((word) => stems.has(stem(word))).length;
  const shares = [
    among(CHECKS) / (among(CHECKS) + 1),
    among(RISKS) / (among(RISKS) + 1),
    ...[STEP, NAME].map((pattern) => {
      const found = new Set(text.match(pattern)).size;
      return found / (found + 2);
    }),
  ];
  return shares.reduce((sum, share) => sum + share, 0) / shares.length;
}

/** Share of its sentences that it says for the first time (PS2). */
function economy(text: string): number {
  const sentences = text
    .split(/[.!?]\s|\n/)
    .map(wordsOf)
    .filter((words) => words.length >= SENTENCE_WORDS_MIN)
    .map((words) => words.join(" "));
  return sentences.length === 0 ? 1 : new Set(sentences).size / sentences.length;
}

/** Equal for proposals that differ in nothing but spaces, marks and case. */
export const sameness = (text: string): string => wordsOf(text).join(" ");

export function median(values: readonly number[]): number | undefined {
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length / 2;
  const [low, high] = [sorted[Math.ceil(half) - 1], sorted[Math.floor(half)]];
  return low === undefined || high === undefined ? undefined : (low + high) / 2;
}
