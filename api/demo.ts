// The repository of `npm run demo`: a small project with tests, in Python where the machine has it, else in JavaScript.
// It is not a way of its own: the demo is `flotilla task` with the mock, on this repository.

import { mkdir, mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { Clock, Random } from "../runtime/index.ts";
import { openProcessWorkspace, type Workspace } from "../tools/index.ts";

interface Project {
  readonly language: "Python" | "JavaScript";
  readonly task: string;
  readonly files: Readonly<Record<string, string>>;
}

const PYTHON: Project = {
  language: "Python",
  task: "Add hello_world() function to src/utils.py",
  files: {
    "README.md": "# Demo\n\nA small project for agents to work on.\n",
    "src/__init__.py": "",
    "src/utils.py": `"""Functions for numbers and words."""


def add(a, b):
    """Return the sum of two numbers."""
    return a + b


def shout(text):
    """Return the text in upper case."""
    return text.upper() + "!"
`,
    "tests/__init__.py": "",
    "tests/test_utils.py": `import unittest

from src.utils import add, shout


class UtilsTest(unittest.TestCase):
    def test_add(self):
        self.assertEqual(add(2, 3), 5)

    def test_add_negative(self):
        self.assertEqual(add(-2, 3), 1)

    def test_shout(self):
        self.assertEqual(shout("ahoy"), "AHOY!")
`,
  },
};

const JAVASCRIPT: Project = {
  language: "JavaScript",
  task: "Add hello_world() function to src/utils.js",
  files: {
    "README.md": "# Demo\n\nA small project for agents to work on.\n",
    "package.json": `${JSON.stringify({ name: "demo", private: true, type: "module", scripts: { test: "node --test" } }, null, 2)}\n`,
    "src/utils.js": `/** Returns the sum of two numbers. */
export function add(a, b) {
  return a + b;
}

/** Returns the text in upper case. */
export function shout(text) {
  return \`\${text.toUpperCase()}!\`;
}
`,
    "test/utils.test.js": `import assert from "node:assert/strict";
import test from "node:test";
import { add, shout } from "../src/utils.js";

test("add", () => assert.equal(add(2, 3), 5));
test("add negative", () => assert.equal(add(-2, 3), 1));
test("shout", () => assert.equal(shout("ahoy"), "AHOY!"));
`,
  },
};

export interface DemoRepository {
  readonly path: string;
  readonly task: string;
  readonly language: Project["language"];
}

const COMMAND_MS = 20_000;
const AUTHOR = { NAME: "Flotilla demo", EMAIL: "demo@flotilla.invalid" };

/** Makes the repository in a new temp folder, which stays. */
export async function makeDemoRepository(clock: Clock, random: Random): Promise<DemoRepository> {
  const path = await mkdtemp(join(tmpdir(), "flotilla-demo-"));
  // Nobody else's code runs here, so nothing has to be kept apart.
  const workspace = await openProcessWorkspace({ root: path, clock, random, sandbox: "none" });
  try {
    const { language, task, files } = (await hasPython(workspace)) ? PYTHON : JAVASCRIPT;
    for (const [name, content] of Object.entries(files)) {
      await mkdir(dirname(join(path, name)), { recursive: true });
      await writeFile(join(path, name), content);
    }
    await git(workspace, "init", "--quiet", "--initial-branch=main");
    await git(workspace, "add", ".");
    await git(workspace, "commit", "--quiet", "--message", "A small project");
    return { path: workspace.root, task, language };
  } finally {
    await workspace.close();
  }
}

async function hasPython(workspace: Workspace): Promise<boolean> {
  try {
    const { exitCode } = await workspace.exec("python3", ["-c", "import unittest"], { timeoutMs: COMMAND_MS });
    return exitCode === 0;
  } catch {
    return false;
  }
}

async function git(workspace: Workspace, ...args: readonly string[]): Promise<void> {
  const who = ["AUTHOR", "COMMITTER"].flatMap((role) =>
    Object.entries(AUTHOR).map(([key, value]) => [`GIT_${role}_${key}`, value] as const),
  );
  const { exitCode, stderr } = await workspace.exec("git", args, {
    timeoutMs: COMMAND_MS,
    env: Object.fromEntries(who),
  });
  if (exitCode !== 0) throw new Error(`git ${args[0]} failed: ${stderr.trim()}`);
}
