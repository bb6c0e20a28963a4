// Reads the file that `jest --json --outputFile` writes.

import { relative } from "node:path";
import { z } from "zod";
import { parseJson } from "./case-list.ts";
import type { ReadReport, TestCase } from "./report.ts";

const assertion = z.object({
  fullName: z.string(),
  status: z.enum(["passed", "failed", "pending", "todo", "skipped", "disabled", "focused"]),
  failureMessages: z.array(z.string()).nullish(),
});

const jestReport = z.object({
  wasInterrupted: z.boolean().default(false),
  testResults: z.array(
    z.object({
      name: z.string(),
      status: z.string(),
      message: z.string().default(""),
      assertionResults: z.array(assertion),
    }),
  ),
});

type JestFile = z.output<typeof jestReport>["testResults"][number];

function casesOf(file: JestFile, root: string): TestCase[] {
  const place = relative(root, file.name);
  const cases = file.assertionResults.map(({ fullName, status, failureMessages }): TestCase => {
    const outcome = status === "passed" || status === "failed" ? status : "skipped";
    return {
      name: `${place}::${fullName}`,
      outcome,
      message: outcome === "failed" ? (failureMessages ?? []).join("\n") : "",
    };
  });
  // A file that could not be loaded has no assertions, only a message.
  const explained = file.status !== "failed" || cases.some((test) => test.outcome === "failed");
  return explained ? cases : [...cases, { name: place, outcome: "failed", message: file.message }];
}

/** The test cases of jest's JSON; file names become relative to `root`. Never throws. */
export function parseJest(text: string, root: string): ReadReport {
  const parsed = jestReport.safeParse(parseJson(text));
  if (!parsed.success) return { kind: "unreadable", reason: "wrote a report that is not jest's JSON" };
  const cases = parsed.data.testResults.flatMap((file) => casesOf(file, root));
  return parsed.data.wasInterrupted
    ? { kind: "unreadable", reason: "was interrupted", cases }
    : { kind: "cases", cases };
}
