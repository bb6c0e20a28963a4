// Every runner for real, on tiny projects, through the whole tool path: passing, failing, crashing, hanging, lying.
// Reading of odd reports is tests-report.test.ts.

import { symlink } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { hasProgram, runProject, titleFor } from "../support/test-project.ts";

const has = {
  python3: await hasProgram("python3"),
  go: await hasProgram("go"),
  cargo: await hasProgram("cargo"),
  make: await hasProgram("make"),
};
/** Without a version manager's shims: the system's own Python, which has no pytest on most machines. */
const SYSTEM_PATH = "/usr/bin:/bin";
/** The user's own: building Go's library into an empty cache takes longer than all other tests here together. */
const GO_CACHE = join(homedir(), ".cache", "go-build");
const COLD_BUILD_MS = 120_000;

const python = {
  "src/calc.py": "def add(a, b):\n    return a + b\n",
  "tests/test_calc.py":
    "from src.calc import add\n\ndef test_add():\n    assert add(1, 2) == 3\n\ndef test_more():\n    assert add(2, 2) == 4\n",
};

describe.skipIf(!has.python3)(titleFor("tests.pytest", has.python3, "no python3"), () => {
  test("passes, and leaves the checkout as it was", async () => {
    const { result, report, leftovers } = await runProject({ files: python, tool: "tests.pytest" });
    expect(result).toMatchObject({ outcome: "ok" });
    expect(report).toMatchObject({ success: true, counts: { passed: 2, failed: 0, skipped: 0 } });
    expect(leftovers).toEqual([]);
  });

  test("names what failed and why; one test can be chosen", async () => {
    const files = {
      ...python,
      "tests/test_bad.py": "def test_bad():\n    assert 1 == 2, 'one is not two'\n\ndef test_good():\n    pass\n",
    };
    const { result, report } = await runProject({ files, tool: "tests.pytest" });
    expect(result.outcome).toBe("failed");
    expect(report).toMatchObject({ completed: true, success: false, counts: { passed: 3, failed: 1, skipped: 0 } });
    expect(report?.failures[0]?.name).toContain("test_bad");
    expect(result.content).toContain("one is not two");
    const chosen = await runProject({
      files,
      tool: "tests.pytest",
      params: { paths: ["tests/test_bad.py"], filter: "good" },
    });
    expect(chosen.report).toMatchObject({ success: true, counts: { passed: 1, failed: 0, skipped: 0 } });
  });

  test.each([
    ["a test that kills the process", "import os\ndef test_a():\n    os._exit(0)\n", /left no report/],
    ["nothing to collect", "x = 1\n", /found no tests|exit status 5/],
    ["a file that cannot be imported", "import nothere\n", /exit status 2|no pytest/],
  ])("does not complete: %s", async (_, text, reason) => {
    const { result, report } = await runProject({ files: { "tests/test_a.py": text }, tool: "tests.pytest" });
    expect(result.outcome).toBe("failed");
    expect(report).toMatchObject({ success: false });
    if (report?.runner === "pytest") expect(report.reason).toMatch(reason);
  });

  test("a hanging test ends before the call does, with a report", async () => {
    const files = { "tests/test_a.py": "import time\ndef test_a():\n    time.sleep(600)\n" };
    const { result, report } = await runProject({ files, tool: "tests.pytest", timeoutMs: 3_000 });
    expect(result.outcome).toBe("failed");
    expect(report?.reason).toMatch(/did not finish within/);
  });

  test("a conftest that turns the status to 0 does not make a success", async () => {
    const files = {
      "conftest.py": "def pytest_sessionfinish(session):\n    session.exitstatus = 0\n",
      "tests/test_a.py": "def test_a():\n    assert False\n",
    };
    const { report } = await runProject({ files, tool: "tests.pytest" });
    expect(report).toMatchObject({ success: false });
  });

  test("the repository's options cannot move the report or the cache", async () => {
    const files = { ...python, "pytest.ini": "[pytest]\naddopts = --junit-xml=mine.xml --lf -o cache_dir=here\n" };
    const { report, leftovers } = await runProject({ files, tool: "tests.pytest" });
    expect(report).toMatchObject({ success: true });
    expect(leftovers).toEqual([]);
  });

  test("a report that is a link or a pipe is not followed", async (context) => {
    const steal = (how: string) =>
      `import os, sys\ndef test_a():\n    path = next(a for a in sys.argv if a.startswith('--junit-xml=')).split('=', 1)[1]\n    ${how}\n    os._exit(0)\n`;
    const fake = '<testsuite><testcase name="never ran"/></testsuite>';
    for (const how of ["os.symlink(os.path.abspath('fake.xml'), path)", "os.mkfifo(path)"]) {
      const { report } = await runProject({
        files: { "test_a.py": steal(how), "fake.xml": fake },
        tool: "tests.pytest",
        timeoutMs: 20_000,
      });
      if (report?.runner === "unittest") context.skip("no pytest here, and the test speaks of its option");
      expect(report).toMatchObject({ success: false, completed: false });
    }
  });

  test("paths stay inside and never become options", async () => {
    const files = { ...python, "-p.py": "" };
    const codeFor = async (path: string) =>
      (await runProject({ files, tool: "tests.pytest", params: { paths: [path] } })).result.error?.code;
    expect(await codeFor("../other")).toBe("outside-workspace");
    expect(await codeFor("/etc")).toBe("invalid-path");
    expect(await codeFor("-p.py")).toBe("invalid-path");
    const filtered = await runProject({ files, tool: "tests.pytest", params: { filter: "--collect-only" } });
    expect(filtered.result.outcome).toBe("invalid");
  });
});

