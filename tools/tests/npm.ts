// tests.npm: the test script of a package.json. vitest and jest are asked for a report of their own; `node --test` runs as
// tests.node does; any other script tells only its exit status, and the report says so.
// Nothing is downloaded: a runner that package.json names and node_modules lacks is a missing runner.

import { access } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { defineTool, type ToolContext, ToolFailure, type ToolOutput } from "../tool.ts";
import { parseJest } from "./jest.ts";
import { parseJunit } from "./junit.ts";
import { nodeTargets, runNode } from "./node.ts";
import { type NpmPlan, npmPlan, readPackage } from "./npm-script.ts";
import { judge, judgeStatus } from "./report.ts";
import {
  endOf,
  filterInput,
  outputOf,
  pathsInput,
  readReport,
  runnerMissing,
  SUITE_BOUNDS,
  start,
  suitePaths,
  withReportFolder,
} from "./run-suite.ts";

const FAILED_STATUS = 1;
const REMEDY = "install Node with npm";
/** npx inside a script must not fetch a runner, and npm must not ask for a newer npm. */
const NPM_ENVIRONMENT = { npm_config_offline: "true", npm_config_update_notifier: "false", npm_config_fund: "false" };

const input = z.strictObject({
  paths: pathsInput,
  filter: filterInput.describe("Regular expression for names of tests (vitest, jest and node --test only)."),
});
type Input = z.output<typeof input>;
type Reporting = Extract<NpmPlan, { by: "script" | "binary" }>;

async function runReporting(
  context: ToolContext,
  { kind, by }: Reporting,
  { paths, filter }: Input,
): Promise<ToolOutput> {
  const binary = join(context.workspace.root, "node_modules", ".bin", kind);
  await access(binary).catch(() => {
    throw runnerMissing(
      kind,
      `package.json names it, but node_modules/.bin/${kind} is not there; install the dependencies (npm ci)`,
    );
  });
  const targets = await suitePaths(context, paths);
  return await withReportFolder(context, async (folder) => {
    const file = join(folder, "report");
    const format = kind === "vitest" ? ["--run", "--reporter=junit"] : ["--ci", "--json"];
    const named = filter === undefined ? [] : [`--testNamePattern=${filter}`];
    // jest reads its paths as regular expressions.
    const places = kind === "jest" ? targets.map((path) => path.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&")) : targets;
    const args = [...format, `--outputFile=${file}`, ...named, ...places];
    const run = await start(context, {
      ...(by === "script" ? { program: "npm", args: ["test", "--", ...args] } : { program: binary, args }),
      env: NPM_ENVIRONMENT,
      remedy: REMEDY,
    });
    const report = await readReport(file);
    const parse = kind === "vitest" ? parseJunit : (text: string) => parseJest(text, context.workspace.root);
    return outputOf(judge(kind, endOf(run, FAILED_STATUS), report.kind === "text" ? parse(report.text) : report), run);
  });
}

async function runStatus(context: ToolContext, { paths, filter }: Input): Promise<ToolOutput> {
  if (paths.length > 0 || filter !== undefined) {
    throw new ToolFailure(
      "no-selection",
      "This package's test script is not vitest, jest or node --test, so single tests cannot be chosen: leave out paths and filter.",
    );
  }
  const run = await start(context, { program: "npm", args: ["test"], env: NPM_ENVIRONMENT, remedy: REMEDY });
  return outputOf(judgeStatus("npm", run, run.stdout + run.stderr), run);
}

export const npmTool = defineTool({
  name: "tests.npm",
  description:
    "Runs a package's test script. vitest, jest and node --test report counts and failing tests; others only whether they passed.",
  input,
  ...SUITE_BOUNDS,
  async run(params, context) {
    const found = await readPackage(context.workspace.root);
    const plan = found === undefined ? undefined : npmPlan(found);
    if (plan === undefined)
      throw new ToolFailure("no-tests", "There is no package.json in the workspace's root: use another runner.");
    if (plan.kind === "none")
      throw new ToolFailure("no-tests", "package.json has no test script: add one, or use tests.node.");
    if (plan.kind === "status") return await runStatus(context, params);
    if (plan.kind !== "node") return await runReporting(context, plan, params);
    const targets = params.paths.length > 0 ? await nodeTargets(context, params.paths) : plan.targets;
    return await runNode(context, { targets, filter: params.filter, options: plan.options });
  },
});
