// The table and the JSON, from fixed figures.

import { describe, expect, test } from "vitest";
import type { Row } from "../../bench/measurement.ts";
import { formatFigure, formatTable, judge, toJson } from "../../bench/report.ts";
import type { Bar } from "../../bench/scenario.ts";

const ROWS: readonly Row[] = [
  {
    id: "a.sequential",
    unit: "calls/s",
    own: { value: 8_000, low: 7_000, high: 9_000, p50Us: 70, p99Us: 500 },
    peers: {
      nats: { value: 4_000, low: 3_500, high: 4_500, p50Us: 150, ratio: { value: 2, low: 1.9, high: 2.1 } },
      moleculer: { value: 9_000, low: 8_000, high: 9_500 },
      ray: { notMeasured: "could not be installed: no python3" },
    },
  },
  { id: "b", unit: "B", own: { notMeasured: "comes later" }, peers: { ray: { value: 3, low: 2, high: 4 } } },
  { id: "c", unit: "items/s", own: { value: 2e6, low: 1e6, high: 3e6 }, peers: {} },
];
const BARS = new Map<string, readonly Bar[]>([
  [
    "a.sequential",
    [
      { of: "ray", atLeast: 4 },
      { of: "nats", atLeast: 1.2 },
      { of: "p50Us", atMost: 100 },
      { of: "p99Us", atMost: 400 },
    ],
  ],
  ["b", [{ of: "ray", atLeast: 4 }]],
  ["c", [{ of: "value", atLeast: 1e6 }]],
]);

test.each([
  [0, "0"],
  [999, "999"],
  [1_024, "1.02 k"],
  [1_234_567, "1.23 M"],
  [5_400_000_000, "5.4 G"],
])("%d is printed as %s", (figure, printed) => {
  expect(formatFigure(figure)).toBe(printed);
});

test.each<[number, Bar | undefined, string]>([
  [2_000_000, { of: "value", atLeast: 1_500_000 }, "≥ 1.5 M met"],
  [1_499_999, { of: "value", atLeast: 1_500_000 }, "≥ 1.5 M missed"],
  [1_024, { of: "value", atMost: 1_024 }, "≤ 1.02 k met"],
  [1_025, { of: "value", atMost: 1_024 }, "≤ 1.02 k missed"],
  [5, undefined, ""],
])("%d against %j is judged: %s", (value, bar, verdict) => {
  expect(judge(value, bar)).toBe(verdict);
});

describe("the table", () => {
  test("has a line for each row, and below it one for each peer with our figure as a multiple of its", () => {
    expect(formatTable(ROWS, BARS).split("\n")).toEqual([
      "scenario      median  low    high   unit     beside",
      "a.sequential  8 k     7 k    9 k    calls/s  p50 70 µs ≤ 100 met, p99 500 µs ≤ 400 missed",
      "  nats        4 k     3.5 k  4.5 k  calls/s  2 × (1.9 to 2.1) ≥ 1.2 met, p50 150 µs",
      "  moleculer   9 k     8 k    9.5 k  calls/s",
      "  ray         –       –      –      calls/s  not measured: could not be installed: no python3",
      "b             –       –      –      B        not measured: comes later",
      "  ray         3       2      4      B",
      "c             2 M     1 M    3 M    items/s  ≥ 1 M met",
    ]);
  });
});

describe("the JSON", () => {
  const report = toJson({
    machine: { cpu: "c", cores: 2, memoryBytes: 1, os: "o" },
    load: { before: [0, 0, 0], after: [1, 1, 1] },
    versions: { node: "24" },
    rows: ROWS,
  }) as { readonly rows: readonly object[] };

  test("has the ratios as plain numbers, of those peers only that were measured", () => {
    expect(Object.keys(report)).toEqual(["machine", "load", "versions", "rows"]);
    expect(report.rows[0]).toMatchObject({ id: "a.sequential", value: 8_000, low: 7_000, p99Us: 500 });
    expect(report.rows[0]).toHaveProperty("ratios", { nats: 2 });
    expect(report.rows[0]).toHaveProperty("peers.moleculer.value", 9_000);
    expect(report.rows[2]).toEqual({ id: "c", unit: "items/s", value: 2e6, low: 1e6, high: 3e6, ratios: {} });
  });

  test("says why a row has no figure, in place of one", () => {
    expect(report.rows[1]).toMatchObject({ value: null, notMeasured: "comes later", ratios: {} });
  });
});