const systemPython = await runProject({ files: python, tool: "tests.pytest", path: SYSTEM_PATH }).then(
  ({ report }) => report?.runner === "unittest",
);

describe.skipIf(!systemPython)(
  titleFor("tests.pytest without pytest", systemPython, "no Python without pytest here"),
  () => {
    const run = (files: Readonly<Record<string, string>>, params = {}) =>
      runProject({ files, tool: "tests.pytest", params, path: SYSTEM_PATH });

    test("plain functions run, the checkout stays clean", async () => {
      const { report, leftovers } = await run(python);
      expect(report).toMatchObject({ runner: "unittest", success: true, counts: { passed: 2, failed: 0, skipped: 0 } });
      expect(leftovers).toEqual([]);
    });

    test("every way a test can end", async () => {
      const text = `import unittest
class T(unittest.TestCase):
    def test_ok(self): pass
    def test_bad(self): self.assertEqual(1, 2)
    def test_sub(self):
        for i in range(3):
            with self.subTest(i=i): self.assertNotEqual(i, 1)
    @unittest.skip("later")
    def test_skip(self): pass
    @unittest.expectedFailure
    def test_expected(self): self.fail()
    @unittest.expectedFailure
    def test_unexpected(self): pass
    def test_exit(self): raise SystemExit(0)
class Broken(unittest.TestCase):
    @classmethod
    def setUpClass(cls): raise RuntimeError("set-up")
    def test_never(self): pass
def test_fixture(tmp_path): pass
`;
      const { report } = await run({ "tests/test_all.py": text, "tests/test_import.py": "import nothere\n" });
      expect(report).toMatchObject({ completed: true, success: false, counts: { passed: 1, failed: 7, skipped: 2 } });
      const text_ = report?.failures.map(({ name, message }) => `${name}\n${message}`).join("\n") ?? "";
      for (const part of [
        "test_bad",
        "i=1",
        "test_unexpected",
        "test_exit",
        "set-up",
        "pytest is not installed",
        "No module named 'nothere'",
      ]) {
        expect(text_).toContain(part);
      }
    });

    test("a crash leaves no report, nothing found is no success, names can be chosen", async () => {
      expect((await run({ "test_a.py": "import os\ndef test_a(): os._exit(0)\n" })).report?.reason).toMatch(
        /left no report/,
      );
      expect((await run({ "a.py": "" })).report?.reason).toMatch(/found no tests/);
      expect((await run(python, { filter: "more" })).report?.counts?.passed).toBe(1);
    });

    test("same file name in two folders, packages with relative imports", async () => {
      const files = {
        "a/test_x.py": "def test_a(): pass\n",
        "b/test_x.py": "def test_b(): pass\n",
        "p/__init__.py": "",
        "p/m.py": "one = 1\n",
        "p/test_m.py": "from .m import one\ndef test_m(): assert one == 1\n",
      };
      expect((await run(files)).report).toMatchObject({ success: true, counts: { passed: 3, failed: 0, skipped: 0 } });
    });
  },
);

