// Growth curves as SVG, from fixed points.

import { describe, expect, test } from "vitest";
import { type Point, plot } from "../../bench/plot.ts";

const drawn = (points: readonly Point[]) => plot({ id: "c", title: "a < b & c", xLabel: "actors", points });
const POINTS: readonly Point[] = [
  { x: 1, value: 1_000, p50Us: 50, p99Us: 100 },
  { x: 10, value: 10_000, p50Us: 60, p99Us: 200 },
  { x: 100, value: 100_000, p50Us: 70, p99Us: 1_000 },
];

/** Where the lines run: calls/s, p50, p99. */
const lines = (svg: string) =>
  [...svg.matchAll(/class="line" d="M([^"]*)"/g)].map(([, path = ""]) =>
    path.split("L").map((spot) => spot.split(" ").map(Number)),
  );

/** Names of elements that are not closed in the order they were opened. */
function unclosed(svg: string): string[] {
  const open: string[] = [];
  for (const [, end, name = "", empty] of svg.matchAll(/<(\/?)([a-z]+)[^<>]*?(\/?)>/g)) {
    if (end === "/" && open.at(-1) === name) open.pop();
    else if (empty !== "/") open.push(name);
  }
  return open;
}

describe("a curve", () => {
  test("is well-formed, with title, labels and units", () => {
    const svg = drawn(POINTS);
    expect(unclosed(svg)).toEqual([]);
    expect(svg).not.toMatch(/&(?!amp;|lt;)/);
    for (const words of ["a &lt; b &amp; c", "calls/s", "latency, µs", "p50", "p99", "actors"]) {
      expect(svg).toContain(`>${words}</text>`);
    }
    expect(svg).toContain("prefers-color-scheme: dark");
  });

  test("is drawn on logarithmic axes: equal factors are equal steps, more is higher and further right", () => {
    const [rate = [], ...latencies] = lines(drawn(POINTS));
    const [[x0 = 0, y0 = 0] = [], [x1 = 0, y1 = 0] = [], [x2 = 0, y2 = 0] = []] = rate;
    expect(x1 - x0).toBeCloseTo(x2 - x1, 0);
    expect(y0 - y1).toBeCloseTo(y1 - y2, 0);
    expect(x2).toBeGreaterThan(x0);
    expect(y2).toBeLessThan(y0);
    expect(latencies).toHaveLength(2);
  });

  test.each([
    ["one point", POINTS.slice(0, 1)],
    ["a flat line", POINTS.map((point) => ({ ...point, value: 10 }))],
  ])("of %s has finite places inside the picture", (_, points) => {
    for (const [x = Number.NaN, y = Number.NaN] of lines(drawn(points)).flat()) {
      expect(x).toBeGreaterThan(0);
      expect(y).toBeGreaterThan(0);
      expect(y).toBeLessThan(340);
    }
    expect(drawn(points)).not.toMatch(/NaN|Infinity/);
  });

  test("leaves out what was not measured", () => {
    const holed = [...POINTS, { x: 1_000, notMeasured: "too large" }];
    expect(drawn(holed)).toBe(drawn(POINTS));
    expect(drawn([{ x: 1, notMeasured: "no server" }])).toContain("calls/s: not measured");
  });
});
