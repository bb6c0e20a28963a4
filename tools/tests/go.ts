// tests.go: `go test -json`, whose events are read from stdout.
// A package that does not build has no tests to count: the run did not complete, and the compiler's words are the failure.

import { z } from "zod";
import { defineTool } from "../tool.ts";
import { jsonLines, LINES_MAX_BYTES } from "./json-lines.ts";
import { judge, type ReadReport, type TestCase } from "./report.ts";
import { endOf, filterInput, outputOf, pathsInput, SUITE_BOUNDS, start, suitePaths } from "./run-suite.ts";

const FAILED_STATUS = 1;
/** The bench and example events of `go test -json` are not tests. */
const ENDS = { pass: "passed", fail: "failed", skip: "skipped" } as const;

const event = z.object({
  Action: z.string(),
  Package: z.string().optional(),
  ImportPath: z.string().optional(),
  Test: z.string().optional(),
  Output: z.string().optional(),
  FailedBuild: z.string().optional(),
});
type GoEvent = z.output<typeof event>;

const isEnd = (action: string): action is keyof typeof ENDS => action in ENDS;
const keyOf = ({ Package = "", Test }: GoEvent) => (Test === undefined ? Package : `${Package}.${Test}`);

/** The cases in the events of `go test -json`; never throws. */
export function parseGo(stdout: string): ReadReport {
  const events = jsonLines(stdout, event);
  const output = new Map<string, string>();
  for (const said of events) {
    const key = said.Action === "build-output" ? (said.ImportPath ?? "") : keyOf(said);
    if (said.Output !== undefined) output.set(key, (output.get(key) ?? "") + said.Output);
  }
  const cases: TestCase[] = [];
  const running = new Set<string>();
  const unbuilt: string[] = [];
  const failedIn = new Set<string>();
  for (const said of events) {
    const name = keyOf(said);
    if (said.Action === "run" && said.Test !== undefined) running.add(name);
    if (!isEnd(said.Action)) continue;
    running.delete(name);
    const outcome = ENDS[said.Action];
    if (said.FailedBuild !== undefined) {
      unbuilt.push(said.Package ?? "");
      cases.push({ name: `${said.Package} [build failed]`, outcome, message: output.get(said.FailedBuild) ?? "" });
    } else if (said.Test !== undefined) {
      cases.push({ name, outcome, message: outcome === "failed" ? (output.get(name) ?? "") : "" });
      if (outcome === "failed") failedIn.add(said.Package ?? "");
    } else if (outcome === "failed" && !failedIn.has(said.Package ?? "")) {
      // TestMain or an init function ended the package without any test failing.
      cases.push({ name, outcome, message: output.get(name) ?? "" });
    }
  }
  if (unbuilt.length > 0) return { kind: "unreadable", reason: `could not build ${unbuilt.join(", ")}`, cases };
  if (running.size > 0)
    return { kind: "unreadable", reason: `ended while ${[...running].slice(0, 3).join(", ")} ran`, cases };
  return { kind: "cases", cases };
}

export const goTool = defineTool({
  name: "tests.go",
  description: "Runs Go tests (`go test`) and reports counts and failing tests.",
  input: z.strictObject({
    paths: pathsInput.describe("Package folders relative to the workspace. Default: all packages."),
    filter: filterInput.describe("Go's -run expression."),
  }),
  ...SUITE_BOUNDS,
  async run({ paths, filter }, context) {
    const targets = (await suitePaths(context, paths)).map((path) => `./${path}`);
    const named = filter === undefined ? [] : [`-run=${filter}`];
    const run = await start(context, {
      program: "go",
      args: ["test", "-json", "-count=1", "-timeout=0", ...named, ...(targets.length > 0 ? targets : ["./..."])],
      // Nothing is fetched: a missing module or tool chain fails at once instead of waiting for a network that is not there.
      env: { GOTOOLCHAIN: "local", GOPROXY: "off", GOFLAGS: "-buildvcs=false" },
      outputMaxBytes: LINES_MAX_BYTES,
      remedy: "install Go from https://go.dev/dl",
    });
    const read = run.truncated ? tooLong : parseGo(run.stdout);
    return outputOf(judge("go", endOf(run, FAILED_STATUS), read), run);
  },
});

const tooLong: ReadReport = { kind: "unreadable", reason: `wrote more than ${LINES_MAX_BYTES} bytes of output` };
