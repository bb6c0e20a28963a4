// A job's log, read from an engine or an API server that keeps it with the second of each message, whatever breaks on the way.
// It is not where the log is kept, nor how it is asked for: that is the LogSource.
//
// FL1  The log is asked for again from a second of which some is known, and as many messages as were read since then are left out: what a
//      broken connection has cut off is read once. Whoever keeps the log keeps it in one order, so the count is exact.
// FL2  A reading is the last one only if it began after the program's end: a connection that ends looks like a program that does.

import type { JobLine } from "./backend.ts";

/** A line, or a part of a long one. */
export interface LogPiece {
  readonly stream: JobLine["stream"];
  /** When it was printed, in whole seconds since the epoch. */
  readonly atS: number;
  readonly bytes: Uint8Array;
}

export interface LogSource {
  /** `waiting`: nothing is printed yet, or it cannot be told now. `gone`: there will never be more to read. */
  state(): Promise<"waiting" | "printing" | "ended" | "gone">;
  /** What was printed from that second on, or from the beginning, followed to the end. Throws LogRefused where it is refused. */
  open(sinceS: number | undefined, signal: AbortSignal): AsyncIterable<LogPiece>;
  /** Until there may be news. */
  pause(): Promise<void>;
}

/** Whoever keeps the log was reached, and does not give it. */
export class LogRefused extends Error {}

/** The log's lines from its beginning; ends with the program or the signal, and never throws. */
export async function* followLog(source: LogSource, signal: AbortSignal): AsyncGenerator<JobLine, void> {
  const position = new LogPosition();
  const lines = { stdout: new LineParts("stdout"), stderr: new LineParts("stderr") };
  let isComplained = false;
  while (!signal.aborted) {
    const state = await source.state();
    if (state === "gone" || signal.aborted) break;
    if (state !== "waiting") {
      try {
        for await (const piece of source.open(position.rewind(), signal)) {
          if (position.isNew(piece)) yield* lines[piece.stream].add(piece.bytes);
        }
        if (state === "ended") break;
      } catch (error) {
        if (signal.aborted) return;
        if (error instanceof LogRefused) {
          if (!isComplained) yield { stream: "stderr", line: `[its log cannot be read: ${error.message}]` };
          isComplained = true;
          if (state === "ended") break;
        }
      }
    }
    await source.pause();
  }
  if (!signal.aborted) for (const { rest } of [lines.stdout, lines.stderr]) yield* rest();
}

/** Where a reading goes on (FL1): in the second before the last one, because two streams are stamped apart and may be kept out of order. */
class LogPosition {
  #lastS: number | undefined;
  /** Messages read of the last second, and of the one before it. */
  #ofLast = 0;
  #ofBefore = 0;
  #known = 0;

  /** The second from which the log is to be asked for. */
  rewind(): number | undefined {
    this.#known = this.#ofBefore + this.#ofLast;
    return this.#lastS === undefined ? undefined : this.#lastS - 1;
  }

  isNew({ atS }: LogPiece): boolean {
    if (this.#known > 0) {
      this.#known -= 1;
      return false;
    }
    if (this.#lastS === undefined || atS > this.#lastS) {
      this.#ofBefore = atS - 1 === this.#lastS ? this.#ofLast : 0;
      this.#ofLast = 0;
      this.#lastS = atS;
    }
    if (atS === this.#lastS) this.#ofLast += 1;
    else if (atS === this.#lastS - 1) this.#ofBefore += 1;
    return true;
  }
}

const LINE_MAX_BYTES = 64 * 1_024;
const NEWLINE = 10;

/** Makes lines of one stream's pieces. Bytes until the line is whole: a piece may end within a character. */
class LineParts {
  readonly #stream: JobLine["stream"];
  #parts: Uint8Array[] = [];
  #bytes = 0;

  constructor(stream: JobLine["stream"]) {
    this.#stream = stream;
  }

  *add(bytes: Uint8Array): Generator<JobLine, void> {
    for (let from = 0; from < bytes.length; ) {
      const end = bytes.indexOf(NEWLINE, from);
      const part = bytes.slice(from, Math.min(end < 0 ? bytes.length : end, from + LINE_MAX_BYTES - this.#bytes));
      if (part.length > 0) this.#parts.push(part);
      this.#bytes += part.length;
      if (end < 0) return;
      yield this.#line();
      from = end + 1;
    }
  }

  /** The last line, where its end was never printed. */
  rest = (): readonly JobLine[] => (this.#bytes === 0 ? [] : [this.#line()]);

  #line(): JobLine {
    // stream: a character that the cut left unfinished is left out.
    const line = new TextDecoder().decode(Buffer.concat(this.#parts), { stream: true }).replace(/\r$/, "");
    this.#parts = [];
    this.#bytes = 0;
    return { stream: this.#stream, line };
  }
}

const STAMPED = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.\d+)?(Z|[+-]\d\d:\d\d) /;
const STAMP_MAX_BYTES = 64;

/** A message "2026-01-02T03:04:05.678901234Z text", as engines and kubelets write it when asked for times. */
export function stampedPiece(stream: JobLine["stream"], message: Buffer): LogPiece {
  const found = STAMPED.exec(message.toString("latin1", 0, STAMP_MAX_BYTES));
  if (found === null) throw new LogRefused(`it has no times: ${message.toString("utf8", 0, STAMP_MAX_BYTES)}`);
  const [whole, second, zone] = found;
  return { stream, atS: Date.parse(`${second}${zone}`) / 1_000, bytes: message.subarray(whole.length) };
}
