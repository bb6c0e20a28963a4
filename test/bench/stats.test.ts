// Figures and their printing: tables of values, and what every summary keeps to.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { formatFigure, formatTable, judge } from "../../bench/report.ts";
import { summarize } from "../../bench/stats.ts";

describe("summarize", () => {
  test.each([
    [[3], { value: 3, low: 3, high: 3 }],
    [[9, 1, 5], { value: 5, low: 1, high: 9 }],
    [[10, 9, 1, 2], { value: 5.5, low: 1, high: 10 }],
  ])("%j", (samples, summary) => {
    expect(summarize(samples)).toEqual(summary);
  });

  test.each([[[]], [[1, Number.NaN]], [[Number.POSITIVE_INFINITY]]])("refuses %j", (samples) => {
    expect(() => summarize(samples)).toThrow(RangeError);
  });

  test("half of the samples lie on each side of the median, whatever their order", () => {
    fc.assert(
      fc.property(fc.array(fc.integer(), { minLength: 1 }), (samples) => {
        const { value, low, high } = summarize(samples);
        expect(samples.filter((sample) => sample < value).length * 2).toBeLessThanOrEqual(samples.length);
        expect(samples.filter((sample) => sample > value).length * 2).toBeLessThanOrEqual(samples.length);
        expect([low, high]).toEqual([Math.min(...samples), Math.max(...samples)]);
        expect(summarize(samples.toReversed())).toEqual({ value, low, high });
      }),
    );
  });
});

describe("the table", () => {
  test.each([
    [0, "0"],
    [999, "999"],
    [1_024, "1.02 k"],
    [1_234_567, "1.23 M"],
    [5_400_000_000, "5.4 G"],
  ])("prints %d as %s", (figure, printed) => {
    expect(formatFigure(figure)).toBe(printed);
  });

  test.each([
    [2_000_000, { atLeast: 1_500_000 }, "≥ 1.5 M met"],
    [1_499_999, { atLeast: 1_500_000 }, "≥ 1.5 M missed"],
    [1_024, { atMost: 1_024 }, "≤ 1.02 k met"],
    [1_025, { atMost: 1_024 }, "≤ 1.02 k missed"],
    [5, undefined, ""],
  ])("judges %d against %j: %s", (value, bar, verdict) => {
    expect(judge(value, bar)).toBe(verdict);
  });

  test("has one padded line for each row", () => {
    const rows = [{ id: "a.b", unit: "calls/s", value: 2e6, low: 1e6, high: 3e6, ratios: {} }];
    expect(formatTable(rows, new Map([["a.b", { atLeast: 1e6 }]]))).toBe(
      "scenario  median  low  high  unit     bar\na.b       2 M     1 M  3 M   calls/s  ≥ 1 M met",
    );
  });
});
