// Rules of language (HOUSE 13, 21 and the arrows' last line): what Node cannot run as it is, what a test cannot replace, and
// state that two systems in one process would share.

import { type Finding, isNode, type Node, type Source, walk } from "./source.ts";

const isTest = (path: string) => path.startsWith("test/");
const isDoor = (path: string) => /^(api|bench|examples|test)\/|^nodes\/main\.ts$/.test(path);

interface Place {
  /** What is bound to a place. */
  readonly what: string;
  readonly allowed: (path: string) => boolean;
  readonly instead: string;
}

const CLOCK: Omit<Place, "what"> = {
  allowed: (path) => path === "runtime/clock.ts" || /^(bench|test)\//.test(path),
  instead: "pass a Clock in (runtime/clock.ts)",
};
const TIMER: Omit<Place, "what"> = {
  allowed: (path) => path === "runtime/clock.ts" || /^(bench|test\/support)\//.test(path),
  instead: "pass a Clock in; tests wait with waitUntil",
};
const CONSOLE: Omit<Place, "what"> = { allowed: isDoor, instead: "only doors print; pass a sink in" };

/** Globals that have one place; everywhere else they are passed in, so that a test can run hours in milliseconds. */
const PLACES: readonly Place[] = [
  ...["Date.now", "new Date()", "performance.now", "process.hrtime"].map((what) => ({ what, ...CLOCK })),
  ...["setTimeout", "setInterval", "setImmediate", "AbortSignal.timeout"].map((what) => ({ what, ...TIMER })),
  { what: "Math.random", allowed: (path) => /^(runtime\/random\.ts$|bench\/)/.test(path), instead: "pass a Random in" },
  {
    what: "process.env",
    allowed: (path) => /(^|\/)options\.ts$/.test(path) || isTest(path),
    instead: "read it in the folder's options.ts",
  },
  ...["console", "process.stdout", "process.stderr"].map((what) => ({ what, ...CONSOLE })),
];

/** "Date.now" for the node that reads it, "console" for a bare global; undefined for everything else. */
function globalName(node: Node, parent: Node | undefined): string | undefined {
  if (node.type === "MemberExpression") {
    const [object, property] = [node.object as Node, node.property as Node];
    return object.type === "Identifier" ? `${object.name}.${property.name ?? property.value}` : undefined;
  }
  if (node.type === "NewExpression") {
    const isClock = (node.callee as Node).name === "Date" && (node.arguments as unknown[]).length === 0;
    return isClock ? "new Date()" : undefined;
  }
  if (node.type !== "Identifier" || parent === undefined) return undefined;
  const isMember = parent.property === node && parent.computed !== true;
  const isDeclared = parent.key === node && parent.shorthand !== true;
  return isMember || isDeclared ? undefined : String(node.name);
}

export function places(source: Source): Finding[] {
  const { path } = source;
  const bound = new Map(PLACES.filter((place) => !place.allowed(path)).map((place) => [place.what, place]));
  const findings: Finding[] = [];
  const add = (name: string, line: number) => {
    const place = bound.get(name);
    if (place !== undefined) findings.push({ path, line, message: `${name}: ${place.instead}` });
  };
  walk(source.program, (node, parents) => add(globalName(node, parents.at(-1)) ?? "", node.loc.start.line));
  for (const { from, line } of source.imports) {
    if (/^(node:)?timers(\/promises)?$/.test(from)) add("setTimeout", line);
    if (/^(node:)?process$/.test(from)) add("process.env", line);
    if (/^(node:)?perf_hooks$/.test(from)) add("performance.now", line);
  }
  return findings;
}

/** Syntax that type stripping cannot run, or that hides a type error. */
function bannedSyntax(node: Node, path: string): string | undefined {
  switch (node.type) {
    case "TSEnumDeclaration":
      return "no enums: a union of string literals";
    case "TSModuleDeclaration":
      return "no namespaces: a file is one";
    case "TSParameterProperty":
      return "no parameter properties: Node cannot strip them";
    case "Decorator":
      return "no decorators";
    case "ExportDefaultDeclaration":
      return path === "vitest.config.ts" ? undefined : "no default exports: export a name";
    case "ExportAllDeclaration":
      return "no export *: list the names";
    case "TSAnyKeyword":
      return "no any: unknown, or the type it is";
    default:
      return undefined;
  }
}

