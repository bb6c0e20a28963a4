// The house rules marked (T), held: every rule reads every source file, and each is shown to catch a bad sample.
// The rules themselves are in test/tidy/.

import { describe, expect, it } from "vitest";
import { arrows, cycles, deadFiles, doors, packages, specifiers } from "./tidy/imports.ts";
import { names, openingComment, sizes } from "./tidy/shape.ts";
import { type Finding, parseSource, ROOT, readSources, type Source } from "./tidy/source.ts";
import { language, moduleState, places } from "./tidy/syntax.ts";

type Rule = (sources: readonly Source[]) => readonly Finding[];
const each =
  (rule: (source: Source) => readonly Finding[]): Rule =>
  (sources) =>
    sources.flatMap(rule);

const RULES: Readonly<Record<string, Rule>> = {
  "files and functions are short": each(sizes),
  "names are nouns": each(names),
  "files open with what they are": each(openingComment),
  "the language is what Node runs as it is": each(language),
  "clock, chance, environment and console have their place": each(places),
  "modules have no state": each(moduleState),
  "imports follow the arrows": each(arrows),
  "rooms are entered by their door": doors,
  "imports name files": specifiers,
  "one package, one place": each(packages),
  "imports form no ring": cycles,
  "every file is used": deadFiles,
};

const print = (findings: readonly Finding[]) => findings.map(({ path, line, message }) => `${path}:${line} ${message}`);

describe("the house is tidy", () => {
  const sources = readSources(ROOT);
  it.each(Object.entries(RULES))("%s", (_, rule) => {
    expect(print(rule(sources))).toEqual([]);
  });
});

/** A house of a few files, and what the rule must say about it. */
interface Sample {
  readonly rule: keyof typeof RULES;
  readonly files: Readonly<Record<string, string>>;
  readonly says: readonly string[];
}

const sample = (rule: string, path: string, text: string, ...says: string[]): Sample => ({
  rule,
  files: { [path]: text },
  says,
});
const lines = (count: number) => "x();\n".repeat(count);

const SIZE = "files and functions are short";
const NAMES = "names are nouns";
const LANGUAGE = "the language is what Node runs as it is";
const PLACE = "clock, chance, environment and console have their place";
const STATE = "modules have no state";
const ARROWS = "imports follow the arrows";
const DOORS = "rooms are entered by their door";
const PACKAGE = "one package, one place";

