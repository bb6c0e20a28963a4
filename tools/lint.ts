// What is wrong with changed files whatever the task was: syntax, conflict markers, loose ends. Verification and ranking read it.
// It judges no style, and whole files, not lines: whoever asks knows which lines are new.
// A linter that is not installed is not an error: the checks that need nothing always run, so equal machines give equal findings.
// The repository's own linter configuration is not read: a change could switch the findings off.

import { extname, join } from "node:path";
import { z } from "zod";
import type { Clock } from "../runtime/index.ts";
import { readPlainFile } from "./plain-file.ts";
import { ToolFailure } from "./tool.ts";
import { resolveInside } from "./workspace/paths.ts";
import type { ExecResult, Workspace } from "./workspace/workspace.ts";

export interface LintFinding {
  /** As it was given. */
  readonly path: string;
  /** From 1. */
  readonly line: number;
  readonly message: string;
}

export interface LintContext {
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

interface SourceFile {
  readonly path: string;
  readonly text: string;
}

const FILES_MAX = 200;
const FILE_MAX_BYTES = 1024 * 1024;
const FINDINGS_MAX = 200;
const LINTER_TIMEOUT_MS = 30_000;
/** node checks one file a process. */
const NODE_FILES_MAX = 30;

/**
 * Findings in the files named by `paths` (relative to the workspace's root), by path and line, at most 200: the last then says how
 * many more. Deleted, binary, oversized and outside files have none. Rejects only when a program cannot be run at all.
 */
export async function lintChanged(
  workspace: Workspace,
  paths: readonly string[],
  context: LintContext,
): Promise<readonly LintFinding[]> {
  const read = await Promise.all(paths.slice(0, FILES_MAX).map((path) => sourceOf(workspace.root, path)));
  const files = read.filter((file) => file !== undefined);
  const found = [
    ...files.flatMap(textFindings),
    ...(await pythonFindings(workspace, files, context)),
    ...(await nodeFindings(workspace, files, context)),
  ];
  const ordered = found.sort((a, b) => a.path.localeCompare(b.path) || a.line - b.line);
  const last = ordered[FINDINGS_MAX - 1];
  if (last === undefined || ordered.length === FINDINGS_MAX) return ordered;
  const more = { ...last, message: `${ordered.length - FINDINGS_MAX + 1} more findings are not listed` };
  return [...ordered.slice(0, FINDINGS_MAX - 1), more];
}

async function sourceOf(root: string, path: string): Promise<SourceFile | undefined> {
  const resolved = await resolveInside(root, path, "entry").catch(() => undefined);
  if (resolved === undefined) return undefined;
  const file = await readPlainFile(resolved.absolute, FILE_MAX_BYTES);
  return file.kind === "text" && !file.text.includes("\0") ? { path, text: file.text } : undefined;
}

const PYTHON: ReadonlySet<string> = new Set([".py", ".pyi"]);
const JAVASCRIPT: ReadonlySet<string> = new Set([".js", ".mjs", ".cjs"]);
const SCRIPT: ReadonlySet<string> = new Set([...JAVASCRIPT, ".ts", ".mts", ".cts", ".jsx", ".tsx"]);
/** Two spaces at the end of a line mean something in Markdown; a patch holds other files' lines. */
const SPACES_MEAN_SOMETHING: ReadonlySet<string> = new Set([".md", ".markdown", ".diff", ".patch", ".snap"]);

interface LineRule {
  readonly pattern: RegExp;
  readonly message: string;
  readonly fits: (extension: string) => boolean;
}

const LINE_RULES: readonly LineRule[] = [
  { pattern: /[ \t]+\r?$/, message: "trailing whitespace", fits: (extension) => !SPACES_MEAN_SOMETHING.has(extension) },
  { pattern: /^(?:<{7} |>{7} |\|{7} )/, message: "conflict marker", fits: () => true },
  {
    pattern: /^\s*(?:breakpoint\(\)|(?:import pdb;\s*)?pdb\.set_trace\(\))/,
    message: "debugger call left behind",
    fits: (extension) => PYTHON.has(extension),
  },
  {
    pattern: /^\s*debugger\s*;?\s*$/,
    message: "debugger statement left behind",
    fits: (extension) => SCRIPT.has(extension),
  },
  {
    pattern: /^\s*(?:test|it|describe|suite)\.only\(/,
    message: "`.only` switches all other tests off",
    fits: (extension) => SCRIPT.has(extension),
  },
];

function textFindings({ path, text }: SourceFile): readonly LintFinding[] {
  const lines = text.split("\n");
  const rules = LINE_RULES.filter(({ fits }) => fits(extname(path)));
  const found = lines.flatMap((line, index) =>
    rules.filter(({ pattern }) => pattern.test(line)).map(({ message }) => ({ path, line: index + 1, message })),
  );
  if (text !== "" && !text.endsWith("\n"))
    found.push({ path, line: lines.length, message: "no newline at end of file" });
  return found;
}

/** Reads and parses; never imports, so nothing of the repository runs and no bytecode is written. */
const PARSE_PYTHON = `
import ast, json, sys
found = []
for path in sys.argv[1:]:
    try:
        with open(path, "rb") as file:
            ast.parse(file.read(), path)
    except (SyntaxError, ValueError, RecursionError) as error:
        found.append({"path": path, "line": getattr(error, "lineno", 1) or 1, "message": getattr(error, "msg", str(error))})
print(json.dumps(found))
`;

const pythonErrors = z.array(z.object({ path: z.string(), line: z.number(), message: z.string() }));
const ruffErrors = z.array(
  z.object({
    code: z.string().nullish(),
    filename: z.string(),
    message: z.string(),
    location: z.object({ row: z.number() }),
  }),
);

async function pythonFindings(
  workspace: Workspace,
  files: readonly SourceFile[],
  context: LintContext,
): Promise<readonly LintFinding[]> {
  const paths = files.map(({ path }) => path).filter((path) => PYTHON.has(extname(path)));
  if (paths.length === 0) return [];
  // -I: a json.py in the checkout must not take the place of Python's own.
  const parsed = await runLinter(workspace, "python3", ["-I", "-B", "-c", PARSE_PYTHON, ...paths], context);
  const broken = parsedBy(pythonErrors, parsed?.stdout).map((error) => ({
    ...error,
    message: `syntax error: ${error.message}`,
  }));
  const sound = paths.filter((path) => !broken.some((error) => error.path === path));
  return [...broken, ...(sound.length > 0 ? await ruffFindings(workspace, sound, context) : [])];
}

/** Errors only (pyflakes' rules and what cannot run), whatever the repository's configuration says. */
async function ruffFindings(
  workspace: Workspace,
  paths: readonly string[],
  context: LintContext,
): Promise<readonly LintFinding[]> {
  const flags = ["check", "--isolated", "--no-cache", "--select=E9,F", "--output-format=json", "--"];
  const checked = await runLinter(workspace, "ruff", [...flags, ...paths], context);
  const place = new Map(paths.map((path) => [join(workspace.root, path), path]));
  return parsedBy(ruffErrors, checked?.stdout).flatMap(({ code, filename, message, location }) => {
    const path = place.get(filename);
    return path === undefined ? [] : [{ path, line: location.row, message: code ? `${message} (${code})` : message }];
  });
}

async function nodeFindings(
  workspace: Workspace,
  files: readonly SourceFile[],
  context: LintContext,
): Promise<readonly LintFinding[]> {
  const found: LintFinding[] = [];
  const scripts = files.filter(({ path }) => JAVASCRIPT.has(extname(path))).slice(0, NODE_FILES_MAX);
  for (const { path } of scripts) {
    const checked = await runLinter(workspace, "node", ["--check", `./${path}`], context);
    if (checked === undefined || checked.exitCode === 0 || checked.exitCode === null) continue;
    const message = /^SyntaxError: (.*)$/m.exec(checked.stderr)?.[1];
    // JSX in a .js file is what a bundler's configuration allows, not a mistake.
    if (message === undefined || message === "Unexpected token '<'") continue;
    found.push({ path, line: Number(/:(\d+)$/m.exec(checked.stderr)?.[1] ?? 1), message: `syntax error: ${message}` });
  }
  return found;
}

/** Undefined when the program is not on this machine. */
async function runLinter(
  workspace: Workspace,
  program: string,
  args: readonly string[],
  { signal }: LintContext,
): Promise<ExecResult | undefined> {
  try {
    return await workspace.exec(program, args, { timeoutMs: LINTER_TIMEOUT_MS, signal });
  } catch (error) {
    if (error instanceof ToolFailure && error.code === "no-such-program") return undefined;
    throw error;
  }
}

function parsedBy<Item>(schema: z.ZodType<readonly Item[]>, text: string | undefined): readonly Item[] {
  if (text === undefined) return [];
  try {
    const parsed = schema.safeParse(JSON.parse(text));
    return parsed.success ? parsed.data : [];
  } catch {
    return [];
  }
}
