// Text cut to a number of bytes: the head and the tail stay, the middle is counted.
// It is not for streams: a running command's output is bounded where it is read (workspace.ts, W4).
//
// X1  The result, its notice included, never passes the bound, and is valid UTF-8 whatever came in.

export interface BoundedText {
  readonly text: string;
  /** Bytes of the whole text before it was cut. */
  readonly bytes: number;
  readonly truncated: boolean;
}

/** Room kept for the notice in the middle. */
const NOTICE_BYTES = 64;

/** A command says at its start what it does and at its end how it went; the end is where errors are, but the start is what was asked for. */
const HEAD_SHARE = 0.6;

/** Cuts `text` to at most `maxBytes` (at least 128) bytes of UTF-8. */
export function boundText(text: string, maxBytes: number): BoundedText {
  const whole = Buffer.from(text);
  if (whole.length <= maxBytes) return { text: text.toWellFormed(), bytes: whole.length, truncated: false };
  const room = Math.max(128, maxBytes) - NOTICE_BYTES;
  const headEnd = characterStart(whole, Math.floor(room * HEAD_SHARE));
  const tailStart = nextCharacter(whole, whole.length - (room - headEnd));
  const notice = `\n… ${tailStart - headEnd} bytes cut …\n`;
  const head = whole.toString("utf8", 0, headEnd);
  return { text: head + notice + whole.toString("utf8", tailStart), bytes: whole.length, truncated: true };
}

const isContinuation = (byte: number | undefined) => byte !== undefined && (byte & 0xc0) === 0x80;

/** The start of the character that `at` lies in: cutting inside one would put a broken character before the notice. */
function characterStart(bytes: Buffer, at: number): number {
  let start = at;
  while (start > 0 && isContinuation(bytes[start])) start--;
  return start;
}

function nextCharacter(bytes: Buffer, at: number): number {
  let start = at;
  while (start < bytes.length && isContinuation(bytes[start])) start++;
  return start;
}