const SAMPLES: readonly Sample[] = [
  sample(SIZE, "runtime/a.ts", lines(401), "401 lines"),
  sample(SIZE, "runtime/a.ts", `function f() {\n${lines(69)}}`, "71 lines"),
  sample(SIZE, "runtime/a.ts", `class A { f() {\n${lines(69)}} }`, "71 lines"),
  sample(SIZE, "runtime/a.ts", `const f = () => {\n${lines(68)}};`),
  sample(SIZE, "test/a.test.ts", `describe("a", () => {\n${lines(90)}it("b", () => {});\n});`),
  sample(SIZE, "runtime/a.ts", `describe("a", () => {\n${lines(90)}it("b", () => {});\n});`, "93 lines"),
  sample(NAMES, "runtime/string-utils.ts", "", "utils"),
  sample(NAMES, "runtime/mailBox.ts", "", "kebab-case"),
  sample(NAMES, "tools/helpers/a.ts", "", "helpers"),
  sample(
    NAMES,
    "runtime/a.ts",
    "class StoreImpl {}\ninterface IStore {}\ntype BaseStore = 1;",
    "Impl",
    "IStore",
    "BaseStore",
  ),
  sample(NAMES, "runtime/id.ts", "interface Id {}\nclass IdMap {}\nclass Database {}"),
  sample("files open with what they are", "runtime/a.ts", "export const a = 1;", "comment"),
  sample(LANGUAGE, "runtime/a.ts", "enum A { b }", "enums"),
  sample(LANGUAGE, "runtime/a.ts", "namespace A { export const b = 1; }", "namespaces"),
  sample(LANGUAGE, "runtime/a.ts", "class A { constructor(private b: number) {} }", "parameter properties"),
  sample(LANGUAGE, "runtime/a.ts", "export default 1;", "default"),
  sample(LANGUAGE, "vitest.config.ts", "export default 1;"),
  sample(LANGUAGE, "runtime/a.ts", 'export * from "./b.ts";', "export *"),
  sample(LANGUAGE, "runtime/a.ts", "const a = (b as any).c;", "any"),
  sample(LANGUAGE, "runtime/a.ts", "// @ts-ignore\nf();\n// biome-ignore lint: no\ng();", "@ts-ignore", "biome-ignore"),
  sample(LANGUAGE, "test/types.test.ts", "// @ts-expect-error must not compile\nf();"),
  sample(PLACE, "runtime/cell.ts", "Date.now(); new Date(); performance.now();", "Date.now", "new Date", "performance"),
  sample(PLACE, "runtime/cell.ts", "new Date(0); clock.now(); ({ setTimeout: 1 }).setTimeout;"),
  sample(PLACE, "runtime/cell.ts", "setTimeout(f, 1); const g = setInterval;", "setTimeout", "setInterval"),
  sample(PLACE, "runtime/cell.ts", "AbortSignal.timeout(5);", "AbortSignal.timeout"),
  sample(PLACE, "runtime/cell.ts", 'import * as late from "node:timers/promises";', "setTimeout"),
  sample(PLACE, "runtime/clock.ts", "Date.now(); setTimeout(f, 1);"),
  sample(PLACE, "test/a.test.ts", "setTimeout(f, 1);", "setTimeout"),
  sample(PLACE, "actors/a.ts", "Math.random();", "Math.random"),
  sample(
    PLACE,
    "actors/a.ts",
    'process.env.HOME; process["env"]; console.log(1);',
    "process.env",
    "process.env",
    "console",
  ),
  sample(PLACE, "actors/agent/options.ts", "process.env.HOME;"),
  sample(PLACE, "api/cli.ts", "console.log(1); process.stdout.write(a);"),
  sample(STATE, "runtime/a.ts", "let count = 0;", "top-level let"),
  sample(STATE, "runtime/a.ts", "export const seen = new Map();", "top-level Map"),
  sample(STATE, "runtime/a.ts", "const words: ReadonlySet<string> = new Set(['a']);"),
  sample(STATE, "runtime/a.ts", "const list = [];\nfunction f() { list.push(1); }", "list is a top-level"),
  sample(
    STATE,
    "runtime/a.ts",
    "const box = { a: 1 };\nfunction f() { box.a = 2; delete box.a; box.a++; }",
    ..."box box box".split(" "),
  ),
  sample(STATE, "runtime/a.ts", "class A { static count = 0; static readonly max = 1; }", "static"),
  sample(STATE, "examples/01-hello.ts", "let count = 0;"),
  sample(STATE, "runtime/a.ts", "function f() { let a = 1; const b = new Map(); b.set(a, a); }"),
  sample(ARROWS, "runtime/a.ts", 'import { b } from "../tools/index.ts";', "runtime/ does not import tools/"),
  sample(ARROWS, "runtime/a.ts", 'import type { B } from "../tools/index.ts";', "runtime/ does not import tools/"),
  sample(ARROWS, "tools/a.ts", 'import { b } from "../actors/index.ts";', "tools/ does not import actors/"),
  sample(ARROWS, "actors/a.ts", 'import { b } from "../api/index.ts";', "api/ is a door"),
  sample(ARROWS, "actors/a.ts", 'import { b } from "../tools/index.ts";\nimport { c } from "../runtime/index.ts";'),
  sample(ARROWS, "runtime/cell.ts", 'import { b } from "./host.ts";', "lies below"),
  sample(ARROWS, "runtime/host.ts", 'import { b } from "./memory/store.ts";', "only connect.ts"),
  sample(ARROWS, "runtime/connect.ts", 'import { b } from "./memory/store.ts";\nimport { c } from "./cell.ts";'),
  sample(DOORS, "actors/a.ts", 'import { b } from "../tools/policy.ts";', "enter tools/"),
  sample(DOORS, "test/a.test.ts", 'import { b } from "../tools/policy.ts";'),
  {
    rule: DOORS,
    files: {
      "tools/a.ts": 'import "./git/log.ts"; import "./files/read.ts";',
      "tools/git/index.ts": "",
      "tools/files/read.ts": "",
    },
    says: ["enter tools/git/"],
  },
  sample("imports name files", "runtime/a.ts", 'import { b } from "./b";', "./b"),
  sample(PACKAGE, "runtime/a.ts", 'import { OpenAI } from "openai";', "not imported here"),
  sample(PACKAGE, "runtime/a.ts", 'import { x } from "left-pad";', "no place"),
  sample(
    PACKAGE,
    "actors/agent/a.ts",
    'import { OpenAI } from "openai";\nimport { z } from "zod";\nimport { readFile } from "node:fs/promises";',
  ),
  {
    rule: "imports form no ring",
    files: { "runtime/a.ts": 'import { b } from "./b.ts";', "runtime/b.ts": 'import { type A } from "./a.ts";' },
    says: ["runtime/a.ts → runtime/b.ts → runtime/a.ts"],
  },
  {
    rule: "imports form no ring",
    files: { "runtime/a.ts": 'import { b } from "./b.ts";', "runtime/b.ts": 'import type { A } from "./a.ts";' },
    says: [],
  },
  {
    rule: "every file is used",
    files: {
      "runtime/index.ts": 'export { a } from "./a.ts";',
      "runtime/a.ts": 'new URL("./child.ts", import.meta.url);',
      "runtime/child.ts": "",
      "runtime/lost.ts": "",
      "runtime/tested.ts": "",
      "test/a.test.ts": 'import "../runtime/tested.ts"; import "./support/a.ts";',
      "test/support/a.ts": "",
    },
    says: ["runtime/lost.ts", "runtime/tested.ts"],
  },
];

describe("each rule sees what it forbids", () => {
  it.each(SAMPLES.map((given, index) => [given.rule, index + 1, given] as const))("%s (%i)", (_, __, given) => {
    const sources = Object.entries(given.files).map(([path, text]) => parseSource(path, text));
    const found = print(RULES[given.rule]?.(sources) ?? []);
    expect(found).toHaveLength(given.says.length);
    for (const words of given.says) expect(found.join("\n")).toContain(words);
  });

  it("is proven for every rule", () => {
    const proven = new Set(SAMPLES.filter(({ says }) => says.length > 0).map(({ rule }) => rule));
    expect(Object.keys(RULES).filter((rule) => !proven.has(rule))).toEqual([]);
  });
});
