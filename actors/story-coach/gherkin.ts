// Given, when, then: the three clauses of an acceptance criterion. Keywords are words, in this order, each followed by something.
// It is not a parser of feature files: one criterion is one sentence or a few lines.

import { phraseIndex, type Word, wordsOf } from "./words.ts";

export const CLAUSES = ["given", "when", "then"] as const;
export type ClauseName = (typeof CLAUSES)[number];

export interface Clause {
  /** The keyword itself. */
  readonly keyword: Word;
  /** What follows it, up to the next keyword. */
  readonly words: readonly Word[];
}

/** The clauses that there are; a keyword with nothing after it is none. */
export type Gherkin = ReadonlyMap<ClauseName, Clause>;

export function gherkinOf(criterion: string): Gherkin {
  const words = wordsOf(criterion);
  const found: { name: ClauseName; index: number }[] = [];
  for (const name of CLAUSES) {
    const index = phraseIndex(words, name, (found.at(-1)?.index ?? -1) + 1);
    if (index >= 0) found.push({ name, index });
  }
  const clauses = found.flatMap(({ name, index }, place): [ClauseName, Clause][] => {
    const [keyword, ...rest] = words.slice(index, found[place + 1]?.index);
    return keyword === undefined || rest.length === 0 ? [] : [[name, { keyword, words: rest }]];
  });
  return new Map(clauses);
}

export const isComplete = (gherkin: Gherkin): boolean => gherkin.size === CLAUSES.length;
