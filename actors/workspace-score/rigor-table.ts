// The levels of rigor, L0 to L3: read from rigor.yaml or a text in its form, and checked whole before anything is judged by them.
// It is not the judging (workspace-score.ts; the coach's rules for stories).
//
// RT1  A stricter level is nowhere more lenient than a laxer one: thresholds never fall, limits never rise, required stays required.
// RT2  The weights of a level add up to 1, and each counts.

import { readFile } from "node:fs/promises";
import { z } from "zod";
import { type Rigor, rigorSchema } from "../planning/story.ts";
import { fail } from "./errors.ts";

/** From the laxest to the strictest. */
export const LEVELS: readonly Rigor[] = rigorSchema.options;

export const PARTS = ["build", "unit", "static", "e2e", "coverage", "lint"] as const;
export type PartName = (typeof PARTS)[number];

/** One level. Shares are 0 to 1, points 0 to 100. */
export interface RigorLevel {
  readonly readiness: number;
  readonly gate: { readonly pass: number; readonly warn: number };
  readonly required: Readonly<Record<PartName, boolean>>;
  readonly weights: Readonly<Record<PartName, number>>;
  readonly atLeast: Readonly<Record<"unitPassed" | "e2ePassed" | "linesCovered", number>>;
  readonly atMost: Readonly<Record<"staticCritical" | "staticMajor" | "lintErrors" | "lintWarnings", number>>;
}

/** Plain data: it may be kept and sent. */
export type RigorTable = Readonly<Record<Rigor, RigorLevel>>;

/** A row of the file: one value for each level. */
const row = <Value extends z.ZodType>(value: Value) => z.tuple([value, value, value, value]);

const points = row(z.number().min(0).max(100));
const share = row(z.number().gt(0).max(1));
const limit = row(z.int().min(0));

const sheetSchema = z.strictObject({
  readiness: points,
  gate: z.strictObject({ pass: points, warn: points }),
  required: z.strictObject(perPart(row(z.boolean()))),
  weights: z.strictObject(perPart(share)),
  atLeast: z.strictObject({ unitPassed: share, e2ePassed: share, linesCovered: share }),
  atMost: z.strictObject({ staticCritical: limit, staticMajor: limit, lintErrors: limit, lintWarnings: limit }),
});
type Sheet = z.infer<typeof sheetSchema>;

function perPart<Value>(value: Value): Record<PartName, Value> {
  return { build: value, unit: value, static: value, e2e: value, coverage: value, lint: value };
}

/** Weights are written by hand, in hundredths. */
const ROUNDING = 1e-6;

/** The table of a text in the form of rigor.yaml. Throws RigorInvalid with everything that is wrong in it. */
export async function parseRigor(text: string): Promise<RigorTable> {
  const { parse, YAMLError } = await import("yaml");
  let value: unknown;
  try {
    value = parse(text);
  } catch (error) {
    if (!(error instanceof YAMLError)) throw error;
    throw invalid([error.message.split("\n", 1)[0] ?? ""]);
  }
  const parsed = sheetSchema.safeParse(value);
  if (!parsed.success) {
    throw invalid(
      parsed.error.issues.map(({ path, message }) => `${path.map(placeName).join(".") || "it"}: ${message}`),
    );
  }
  const faults = [...lenient(parsed.data), ...unbalanced(parsed.data), ...crossed(parsed.data)];
  if (faults.length > 0) throw invalid(faults);
  const level = (index: number) => column(parsed.data, index) as unknown as RigorLevel;
  return { L0: level(0), L1: level(1), L2: level(2), L3: level(3) };
}

/** The table of `text`; without one, the fleet's own. Throws RigorInvalid. */
export const loadRigor = async (text?: string): Promise<RigorTable> =>
  parseRigor(text ?? (await readFile(new URL("./rigor.yaml", import.meta.url), "utf8")));

const invalid = (faults: readonly string[]) =>
  fail("RigorInvalid", `The table of rigor levels is wrong. ${faults.map((fault) => `${fault}.`).join(" ")}`, {
    data: { faults },
  });

const placeName = (part: PropertyKey) => (typeof part === "number" ? (LEVELS[part] ?? String(part)) : String(part));

/** The same sheet with each row replaced by its value in one column. */
function column(sheet: object, index: number): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(sheet).map(([name, value]) => [name, Array.isArray(value) ? value[index] : column(value, index)]),
  );
}

/** Rows in which a stricter level asks less than the one before it (RT1). */
function lenient({ readiness, gate, required, atLeast, atMost }: Sheet): readonly string[] {
  const rising = { readiness, ...under("gate", gate), ...under("required", required), ...under("atLeast", atLeast) };
  return [
    ...falls(rising, (before, after) => after < before),
    ...falls(under("atMost", atMost), (before, after) => after > before),
  ];
}

type Rows = Readonly<Record<string, readonly (number | boolean)[]>>;

const under = (name: string, rows: Rows): Rows =>
  Object.fromEntries(Object.entries(rows).map(([key, values]) => [`${name}.${key}`, values]));

function falls(rows: Rows, isLaxer: (before: number | boolean, after: number | boolean) => boolean): string[] {
  return Object.entries(rows).flatMap(([name, values]) =>
    values.flatMap((after, index) => {
      const before = values[index - 1];
      if (before === undefined || !isLaxer(before, after)) return [];
      return [`${name}: ${LEVELS[index]} (${after}) must not be more lenient than ${LEVELS[index - 1]} (${before})`];
    }),
  );
}

/** Levels whose weights do not add up to 1 (RT2). */
function unbalanced({ weights }: Sheet): readonly string[] {
  return LEVELS.flatMap((level, index) => {
    const sum = Object.values(weights).reduce((total, values) => total + (values[index] ?? 0), 0);
    return Math.abs(sum - 1) <= ROUNDING
      ? []
      : [`weights: those of ${level} add up to ${Number(sum.toFixed(4))}, not 1`];
  });
}

const crossed = ({ gate: { pass, warn } }: Sheet): readonly string[] =>
  LEVELS.flatMap((level, index) =>
    (pass[index] ?? 0) < (warn[index] ?? 0) ? [`gate: ${level} passes at fewer points than it warns at`] : [],
  );
