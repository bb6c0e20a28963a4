// Rules of size and name (HOUSE 2, 8, 12): what can be seen without knowing what the code does.

import { type Finding, type Node, type Source, walk } from "./source.ts";

const FILE_LINES_MAX = 400;
const FUNCTION_LINES_MAX = 70;

const isFunction = (node: Node): boolean =>
  /^(Function|ArrowFunction|ObjectMethod|Class(Private)?Method)/.test(node.type);

/** True for the body of a suite: `describe("…", () => { … })` or a function that declares tests. */
function isSuite(node: Node): boolean {
  let declares = false;
  walk(node, (inner) => {
    const callee = inner.type === "CallExpression" ? (inner.callee as Node) : undefined;
    if (callee?.type === "Identifier" && /^(describe|it|test)$/.test(String(callee.name))) declares = true;
  });
  return declares;
}

export function sizes(source: Source): Finding[] {
  const findings: Finding[] = [];
  const { path } = source;
  const lines = source.text.trimEnd().split("\n").length;
  if (lines > FILE_LINES_MAX) {
    findings.push({ path, line: FILE_LINES_MAX, message: `${lines} lines; split it: at most ${FILE_LINES_MAX}` });
  }
  walk(source.program, (node) => {
    if (!isFunction(node)) return;
    const length = node.loc.end.line - node.loc.start.line + 1;
    if (length <= FUNCTION_LINES_MAX || (path.startsWith("test/") && isSuite(node))) return;
    const message = `a function of ${length} lines; split it: at most ${FUNCTION_LINES_MAX}`;
    findings.push({ path, line: node.loc.start.line, message });
  });
  return findings;
}

/** Words that name no concept: whoever looks for one cannot find it, and everything ends up in them. */
const EMPTY_WORDS: ReadonlySet<string> = new Set([
  ...["util", "utils", "helper", "helpers", "manager", "worker", "base", "misc", "common", "impl"],
]);
const EMPTY_TYPE_NAME = /^I[A-Z][a-z]|^Base[A-Z]|(Impl|Manager|Helpers?|Utils?|Worker)$/;
const FILE_NAME = /^[a-z0-9]+(-[a-z0-9]+)*(\.test|\.config)?\.ts$/;

export function names(source: Source): Finding[] {
  const findings: Finding[] = [];
  const { path } = source;
  const add = (line: number, message: string) => findings.push({ path, line, message });
  const file = path.split("/").at(-1) ?? "";
  if (!FILE_NAME.test(file)) add(1, "file names are kebab-case nouns: restart-policy.ts");
  const empty = path.split(/[/.-]/).find((word) => EMPTY_WORDS.has(word));
  if (empty !== undefined) add(1, `"${empty}" names no concept; name the file by its noun`);
  walk(source.program, (node) => {
    if (!/^(Class|TSInterface|TSTypeAlias)Declaration$/.test(node.type)) return;
    const name = String((node.id as Node | null)?.name ?? "");
    if (EMPTY_TYPE_NAME.test(name)) {
      add(node.loc.start.line, `${name}: the interface gets the plain noun, implementations a qualifier`);
    }
  });
  return findings;
}

export function openingComment(source: Source): Finding[] {
  if (source.text.startsWith("//") || source.text.startsWith("/*") || source.text.startsWith("#!")) return [];
  return [{ path: source.path, line: 1, message: "open with a comment: what the file is and what it is not" }];
}
