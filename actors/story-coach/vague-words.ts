// Words that leave open what is meant, and the question that each of them raises. Plain data and its look-up.

import { isPhraseAt, type Word } from "./words.ts";

export interface Vague {
  /** The word or words, as the user wrote them. */
  readonly text: string;
  readonly question: string;
  /** Where they end in the text. */
  readonly end: number;
}

const PHRASES: Readonly<Record<string, string>> = {
  tbd: "what is decided",
  tba: "what is decided",
  maybe: "does it happen or not",
  perhaps: "does it happen or not",
  probably: "does it happen or not",
  possibly: "does it happen or not",
  several: "how many",
  "lots of": "how many",
  "a lot of": "how many",
  "a number of": "how many",
  various: "which ones",
  etc: "what else, exactly",
  "and so on": "what else, exactly",
  "as appropriate": "when exactly",
  "as needed": "when exactly",
  "if possible": "and what if it is not possible",
  appropriate: "which one",
  reasonable: "how much exactly",
  soon: "by when",
  fast: "how fast, measured how",
  faster: "how fast, measured how",
  quickly: "how fast, measured how",
  better: "better than what, measured how",
  easily: "by whom, in how many steps",
  "user-friendly": "what can whom do, in how many steps",
  intuitive: "what can whom do, in how many steps",
  efficient: "at what cost at most",
  efficiently: "at what cost at most",
  scalable: "up to how many of what",
  robust: "against what",
  flexible: "in which ways",
};

/** "todo" is also a thing that people keep lists of; in capitals it is a gap. */
const CAPITALS: Readonly<Record<string, string>> = { TODO: "what is to be done", FIXME: "what is to be done" };

/** Longest first, so that "a lot of" is one find. */
const ORDERED = Object.entries(PHRASES).sort(([one], [other]) => other.length - one.length);
const FIRST_WORDS: ReadonlySet<string> = new Set(ORDERED.map(([phrase]) => phrase.split(" ", 1)[0] ?? ""));

/** Every vague word or phrase, in order; none twice. */
export function vagueIn(words: readonly Word[]): readonly Vague[] {
  const found: Vague[] = [];
  for (let index = 0; index < words.length; index++) {
    const word = words[index];
    if (word === undefined) continue;
    const capital = CAPITALS[word.text];
    if (capital !== undefined) found.push({ text: word.text, question: capital, end: word.end });
    if (!FIRST_WORDS.has(word.lower)) continue;
    const entry = ORDERED.find(([phrase]) => isPhraseAt(words, index, phrase));
    if (entry === undefined) continue;
    const [phrase, question] = entry;
    const matched = words.slice(index, index + phrase.split(" ").length);
    found.push({ text: matched.map(({ text }) => text).join(" "), question, end: matched.at(-1)?.end ?? word.end });
    index += matched.length - 1;
  }
  return found;
}
