// The table of rigor levels: what it says, and that a wrong one is refused whole.

import { readFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { LEVELS, loadRigor, parseRigor } from "../../../actors/workspace-score/rigor-table.ts";
import { caught } from "../../support/caught.ts";

const file = await readFile(new URL("../../../actors/workspace-score/rigor.yaml", import.meta.url), "utf8");

describe("the fleet's own table", () => {
  it("has the thresholds of the four levels", async () => {
    const table = await loadRigor();
    expect(LEVELS.map((level) => table[level].readiness)).toEqual([50, 75, 85, 90]);
    expect(LEVELS.map((level) => table[level].atLeast.unitPassed)).toEqual([0.7, 0.95, 0.98, 1]);
    expect(LEVELS.map((level) => table[level].atLeast.linesCovered)).toEqual([0.5, 0.7, 0.8, 0.9]);
    expect(LEVELS.map((level) => table[level].atMost.staticCritical)).toEqual([999, 5, 2, 0]);
    expect(table.L2.weights).toEqual({ build: 0.3, unit: 0.25, static: 0.25, e2e: 0.12, coverage: 0.05, lint: 0.03 });
  });

  it("says a limit of major findings at every level, and requires build and unit tests at each", async () => {
    const table = await loadRigor();
    expect(LEVELS.map((level) => table[level].atMost.staticMajor)).toEqual([999, 50, 20, 5]);
    expect(LEVELS.every((level) => table[level].required.build && table[level].required.unit)).toBe(true);
  });

  it("is what a copy of its text gives", async () => {
    expect(await loadRigor(file)).toEqual(await loadRigor());
  });
});

describe("a wrong table", () => {
  const changed = (row: RegExp, instead: string) => {
    expect(file).toMatch(row);
    return file.replace(row, instead);
  };
  const WRONG: readonly (readonly [what: string, text: () => string, says: string])[] = [
    [
      "weights that do not add up",
      () => changed(/unit: +\[ 0\.30/, "unit: [ 0.35"),
      "weights: those of L0 add up to 1.05, not 1",
    ],
    ["a part without weight", () => changed(/lint: +\[ 0\.05/, "lint: [ 0"), "weights.lint.L0: "],
    [
      "a threshold that falls",
      () => changed(/linesCovered: .*/, "linesCovered: [ 0.5, 0.7, 0.6, 0.9 ]"),
      "atLeast.linesCovered: L2 (0.6) must not be more lenient than L1 (0.7)",
    ],
    [
      "a limit that rises",
      () => changed(/lintErrors: .*/, "lintErrors: [ 1, 2, 2, 0 ]"),
      "atMost.lintErrors: L1 (2) must not be more lenient than L0 (1)",
    ],
    [
      "what is no longer required",
      () => changed(/unit: +\[ true, +true, +true, +true/, "unit: [ true, true, false, true"),
      "required.unit: L2 (false) must not be more lenient than L1 (true)",
    ],
    ["readiness that falls", () => changed(/readiness: .*/, "readiness: [ 50, 40, 85, 90 ]"), "readiness: L1 (40)"],
    [
      "a warning above the pass",
      () => changed(/warn: .*/, "warn: [ 70, 95, 95, 95 ]"),
      "gate: L1 passes at fewer points than it warns at",
    ],
    ["a level too few", () => changed(/readiness: .*/, "readiness: [ 50, 75, 85 ]"), "readiness: "],
    [
      "a share of more than all",
      () => changed(/e2ePassed: .*/, "e2ePassed: [ 0.6, 0.85, 0.95, 95 ]"),
      "atLeast.e2ePassed.L3: ",
    ],
    ["a missing row", () => changed(/staticMajor: .*/, ""), "atMost.staticMajor: "],
    ["a row of another name", () => changed(/lintWarnings:/, "lintWarning:"), '"lintWarning"'],
    ["no table at all", () => "", "it: "],
    ["no YAML", () => "readiness: [ 50", "The table of rigor levels is wrong. "],
  ];

  it.each(WRONG)("%s is named", async (_, text, says) => {
    const error = await caught(parseRigor(text()));
    expect(error.code).toBe("RigorInvalid");
    expect(error.message).toContain(says);
  });

  it("is told everything at once", async () => {
    const text = file
      .replace(/lintErrors: .*/, "lintErrors: [ 1, 2, 3, 0 ]")
      .replace(/readiness: .*/, "readiness: [ 9, 8, 7, 6 ]");
    expect((await caught(parseRigor(text))).data.faults).toHaveLength(5);
  });
});
