// Samples → one figure and its spread. Pure.
// The median, because one garbage collection or one busy neighbour must not move the figure; the extremes, because hiding them would.

export interface Summary {
  readonly value: number;
  readonly low: number;
  readonly high: number;
}

/** Median, least and greatest of at least one sample. Throws RangeError for none, or for one that is no finite number. */
export function summarize(samples: readonly number[]): Summary {
  const sorted = samples.toSorted((a, b) => a - b);
  const [low] = sorted;
  const high = sorted.at(-1);
  if (low === undefined || high === undefined || !samples.every(Number.isFinite)) {
    throw new RangeError(`expected finite samples, got [${samples.join(", ")}]`);
  }
  const middle = sorted.length / 2;
  const below = sorted[Math.ceil(middle) - 1] ?? low;
  const above = sorted[Math.floor(middle)] ?? high;
  return { value: (below + above) / 2, low, high };
}

/** The value below which `share` (0 to 1) of at least one sample lie, which are sorted upwards. */
export function percentile(sorted: readonly number[], share: number): number {
  const value = sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
  if (value === undefined) throw new RangeError("expected at least one sample");
  return value;
}
