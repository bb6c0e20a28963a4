// The rule behind every path check: whatever path a model writes, nothing outside the workspace and nothing of git's own changes.

import { mkdir, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import { snapshot } from "../support/folder-snapshot.ts";
import { makeFolder } from "../support/git-repository.ts";
import { benchOn, programlessWorkspace } from "../support/tool-bench.ts";

const RUNS = 1_000;

/** Names that some file system takes for `.git`; none of them may come to exist. */
const GIT_NAMES = [
  ".git",
  ".GIT",
  ".Git",
  ".git ",
  ".git.",
  "git~1",
  ".g\u200cit",
  "．git",
  ".ｇit",
  ".git::$INDEX_ALLOCATION",
];

/** "/" stands for the absolute path of the folder outside. */
const LINKS: Readonly<Record<string, string>> = {
  "out-link": "../outside",
  "file-link": "../outside/secret",
  "new-link": "../outside/new",
  "abs-link": "/",
  "git-link": ".git",
  "hook-link": ".git/hooks/pre-commit",
  "up-link": "..",
  "in-link": "src",
  "src/up-link": "../..",
  "chain-link": "out-link",
};

const name = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.constantFrom("src", "a.py", "outside", "secret", "new", "root", "hooks", "config", "pre-commit"),
  },
  { weight: 3, arbitrary: fc.constantFrom(...Object.keys(LINKS).map((link) => link.split("/").at(-1) ?? link)) },
  { weight: 3, arbitrary: fc.constantFrom("..", ".", "", "...", ".. ", "~", "-rf", "C:", "CON") },
  { weight: 3, arbitrary: fc.constantFrom(...GIT_NAMES) },
  { weight: 1, arbitrary: fc.string({ unit: "binary", maxLength: 6 }) },
);
const separator = fc.constantFrom("/", "/", "/", "/", "//", "/./", "\\", "/../", "\0");
const path = fc
  .tuple(
    fc.constantFrom("", "", "", "/", "./", "../", "\\\\", "~/"),
    name,
    fc.array(fc.tuple(separator, name), { maxLength: 4 }),
  )
  .map(([start, first, rest]) => start + first + rest.flat().join(""));

const action = fc.constantFrom(
  ["files.write", { content: "written" }],
  ["files.write", { content: "written" }],
  ["files.append", { content: "added" }],
  ["files.edit", { search: "e", replace: "edited", all: true }],
  ["files.delete", { recursive: true }],
  ["files.mkdir", {}],
);

async function plant(root: string): Promise<void> {
  await rm(root, { recursive: true, force: true });
  for (const folder of ["src", ".git/hooks"]) await mkdir(join(root, folder), { recursive: true });
  for (const file of ["src/a.py", ".git/config", ".git/hooks/pre-commit"]) await writeFile(join(root, file), "here\n");
  for (const [link, target] of Object.entries(LINKS)) {
    await symlink(target === "/" ? join(root, "../outside") : target, join(root, link));
  }
}

test(`no path leads a change outside the workspace or into .git, ${RUNS} paths`, { timeout: 60_000 }, async () => {
  await using folder = await makeFolder();
  const [root, outside] = [join(folder.path, "root"), join(folder.path, "outside")];
  await mkdir(outside);
  await writeFile(join(outside, "secret"), "secret\n");
  const { call } = benchOn(programlessWorkspace(root));
  await plant(root);
  const guarded = async () => ({
    beside: await readdir(folder.path),
    outside: await snapshot(outside),
    git: await snapshot(join(root, ".git")),
  });
  const before = await guarded();
  let changes = 0;

  await fc.assert(
    fc.asyncProperty(path, action, async (written, [tool, params]) => {
      const result = await call(tool, { path: written, ...params });
      expect(await guarded()).toEqual(before);
      expect(result.outcome).toMatch(/^(ok|failed)$/);
      if (result.outcome !== "ok") return;
      changes++;
      const names = Object.keys(await snapshot(root)).filter((found) => !/^\.git(\/|$)/.test(found));
      expect(names.flatMap((found) => found.split("/")).filter((part) => GIT_NAMES.includes(part))).toEqual([]);
      await plant(root);
    }),
    { numRuns: RUNS },
  );

  // The generator is worth its name: a good part of its paths are allowed.
  expect(changes).toBeGreaterThan(RUNS / 20);
});
