// Structured log lines, and their way from a node to the process whose actors speak. Where they go in the end is passed in; the runtime
// itself never prints, and what an actor writes to the console stays with its process.
//
//     actor's log ──▶ sink of its own node
//                └──▶ LogForwarder[owner] ──a batch every FLUSH_MS──▶ receiveLogLines ──▶ sink of the owner
//
// LO1  Taking a line never throws and never waits: an actor must not fail because it speaks.
// LO2  For each owner at most `linesPerSecond` lines and BATCH_MAX_CHARS characters wait at once, and none for one that cannot be reached;
//      what is dropped is counted and the owner is told how many ("37 lines dropped").
// LO3  Lines of one node come in order. What is on its way when a node dies is lost.
// LO4  What travels is JSON of bounded size: data that is no JSON becomes text.
// LO5  A line that comes from elsewhere is looked at before it is believed: it speaks for its own node only.

import type { Clock, Timer } from "./clock.ts";

export type LogLevel = "debug" | "info" | "warn" | "error";

export interface LogLine {
  readonly level: LogLevel;
  readonly atMs: number;
  readonly node: string;
  /** Printed address of the actor that speaks; absent for the system itself. */
  readonly actor?: string;
  readonly message: string;
  readonly data?: Readonly<Record<string, unknown>>;
}

/** Takes one line; must not throw and must not block. */
export type LogSink = (line: LogLine) => void;

/** The same, but for what it throws: lines are written in the midst of everything, and a full disk must end none of it. */
export function unfailing(sink: LogSink): LogSink {
  return (line) => {
    try {
      sink(line);
    } catch {
      // There is nobody left to tell.
    }
  };
}

/** The default: nowhere. */
export const silentLog: LogSink = () => {};

const LINES_PER_SECOND = 1_000;
const FLUSH_MS = 100;
const MESSAGE_MAX_CHARS = 8_192;
const DATA_MAX_CHARS = 8_192;
/** Of all lines that wait for one owner: a frame holds more. */
const BATCH_MAX_CHARS = 256 * 1_024;
const ADDRESS_MAX_CHARS = 400;

const cut = (text: string, max: number): string => (text.length <= max ? text : `${text.slice(0, max)}…`);

/** A line's data as JSON text, whatever is in it: what JSON lacks is printed, a circle says so. */
export function shownData(data: Readonly<Record<string, unknown>>): string {
  try {
    const text: string | undefined = JSON.stringify(data, (_key, value: unknown) => {
      if (typeof value === "bigint" || typeof value === "symbol" || typeof value === "function") return String(value);
      return value instanceof Error ? `${value.name}: ${value.message}` : value;
    });
    // An object may have a JSON form of its own, which need not be an object.
    if (text !== undefined) return text.startsWith("{") ? text : `{"data":${text}}`;
  } catch {
    // A circle, a getter that throws.
  }
  return '{"data":"cannot be shown"}';
}

/** A line's message as text: types are gone at run time, and actors log what they have. */
export const shownMessage = (message: unknown): string =>
  typeof message === "string" ? message : shownData({ message });

/** The line as it travels (LO4), and about how many characters that is. */
function packed(line: LogLine): { readonly line: LogLine; readonly chars: number } {
  const { data, ...rest } = line;
  const shown = data === undefined ? "" : shownData(data);
  const message = cut(shownMessage(line.message), MESSAGE_MAX_CHARS);
  const sent = shown.length <= DATA_MAX_CHARS ? shown : JSON.stringify({ cut: cut(shown, DATA_MAX_CHARS) });
  const chars = message.length + sent.length + (line.actor?.length ?? 0);
  return { line: { ...rest, message, ...(sent !== "" && { data: JSON.parse(sent) }) }, chars };
}

export interface LogForwarderOptions {
  /** This node's name: who says that lines were dropped. */
  readonly node: string;
  readonly clock: Clock;
  /** Hands a batch on to a node; false when it cannot be reached now. Must not throw. */
  readonly send: (node: string, lines: readonly LogLine[]) => boolean;
  /** For each owner. Default 1,000. */
  readonly linesPerSecond?: number;
}

/** What waits for one owner, and how much it was given in this second. */
interface Waiting {
  lines: LogLine[];
  chars: number;
  taken: number;
  dropped: number;
  sinceMs: number;
  timer: Timer;
}

/** Carries lines of actors here to the nodes that own them. */
export class LogForwarder {
  readonly #options: LogForwarderOptions;
  readonly #linesPerSecond: number;
  readonly #waiting = new Map<string, Waiting>();
  #dropped = 0;

