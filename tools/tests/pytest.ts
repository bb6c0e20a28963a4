// tests.pytest: pytest, or unittest where the workspace's Python has no pytest.
// The checkout stays clean: no bytecode, and pytest's cache and coverage data go to the scratch folder. (`-p no:cacheprovider`
// would do for the cache, but a repository whose addopts hold --lf or a plugin that asks for the cache then fails to start.)

import { join } from "node:path";
import { z } from "zod";
import { defineTool, type ToolContext, type ToolOutput } from "../tool.ts";
import { parseCaseList, placeReporter } from "./case-list.ts";
import { parseJunit } from "./junit.ts";
import { judge } from "./report.ts";
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

/** Some systems have only one of the two names. */
const PYTHONS = ["python3", "python"] as const;
const PROBE = "import importlib.util, sys; sys.exit(0 if importlib.util.find_spec('pytest') else 3)";
const NO_PYTEST_STATUS = 3;
const FAILED_STATUS = 1;
const REMEDY = "install Python 3.8 or newer";

const input = z.strictObject({
  paths: pathsInput,
  filter: filterInput.describe("pytest's -k expression: part of a test's name."),
});
type Input = z.output<typeof input>;

interface Python {
  readonly program: string;
  readonly hasPytest: boolean;
}

async function findPython(context: ToolContext): Promise<Python> {
  for (const program of PYTHONS) {
    try {
      const { exitCode } = await start(context, { program, args: ["-B", "-c", PROBE], remedy: REMEDY });
      if (exitCode === 0) return { program, hasPytest: true };
      if (exitCode === NO_PYTEST_STATUS) return { program, hasPytest: false };
    } catch {
      // The next name may work; if none does, the error below says what to do.
    }
  }
  throw runnerMissing("Python", REMEDY);
}

/** A pytest node id keeps what follows its file: "tests/test_a.py::test_b". */
async function nodeIds(context: ToolContext, paths: readonly string[]): Promise<readonly string[]> {
  const split = paths.map((path) => path.split("::"));
  const files = await suitePaths(
    context,
    split.map(([file = ""]) => file),
  );
  return files.map((file, index) => [file, ...(split[index] ?? []).slice(1)].join("::"));
}

async function runPytest(context: ToolContext, program: string, { paths, filter }: Input): Promise<ToolOutput> {
  const targets = await nodeIds(context, paths);
  return await withReportFolder(context, async (folder) => {
    const file = join(folder, "report.xml");
    const args = [
      "-m",
      "pytest",
      "-q",
      "--color=no",
      "-o",
      `cache_dir=${join(folder, "cache")}`,
      `--junit-xml=${file}`,
    ];
    const run = await start(context, {
      program,
      args: [...args, ...(filter === undefined ? [] : [`-k=${filter}`]), "--", ...targets],
      env: { PYTHONDONTWRITEBYTECODE: "1", COVERAGE_FILE: join(folder, "coverage") },
      remedy: REMEDY,
    });
    const report = await readReport(file);
    return outputOf(
      judge("pytest", endOf(run, FAILED_STATUS), report.kind === "text" ? parseJunit(report.text) : report),
      run,
    );
  });
}

async function runUnittest(context: ToolContext, program: string, { paths, filter }: Input): Promise<ToolOutput> {
  const targets = await suitePaths(context, paths);
  return await withReportFolder(context, async (folder) => {
    const file = join(folder, "report.json");
    const script = await placeReporter("unittest-report.py", folder);
    const run = await start(context, {
      program,
      args: [script, file, ...(filter === undefined ? [] : ["-k", filter]), ...targets],
      env: { PYTHONDONTWRITEBYTECODE: "1" },
      remedy: REMEDY,
    });
    const report = await readReport(file);
    return outputOf(
      judge("unittest", endOf(run, FAILED_STATUS), report.kind === "text" ? parseCaseList(report.text) : report),
      run,
    );
  });
}

export const pytestTool = defineTool({
  name: "tests.pytest",
  description:
    "Runs Python tests with pytest (unittest where pytest is not installed) and reports counts and failing tests.",
  input,
  ...SUITE_BOUNDS,
  async run(params, context) {
    const python = await findPython(context);
    return await (python.hasPytest ? runPytest : runUnittest)(context, python.program, params);
  },
});
