// Which runners fit a checkout, from the files in it. Nothing is run.

import { glob } from "node:fs/promises";
import { basename, join } from "node:path";
import { readPlainFile } from "../plain-file.ts";
import { MANIFEST_MAX_BYTES, npmPlan, readPackage } from "./npm-script.ts";

/** The tool of a runner is `tests.` and its name. */
export type RunnerName = "pytest" | "npm" | "node" | "go" | "cargo" | "make";

/** Folders deep that test files are looked for: enough for packages/x/src/y, and bounded. */
const DEPTH_MAX = 5;
const PYTHON_TESTS = ["test_*.py", "*_test.py"];
const JAVASCRIPT_TESTS = ["*.test.{js,mjs,cjs,ts,mts,cts}", "test/*.{js,mjs,cjs}"];
const SKIPPED = /^(?:\..+|node_modules|venv|vendor|target|dist|build|site-packages)$/;

/**
 * The runners that fit, the likeliest first; each is worth running, for a repository may hold several languages. make comes alone,
 * as the last resort: beside others its test target would run the same tests again. Empty when nothing looks like tests.
 */
export async function detectRunners(root: string): Promise<readonly RunnerName[]> {
  const fits: RunnerName[] = [];
  if (await hasPytest(root)) fits.push("pytest");
  const javascript = await javascriptRunner(root);
  if (javascript !== undefined) fits.push(javascript);
  if ((await textOf(root, "go.mod")) !== undefined) fits.push("go");
  if ((await textOf(root, "Cargo.toml")) !== undefined) fits.push("cargo");
  return fits.length === 0 && (await hasMakeTarget(root)) ? ["make"] : fits;
}

async function hasPytest(root: string): Promise<boolean> {
  if ((await textOf(root, "pytest.ini")) !== undefined) return true;
  const configured = [
    /^\[tool\.pytest/m.test((await textOf(root, "pyproject.toml")) ?? ""),
    /^\[tool:pytest\]/m.test((await textOf(root, "setup.cfg")) ?? ""),
    /^\[pytest\]/m.test((await textOf(root, "tox.ini")) ?? ""),
  ];
  return configured.includes(true) || (await hasFile(root, PYTHON_TESTS));
}

/** npm where package.json has a test script; else node where there are test files. A package.json that is not JSON has none. */
async function javascriptRunner(root: string): Promise<"npm" | "node" | undefined> {
  const found = await readPackage(root).catch(() => undefined);
  if (found !== undefined && npmPlan(found).kind !== "none") return "npm";
  return (await hasFile(root, JAVASCRIPT_TESTS)) ? "node" : undefined;
}

async function hasMakeTarget(root: string): Promise<boolean> {
  const files = await Promise.all(["GNUmakefile", "makefile", "Makefile"].map((name) => textOf(root, name)));
  return files.some((text) => /^test[ \t]*:(?!=)/m.test(text ?? ""));
}

async function textOf(root: string, name: string): Promise<string | undefined> {
  const file = await readPlainFile(join(root, name), MANIFEST_MAX_BYTES);
  return file.kind === "text" ? file.text : undefined;
}

async function hasFile(root: string, names: readonly string[]): Promise<boolean> {
  const patterns = names.flatMap((name) => Array.from({ length: DEPTH_MAX }, (_, depth) => "*/".repeat(depth) + name));
  // Not withFileTypes: Node 24 then looks for the entries to exclude below the process's folder instead of `cwd`.
  for await (const _ of glob(patterns, { cwd: root, exclude: (path) => SKIPPED.test(basename(path)) })) return true;
  return false;
}
