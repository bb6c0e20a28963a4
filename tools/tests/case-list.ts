// Reads the report of our own two reporters (unittest-report.py, node-reporter.mjs): one JSON object with a list of tests.

import { copyFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import type { ReadReport } from "./report.ts";

const caseList = z.object({
  tests: z.array(z.object({ name: z.string(), outcome: z.enum(["passed", "failed", "skipped"]), message: z.string() })),
});

/** The cases in `text`; never throws. */
export function parseCaseList(text: string): ReadReport {
  const parsed = caseList.safeParse(parseJson(text));
  if (parsed.success) return { kind: "cases", cases: parsed.data.tests };
  return { kind: "unreadable", reason: "wrote a report that is not complete" };
}

/** The JSON value in `text`, or undefined. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

/** Copies one of our reporters into `folder`: a sandbox may hide the place where this package lies. */
export async function placeReporter(name: "unittest-report.py" | "node-reporter.mjs", folder: string): Promise<string> {
  const path = join(folder, name);
  await copyFile(fileURLToPath(new URL(name, import.meta.url)), path);
  return path;
}
