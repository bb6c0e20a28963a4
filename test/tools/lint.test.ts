// lintChanged on real files with the real linters. What verification makes of findings is not tested here.

import { mkdtemp, realpath, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { systemClock, systemRandom } from "../../runtime/index.ts";
import { lintChanged } from "../../tools/lint.ts";
import { openProcessWorkspace } from "../../tools/workspace/process-workspace.ts";
import { hasProgram, titleFor, writeFiles } from "../support/test-project.ts";

const hasPython = await hasProgram("python3");
const hasRuff = await hasProgram("ruff");

async function lint(files: Readonly<Record<string, string>>, paths = Object.keys(files)): Promise<readonly string[]> {
  const folder = await realpath(await mkdtemp(join(tmpdir(), "flotilla-lint-")));
  const root = join(folder, "checkout");
  await writeFiles(root, files);
  await symlink("/etc/hostname", join(root, "link.py"));
  const workspace = await openProcessWorkspace({
    root,
    scratchParent: folder,
    clock: systemClock,
    random: systemRandom,
  });
  try {
    const found = await lintChanged(workspace, paths, { clock: systemClock, signal: new AbortController().signal });
    return found.map(({ path, line, message }) => `${path}:${line} ${message}`);
  } finally {
    await workspace.close();
    await rm(folder, { recursive: true, force: true });
  }
}

describe("lines of any text", () => {
  test("loose ends, by path and line", async () => {
    const files = { "b.txt": "one \ntwo\t\n\nthree", "a.txt": "<<<<<<< mine\nx\n=======\ny\n>>>>>>> theirs\n" };
    expect(await lint(files)).toEqual([
      "a.txt:1 conflict marker",
      "a.txt:5 conflict marker",
      "b.txt:1 trailing whitespace",
      "b.txt:2 trailing whitespace",
      "b.txt:4 no newline at end of file",
    ]);
  });

  test("nothing wrong, nothing said: Markdown's spaces, a rule of equal signs, an empty file, Windows line ends", async () => {
    const files = { "a.md": "line  \nTitle\n=======\n", "b.txt": "", "c.txt": "one\r\ntwo\r\n", "d.bin": "\0 \n" };
    expect(await lint(files)).toEqual([]);
  });

  test("files that are gone, links and paths outside are passed over", async () => {
    expect(await lint({}, ["gone.py", "link.py", "../other", "/etc/passwd", ".git/config"])).toEqual([]);
  });

  test("no more than 200 findings, and the last says how many there were", async () => {
    const found = await lint({ "a.txt": "x \n".repeat(500) });
    expect(found).toHaveLength(200);
    expect(found.at(-1)).toBe("a.txt:200 301 more findings are not listed");
  });
});

describe("JavaScript", () => {
  test("syntax errors with their line; modules and JSX are no errors", async () => {
    const files = {
      "bad.js": "const a = 1;\nconst = 2;\n",
      "-odd.mjs": "export const a = ;\n",
      "good.mjs": 'import "node:fs";\nawait 1;\n',
      "good.js": "export const a = 1;\n",
      "view.js": "export const View = () => <p>hi</p>;\n",
      "left.test.ts": "debugger;\ntest.only('a', () => {});\n",
    };
    expect(await lint(files)).toEqual([
      "-odd.mjs:1 syntax error: Unexpected token ';'",
      "bad.js:2 syntax error: Unexpected token '='",
      "left.test.ts:1 debugger statement left behind",
      "left.test.ts:2 `.only` switches all other tests off",
    ]);
  });
});

describe.skipIf(!hasPython)(titleFor("Python", hasPython, "no python3"), () => {
  test("syntax errors with their line; a checkout's own json.py takes no part", async () => {
    const files = {
      "bad.py": "x = 1\ndef f(:\n    pass\n",
      "good.py": "def f(a):\n    return a\n",
      "json.py": "raise SystemExit('taken over')\n",
      "left.py": "breakpoint()\n",
      "-c.py": "x = (\n",
    };
    const found = await lint(files);
    expect(found.map((line) => line.replace(/(syntax error).*/, "$1"))).toEqual([
      "-c.py:1 syntax error",
      "bad.py:2 syntax error",
      "left.py:1 debugger call left behind",
    ]);
  });

  test.skipIf(!hasRuff)(
    titleFor("ruff's errors, whatever the repository's configuration", hasRuff, "no ruff"),
    async () => {
      const files = { "a.py": "import os\nprint(nothere)\n", "ruff.toml": 'exclude = ["*"]\n' };
      expect(await lint(files)).toEqual([
        "a.py:1 `os` imported but unused (F401)",
        "a.py:2 Undefined name `nothere` (F821)",
      ]);
    },
  );
});
