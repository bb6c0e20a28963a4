// What a process prints, line by line: chunks in, lines out, and no more than LINE_MAX_CHARS kept of one.
// How many lines a second are passed on is the log's business (LogForwarder).

import { StringDecoder } from "node:string_decoder";

export const LINE_MAX_CHARS = 4_096;

export class OutputLines {
  readonly #take: (line: string) => void;
  readonly #decoder = new StringDecoder("utf8");
  #line = "";
  /** Whether the rest of the line is dropped. */
  #isCut = false;

  constructor(take: (line: string) => void) {
    this.#take = take;
  }

  write(chunk: Uint8Array): void {
    const [first = "", ...others] = this.#decoder.write(Buffer.from(chunk)).split("\n");
    this.#add(first);
    for (const part of others) {
      this.end();
      this.#add(part);
    }
  }

  /** The line so far is whole: told unless it is empty. */
  end(): void {
    const line = this.#line.trimEnd();
    if (line !== "") this.#take(this.#isCut ? `${line}…` : line);
    this.#line = "";
    this.#isCut = false;
  }

  #add(text: string): void {
    const room = LINE_MAX_CHARS - this.#line.length;
    this.#line += text.slice(0, room);
    this.#isCut ||= text.length > room;
  }
}
