// What a process or thread prints, line by line: chunks in, lines out, and no more than LINE_MAX_CHARS kept of one.
// How many lines a second are passed on is the log's business (LogForwarder), which counts and drops the rest.

import type { Readable } from "node:stream";
import { StringDecoder } from "node:string_decoder";
import type { Clock } from "../clock.ts";
import type { LogLine } from "../log.ts";

export const LINE_MAX_CHARS = 4_096;

export type OutputStream = "stdout" | "stderr";

/** A line that `node`, the process or thread of one actor, has printed, as it stands in the log. */
export function printedLine(node: string, atMs: number, stream: OutputStream, message: string): LogLine {
  return { level: stream === "stdout" ? "info" : "warn", atMs, node, message, data: { stream } };
}

/** So much is read of one stream in WINDOW_MS; then whoever prints waits, which his pipe sees to. */
export const WINDOW_MAX_BYTES = 256 * 1_024;
const WINDOW_MS = 100;

/** Has `take` get what comes, no faster than that: reading and dropping a flood would take the node's time from everybody else. */
export function readBounded(source: Readable, clock: Clock, take: (chunk: Uint8Array) => void): void {
  let room = WINDOW_MAX_BYTES;
  const next = () => {
    room = WINDOW_MAX_BYTES;
    source.resume();
  };
  source.on("data", (chunk: Uint8Array) => {
    if (room === WINDOW_MAX_BYTES) clock.schedule(WINDOW_MS, next);
    room = Math.max(0, room - chunk.length);
    if (room === 0) source.pause();
    take(chunk);
  });
}

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
