// Log lines as text for people: one line each, equal ones folded. Where they are printed, and in what colour, is the door's business.
//
//     12:00:01.123 warn  counter/17@north  disk is nearly full {"free":"2%"}
//     12:00:06.123 warn  counter/17@north  disk is nearly full {"free":"2%"} (37 more in 5 s, last from counter/3@south)
//
// LT1  Whatever an actor logs, the text is one line and drives no terminal: control and invisible characters are spelled out.
// LT2  Telling of a line never throws: what has no text form is said to have none.
// LT3  The first of equal lines is told at once, the others are counted for FOLD_MS and told as one. Equal is what was said, whoever said it.

import type { Clock, Timer } from "./clock.ts";
import { type LogLine, type LogSink, shownData, shownMessage } from "./log.ts";

/** How long equal lines are folded into one. */
export const FOLD_MS = 5_000;
/** Different lines remembered at once; beyond them lines pass unfolded. */
const FOLDED_MAX = 1_000;
/** Longer lines pass unfolded, too: what is remembered is bounded. */
const FOLDED_MAX_CHARS = 2_000;

/** Control characters, invisible formatting (also that which turns the direction of text), separators of lines, halves of characters. */
const UNSEEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;
const NAMES: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

function spelled(text: string): string {
  return text.replace(
    UNSEEN,
    (character) =>
      NAMES[character] ?? `<U+${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")}>`,
  );
}

/** Time of day in UTC, so that lines of several machines compare. */
function timeOf(atMs: number): string {
  const at = new Date(atMs);
  return Number.isNaN(at.getTime()) ? "--:--:--.---" : at.toISOString().slice(11, 23);
}

function saidBy({ message, data }: LogLine): string {
  const shown = data === undefined ? "{}" : shownData(data);
  return spelled(shown === "{}" ? shownMessage(message) : `${shownMessage(message)} ${shown}`);
}

const speakerOf = ({ actor, node }: LogLine): string => spelled(actor ?? node);

/** A line as text (LT1), without a line end: time of day in UTC, level, who speaks (a printed address, or the node), message, data. */
export function formatLogLine(line: LogLine): string {
  return `${timeOf(line.atMs)} ${line.level.padEnd(5)} ${speakerOf(line)}  ${saidBy(line)}`;
}

/** A sink that holds something back. */
export interface HeldLog {
  readonly sink: LogSink;
  /** Tells what is held back; may be called twice. */
  close(): void;
}

interface Folded {
  readonly untilMs: number;
  last: LogLine;
  more: number;
}

/** A sink that folds equal lines on their way to `write`, which gets them as text (LT3). Close it when the program ends. */
export function foldedLog(clock: Clock, write: (text: string, line: LogLine) => void): HeldLog {
  // In the order of their making, and so of their ends.
  const open = new Map<string, Folded>();
  let timer: Timer | undefined;

  const tell = ({ last, more }: Folded): void => {
    if (more === 0) return;
    write(`${formatLogLine(last)} (${more} more in ${FOLD_MS / 1_000} s, last from ${speakerOf(last)})`, last);
  };
  const wait = (): void => {
    const [first] = open.values();
    timer = first && clock.schedule(first.untilMs - clock.monotonic(), due);
  };
  const due = (): void => {
    for (const [key, folded] of open) {
      if (folded.untilMs > clock.monotonic()) break;
      open.delete(key);
      tell(folded);
    }
    wait();
  };
  return {
    sink(line) {
      const key = `${line.level} ${saidBy(line)}`;
      const folded = open.get(key);
      if (folded !== undefined) {
        folded.more++;
        folded.last = line;
        return;
      }
      write(formatLogLine(line), line);
      if (open.size >= FOLDED_MAX || key.length > FOLDED_MAX_CHARS) return;
      open.set(key, { untilMs: clock.monotonic() + FOLD_MS, last: line, more: 0 });
      if (timer === undefined) wait();
    },
    close() {
      timer?.cancel();
      timer = undefined;
      for (const folded of open.values()) tell(folded);
      open.clear();
    },
  };
}
