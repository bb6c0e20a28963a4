// Rules of the arrows (HOUSE, first section): who may import whom, through which door, and which package has which place.

import { isBuiltin } from "node:module";
import { type Finding, type Source, target, walk } from "./source.ts";

const folderOf = (path: string): string => (path.includes("/") ? (path.split("/")[0] ?? "") : "");

/** What a room may import, besides itself. Doors may import any room; nobody imports a door. */
const ARROWS: Readonly<Record<string, readonly string[]>> = {
  runtime: [],
  placement: ["runtime"],
  nodes: ["runtime"],
  tools: ["runtime"],
  actors: ["runtime", "tools"],
};
const DOORS: readonly string[] = ["api", "bench", "examples", "test"];

/** Inside runtime/, from the words up to connect: a file may import its own level and those below. */
const LEVELS: readonly (readonly string[])[] = [
  ["address", "clock", "codec", "envelope", "errors", "log", "random"],
  ["blobs", "event-log", "placer", "store", "transport"],
  ["directory", "lease", "mailbox", "membership", "supervisor"],
  ["calls", "cell", "handle"],
  ["host"],
  ["system"],
  ["connect"],
];
const levelOf = (path: string): number =>
  LEVELS.findIndex((level) =>
    level.some((name) => path === `runtime/${name}.ts` || path === `runtime/cell/${name}.ts`),
  );

function arrowBroken(from: string, to: string): string | undefined {
  const [room, other] = [folderOf(from), folderOf(to)];
  if (room === other || room === "" || room === "test") return undefined;
  if (DOORS.includes(other)) return `${other}/ is a door: nothing imports it`;
  if (DOORS.includes(room) || from === "nodes/main.ts") return undefined;
  return ARROWS[room]?.includes(other) ? undefined : `${room}/ does not import ${other}/`;
}

function levelBroken(from: string, to: string): string | undefined {
  if (/^runtime\/(memory|nats)\//.test(to) && !/^runtime\/((memory|nats)\/|connect\.ts$)/.test(from)) {
    if (folderOf(from) === "runtime" && from !== "runtime/index.ts") return "only connect.ts knows memory/ and nats/";
  }
  const [level, other] = [levelOf(from), levelOf(to)];
  return level >= 0 && other > level ? `${from} lies below ${to} (HOUSE, the arrows inside runtime/)` : undefined;
}

export function arrows(source: Source): Finding[] {
  return source.imports.flatMap(({ from, line, isTypeOnly }) => {
    if (!from.startsWith(".")) return [];
    const to = target(source, from);
    // A type may look up: it is gone before the program runs.
    const message = arrowBroken(source.path, to) ?? (isTypeOnly ? undefined : levelBroken(source.path, to));
    return message === undefined ? [] : [{ path: source.path, line, message }];
  });
}

/** The outermost folder with a door that is entered from outside, by each import; only tests look inside. */
export function doors(sources: readonly Source[]): Finding[] {
  const paths = new Set(sources.map(({ path }) => path));
  const hasDoor = (folder: string) => !folder.includes("/") || paths.has(`${folder}/index.ts`);
  const entered = (from: string, to: string): string | undefined => {
    const parts = to.split("/").slice(0, -1);
    const folders = parts.map((_, index) => parts.slice(0, index + 1).join("/"));
    return folders.find((folder) => !from.startsWith(`${folder}/`) && hasDoor(folder));
  };
  return sources.flatMap((source) =>
    source.path.startsWith("test/") || source.path === "vitest.config.ts"
      ? []
      : source.imports.flatMap(({ from, line }) => {
          if (!from.startsWith(".")) return [];
          const to = target(source, from);
          const folder = entered(source.path, to);
          if (folder === undefined || to === `${folder}/index.ts`) return [];
          return [{ path: source.path, line, message: `${to}: enter ${folder}/ by ${folder}/index.ts` }];
        }),
  );
}

export function specifiers(sources: readonly Source[]): Finding[] {
  const paths = new Set(sources.map(({ path }) => path));
  return sources.flatMap((source) =>
    source.imports.flatMap(({ from, line }) => {
      if (!from.startsWith(".") || from.endsWith(".json") || paths.has(target(source, from))) return [];
      // These are not read here; the type checker knows whether they exist.
      if (source.path.startsWith("test/") && from.includes("/fixtures/")) return [];
      if (/\/proto\/gen\/.+_pb\.js$/.test(from)) return [];
      return [{ path: source.path, line, message: `${from}: relative imports name a .ts file that exists` }];
    }),
  );
}

