// The error codes of the house, read from the tables given to `errorsFrom`, as the lines that docs/errors.md must have.

import { isNode, type Node, type Source, walk } from "./source.ts";

export interface ErrorCode {
  readonly code: string;
  readonly folder: string;
  /** The line of the table in docs/errors.md. */
  readonly line: string;
}

const textOf = (node: unknown): string => (isNode(node) ? String(node.value ?? node.name) : "");

const fieldsOf = (node: Node): ReadonlyMap<string, Node> =>
  new Map((node.properties as Node[]).map((property) => [textOf(property.key), property.value as Node]));

/** The object literal that a call of `errorsFrom` gets, directly or by the name of a constant. */
function tableOf(call: Node, source: Source): Node | undefined {
  const [argument] = call.arguments as Node[];
  if (argument?.type !== "Identifier") return argument;
  let found: Node | undefined;
  walk(source.program, (node) => {
    if (node.type !== "VariableDeclarator" || textOf(node.id) !== argument.name || !isNode(node.init)) return;
    found = /^TS(As|Satisfies)Expression$/.test(node.init.type) ? (node.init.expression as Node) : node.init;
  });
  return found;
}

export function errorCodes(sources: readonly Source[]): readonly ErrorCode[] {
  const codes: ErrorCode[] = [];
  for (const source of sources.filter(({ path }) => !path.startsWith("test/"))) {
    walk(source.program, (node) => {
      if (node.type !== "CallExpression" || textOf(node.callee) !== "errorsFrom") return;
      const table = tableOf(node, source);
      if (table?.type !== "ObjectExpression")
        throw new Error(`${source.path}: give errorsFrom its table as an object literal`);
      for (const [code, kind] of fieldsOf(table)) {
        const fields = fieldsOf(kind);
        const retry = fields.get("retryable")?.value === true ? "yes" : "no";
        const folder = source.path.split("/")[0] ?? "";
        codes.push({ code, folder, line: `| \`${code}\` | ${retry} | ${textOf(fields.get("remedy"))} |` });
      }
    });
  }
  return codes;
}
