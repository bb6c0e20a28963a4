// A job's output in two files that grow, as lines. It is not who writes them (job-supervisor.ts).

import { open } from "node:fs/promises";
import { join } from "node:path";
import { type Clock, sleep } from "../../runtime/index.ts";
import type { JobLine } from "./backend.ts";
import { OUTPUT_MAX_BYTES } from "./job-supervisor.ts";

/** Bytes of one line; what is longer is cut. */
const LINE_MAX_BYTES = 64 * 1_024;
const READ_BYTES = 64 * 1_024;
const LOOK_EVERY_MS = 50;
const NEWLINE = 10;

/** A file read on from where it was left, in whole lines. */
class GrowingFile {
  readonly #path: string;
  readonly #stream: JobLine["stream"];
  readonly #buffer = Buffer.alloc(READ_BYTES);
  #offset = 0;
  /** Of the line that has not ended yet, as much as is kept. */
  #kept: Buffer[] = [];
  #keptBytes = 0;

  constructor(path: string, stream: JobLine["stream"]) {
    this.#path = path;
    this.#stream = stream;
  }

  /** The next lines; undefined when there is nothing new. */
  async read(): Promise<readonly JobLine[] | undefined> {
    const file = await open(this.#path, "r").catch(() => undefined);
    if (file === undefined) return undefined;
    try {
      const { bytesRead } = await file.read(this.#buffer, 0, READ_BYTES, this.#offset);
      this.#offset += bytesRead;
      return bytesRead === 0 ? undefined : this.#linesIn(this.#buffer.subarray(0, bytesRead));
    } finally {
      await file.close();
    }
  }

  #linesIn(chunk: Buffer): readonly JobLine[] {
    const lines: JobLine[] = [];
    for (let from = 0; from < chunk.length; ) {
      const end = chunk.indexOf(NEWLINE, from);
      this.#keep(chunk.subarray(from, end < 0 ? chunk.length : end));
      if (end < 0) break;
      lines.push(this.#line());
      from = end + 1;
    }
    return lines;
  }

  #keep(part: Buffer): void {
    const kept = Buffer.from(part.subarray(0, LINE_MAX_BYTES - this.#keptBytes));
    this.#kept.push(kept);
    this.#keptBytes += kept.length;
  }

  #line(): JobLine {
    const line = Buffer.concat(this.#kept).toString("utf8").replace(/\r$/, "");
    this.#kept = [];
    this.#keptBytes = 0;
    return { stream: this.#stream, line };
  }

  /** What the program printed last, without the end of its line; and that more is missing. */
  rest(): readonly JobLine[] {
    const last = this.#keptBytes === 0 ? [] : [this.#line()];
    const line = `[what came after the first ${OUTPUT_MAX_BYTES / 2 ** 20} MB was left out]`;
    return this.#offset < OUTPUT_MAX_BYTES ? last : [...last, { stream: this.#stream, line }];
  }
}

/** The lines of `folder`'s stdout.log and stderr.log from their beginning, until both are read to their end after `hasEnded`, or the signal. */
export async function* jobLines(
  folder: string,
  hasEnded: () => boolean,
  clock: Clock,
  signal: AbortSignal,
): AsyncGenerator<JobLine, void> {
  const files = (["stdout", "stderr"] as const).map((name) => new GrowingFile(join(folder, `${name}.log`), name));
  while (!signal.aborted) {
    // Asked before reading: what is written after the answer is read in the next round.
    const isLast = hasEnded();
    let isNew = false;
    for (const file of files) {
      for (let lines = await file.read(); lines !== undefined && !signal.aborted; lines = await file.read()) {
        isNew = true;
        yield* lines;
      }
    }
    if (isLast && !isNew) return void (yield* files.flatMap((file) => file.rest()));
    if (!isNew) await sleep(clock, LOOK_EVERY_MS, signal).catch(() => {});
  }
}
