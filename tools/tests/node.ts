// tests.node: node's own test runner, with our reporter (node-reporter.mjs says why).

import { stat } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { z } from "zod";
import { defineTool, type ToolContext, type ToolOutput } from "../tool.ts";
import { parseCaseList, placeReporter } from "./case-list.ts";
import { judge } from "./report.ts";
import {
  endOf,
  filterInput,
  outputOf,
  pathsInput,
  readReport,
  SUITE_BOUNDS,
  start,
  suitePaths,
  withReportFolder,
} from "./run-suite.ts";

const FAILED_STATUS = 1;
/** node takes files and globs, not folders: what its own search would find below one. */
const TESTS_BELOW = "**/{test,test-*,*[.-_]test}.?(c|m)[jt]s";

export interface NodeRun {
  /** Paths and globs, already checked. */
  readonly targets: readonly string[];
  readonly filter?: string | undefined;
  /** Options of the repository's own test script. */
  readonly options?: readonly string[];
}

/** Runs `node --test`; used for tests.node and for npm scripts that are nothing else. */
export async function runNode(context: ToolContext, { targets, filter, options = [] }: NodeRun): Promise<ToolOutput> {
  return await withReportFolder(context, async (folder) => {
    const file = join(folder, "report.json");
    const reporter = pathToFileURL(await placeReporter("node-reporter.mjs", folder)).href;
    const named = filter === undefined ? [] : [`--test-name-pattern=${filter}`];
    const args = ["--test", `--test-reporter=${reporter}`, `--test-reporter-destination=${file}`, ...named];
    const run = await start(context, {
      program: "node",
      args: [...args, ...options, ...targets],
      remedy: "install Node 20 or newer",
    });
    const report = await readReport(file);
    return outputOf(
      judge("node", endOf(run, FAILED_STATUS), report.kind === "text" ? parseCaseList(report.text) : report),
      run,
    );
  });
}

/** The paths of a call as node takes them. */
export async function nodeTargets(context: ToolContext, paths: readonly string[]): Promise<readonly string[]> {
  const targets = (await suitePaths(context, paths)).map(async (path) => {
    const found = await stat(join(context.workspace.root, path)).catch(() => undefined);
    return found?.isDirectory() ? `${path}/${TESTS_BELOW}` : path;
  });
  return await Promise.all(targets);
}

export const nodeTool = defineTool({
  name: "tests.node",
  description: "Runs JavaScript tests with `node --test` and reports counts and failing tests.",
  input: z.strictObject({
    paths: pathsInput,
    filter: filterInput.describe("Regular expression for names of tests."),
  }),
  ...SUITE_BOUNDS,
  run: async ({ paths, filter }, context) =>
    await runNode(context, { targets: await nodeTargets(context, paths), filter }),
});
