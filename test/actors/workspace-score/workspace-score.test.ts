// The workspace score: by table, and the rules that hold for every report.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Rigor } from "../../../actors/planning/story.ts";
import type { JobReport } from "../../../actors/workspace-score/job-report.ts";
import { LEVELS, loadRigor, PARTS, parseRigor } from "../../../actors/workspace-score/rigor-table.ts";
import { scoreReport } from "../../../actors/workspace-score/workspace-score.ts";

const table = await loadRigor();
const score = (report: JobReport, rigor: Rigor) => scoreReport(report, rigor, table);
const GATES = ["block", "warn", "pass"] as const;

const FULL: Required<JobReport> = {
  build: { success: true },
  unit: { passed: 40, failed: 0, skipped: 0 },
  e2e: { passed: 5, failed: 0, skipped: 0 },
  static: { critical: 0, major: 0, minor: 9 },
  coverage: { lines: 0.95 },
  lint: { errors: 0, warnings: 0 },
};
const without = (...parts: (keyof JobReport)[]): JobReport =>
  Object.fromEntries(Object.entries(FULL).filter(([part]) => !parts.includes(part as keyof JobReport)));

describe("a report", () => {
  it.each(LEVELS)("in which all is well passes at %s with 100", (rigor) => {
    expect(score(FULL, rigor)).toMatchObject({ gate: "pass", score: 100, reasons: [] });
  });

  const TABLE: readonly (readonly [
    what: string,
    report: JobReport,
    rigor: Rigor,
    gate: string,
    points: number,
    reasons: readonly string[],
  ])[] = [
    [
      "whose build failed",
      { ...FULL, build: { success: false } },
      "L2",
      "block",
      60,
      ["Build: it failed. L2 requires it."],
    ],
    [
      "with only what L1 requires",
      without("e2e", "static", "coverage", "lint"),
      "L1",
      "pass",
      100,
      ["not run; its weight is shared out"],
    ],
    ["without what L3 requires", without("e2e"), "L3", "block", 85, ["End-to-end tests: not run. L3 requires it."]],
    ["with nothing in it", {}, "L0", "block", 0, ["Build: not run. L0 requires it.", "Unit tests: not run."]],
    [
      "whose suite ran no test",
      { ...FULL, unit: { passed: 0, failed: 0, skipped: 12 } },
      "L0",
      "block",
      70,
      ["Unit tests: not run."],
    ],
    [
      "with a few failing tests",
      { ...FULL, unit: { passed: 9, failed: 1, skipped: 2 } },
      "L1",
      "block",
      98.6,
      ["9 of 10 passed (90 %, 2 skipped); at least 95 % must"],
    ],
    [
      "with little covered at L1",
      { ...FULL, coverage: { lines: 0.35 } },
      "L1",
      "warn",
      97.5,
      ["Coverage: 35 % of lines; at least 70 % must be covered."],
    ],
    [
      "with lint errors at L1",
      { ...FULL, lint: { errors: 11, warnings: 0 } },
      "L1",
      "warn",
      97.5,
      ["Lint: 11 errors, at most 5 allowed"],
    ],
    [
      "with a lint error at L2",
      { ...FULL, lint: { errors: 1, warnings: 0 } },
      "L2",
      "block",
      98.5,
      ["L2 requires it."],
    ],
    ["with major findings at L0", { ...FULL, static: { critical: 0, major: 3, minor: 0 } }, "L0", "pass", 100, []],
    [
      "with a critical finding at L3",
      { ...FULL, static: { critical: 1, major: 0, minor: 0 } },
      "L3",
      "block",
      85,
      ["1 critical, at most 0 allowed"],
    ],
    [
      "weak where nothing is required",
      { ...without("coverage"), e2e: { passed: 0, failed: 4, skipped: 0 }, lint: { errors: 999, warnings: 0 } },
      "L0",
      "warn",
      84.3,
      ["Score: 84.3; 90 would pass."],
    ],
  ];
  it.each(TABLE)("%s", (_, report, rigor, gate, points, reasons) => {
    const scored = score(report, rigor);
    expect([scored.gate, scored.score]).toEqual([gate, points]);
    for (const reason of reasons) expect(scored.reasons.join("\n")).toContain(reason);
  });

  it("says when a laxer level's weights count", () => {
    const report = { ...FULL, lint: { errors: 999, warnings: 0 }, coverage: { lines: 0.1 } };
    const laxer = score(report, "L1").score;
    expect(score(report, "L2").score).toBeLessThanOrEqual(laxer);
    expect(score(report, "L3").reasons.join("\n")).toMatch(
      /Score: 9\d\.?\d* by the weights of L3, \d+\.?\d* by those of L\d; the lower counts/,
    );
  });

  it("names every part with what became of it", () => {
    const { parts } = score(without("lint"), "L1");
    expect(parts.map(({ part }) => part)).toEqual(PARTS);
    expect(parts.find(({ part }) => part === "lint")).toMatchObject({ outcome: "not run", weight: 0, required: false });
  });
});

