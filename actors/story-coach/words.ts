// A story's text as words, and the marks that the coach leaves in it where only a person knows the answer.
// It is not what words mean (story-checks.ts).
//
// SW1  Rules look at whole words, never at parts of them: "authentication" does not contain "then".
// SW2  What stands in a mark is no word of the story: asking a question earns nothing and costs nothing.

export interface Word {
  /** As the user wrote it. */
  readonly text: string;
  readonly lower: string;
  /** Where it begins and ends in the text. */
  readonly start: number;
  readonly end: number;
  readonly startsSentence: boolean;
}

const WORD = /[\p{L}\p{N}]+(?:['’-][\p{L}\p{N}]+)*/gu;
/** None within another: one that a person left unclosed must not swallow what follows. */
const MARK = /\[\?[^[\]]*\]/g;

/** What a person must answer, as it stands in the text. */
export const mark = (question: string): string => `[? ${question}]`;

/** The questions that are open in a text, without their brackets. */
export const openQuestions = (text: string): readonly string[] =>
  [...text.matchAll(MARK)].map(([question]) => question.slice(2, -1).trim());

/** The text with its marks blanked out, every other character where it was (SW2). */
export const unmarked = (text: string): string => text.replace(MARK, (question) => " ".repeat(question.length));

export function wordsOf(text: string): readonly Word[] {
  const plain = unmarked(text);
  let before = 0;
  return Array.from(plain.matchAll(WORD), ({ 0: word, index: start }, place) => {
    const startsSentence = place === 0 || /[.!?:;\n]/.test(plain.slice(before, start));
    before = start + word.length;
    return { text: word, lower: word.toLowerCase(), start, end: before, startsSentence };
  });
}

/** Whether the words from `index` on are those of `phrase`, which is lower-case with single spaces. */
export function isPhraseAt(words: readonly Word[], index: number, phrase: string): boolean {
  // Nearly every word is not the first of the phrase: that is told without cutting it up.
  if (!phrase.startsWith(words[index]?.lower ?? " ")) return false;
  return phrase.split(" ").every((part, offset) => words[index + offset]?.lower === part);
}

/** Where `phrase` begins, first; -1 when nowhere. */
export const phraseIndex = (words: readonly Word[], phrase: string, from = 0): number =>
  words.findIndex((_, index) => index >= from && isPhraseAt(words, index, phrase));
