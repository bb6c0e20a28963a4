// What is kept of one output stream: its head and its tail, so that a command that never stops printing costs no memory (W4).
// It is not a reader: it never pauses the stream, because a paused pipe would hang a command that only talks too much.
//
//   bytes in ──> head (first half of the limit) ──full──> tail (last half, oldest chunks dropped, dropped bytes counted)

/** Collects chunks; `text()` gives them back with the cut said in the middle. */
export class KeptOutput {
  readonly #headMaxBytes: number;
  readonly #tailMaxBytes: number;
  readonly #head: Buffer[] = [];
  #tail: Buffer[] = [];
  #headBytes = 0;
  #tailBytes = 0;
  #cutBytes = 0;

  constructor(maxBytes: number) {
    this.#headMaxBytes = Math.ceil(maxBytes / 2);
    this.#tailMaxBytes = Math.floor(maxBytes / 2);
  }

  get truncated(): boolean {
    return this.#cutBytes > 0;
  }

  push(chunk: Buffer): void {
    const room = this.#headMaxBytes - this.#headBytes;
    if (room > 0) {
      this.#head.push(chunk.subarray(0, room));
      this.#headBytes += Math.min(room, chunk.length);
    }
    if (chunk.length > room) this.#pushTail(chunk.subarray(Math.max(0, room)));
  }

  #pushTail(chunk: Buffer): void {
    this.#tail.push(chunk);
    this.#tailBytes += chunk.length;
    // Joined only now and then: joining for each chunk would copy the whole tail for every pipe-full of output.
    if (this.#tailBytes > 2 * this.#tailMaxBytes + chunk.length) this.#trim();
  }

  #trim(): void {
    const excess = this.#tailBytes - this.#tailMaxBytes;
    if (excess <= 0) return;
    this.#tail = [Buffer.concat(this.#tail).subarray(excess)];
    this.#tailBytes -= excess;
    this.#cutBytes += excess;
  }

  text(): string {
    this.#trim();
    const head = Buffer.concat(this.#head);
    const tail = Buffer.concat(this.#tail);
    if (!this.truncated) return Buffer.concat([head, tail]).toString("utf8");
    return `${wholeEnd(head)}\n[… ${this.#cutBytes} bytes cut …]\n${wholeStart(tail)}`;
  }
}

const isContinuation = (byte: number | undefined) => byte !== undefined && (byte & 0xc0) === 0x80;

/** Without a character that the cut left unfinished at the end. */
function wholeEnd(bytes: Buffer): string {
  let end = bytes.length;
  while (end > 0 && bytes.length - end < 3 && isContinuation(bytes[end - 1])) end -= 1;
  const lead = bytes[end - 1] ?? 0;
  const needed = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 1;
  const unfinished = needed > bytes.length - end + 1;
  return bytes.toString("utf8", 0, unfinished ? end - 1 : bytes.length);
}

/** Without a character that the cut left headless at the start. */
function wholeStart(bytes: Buffer): string {
  let start = 0;
  while (start < 3 && isContinuation(bytes[start])) start += 1;
  return bytes.toString("utf8", start);
}
