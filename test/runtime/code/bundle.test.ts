// What a bundle holds, what stays outside it, and what cannot be bundled.

import { mkdirSync, readFileSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { stripVTControlCharacters } from "node:util";
import { expect, test } from "vitest";
import { bundleModule } from "../../../runtime/code/bundle.ts";
import { caught } from "../../support/caught.ts";
import { writtenModules } from "../../support/written-modules.ts";

const RUNTIME = fileURLToPath(new URL("../../../runtime/index.ts", import.meta.url));
const OUTSIDE = `from "./flotilla-runtime.mjs"`;

test("local modules, packages and data are inside; Node and the runtime stay outside, by every way to them", async () => {
  using files = writtenModules();
  symlinkSync(RUNTIME, join(files.folder, "linked.ts"));
  files.write("local.ts", "export const local: string = 'a local module';");
  files.write("data.json", `{ "word": "from JSON" }`);
  const text = await bundleModule(
    files.module(`
      import { connect } from "flotilla";
      import { defineActor } from "./linked.ts";
      import { isFlotillaError } from ${JSON.stringify(RUNTIME)};
      import { readFileSync } from "fs";
      import { z } from ${JSON.stringify(fileURLToPath(import.meta.resolve("zod")))};
      import data from "./data.json" with { type: "json" };
      import { local } from "./local.ts";
      const late = await import("./local.ts");
      export const all = [connect, defineActor, isFlotillaError, readFileSync, z, data.word, local, late, import.meta.main];`),
  );
  expect(text.match(/^import .*$/gm)).toEqual([
    `import { connect, defineActor, isFlotillaError } ${OUTSIDE};`,
    `import { readFileSync } from "fs";`,
  ]);
  for (const part of ["a local module", "from JSON", "ZodString", "import.meta.main"]) expect(text).toContain(part);
  for (const trace of [files.folder, "actors.ts", "local.ts"]) expect(text).not.toContain(trace);
});

test("the same files give the same text, wherever they lie", async () => {
  const texts: string[] = [];
  for (const _ of ["here", "there"]) {
    using files = writtenModules();
    files.write("local.ts", "export const local = 1;");
    texts.push(await bundleModule(files.module(`import { local } from "./local.ts"; export const twice = 2 * local;`)));
  }
  expect(texts[0]).toBe(texts[1]);
});

test("a package that is tried for and done without may be missing", async () => {
  using files = writtenModules();
  files.write("tries.cjs", `try { require("not-installed"); } catch { module.exports = { found: false }; }`);
  const text = await bundleModule(files.module(`import tries from "./tries.cjs"; export const { found } = tries;`));
  expect(text).toContain("not-installed");
});

const UNFIT = [
  [
    "a missing file",
    `import { a } from "./gone.ts"; export const b = a;`,
    /"\.\/gone\.ts", imported by .*actors\.ts, is not/,
  ],
  ["a missing package", `import { a } from "not-installed"; export const b = a;`, /"not-installed", imported by/],
  ["a late missing file", `export const late = () => import("./gone.ts");`, /"\.\/gone\.ts", imported by/],
  ["a missing export", `import { a } from "./empty.ts"; export const b = a;`, /actors\.ts:1:10 "a" is not exported by/],
  ["what is no program", `export const = 1;`, /actors\.ts:1:14 \S/],
  [
    "an inner file of the runtime",
    `import "${join(RUNTIME, "../errors.ts")}";`,
    /runtime\/errors\.ts, an inner file of/,
  ],
  ["a binary", `import binary from "./addon.node"; export const b = binary;`, /addon\.node, a binary/],
] as const;

test.each(UNFIT)("%s is BundleFailed, in one line that names the place", async (_, source, says) => {
  using files = writtenModules();
  files.write("empty.ts", "export {};");
  files.write("addon.node", "");
  const error = await caught(bundleModule(files.module(source)));
  expect(error).toMatchObject({ code: "BundleFailed", data: { path: join(files.folder, "actors.ts") } });
  expect(error.message).toMatch(says);
  expect(error.message).toBe(stripVTControlCharacters(error.message));
  expect(error.message).not.toContain("\n");
});

test("a module that is not there is BundleFailed, whatever stands there instead", async () => {
  using files = writtenModules();
  mkdirSync(join(files.folder, "folder.ts"));
  for (const name of ["gone.ts", "folder.ts"]) {
    const error = await caught(bundleModule(pathToFileURL(join(files.folder, name)).href));
    expect(error).toMatchObject({ code: "BundleFailed" });
    expect(error.message).toContain(name);
  }
});

test("a bundle over the bound is BundleTooLarge with both numbers", async () => {
  using files = writtenModules();
  const module = files.module(`export const text = "${"é".repeat(2_000)}";`);
  const bytes = Buffer.byteLength(await bundleModule(module));
  expect(await bundleModule(module, bytes)).toContain("é");
  expect(await caught(bundleModule(module, bytes - 1))).toMatchObject({
    code: "BundleTooLarge",
    data: { bytes, maxBytes: bytes - 1 },
  });
});

test("the bundler has one importing place, and it is imported late", () => {
  const text = readFileSync(new URL("../../../runtime/code/bundle.ts", import.meta.url), "utf8");
  expect(text.match(/^import (?!type).*rolldown.*$/gm)).toBe(null);
});
