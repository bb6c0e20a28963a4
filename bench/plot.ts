// A growth curve → SVG: calls/s on the left, latency on the right, both axes logarithmic. Pure.
//
//   ┌ title ───────────────────────────────┐
//   │  calls/s              latency, µs    │     a panel is PANEL wide and HIGH high and starts at its own left edge;
//   │  10 k ┤   •──•        10 k ┤    •    │     decades that hold all values are its range from bottom to top
//   │   1 k ┤ •              100 ┤ •       │
//   │       └ 1  10 100          └ 1  10   │
//   └──────────────────────────────────────┘

import { formatFigure } from "./report.ts";
import type { Sample } from "./sample.ts";

export type Point = { readonly x: number } & (Sample | { readonly notMeasured: string });

export interface Curve {
  /** "actors": also the file's name. */
  readonly id: string;
  readonly title: string;
  readonly xLabel: string;
  readonly points: readonly Point[];
}

interface Line {
  readonly name: string;
  readonly points: readonly (readonly [x: number, y: number])[];
}

interface Axis {
  readonly from: number;
  readonly to: number;
}

const WIDTH = 860;
const HEIGHT = 340;
const PANEL = 340;
const HIGH = 210;
const TOP = 76;
const LEFTS = [64, 494] as const;

/** Light, unless the reader's theme is dark. Plain classes, because not every viewer knows variables in CSS. */
const STYLE = `
  text { font: 12px system-ui, sans-serif; fill: #24292f } .title { font-size: 15px; font-weight: 600 } .name { font-weight: 600 }
  .line { fill: none; stroke-width: 2 } circle { stroke-width: 2 } .key { stroke-width: 3 }
  .ground, circle { fill: #ffffff } .grid { stroke: #d8dee4 } .one { stroke: #0969da } .two { stroke: #bc4c00 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .ground, circle { fill: #0d1117 } .grid { stroke: #30363d } .one { stroke: #58a6ff } .two { stroke: #f0883e }
  }`;
const COLOURS = ["one", "two"] as const;

const escaped = (text: string) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
const text = (x: number, y: number, anchor: "start" | "middle" | "end", words: string, kind = "") =>
  `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" text-anchor="${anchor}" class="${kind}">${escaped(words)}</text>`;

/** The powers of ten around all values; at least one decade, so that a flat line has room. */
function decades(values: readonly number[]): Axis {
  const from = Math.floor(Math.log10(Math.min(...values)));
  return { from, to: Math.max(from + 1, Math.ceil(Math.log10(Math.max(...values)))) };
}

const place = ({ from, to }: Axis, value: number, length: number) =>
  to === from ? length / 2 : ((Math.log10(value) - from) / (to - from)) * length;

/** One panel: a grid line for each decade, a tick for each x measured, a line for each name. */
function panel(left: number, title: string, xLabel: string, lines: readonly Line[]): string {
  const all = lines.flatMap(({ points }) => points);
  if (all.length === 0) return text(left, TOP, "start", `${title}: not measured`);
  const xs = [...new Set(all.map(([x]) => x))];
  const xAxis = { from: Math.log10(Math.min(...xs)), to: Math.log10(Math.max(...xs)) };
  const yAxis = decades(all.map(([, y]) => y));
  const atX = (x: number) => left + place(xAxis, x, PANEL);
  const atY = (y: number) => TOP + HIGH - place(yAxis, y, HIGH);
  const rows = Array.from({ length: yAxis.to - yAxis.from + 1 }, (_, step) => 10 ** (yAxis.from + step));
  const grid = rows.map(
    (y) =>
      `<path class="grid" d="M${left} ${atY(y).toFixed(1)}h${PANEL}"/>${text(left - 8, atY(y) + 4, "end", formatFigure(y))}`,
  );
  const ticks = xs.map((x) => text(atX(x), TOP + HIGH + 20, "middle", formatFigure(x)));
  const drawn = lines.map(({ points }, index) => {
    const spots = points.map(([x, y]) => `${atX(x).toFixed(1)} ${atY(y).toFixed(1)}`);
    const dots = points.map(([x, y]) => dot(atX(x), atY(y), `${formatFigure(x)}: ${formatFigure(y)}`));
    return `<g class="${COLOURS[index]}"><path class="line" d="M${spots.join("L")}"/>${dots.join("")}</g>`;
  });
  const keys =
    lines.length > 1 ? lines.map(({ name }, index) => key(left + PANEL - 100 + index * 56, index, name)) : [];
  const heads = [
    text(left, TOP - 16, "start", title, "name"),
    text(left + PANEL / 2, TOP + HIGH + 42, "middle", xLabel),
  ];
  return [...grid, ...ticks, ...drawn, ...keys, ...heads].join("\n");
}

const dot = (x: number, y: number, title: string) =>
  `<circle cx="${x.toFixed(1)}" cy="${y.toFixed(1)}" r="3.5"><title>${title}</title></circle>`;

const key = (x: number, index: number, name: string) =>
  `<path class="key ${COLOURS[index]}" d="M${x} ${TOP - 20}h14"/>${text(x + 20, TOP - 16, "start", name)}`;

export function plot({ title, xLabel, points }: Curve): string {
  const line = (name: string, of: "value" | "p50Us" | "p99Us"): Line => ({
    name,
    points: points.flatMap((point) => {
      const y = "notMeasured" in point ? undefined : point[of];
      return y === undefined ? [] : [[point.x, y] as const];
    }),
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${escaped(title)}">`,
    `<style>${STYLE}</style><rect class="ground" width="100%" height="100%"/>`,
    text(LEFTS[0] - 40, 28, "start", title, "title"),
    panel(LEFTS[0], "calls/s", xLabel, [line("calls/s", "value")]),
    panel(LEFTS[1], "latency, µs", xLabel, [line("p50", "p50Us"), line("p99", "p99Us")]),
    "</svg>\n",
  ].join("\n");
}