/** One package, one place: what it is replaced by one day is then one change. zod may be anywhere. */
const PACKAGES: readonly (readonly [name: RegExp, place: RegExp])[] = [
  [/^zod$/, /./],
  // In nodes/ for other people's formats only: ours goes by the codec.
  [/^msgpackr$/, /^(runtime\/codec\.ts$|(test\/)?nodes\/|test\/support\/vllm-)/],
  [/^@nats-io\//, /^(runtime|test\/runtime)\/nats\/|^bench\/peers\//],
  [/^rolldown$/, /^runtime\/code\//],
  [/^@opentelemetry\/api$/, /^(runtime\/trace\.ts$|test\/)/],
  [/^@opentelemetry\/sdk-trace-base$/, /^test\//],
  [/^(openai|jsonrepair)$/, /^actors\/agent\//],
  [/^(lru-cache)$/, /^actors\//],
  [/^(neo4j-driver|@ladybugdb\/core)$/, /^(test\/)?actors\/context\//],
  [/^(dockerode|@kubernetes\/client-node)$/, /^tools\/jobs\/|^test\/(tools\/jobs|kubernetes)\//],
  [/^(@connectrpc|@bufbuild)\//, /^(test\/)?api\/grpc\//],
  [/^execa$/, /^(tools\/workspace|nodes)\//],
  [/^(@vscode\/ripgrep|isbinaryfile)$/, /^tools\//],
  [/^diff$/, /^(tools|actors\/council)\//],
  [/^fast-xml-parser$/, /^(tools\/tests|nodes\/gpu)\//],
  [/^(zeromq|eventsource-parser)$/, /^nodes\/|^test\/(nodes\/|support\/vllm-)/],
  [/^yaml$/, /^(actors|test)\/|^api\/asyncapi\.ts$/],
  [/^prom-client$/, /^[a-z]+\/metrics\.ts$|^test\/nodes\//],
  [/^commander$/, /^(test\/)?api\//],
  [/^picocolors$/, /^api\//],
  [/^@babel\/parser$/, /^test\/tidy\//],
  [/^(vitest(\/.+)?|fast-check)$/, /^(test\/|vitest\.config\.ts$)/],
];

export function packages(source: Source): Finding[] {
  return source.imports.flatMap(({ from, line }) => {
    if (from.startsWith(".") || isBuiltin(from)) return [];
    const name = /^(@[^/]+\/)?[^/]+/.exec(from)?.[0] ?? from;
    const entry = PACKAGES.find(([pattern]) => pattern.test(from) || pattern.test(name));
    if (entry === undefined) {
      return [{ path: source.path, line, message: `${from} has no place: give it one in test/tidy/imports.ts` }];
    }
    return entry[1].test(source.path) ? [] : [{ path: source.path, line, message: `${from} is not imported here` }];
  });
}

/** Files in a ring of run-time imports, once for each ring. `import { type T }` counts: only `import type` is stripped whole. */
export function cycles(sources: readonly Source[]): Finding[] {
  const byPath = new Map(sources.map((source) => [source.path, source]));
  const done = new Set<string>();
  const findings: Finding[] = [];
  const visit = (source: Source, trail: readonly string[]): void => {
    const start = trail.indexOf(source.path);
    if (start >= 0) {
      const ring = [...trail.slice(start), source.path].join(" → ");
      findings.push({ path: source.path, line: 1, message: `a ring of imports: ${ring}` });
      return;
    }
    if (done.has(source.path)) return;
    for (const { from, isTypeOnly } of source.imports) {
      const next = isTypeOnly ? undefined : byPath.get(target(source, from));
      if (next !== undefined) visit(next, [...trail, source.path]);
    }
    done.add(source.path);
  };
  for (const source of sources) visit(source, []);
  return findings;
}

/** Where reading starts: doors, tests, programs, and each room's own door. */
const ENTRY =
  /^(api\/main|nodes\/main|bench\/run|[a-z]+\/index|examples\/[^/]+|vitest\.config)\.ts$|^bench\/scenarios\/|\.test\.ts$/;

/** Files that nobody imports and no program starts. What only tests import is as dead, unless it lies in test/. */
export function deadFiles(sources: readonly Source[]): Finding[] {
  const byPath = new Map(sources.map((source) => [source.path, source]));
  const alive = new Set<string>();
  const reach = (path: string, isForTests: boolean): void => {
    const source = byPath.get(path);
    if (source === undefined || alive.has(path) || (isForTests && !path.startsWith("test/"))) return;
    alive.add(path);
    for (const name of namedFiles(source)) reach(target(source, name), isForTests);
  };
  for (const { path } of sources) if (ENTRY.test(path)) reach(path, path.startsWith("test/"));
  const dead = sources.filter(({ path }) => !alive.has(path));
  return dead.map(({ path }) => ({ path, line: 1, message: "nobody imports this file: use it or delete it" }));
}

/** Imported files, and those named in a string, as `new URL("./child.ts", import.meta.url)` does. */
function namedFiles(source: Source): string[] {
  const names = source.imports.map(({ from }) => from);
  walk(source.program, (node) => {
    if (node.type === "StringLiteral" && /^\.{1,2}\/.*\.ts$/.test(String(node.value))) names.push(String(node.value));
  });
  return names;
}
