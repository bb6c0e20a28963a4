// Text for a terminal: colours or none, columns that fit the width, and nothing in it that could drive the terminal.
// It knows no tasks or agents (task-text.ts, progress.ts).
//
// W1  What models, repositories and servers wrote is passed through `plain` first: an escape sequence in a file name must not
//     reach a terminal, and an invisible character must not hide what a diff does.

import { stripVTControlCharacters } from "node:util";
import pc from "picocolors";

/** How wide, and the colours: functions that leave text alone where colours are off. */
export interface Paper {
  readonly columns: number;
  readonly colour: Pick<ReturnType<typeof pc.createColors>, "bold" | "dim" | "red" | "green" | "yellow" | "cyan">;
}

const COLUMNS_MIN = 60;
const COLUMNS_MAX = 120;

export function makePaper(columns: number, coloured: boolean): Paper {
  return { columns: Math.min(COLUMNS_MAX, Math.max(COLUMNS_MIN, columns)), colour: pc.createColors(coloured) };
}

/** Control characters, invisible formatting (also that which turns the direction of text), line and paragraph separators. */
const UNSEEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

/** `text` with control and invisible characters spelled out (W1); line ends and tabs stay. */
export function plain(text: string): string {
  return stripVTControlCharacters(text).replace(UNSEEN, (character) =>
    /[\n\t]/.test(character)
      ? character
      : `<U+${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")}>`,
  );
}

/** One line of at most `width` characters; a longer one ends in "…". */
export function clip(text: string, width: number): string {
  const line = plain(text).replace(/\s+/g, " ").trim();
  return line.length <= width ? line : `${line.slice(0, Math.max(0, width - 1))}…`;
}

/** `text` broken between words into lines of at most `width`; a word that is longer stands alone. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const word of plain(text).split(/\s+/).filter(Boolean)) {
    const last = lines.at(-1);
    if (last === undefined || last.length + 1 + word.length > width) lines.push(word);
    else lines[lines.length - 1] = `${last} ${word}`;
  }
  return lines;
}

/** Rows as lines with columns as wide as their widest cell, two blanks apart; numbers to the right. */
export function table(rows: readonly (readonly string[])[], right: readonly number[] = []): string[] {
  const count = Math.max(0, ...rows.map((row) => row.length));
  const widths = Array.from({ length: count }, (_, column) =>
    Math.max(...rows.map((row) => (row[column] ?? "").length)),
  );
  const pad = (cell: string, column: number) =>
    right.includes(column) ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0);
  return rows.map((row) => row.map(pad).join("  ").trimEnd());
}

/** 512 → "512 ms", 61_000 → "61.0 s". */
export const formatMs = (ms: number): string => (ms < 10_000 ? `${Math.round(ms)} ms` : `${(ms / 1_000).toFixed(1)} s`);
