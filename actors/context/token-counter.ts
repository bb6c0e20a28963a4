// Port: how many tokens a text is for a model. And the counter that needs no model, no network and no vocabulary.
// It is not a tokenizer: it names no tokens, and the number that a model's server counts is another.
//
// TC1  `count` is the same for the same text. It is 0 for "", and grows with every line.
//
// RuleCounter splits as byte-pair tokenizers do before they merge (words, digits, marks, spaces) and charges each piece by its shape.
// RC1  Never more than the text's UTF-8 bytes and one.
// RC2  From above: for texts of at least a few hundred bytes of the kinds in test/fixtures/token-counts.json (prose in nine languages, code,
//      JSON, tables, logs, hashes, base64, emoji) it is not below what two real vocabularies make of them, one of 131,000 and one of 32,000
//      tokens, and for English text and code at most half above. Texts written to defeat it may have more tokens than it says.

export interface TokenCounter {
  count(text: string): number;
}

/** A long run of letters and digits mixed; a word; capitals; a digit; spaces; line ends; one mark, repeated; any other character. */
const PIECE =
  /(?<![A-Za-z0-9+/=])(?=[A-Za-z0-9+/=]{0,40}\d)(?=[A-Za-z0-9+/=]{0,40}[A-Za-z])[A-Za-z0-9+/=]{16,}|[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d|[ \t]+|[\r\n]+|([^\s\p{L}\p{M}\p{N}])\1*|./gsu;
/** No word of a language has so many consonants in a row: such text is not in vocabularies. */
const CROWDED = /[b-df-hj-np-tv-xz]{5}/i;
const WORD_MAX = 16;

/** Tokens of one character beyond ASCII, by where its script begins: the first row whose `from` it reaches. */
const WIDE: readonly (readonly [from: number, tokens: number])[] = [
  [0x10000, 4],
  [0x2e80, 1.55],
  [0x2000, 3],
  [0x800, 1.55],
  [0x530, 1.3],
  [0x250, 0.7],
  [0x80, 1.5],
];

export class RuleCounter implements TokenCounter {
  count(text: string): number {
    if (text === "") return 0;
    let tokens = 0;
    for (const { 0: piece, index } of text.matchAll(PIECE)) tokens += tokensOf(piece, text[index + piece.length]);
    return Math.ceil(tokens) + 1;
  }
}

function tokensOf(piece: string, next: string | undefined): number {
  const code = piece.codePointAt(0) ?? 0;
  const wide = WIDE.find(([from]) => code >= from);
  if (wide !== undefined) return [...piece].length * wide[1];
  // One space goes with the word or mark behind it, but with no digit.
  if (piece === " ") return /\d/.test(next ?? "") ? 1 : 0;
  if (/^\s/.test(piece)) return Math.ceil(piece.length / (/^[ \t]/.test(piece) ? 8 : 2));
  return /^[A-Za-z]/.test(piece) || piece.length >= WORD_MAX ? wordTokens(piece) : Math.ceil(piece.length / 4);
}

function wordTokens(word: string): number {
  if (/\d/.test(word)) return word.length * 0.9;
  if (word.length > WORD_MAX || CROWDED.test(word)) return word.length * 0.65;
  if (/^[A-Z]{2}/.test(word)) return Math.ceil(word.length / 3);
  return word.length <= 5 ? 1 : word.length <= 9 ? 1.5 : word.length / 4;
}
