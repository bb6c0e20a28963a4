// Which runners a checkout calls for, from its files alone. Whether they then run is tests-runners.test.ts.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { detectRunners } from "../../tools/tests/index.ts";
import { npmPlan } from "../../tools/tests/npm-script.ts";
import { writeFiles } from "../support/test-project.ts";

const script = (test: string) => JSON.stringify({ scripts: { test } });

test.each<[string, Record<string, string>, readonly string[]]>([
  ["nothing", { "README.md": "" }, []],
  ["Python tests deep down", { "packages/a/tests/test_a.py": "" }, ["pytest"]],
  ["Python tests by suffix", { "a_test.py": "" }, ["pytest"]],
  ["pytest by its configuration", { "pyproject.toml": "[tool.pytest.ini_options]\n" }, ["pytest"]],
  ["a pyproject.toml without tests", { "pyproject.toml": "[project]\n" }, []],
  ["a test script", { "package.json": script("mocha") }, ["npm"]],
  [
    "a placeholder script beside test files",
    { "package.json": script('echo "Error: no test specified" && exit 1'), "a.test.js": "" },
    ["node"],
  ],
  ["test files without package.json", { "src/a.test.mjs": "" }, ["node"]],
  ["a broken package.json", { "package.json": "{", "test/a.js": "" }, ["node"]],
  ["what others brought along", { "node_modules/x/a.test.js": "", "venv/lib/test_a.py": "", ".tox/test_b.py": "" }, []],
  ["go", { "go.mod": "module a\n" }, ["go"]],
  ["Rust", { "Cargo.toml": "" }, ["cargo"]],
  ["make alone", { Makefile: "all:\ntest: all\n\ttrue\n" }, ["make"]],
  ["a variable called test", { Makefile: "test := 1\n" }, []],
  [
    "several languages; make then stays out",
    { "tests/test_a.py": "", "package.json": script("vitest"), "go.mod": "", Makefile: "test:\n" },
    ["pytest", "npm", "go"],
  ],
])("%s", async (_, files, runners) => {
  const root = await mkdtemp(join(tmpdir(), "flotilla-detect-"));
  try {
    await writeFiles(root, files);
    expect(await detectRunners(root)).toEqual(runners);
  } finally {
    await rm(root, { recursive: true, force: true });
  }
});

const plan = (test: string | undefined, devDependencies: Record<string, string> = {}) =>
  npmPlan({ scripts: test === undefined ? {} : { test }, dependencies: {}, devDependencies });

test.each([
  ["vitest run --config unit.ts", { kind: "vitest", by: "script" }],
  ["tsc && NODE_OPTIONS=--experimental-vm-modules jest", { kind: "jest", by: "script" }],
  ["node node_modules/jest/bin/jest.js", { kind: "jest", by: "script" }],
  ["vitest run && tsc", { kind: "vitest", by: "binary" }],
  ["./jester.sh", { kind: "status" }],
  ["node --test", { kind: "node", options: [], targets: [] }],
  [
    "tsc && node --import tsx --test-reporter spec --test 'test/**/*.ts'",
    { kind: "node", options: ["--import", "tsx"], targets: ["test/**/*.ts"] },
  ],
  ["node build.js", { kind: "status" }],
  [undefined, { kind: "none" }],
])("the script %s", (text, expected) => {
  expect(plan(text)).toEqual(expected);
});

test("without a script, an installed runner is used", () => {
  expect(plan(undefined, { jest: "^30" })).toEqual({ kind: "jest", by: "binary" });
});
