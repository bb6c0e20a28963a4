// Rows → the table people read and the JSON that programs compare. Pure.

import type { Load, Machine } from "./machine.ts";
import type { Bar } from "./scenario.ts";
import type { Summary } from "./stats.ts";

export interface Row extends Summary {
  readonly id: string;
  readonly unit: string;
  /** How many times a peer's figure this is; empty until peers are run beside it. */
  readonly ratios: Readonly<Record<string, number>>;
}

export interface Report {
  readonly machine: Machine;
  readonly load: { readonly before: Load; readonly after: Load };
  readonly versions: Readonly<Record<string, string>>;
  readonly rows: readonly Row[];
}

const DIGITS = 3;

/** 1234567 → "1.23 M": three digits are all that repeated runs agree on. */
export function formatFigure(figure: number): string {
  const scale = [
    { size: 1e9, letter: " G" },
    { size: 1e6, letter: " M" },
    { size: 1e3, letter: " k" },
  ].find(({ size }) => Math.abs(figure) >= size);
  const { size, letter } = scale ?? { size: 1, letter: "" };
  return `${Number((figure / size).toPrecision(DIGITS))}${letter}`;
}

/** "≥ 1.5 M met", "≤ 1 k missed"; "" without a bar. */
export function judge(value: number, bar: Bar | undefined): string {
  if (bar === undefined) return "";
  const [sign, figure, met] =
    "atLeast" in bar ? ["≥", bar.atLeast, value >= bar.atLeast] : ["≤", bar.atMost, value <= bar.atMost];
  return `${sign} ${formatFigure(Number(figure))} ${met ? "met" : "missed"}`;
}

/** One line for each row under a head, columns padded. `bars` by row id. */
export function formatTable(rows: readonly Row[], bars: ReadonlyMap<string, Bar>): string {
  const cells = [
    ["scenario", "median", "low", "high", "unit", "bar"],
    ...rows.map((row) => [
      row.id,
      formatFigure(row.value),
      formatFigure(row.low),
      formatFigure(row.high),
      row.unit,
      judge(row.value, bars.get(row.id)),
    ]),
  ];
  const widths = (cells[0] ?? []).map((_, column) => Math.max(...cells.map((line) => line[column]?.length ?? 0)));
  return cells
    .map((line) =>
      line
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

/** Two lines: the machine, and the load before and after. */
export function formatMachine({ machine, load, versions }: Report): string {
  const memory = `${formatFigure(machine.memoryBytes)}B`;
  return [
    `${machine.cores} × ${machine.cpu}, ${memory}, ${machine.os}, node ${versions.node}`,
    `load ${load.before.join(" ")} before, ${load.after.join(" ")} after (1, 5, 15 min)`,
  ].join("\n");
}
