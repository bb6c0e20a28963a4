// docs/errors.md lists every error code of the house with its remedy, and nothing else.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { errorCodes } from "./tidy/error-codes.ts";
import { parseSource, ROOT, readSources } from "./tidy/source.ts";

const codes = errorCodes(readSources(ROOT));

it("docs/errors.md has the lines that the tables say, in their order", () => {
  const text = readFileSync(join(ROOT, "docs/errors.md"), "utf8");
  const sections = text.split(/^## /m).slice(1);
  const documented = sections.map((section) => ({
    folder: section.split("/", 1)[0],
    lines: section.split("\n").filter((line) => line.startsWith("| `")),
  }));
  const folders = [...new Set(codes.map(({ folder }) => folder))].sort();
  expect(documented).toEqual(
    folders.map((folder) => ({
      folder,
      lines: codes.filter((code) => code.folder === folder).map(({ line }) => line),
    })),
  );
});

it("no room gives a code twice", () => {
  const all = codes.map(({ folder, code }) => `${folder} ${code}`);
  expect(all.filter((code, index) => all.indexOf(code) !== index)).toEqual([]);
  expect(all.length).toBeGreaterThan(20);
});

it("reads tables given directly and by name", () => {
  const direct = `fail = errorsFrom({ A: { retryable: true, remedy: "Do a." } });`;
  const named = `const TABLE = { B: { retryable: false, remedy: "Do b." } } satisfies T;\nexport const fail = errorsFrom(TABLE);`;
  const found = errorCodes([parseSource("tools/errors.ts", direct), parseSource("runtime/errors.ts", named)]);
  expect(found.map(({ folder, line }) => [folder, line])).toEqual([
    ["tools", "| `A` | yes | Do a. |"],
    ["runtime", "| `B` | no | Do b. |"],
  ]);
});