  constructor(options: LogForwarderOptions) {
    this.#options = options;
    this.#linesPerSecond = options.linesPerSecond ?? LINES_PER_SECOND;
  }

  /** Lines dropped so far, for all owners. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Takes a line for the node `owner` (LO1, LO2). */
  add(owner: string, line: LogLine): void {
    const waiting = this.#waitingFor(owner);
    if (waiting.taken < this.#linesPerSecond) {
      const { line: sent, chars } = packed(line);
      if (waiting.chars + chars <= BATCH_MAX_CHARS) {
        waiting.taken++;
        waiting.chars += chars;
        waiting.lines.push(sent);
        return;
      }
    }
    waiting.dropped++;
    this.#dropped++;
  }

  /** Drops what waits for a node that is gone. */
  forget(owner: string): void {
    this.#waiting.get(owner)?.timer.cancel();
    this.#waiting.delete(owner);
  }

  /** Sends what waits; may be called twice. */
  close(): void {
    for (const [owner, waiting] of this.#waiting) {
      this.#flush(owner, waiting, true);
      waiting.timer.cancel();
    }
    this.#waiting.clear();
  }

  #waitingFor(owner: string): Waiting {
    let waiting = this.#waiting.get(owner);
    if (waiting === undefined) {
      const sinceMs = this.#options.clock.monotonic();
      waiting = { lines: [], chars: 0, taken: 0, dropped: 0, sinceMs, timer: this.#later(owner) };
      this.#waiting.set(owner, waiting);
    }
    return waiting;
  }

  #later(owner: string): Timer {
    return this.#options.clock.schedule(FLUSH_MS, () => this.#due(owner));
  }

  #due(owner: string): void {
    const waiting = this.#waiting.get(owner);
    if (waiting === undefined) return;
    const nowMs = this.#options.clock.monotonic();
    const secondIsOver = nowMs - waiting.sinceMs >= 1_000;
    this.#flush(owner, waiting, secondIsOver);
    if (secondIsOver) {
      // Quiet for a whole second: nothing is kept for this owner, no timer runs.
      if (waiting.taken === 0 && waiting.dropped === 0) return void this.#waiting.delete(owner);
      waiting.taken = 0;
      waiting.sinceMs = nowMs;
    }
    waiting.timer = this.#later(owner);
  }

  /** `tells`: how many were dropped is said once for each second, not with every batch. */
  #flush(owner: string, waiting: Waiting, tells: boolean): void {
    const { lines, dropped } = waiting;
    const { node, clock, send } = this.#options;
    const telling = tells && dropped > 0;
    const message = `${dropped} line${dropped === 1 ? "" : "s"} dropped`;
    const sent: readonly LogLine[] = telling ? [...lines, { level: "warn", atMs: clock.now(), node, message }] : lines;
    waiting.lines = [];
    waiting.chars = 0;
    if (sent.length === 0) return;
    if (send(owner, sent)) {
      if (telling) waiting.dropped = 0;
      return;
    }
    waiting.dropped += lines.length;
    this.#dropped += lines.length;
  }
}

const LEVELS: ReadonlySet<unknown> = new Set<LogLevel>(["debug", "info", "warn", "error"]);

/** Gives lines that node `from` has sent to `sink`. Answers how many were none (LO5). */
export function receiveLogLines(from: string, lines: unknown, sink: LogSink): number {
  if (!Array.isArray(lines)) return 1;
  let bad = 0;
  for (const line of lines) {
    if (!isLogLine(line) || !(line.actor ?? `@${from}`).endsWith(`@${from}`)) {
      bad++;
      continue;
    }
    const { level, atMs, actor, message, data } = line;
    sink({ level, atMs, node: from, message, ...(actor !== undefined && { actor }), ...(data && { data }) });
  }
  return bad;
}

function isLogLine(value: unknown): value is LogLine {
  if (typeof value !== "object" || value === null) return false;
  const { level, atMs, actor, message, data } = value as Partial<Record<string, unknown>>;
  const speaks = actor === undefined || (typeof actor === "string" && actor.length <= ADDRESS_MAX_CHARS);
  const said = typeof message === "string" && message.length <= MESSAGE_MAX_CHARS + 1;
  const plain = data === undefined || (typeof data === "object" && data !== null && !Array.isArray(data));
  return LEVELS.has(level) && typeof atMs === "number" && speaks && said && plain;
}
