// What was measured of a story's code, as plain data: the input of the workspace score.
// It is not a judgement (workspace-score.ts).

import { z } from "zod";

const share = z.number().min(0).max(1);
const count = z.int().min(0);

/** Each part is absent when it was not run. */
export const jobReportSchema = z.object({
  build: z.object({ success: z.boolean() }).exactOptional(),
  unit: z.object({ passed: count, failed: count, skipped: count }).exactOptional(),
  e2e: z.object({ passed: count, failed: count, skipped: count }).exactOptional(),
  /** Findings of static analysis. */
  static: z.object({ critical: count, major: count, minor: count }).exactOptional(),
  /** Share of lines covered, 0 to 1. */
  coverage: z.object({ lines: share }).exactOptional(),
  lint: z.object({ errors: count, warnings: count }).exactOptional(),
});

export type JobReport = Readonly<z.infer<typeof jobReportSchema>>;
