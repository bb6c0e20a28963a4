// How well each part of a job report meets a level of rigor, 0 to 1, and in words. Pure.
// It is not what follows from it for the whole (workspace-score.ts).
//
// PM1  A better measure never gives a lower value, and a stricter level never a higher one.
// PM2  A part met its level exactly when its value is 1.

import type { JobReport } from "./job-report.ts";
import type { PartName, RigorLevel } from "./rigor-table.ts";

/** What became of one part; undefined: it was not run. */
export interface Measure {
  /** 0 to 1; 1: met (PM2). */
  readonly value: number;
  /** What was measured, and what the level asks: "7 of 10 passed (70 %); at least 95 % must". */
  readonly words: string;
}

type Counts = NonNullable<JobReport["unit"]>;

/** Each part's measure. Unit and end-to-end suites in which no test ran count as not run. */
export const MEASURES: Readonly<Record<PartName, (report: JobReport, level: RigorLevel) => Measure | undefined>> = {
  build: ({ build }) => build && { value: build.success ? 1 : 0, words: build.success ? "it succeeded" : "it failed" },
  unit: ({ unit }, { atLeast }) => unit && suite(unit, atLeast.unitPassed),
  e2e: ({ e2e }, { atLeast }) => e2e && suite(e2e, atLeast.e2ePassed),
  coverage: ({ coverage }, { atLeast }) =>
    coverage && {
      value: reached(coverage.lines, atLeast.linesCovered),
      words: `${percent(coverage.lines)} of lines; at least ${percent(atLeast.linesCovered)} must be covered`,
    },
  static: (report, { atMost }) =>
    report.static &&
    worst([
      limited(report.static.critical, atMost.staticCritical, "critical"),
      limited(report.static.major, atMost.staticMajor, "major"),
    ]),
  lint: ({ lint }, { atMost }) =>
    lint &&
    worst([limited(lint.errors, atMost.lintErrors, "errors"), limited(lint.warnings, atMost.lintWarnings, "warnings")]),
};

/** A skipped test is no passed one: it counts nowhere, and is told. */
function suite({ passed, failed, skipped }: Counts, atLeast: number): Measure | undefined {
  const ran = passed + failed;
  if (ran === 0) return undefined;
  const left = skipped > 0 ? `, ${skipped} skipped` : "";
  const words = `${passed} of ${ran} passed (${percent(passed / ran)}${left}); at least ${percent(atLeast)} must`;
  return { value: reached(passed / ran, atLeast), words };
}

const reached = (measured: number, atLeast: number) => Math.min(1, measured / atLeast);

/** One more than allowed costs half where none is allowed, and little where many are. */
const limited = (count: number, atMost: number, what: string): Measure => ({
  value: Math.min(1, (atMost + 1) / (count + 1)),
  words: `${count} ${what}, at most ${atMost} allowed`,
});

const worst = (measures: readonly Measure[]): Measure => ({
  value: Math.min(...measures.map(({ value }) => value)),
  words: measures.map(({ words }) => words).join("; "),
});

/** Rounded down: 94.96 % is not 95 %. */
const percent = (of: number) => `${Math.floor(of * 1_000 + 1e-9) / 10} %`;
