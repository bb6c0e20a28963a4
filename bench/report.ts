// Rows → the table people read and the JSON that programs compare. Pure.

import type { Load, Machine } from "./machine.ts";
import type { Figures, Missing, PeerFigures, Row } from "./measurement.ts";
import type { Bar, Judged, PeerName } from "./scenario.ts";
import type { Summary } from "./stats.ts";

export interface Report {
  readonly machine: Machine;
  readonly load: { readonly before: Load; readonly after: Load };
  readonly versions: Readonly<Record<string, string>>;
  readonly rows: readonly Row[];
}

/** Bars by row id. */
export type Bars = ReadonlyMap<string, readonly Bar[]>;

const DIGITS = 3;
const HEAD = ["scenario", "median", "low", "high", "unit", "beside"];

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

const words = (...parts: readonly string[]) => parts.filter((part) => part !== "").join(" ");

/** A line for each row under a head, below it one for each peer with how many times its figure ours is; columns padded. */
export function formatTable(rows: readonly Row[], bars: Bars): string {
  const cells = [HEAD, ...rows.flatMap((row) => rowLines(row, bars.get(row.id) ?? []))];
  const widths = HEAD.map((_, column) => Math.max(...cells.map((line) => line[column]?.length ?? 0)));
  return cells
    .map((line) =>
      line
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

function rowLines(row: Row, bars: readonly Bar[]): string[][] {
  const barOf = (judged: Judged) => bars.find((bar) => bar.of === judged);
  const peers = Object.entries(row.peers) as [PeerName, PeerFigures][];
  return [
    line(row.id, row.unit, row.own, (own) => besideOwn(own, barOf)),
    ...peers.map(([name, peer]) => line(`  ${name}`, row.unit, peer, (its) => besidePeer(its, barOf(name)))),
  ];
}

function line<Shown extends Figures>(
  name: string,
  unit: string,
  shown: Shown | Missing,
  beside: (figures: Shown) => string,
): string[] {
  if ("notMeasured" in shown) return [name, "–", "–", "–", unit, `not measured: ${shown.notMeasured}`];
  return [name, ...[shown.value, shown.low, shown.high].map(formatFigure), unit, beside(shown)];
}

function besideOwn(own: Figures, barOf: (judged: Judged) => Bar | undefined): string {
  return [judge(own.value, barOf("value")), latency(own, "p50Us", barOf), latency(own, "p99Us", barOf)]
    .filter((part) => part !== "")
    .join(", ");
}

function latency(figures: Figures, of: "p50Us" | "p99Us", barOf?: (judged: Judged) => Bar | undefined): string {
  const value = figures[of];
  if (value === undefined) return "";
  return words(`${of.slice(0, 3)} ${formatFigure(value)} µs`, judge(value, barOf?.(of)));
}

function besidePeer(peer: Figures & { readonly ratio?: Summary }, bar: Bar | undefined): string {
  const { ratio } = peer;
  const times =
    ratio === undefined
      ? ""
      : words(
          `${formatFigure(ratio.value)} × (${formatFigure(ratio.low)} to ${formatFigure(ratio.high)})`,
          judge(ratio.value, bar),
        );
  return [times, latency(peer, "p50Us"), latency(peer, "p99Us")].filter((part) => part !== "").join(", ");
}

/** Two lines: the machine, and the load before and after. */
export function formatMachine({ machine, load, versions }: Report): string {
  const memory = `${formatFigure(machine.memoryBytes)}B`;
  const named = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  return [
    `${machine.cores} × ${machine.cpu}, ${memory}, ${machine.os}, ${named.join(", ")}`,
    `load ${load.before.join(" ")} before, ${load.after.join(" ")} after (1, 5, 15 min)`,
  ].join("\n");
}

/** The report as programs read it: a row that could not be measured has a null `value` and says why in `notMeasured`. */
export function toJson({ rows, ...rest }: Report): object {
  return { ...rest, rows: rows.map(rowJson) };
}

function rowJson({ id, unit, own, peers }: Row): object {
  const ratios = Object.entries(peers).flatMap(([name, peer]) =>
    "ratio" in peer && peer.ratio !== undefined ? [[name, peer.ratio.value]] : [],
  );
  const figures = "notMeasured" in own ? { value: null, low: null, high: null, ...own } : own;
  return {
    id,
    unit,
    ...figures,
    ratios: Object.fromEntries(ratios),
    ...(Object.keys(peers).length > 0 && { peers }),
  };
}