describe("tests.node", () => {
  const node = (text: string, more = {}) => ({
    files: {
      "package.json": "{}",
      "test/a.test.js": `const { test, describe, it, before } = require("node:test");\nconst assert = require("node:assert");\n${text}`,
    },
    tool: "tests.node",
    ...more,
  });

  test("every way a test can end", async () => {
    const text = `
      test("ok", () => {}); test("bad", () => assert.equal(1, 2)); test("skip", { skip: true }, () => {}); test("todo", { todo: true }, () => assert.fail());
      describe("outer", () => { it("deep", () => {}); it("deepbad", () => { throw new Error("deep down"); }); });
      test("parent", async (t) => { await t.test("sub", () => {}); throw new Error("own failure"); });
      test("outside", async (t) => { await t.test("inside", () => { throw new Error("only once"); }); });
      describe("hooked", () => { before(() => { throw new Error("hook failed"); }); it("x", () => {}); });`;
    const { report, leftovers } = await runProject(node(text));
    expect(report).toMatchObject({ runner: "node", completed: true, counts: { passed: 3, failed: 6, skipped: 2 } });
    const failures = report?.failures.map(({ name, message }) => `${name}: ${message}`).join("\n") ?? "";
    for (const part of [
      "test/a.test.js::bad",
      "outer > deepbad: Error: deep down",
      "parent: Error: own failure",
      "outside > inside: Error: only once",
      "hook failed",
    ])
      expect(failures).toContain(part);
    expect(leftovers).toEqual([]);
  });

  test("a file that cannot load fails with what it said", async () => {
    const { report } = await runProject(node('require("nothere");'));
    expect(report).toMatchObject({ completed: true, success: false, counts: { failed: 1 } });
    expect(report?.failures[0]?.message).toContain("Cannot find module 'nothere'");
  });

  test("a file without tests is no test; folders and names can be chosen", async () => {
    expect((await runProject(node(""))).report?.reason).toMatch(/found no tests/);
    const text = 'test("one", () => {}); test("two", () => assert.fail());';
    expect((await runProject(node(text, { params: { paths: ["test"], filter: "one" } }))).report).toMatchObject({
      success: true,
      counts: { passed: 1 },
    });
  });

  test("a process that ends with 0 inside a test does not succeed; a hang ends in time", async () => {
    const early = await runProject(node('test("a", async () => { process.exit(0); }); test("b", () => {});'));
    expect(early.report?.success).toBe(false);
    const hang = await runProject(
      node('test("a", () => new Promise((r) => setTimeout(r, 600_000)));', { timeoutMs: 2_500 }),
    );
    expect(hang.report?.reason).toMatch(/did not finish/);
  });
});

describe("tests.npm", () => {
  const modules = (root: string) =>
    symlink(join(import.meta.dirname, "../../node_modules"), join(root, "node_modules"));

  test("vitest through the test script", async () => {
    const files = {
      "package.json": '{"type":"module","scripts":{"test":"echo first && vitest"}}',
      "a.test.js":
        'import { test, expect } from "vitest";\ntest("ok", () => {});\ntest("bad", () => expect(1).toBe(2));\n',
    };
    // A link that leads out of the sandbox's view: the repository's own modules would lie in the checkout.
    const { report, leftovers } = await runProject({ files, tool: "tests.npm", sandbox: "none", prepare: modules });
    expect(report).toMatchObject({ runner: "vitest", completed: true, counts: { passed: 1, failed: 1, skipped: 0 } });
    expect(report?.failures[0]?.name).toBe("a.test.js::bad");
    expect(leftovers).toEqual([]);
  });

  test("node --test keeps the script's own files", async () => {
    const files = {
      "package.json": '{"scripts":{"test":"node --test \'spec/*.js\'"}}',
      "spec/a.js": 'require("node:test").test("a", () => {});',
      "test/b.js": "throw 1",
    };
    expect((await runProject({ files, tool: "tests.npm" })).report).toMatchObject({
      runner: "node",
      success: true,
      counts: { passed: 1 },
    });
  });

  test("another script tells its status only", async () => {
    const run = (script: string) =>
      runProject({ files: { "package.json": JSON.stringify({ scripts: { test: script } }) }, tool: "tests.npm" });
    expect((await run("true")).report).toMatchObject({ runner: "npm", success: true, counts: null });
    expect((await run("echo broken; exit 3")).result).toMatchObject({
      outcome: "failed",
      content: expect.stringContaining("broken"),
    });
  });

  test("refusals say what to do", async () => {
    const codeFor = async (text: string | undefined) =>
      (await runProject({ files: text === undefined ? {} : { "package.json": text }, tool: "tests.npm" })).result.error;
    expect(await codeFor('{"scripts":{"test":"jest"}}')).toMatchObject({
      code: "runner-missing",
      message: expect.stringContaining("npm ci"),
    });
    expect(await codeFor('{"scripts":{"test":"echo \\"Error: no test specified\\" && exit 1"}}')).toMatchObject({
      code: "no-tests",
    });
    expect(await codeFor("{")).toMatchObject({ code: "invalid-package" });
    expect(await codeFor(undefined)).toMatchObject({ code: "no-tests" });
  });
});

