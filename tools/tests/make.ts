// tests.make: a target of a Makefile. It tells only its exit status, unless it writes a JUnit file that the call names.
// What a recipe leaves in the checkout is the repository's affair.

import { stat } from "node:fs/promises";
import { z } from "zod";
import { defineTool, type ToolContext, type ToolOutput } from "../tool.ts";
import { resolveInside } from "../workspace/paths.ts";
import { parseJunit } from "./junit.ts";
import { judge, judgeStatus, type ReadReport } from "./report.ts";
import { endOf, outputOf, readReport, SUITE_BOUNDS, start } from "./run-suite.ts";

/** make's status for any failed recipe. */
const FAILED_STATUS = 2;
const REMEDY = "install make";

const input = z.strictObject({
  target: z
    .string()
    .max(100)
    .regex(/^[\w.][\w./-]*$/, "a target's name: letters, digits, and . _ / - inside")
    .default("test"),
  junit: z.string().min(1).optional().describe("JUnit XML file that the target writes, relative to the workspace."),
});

const touchedMs = async (path: string) => (await stat(path).catch(() => undefined))?.mtimeMs;

async function runWithReport(context: ToolContext, target: string, junit: string): Promise<ToolOutput> {
  const { absolute } = await resolveInside(context.workspace.root, junit, "entry");
  const before = await touchedMs(absolute);
  const run = await start(context, { program: "make", args: [target], remedy: REMEDY });
  const isNew = (await touchedMs(absolute)) !== before;
  const file = await readReport(absolute);
  const stale: ReadReport = { kind: "unreadable", reason: `left ${junit} as it was: the target does not write it` };
  const read = file.kind !== "text" ? file : isNew ? parseJunit(file.text) : stale;
  return outputOf(judge("make", endOf(run, FAILED_STATUS), read), run);
}

export const makeTool = defineTool({
  name: "tests.make",
  description:
    "Runs a target of the Makefile. Reports whether it passed; counts and failing tests only from a JUnit file it writes.",
  input,
  ...SUITE_BOUNDS,
  async run({ target, junit }, context) {
    // A target that is not there ends with the same status as a failing test; a dry run tells them apart.
    const known = await start(context, { program: "make", args: ["-n", target], remedy: REMEDY });
    if (known.exitCode !== 0) {
      const read: ReadReport = { kind: "unreadable", reason: `has no target ${target} it could run` };
      return outputOf(judge("make", endOf(known, FAILED_STATUS), read), known);
    }
    if (junit !== undefined) return await runWithReport(context, target, junit);
    const run = await start(context, { program: "make", args: [target], remedy: REMEDY });
    return outputOf(judgeStatus("make", run, run.stdout + run.stderr), run);
  },
});
