// Figures of samples: tables of values, and what every summary keeps to.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { percentile, summarize } from "../../bench/stats.ts";

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

describe("percentile", () => {
  const hundred = Array.from({ length: 100 }, (_, index) => index);
  test.each([
    [[7], 0.99, 7],
    [[1, 2], 0.5, 2],
    [hundred, 0.5, 50],
    [hundred, 0.99, 99],
    [hundred, 1, 99],
  ])("of %j at %d", (sorted, share, value) => {
    expect(percentile(sorted, share)).toBe(value);
  });

  test("of nothing is refused", () => {
    expect(() => percentile([], 0.5)).toThrow(RangeError);
  });
});
