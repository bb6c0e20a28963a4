// One source file, read and parsed once, as the tidy rules see it. It judges nothing itself.

import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, posix } from "node:path";
import { fileURLToPath } from "node:url";
import { parse } from "@babel/parser";

/** A syntax tree node as far as the rules look: its kind, its place, and whatever else hangs on it. */
export interface Node {
  readonly type: string;
  readonly start: number;
  readonly loc: { readonly start: { readonly line: number }; readonly end: { readonly line: number } };
  readonly [key: string]: unknown;
}

/** A name that leads to another file or package. */
export interface Import {
  readonly from: string;
  readonly line: number;
  /** Gone before the program runs: `import type`, `export type … from`. */
  readonly isTypeOnly: boolean;
}

export interface Source {
  /** Relative to the root, with forward slashes. */
  readonly path: string;
  readonly text: string;
  readonly program: Node;
  readonly comments: readonly { readonly text: string; readonly line: number }[];
  readonly imports: readonly Import[];
}

/** What a rule says: where, and what to do about it. */
export interface Finding {
  readonly path: string;
  readonly line: number;
  readonly message: string;
}

export const ROOT: string = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
const FOLDERS = ["runtime", "placement", "nodes", "tools", "actors", "api", "bench", "examples", "test"];

export const isNode = (value: unknown): value is Node =>
  typeof value === "object" && value !== null && typeof (value as Node).type === "string";

/** Every node below `node`, itself first; `visit` gets the way down to it. */
export function walk(node: Node, visit: (node: Node, parents: readonly Node[]) => void, parents: Node[] = []): void {
  visit(node, parents);
  parents.push(node);
  for (const [key, value] of Object.entries(node)) {
    // Comments hang on nodes too; a parser's extras are no syntax.
    if (key === "loc" || key.endsWith("Comments") || key === "extra") continue;
    for (const child of Array.isArray(value) ? value : [value]) if (isNode(child)) walk(child, visit, parents);
  }
  parents.pop();
}

function importOf(node: Node): Import | undefined {
  const from = (field: unknown): string | undefined =>
    isNode(field) && field.type === "StringLiteral" ? String(field.value) : undefined;
  const found =
    node.type === "ImportExpression" || node.type === "TSImportType"
      ? from(node.source ?? node.argument)
      : /^(Import|Export(Named|All))Declaration$/.test(node.type)
        ? from(node.source)
        : undefined;
  if (found === undefined) return undefined;
  const isTypeOnly = node.importKind === "type" || node.exportKind === "type" || node.type === "TSImportType";
  return { from: found, line: node.loc.start.line, isTypeOnly };
}

/** Names the file when it does not parse: a bare "Unexpected token" would say nothing about where among all files. */
function parsed(path: string, text: string): ReturnType<typeof parse> {
  try {
    return parse(text, { sourceType: "module", plugins: ["typescript"], createImportExpressions: true });
  } catch (error) {
    throw new Error(`${path} does not parse: ${error instanceof Error ? error.message : error}`, { cause: error });
  }
}

export function parseSource(path: string, text: string): Source {
  const file = parsed(path, text);
  const program = file.program as unknown as Node;
  const comments = (file.comments ?? []).map(({ value, loc }) => ({ text: value, line: loc?.start.line ?? 1 }));
  const imports: Import[] = [];
  walk(program, (node) => {
    const found = importOf(node);
    if (found !== undefined) imports.push(found);
  });
  return { path, text, program, comments, imports };
}

/** Path of the file that a relative import leads to. */
export const target = (source: Source, from: string): string => posix.join(posix.dirname(source.path), from);

/** Not written by hand: fixtures are other people's code, and gen/ is made from the protobuf files. */
const FOREIGN = /\/(fixtures|proto\/gen)\//;

/** Every TypeScript file of the house. */
export function readSources(root: string): readonly Source[] {
  const found: string[] = [];
  for (const folder of FOLDERS) {
    try {
      const entries = readdirSync(join(root, folder), { recursive: true, encoding: "utf8" });
      found.push(...entries.map((entry) => posix.join(folder, entry.replaceAll("\\", "/"))));
    } catch {
      // Not every room is built yet.
    }
  }
  const paths = [...found, "vitest.config.ts"].filter((path) => path.endsWith(".ts") && !FOREIGN.test(path));
  return paths.sort().map((path) => parseSource(path, readFileSync(join(root, path), "utf8")));
}