describe.skipIf(!has.make)(titleFor("tests.make", has.make, "no make"), () => {
  const make = (recipe: string, params = {}) =>
    runProject({ files: { Makefile: `test:\n\t${recipe}\n` }, tool: "tests.make", params });

  test("status only", async () => {
    expect((await make("@true")).report).toMatchObject({ success: true, counts: null });
    expect((await make("@echo broken; false")).report).toMatchObject({ completed: true, success: false });
    expect((await make("@true", { target: "other" })).report?.reason).toMatch(/no target other/);
    expect((await make("@true", { target: "-f/etc/passwd" })).result.outcome).toBe("invalid");
    expect((await make("@true", { target: "SHELL=evil" })).result.outcome).toBe("invalid");
  });

  test("a JUnit file counts if this run wrote it", async () => {
    const xml = '<testsuite><testcase name="a"/></testsuite>';
    const fresh = await make(`@echo '${xml}' > out.xml`, { junit: "out.xml" });
    expect(fresh.report).toMatchObject({ success: true, counts: { passed: 1 } });
    const stale = await runProject({
      files: { Makefile: "test:\n\t@true\n", "out.xml": xml },
      tool: "tests.make",
      params: { junit: "out.xml" },
    });
    expect(stale.report).toMatchObject({ success: false, reason: expect.stringContaining("does not write it") });
  });
});

test("a runner that is not on the machine is named, with the way to get it", async () => {
  for (const tool of ["tests.pytest", "tests.go", "tests.cargo", "tests.make", "tests.node"]) {
    const { result } = await runProject({ files: {}, tool, path: "/nowhere", sandbox: "none" });
    expect(result).toMatchObject({
      outcome: "failed",
      error: { code: "runner-missing", message: expect.stringContaining("install") },
    });
  }
});

describe.skipIf(!has.go)(titleFor("tests.go", has.go, "no go"), () => {
  test("a package that does not build beside one with tests; the checkout stays clean", {
    timeout: COLD_BUILD_MS,
  }, async () => {
    const files = {
      "go.mod": "module example.com/p\n\ngo 1.21\n",
      "a_test.go":
        'package p\nimport "testing"\nfunc TestOK(t *testing.T) {}\nfunc TestBad(t *testing.T) { t.Error("deep down") }\n',
      "broken/b_test.go": 'package broken\nimport "testing"\nfunc TestX(t *testing.T) { undefinedName() }\n',
    };
    const { report, leftovers } = await runProject({ files, tool: "tests.go", sandbox: "none", goCache: GO_CACHE });
    expect(report).toMatchObject({
      completed: false,
      reason: "could not build example.com/p/broken",
      counts: { passed: 1, failed: 2, skipped: 0 },
    });
    expect(report?.failures.map(({ message }) => message).join("\n")).toMatch(
      /undefinedName[\s\S]*deep down|deep down[\s\S]*undefinedName/,
    );
    expect(leftovers).toEqual([]);
  });
});

describe.skipIf(!has.cargo)(titleFor("tests.cargo", has.cargo, "no cargo"), () => {
  test("unit, integration and doc tests; the checkout stays clean", { timeout: COLD_BUILD_MS }, async () => {
    const files = {
      "Cargo.toml": '[package]\nname = "p"\nversion = "0.1.0"\nedition = "2021"\n',
      "src/lib.rs":
        '/// ```\n/// assert_eq!(p::one(), 1);\n/// ```\npub fn one() -> i32 { 1 }\n#[cfg(test)] mod t { #[test] fn ok() {} #[test] #[ignore] fn later() {} #[test] fn bad() { assert_eq!(1, 2, "deep down") } }\n',
      "tests/i.rs": "#[test] fn integration() {}\n",
    };
    const { report, leftovers } = await runProject({ files, tool: "tests.cargo" });
    expect(report).toMatchObject({ completed: true, success: false, counts: { passed: 3, failed: 1, skipped: 1 } });
    expect(report?.failures[0]).toMatchObject({ name: "t::bad", message: expect.stringContaining("deep down") });
    expect(leftovers).toEqual([]);
    const broken = await runProject({ files: { ...files, "src/lib.rs": "fn (" }, tool: "tests.cargo" });
    expect(broken.report).toMatchObject({ completed: false, reason: "could not build the tests" });
  });
});