const count = fc.integer({ min: 0, max: 60 });
const suite = fc.record({ passed: count, failed: count, skipped: count });
const anyReport = fc.record(
  {
    build: fc.record({ success: fc.boolean() }),
    unit: suite,
    e2e: suite,
    static: fc.record({ critical: count, major: count, minor: count }),
    coverage: fc.record({ lines: fc.integer({ min: 0, max: 100 }).map((percent) => percent / 100) }),
    lint: fc.record({ errors: count, warnings: count }),
  },
  { requiredKeys: [] },
) as fc.Arbitrary<JobReport>;
const anyLevel = fc.constantFrom(...LEVELS);

/** Ways to make each part fail at every level, or miss. */
const SPOILED: Readonly<Record<keyof JobReport, readonly JobReport[]>> = {
  build: [{ build: { success: false } }],
  unit: [{ unit: { passed: 1, failed: 9, skipped: 0 } }, { unit: { passed: 0, failed: 0, skipped: 3 } }],
  e2e: [{ e2e: { passed: 1, failed: 9, skipped: 0 } }, { e2e: { passed: 0, failed: 0, skipped: 0 } }],
  static: [{ static: { critical: 1_000, major: 0, minor: 0 } }, { static: { critical: 0, major: 1_000, minor: 0 } }],
  coverage: [{ coverage: { lines: 0.1 } }],
  lint: [{ lint: { errors: 21, warnings: 0 } }, { lint: { errors: 0, warnings: 201 } }],
};

/** One measure of a report made better; the report itself where it has none to better. */
function bettered(report: JobReport, part: keyof JobReport, by: number): JobReport {
  const less = (value: number) => Math.max(0, value - by);
  if (part === "build") return { ...report, build: { success: true } };
  if (part === "coverage" && report.coverage) {
    return { ...report, coverage: { lines: Math.min(1, report.coverage.lines + by / 100) } };
  }
  if (part === "static" && report.static) {
    const { critical, major, minor } = report.static;
    return { ...report, static: { critical: less(critical), major: less(major), minor: less(minor) } };
  }
  if (part === "lint" && report.lint) {
    return { ...report, lint: { errors: less(report.lint.errors), warnings: less(report.lint.warnings) } };
  }
  if ((part === "unit" || part === "e2e") && report[part]) {
    const { passed, failed, skipped } = report[part];
    return { ...report, [part]: { passed: passed + by, failed: less(failed), skipped } };
  }
  return report;
}

describe("for every report", () => {
  it.each(PARTS)("a required part that failed or is missing blocks (WS1): %s", (part) => {
    const levels = LEVELS.filter((level) => table[level].required[part]);
    expect(levels).toContain("L3");
    fc.assert(
      fc.property(
        anyReport,
        fc.constantFrom(...levels),
        fc.constantFrom({}, ...SPOILED[part]),
        (report, level, spoiled) => {
          const { [part]: _, ...others } = report;
          expect(score({ ...others, ...spoiled }, level).gate).toBe("block");
          expect(score({ ...without(part), ...spoiled }, level).gate).toBe("block");
        },
      ),
    );
  });

  it.each(PARTS)("a failed part lets nothing pass (WS2): %s", (part) => {
    for (const spoiled of SPOILED[part]) {
      const isRun = !/"passed":0,"failed":0/.test(JSON.stringify(spoiled));
      for (const level of LEVELS) if (isRun) expect(score({ ...FULL, ...spoiled }, level).gate).not.toBe("pass");
    }
  });

  it("a better measure never lowers the score (WS3)", () => {
    const anyPart = fc.constantFrom(...PARTS);
    fc.assert(
      fc.property(anyReport, anyLevel, anyPart, fc.integer({ min: 1, max: 60 }), (report, level, part, by) => {
        const [before, after] = [score(report, level), score(bettered(report, part, by), level)];
        expect(after.score).toBeGreaterThanOrEqual(before.score);
        expect(GATES.indexOf(after.gate)).toBeGreaterThanOrEqual(GATES.indexOf(before.gate));
      }),
      { numRuns: 250 },
    );
  });

  it("a stricter level never gives a better gate or score (WS4), whatever the weights", async () => {
    const twisted = await parseRigor(
      (await import("node:fs"))
        .readFileSync(new URL("../../../actors/workspace-score/rigor.yaml", import.meta.url), "utf8")
        .replace(/build: +\[ 0\.40, +0\.35, +0\.30, +0\.25/, "build: [ 0.35, 0.35, 0.30, 0.05")
        .replace(/lint: +\[ 0\.05, +0\.05, +0\.03, +0\.02/, "lint: [ 0.10, 0.05, 0.03, 0.22"),
    );
    fc.assert(
      fc.property(anyReport, fc.constantFrom(table, twisted), (report, rigors) => {
        const scores = LEVELS.map((level) => scoreReport(report, level, rigors));
        for (const [index, after] of scores.entries()) {
          const before = scores[index - 1] ?? after;
          expect(after.score).toBeLessThanOrEqual(before.score);
          expect(GATES.indexOf(after.gate)).toBeLessThanOrEqual(GATES.indexOf(before.gate));
        }
      }),
      { numRuns: 250 },
    );
  });

  it("points are 0 to 100, and what is below its gate says so", () => {
    fc.assert(
      fc.property(anyReport, anyLevel, (report, level) => {
        const { score: points, gate, reasons } = score(report, level);
        expect(points >= 0 && points <= 100).toBe(true);
        if (gate !== "pass") expect(reasons.length).toBeGreaterThan(0);
      }),
    );
  });
});
