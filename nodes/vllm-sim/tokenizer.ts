// Text to token ids and back, as the simulator counts them. It is no model's tokenizer: real ones have a learned vocabulary.
//
//     "read writes." ──▶ [read][ wri][tes][.]
//
// A token is a piece of a word with the space before it, one punctuation character, or a run of one white-space character, at most four bytes.
//
// K1  An id is computed from its text and from nothing else, so two simulators give one text the same ids and the same block hashes.
// K2  No token splits a character, so a token's text can be streamed alone; detokenize(tokenize(text)) is text, for well-formed text.
// K3  Ids are below 2^29: consumers of KV events hash them as 32-bit numbers.

/** Ids from here on, by length of the text in bytes; four bytes only when all are ASCII. */
const ONE = 0;
const TWO = ONE + 2 ** 8;
const THREE = TWO + 2 ** 16;
const FOUR = THREE + 2 ** 24;
/** Characters beyond U+FFFF, each a token of its own. */
const ASTRAL = FOUR + 2 ** 28;
const SPECIAL = ASTRAL + 0x110000;

const SPECIALS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"] as const;
const SPECIAL_PATTERN = /(<\|endoftext\|>|<\|im_start\|>|<\|im_end\|>)/;

const SPACE = 0x20;
const isWhite = (byte: number) => byte === SPACE || (byte >= 9 && byte <= 13);
const isWord = (byte: number) =>
  byte >= 0x80 ||
  byte === 0x5f ||
  (byte >= 0x30 && byte <= 0x39) ||
  (byte >= 0x41 && byte <= 0x5a) ||
  (byte >= 0x61 && byte <= 0x7a);

/** Bytes of the character that begins with this byte. */
const widthOf = (lead: number) => (lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4);

/** Ids of a text; unpaired surrogates count as U+FFFD. */
export function tokenize(text: string): number[] {
  const ids: number[] = [];
  if (!text.includes("<|")) {
    addText(Buffer.from(text), ids);
    return ids;
  }
  for (const part of text.split(SPECIAL_PATTERN)) {
    const special = (SPECIALS as readonly string[]).indexOf(part);
    if (special >= 0) ids.push(SPECIAL + special);
    else addText(Buffer.from(part), ids);
  }
  return ids;
}

function addText(bytes: Buffer, ids: number[]): void {
  let at = 0;
  while (at < bytes.length) {
    const end = pieceEnd(bytes, at);
    ids.push(end - at === 4 && (bytes[at] ?? 0) >= 0xf0 ? astralId(bytes, at) : plainId(bytes, at, end));
    at = end;
  }
}

/** Where the token that begins at `at` ends. */
function pieceEnd(bytes: Buffer, at: number): number {
  const first = bytes[at] ?? 0;
  if (first >= 0xf0) return at + 4;
  if (isWhite(first)) {
    const next = bytes[at + 1] ?? 0;
    if (first !== SPACE || !isWord(next) || next >= 0xf0) {
      let end = at + 1;
      // The last space of a run goes with the word behind it.
      while (end - at < 4 && bytes[end] === first && !(first === SPACE && isWord(bytes[end + 1] ?? 0))) end += 1;
      return end;
    }
    return wordEnd(bytes, at, at + 1);
  }
  return isWord(first) ? wordEnd(bytes, at, at) : at + 1;
}

/** Takes whole characters of a word as long as the token stays within its bytes (K2). */
function wordEnd(bytes: Buffer, start: number, from: number): number {
  let end = from;
  let max = 4;
  while (end < bytes.length && isWord(bytes[end] ?? 0)) {
    const width = widthOf(bytes[end] ?? 0);
    const maxWith = width > 1 ? 3 : max;
    if (end + width - start > maxWith) break;
    max = maxWith;
    end += width;
  }
  return end === from ? from : end;
}

function plainId(bytes: Buffer, start: number, end: number): number {
  const [a = 0, b = 0, c = 0, d = 0] = bytes.subarray(start, end);
  switch (end - start) {
    case 1:
      return ONE + a;
    case 2:
      return TWO + (a << 8) + b;
    case 3:
      return THREE + (a << 16) + (b << 8) + c;
    default:
      return FOUR + (a << 21) + (b << 14) + (c << 7) + d;
  }
}

const astralId = (bytes: Buffer, at: number): number =>
  ASTRAL + (bytes.toString("utf8", at, at + 4).codePointAt(0) ?? 0);

/** Text of ids; an id that no text has counts as nothing, as vLLM's tokenizers have it. */
export function detokenize(ids: readonly number[]): string {
  const parts: Buffer[] = ids.map((id) => {
    if (!Number.isInteger(id) || id < 0) return Buffer.alloc(0);
    if (id < TWO) return Buffer.from([id]);
    if (id < THREE) return bytesOf(id - TWO, 2, 8);
    if (id < FOUR) return bytesOf(id - THREE, 3, 8);
    if (id < ASTRAL) return bytesOf(id - FOUR, 4, 7);
    if (id < SPECIAL) return Buffer.from(String.fromCodePoint(id - ASTRAL));
    return Buffer.from(SPECIALS[id - SPECIAL] ?? "");
  });
  return Buffer.concat(parts).toString("utf8");
}

const bytesOf = (value: number, count: number, bits: number): Buffer =>
  Buffer.from(Array.from({ length: count }, (_, index) => (value >> (bits * (count - 1 - index))) & (2 ** bits - 1)));