const SILENCED = /@ts-(ignore|nocheck|expect-error)|biome-ignore|eslint-disable/;

export function language(source: Source): Finding[] {
  const { path } = source;
  const findings: Finding[] = [];
  walk(source.program, (node) => {
    const message = bannedSyntax(node, path);
    if (message !== undefined) findings.push({ path, line: node.loc.start.line, message });
  });
  for (const { text, line } of source.comments) {
    // A type test says "this must not compile" that way; there it is an assertion.
    const silenced = SILENCED.exec(text.replace(isTest(path) ? /@ts-expect-error/ : /$^/, ""));
    if (silenced !== null) findings.push({ path, line, message: `no ${silenced[0]}: mend the cause` });
  }
  return findings;
}

const CONTAINERS = /^(Map|Set|WeakMap|WeakSet|Array|EventEmitter|EventTarget|LRUCache|AbortController)$/;
const MUTATORS = /^(push|pop|shift|unshift|splice|sort|reverse|fill|copyWithin)$/;

const declarations = (program: Node): Node[] =>
  (program.body as Node[]).flatMap((statement) => {
    const declared = statement.type.startsWith("Export") ? statement.declaration : statement;
    return isNode(declared) && declared.type === "VariableDeclaration" ? [declared] : [];
  });

/** Why a top-level `const` can change; undefined when it cannot. */
function containerOf(declarator: Node): string | undefined {
  const init = declarator.init;
  if (!isNode(init) || init.type !== "NewExpression") return undefined;
  const callee = String((init.callee as Node).name);
  const annotation = (declarator.id as Node).typeAnnotation;
  const type = isNode(annotation)
    ? String(((annotation.typeAnnotation as Node).typeName as Node | undefined)?.name)
    : "";
  return CONTAINERS.test(callee) && !type.startsWith("Readonly") ? callee : undefined;
}

/** The name that an assignment, `delete` or mutating call changes from within. */
function changedName(node: Node): string | undefined {
  const of = (member: unknown): string | undefined =>
    isNode(member) && member.type === "MemberExpression" ? String((member.object as Node).name) : undefined;
  if (node.type === "AssignmentExpression") return of(node.left);
  if (node.type === "UpdateExpression" || (node.type === "UnaryExpression" && node.operator === "delete")) {
    return of(node.argument);
  }
  if (node.type !== "CallExpression" || !isNode(node.callee) || node.callee.type !== "MemberExpression")
    return undefined;
  return MUTATORS.test(String((node.callee.property as Node).name)) ? of(node.callee) : undefined;
}

/** Nobody imports a program: its top level is a run, not a module. */
const PROGRAMS = /^(examples\/[^/]+|bench\/run|(api|nodes)\/main)\.ts$/;

export function moduleState(source: Source): Finding[] {
  const { path } = source;
  if (isTest(path) || PROGRAMS.test(path)) return [];
  const findings: Finding[] = [];
  const add = (node: Node, message: string) => findings.push({ path, line: node.loc.start.line, message });
  const constants = new Set<string>();
  for (const declaration of declarations(source.program)) {
    if (declaration.kind !== "const") add(declaration, `top-level ${declaration.kind}: state belongs to an object`);
    for (const declarator of declaration.declarations as Node[]) {
      constants.add(String((declarator.id as Node).name));
      const container = containerOf(declarator);
      if (container !== undefined)
        add(declarator, `top-level ${container}: type it Readonly${container} or put it in an object`);
    }
  }
  walk(source.program, (node) => {
    const changed = changedName(node);
    if (changed !== undefined && constants.has(changed))
      add(node, `${changed} is a top-level constant and is changed here`);
    const isStatic = /^Class(Private)?Property$/.test(node.type) && node.static === true && node.readonly !== true;
    if (isStatic) add(node, "a static field is module state: make it readonly or an instance's");
  });
  return findings;
}
