// The five file tools that only look, on real folders with real ripgrep and git.

import { execFileSync } from "node:child_process";
import { mkdir, symlink, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { ToolResult } from "../../tools/index.ts";
import { makeFolder, makeRepository } from "../support/git-repository.ts";
import { benchOn, programlessWorkspace, type ToolBench, withBench } from "../support/tool-bench.ts";

const FILES = {
  "src/utils.py": "import os\n\ndef greet(name):\n    return f'hi {name}'\n",
  "src/deep/other.py": "GREETING = 'hi'\n",
  "README.md": "# Greet\n",
  ".github/ci.yml": "on: push\n",
  ".gitignore": "*.log\n/out/\n",
  "debug.log": "greet\n",
  "-e": "dashes -e --pre=cat\n",
} as const;

const inRepository = async (use: (bench: ToolBench, path: string) => Promise<void>) => {
  await using repository = await makeRepository({ files: FILES });
  await withBench(repository.path, (bench) => use(bench, repository.path));
};

const codeOf = (result: ToolResult) => result.error?.code;

describe("files.read", () => {
  async function read(content: string | Buffer, params: object = {}) {
    await using folder = await makeFolder();
    await writeFile(join(folder.path, "f"), content);
    return benchOn(programlessWorkspace(folder.path)).call("files.read", { path: "f", ...params });
  }

  test("gives the text as it is: byte order mark, line ends and missing last line end included", async () => {
    const text = "\ufeffone\r\ntwo\n\nfür 🚢";
    expect(await read(text)).toMatchObject({
      outcome: "ok",
      content: text,
      data: { lines: 4, fromLine: 1, toLine: 4 },
    });
  });

  test.each([
    [{ fromLine: 2 }, "b\nc\n"],
    [{ toLine: 1 }, "a\n"],
    [{ fromLine: 2, toLine: 2 }, "b\n"],
    [{ fromLine: 3, toLine: 99 }, "c\n"],
  ])("gives the lines of %j", async (range, expected) =>
    expect((await read("a\nb\nc\n", range)).content).toBe(expected),
  );

  test.each([{ fromLine: 4 }, { fromLine: 3, toLine: 2 }])("has no lines %j", async (range) => {
    expect(await read("a\nb\nc\n", range)).toMatchObject({
      outcome: "failed",
      error: { code: "no-such-lines", message: expect.stringContaining("f has 3 lines") },
    });
  });

  test("an empty file is empty, not an error", async () => {
    expect(await read("")).toMatchObject({ outcome: "ok", content: "", data: { lines: 0, bytes: 0 } });
  });

  test.each<[string, Buffer, string]>([
    ["a picture", Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 13]), "binary-file"],
    ["zeros", Buffer.alloc(100), "binary-file"],
    ["latin-1", Buffer.from("f\xfcr die Stra\xdfe, und noch viel mehr Text dahinter", "latin1"), "not-utf8"],
    ["UTF-16", Buffer.from("\ufeffhello", "utf16le"), "not-utf8"],
  ])("refuses %s", async (_what, bytes, code) => {
    expect(codeOf(await read(bytes))).toBe(code);
  });

  test("refuses what is no file, and never waits on a pipe", async () => {
    await using folder = await makeFolder();
    const at = (name: string) => join(folder.path, name);
    await mkdir(at("folder"));
    execFileSync("mkfifo", [at("pipe")]);
    await writeFile(at("big"), "");
    await truncate(at("big"), 10 * 1024 * 1024 + 1);
    await symlink("/etc/hostname", at("link"));
    const bench = benchOn(programlessWorkspace(folder.path));
    const code = async (path: string) => codeOf(await bench.call("files.read", { path }));
    expect(await code("missing")).toBe("no-such-file");
    expect(await code("folder")).toBe("is-a-folder");
    expect(await code("pipe")).toBe("not-a-file");
    expect(await code("big")).toBe("too-large");
    expect(await code("link")).toBe("outside-workspace");
    expect(await code("big/below")).toBe("not-a-folder");
  });
});

describe("files.list", () => {
  test("lists files below a folder, sorted, without what .gitignore names and without .git", () =>
    inRepository(async (bench) => {
      const { content, data } = await bench.call("files.list", {});
      const expected = ["-e", ".github/ci.yml", ".gitignore", "README.md", "src/deep/other.py", "src/utils.py"];
      expect(data).toEqual({ path: "", entries: expected, more: 0 });
      expect(content).toBe(expected.join("\n"));
    }));

  test.each([
    [{ glob: "*.py" }, ["src/deep/other.py", "src/utils.py"]],
    [{ glob: "src/*.py" }, ["src/utils.py"]],
    [{ path: "src/deep" }, ["src/deep/other.py"]],
    [{ path: "README.md" }, undefined],
    [{ path: "src", recursive: false }, ["deep/", "utils.py"]],
    [{ glob: ".git/**" }, []],
    [{ glob: "**/HEAD" }, []],
    [{ glob: "*.log" }, ["debug.log"]],
    [{ path: "missing" }, undefined],
    [{ glob: "[" }, undefined],
    [{ glob: "*", recursive: false }, undefined],
  ])("%j", (params, expected) =>
    inRepository(async (bench) => {
      const result = await bench.call("files.list", params);
      if (expected === undefined) expect(result.outcome).toBe("failed");
      else expect(result.data.entries).toEqual(expected);
    }),
  );

  test("an own list shows ignored entries, folders with a slash, but never .git", () =>
    inRepository(async (bench) => {
      const { data } = await bench.call("files.list", { recursive: false });
      expect(data.entries).toEqual(["-e", ".github/", ".gitignore", "README.md", "debug.log", "src/"]);
    }));

  test("a list of more than 1,000 says how many are left", async () => {
    await using folder = await makeFolder();
    await Promise.all(Array.from({ length: 1_003 }, (_, at) => writeFile(join(folder.path, `f${at}`), "")));
    await withBench(folder.path, async (bench) => {
      const { content, data } = await bench.call("files.list", {});
      expect(data.more).toBe(3);
      expect(content).toMatch(/… and 3 more; name a folder or a glob to see them\.$/);
    });
  });
});

describe("files.search", () => {
  test.each<[object, readonly string[]]>([
    [{ pattern: "gree?t" }, ["src/utils.py:3"]],
    [{ pattern: "GREET", ignoreCase: true }, ["README.md:1", "src/deep/other.py:1", "src/utils.py:3"]],
    [{ pattern: "(name)", fixed: true }, ["src/utils.py:3"]],
    [{ pattern: "hi", path: "src/deep" }, ["src/deep/other.py:1"]],
    [{ pattern: "hi", path: "src/utils.py" }, ["src/utils.py:4"]],
    [{ pattern: "hi", glob: "other*" }, ["src/deep/other.py:1"]],
    [{ pattern: "-e" }, ["-e:1"]],
    [{ pattern: "--pre=cat" }, ["-e:1"]],
    [{ pattern: "dashes", path: "-e" }, ["-e:1"]],
    [{ pattern: "ref: refs", glob: ".git/**" }, []],
    [{ pattern: "nothing like it" }, []],
  ])("%j", (params, expected) =>
    inRepository(async (bench) => {
      const { outcome, data, content } = await bench.call("files.search", params);
      expect(outcome).toBe("ok");
      const matches = data.matches as readonly { path: string; line: number }[];
      expect(matches.map(({ path, line }) => `${path}:${line}`)).toEqual(expected);
      if (expected.length === 0) expect(content).toBe("No line matches.");
    }),
  );

  test("shows the line, shortened, in UTF-8 whatever the file holds", async () => {
    await using folder = await makeFolder();
    await writeFile(join(folder.path, "a"), `needle ${"x".repeat(1_000)}\r\n`);
    await writeFile(join(folder.path, "b"), Buffer.from("needle \xfc\n", "latin1"));
    await withBench(folder.path, async (bench) => {
      const { content } = await bench.call("files.search", { pattern: "needle" });
      expect(content).toBe(`a:1: needle ${"x".repeat(293)}…\nb:1: needle \ufffd`);
    });
  });

  test("says when there is more than was asked for", async () => {
    await using folder = await makeFolder();
    await writeFile(join(folder.path, "a"), "hit\n".repeat(3));
    await withBench(folder.path, async (bench) => {
      const all = await bench.call("files.search", { pattern: "hit", matchesMax: 3 });
      expect(all.data).toMatchObject({ more: false, matches: { length: 3 } });
      const some = await bench.call("files.search", { pattern: "hit", matchesMax: 2 });
      expect(some.data).toMatchObject({ more: true, matches: { length: 2 } });
      expect(some.content).toContain("… there are more than these 2");
    });
  });

  test.each([
    [{ pattern: "(" }, "invalid-pattern"],
    [{ pattern: "x", glob: "[" }, "invalid-pattern"],
    [{ pattern: "x", path: "missing" }, "no-such-file"],
    [{ pattern: "x", path: ".git" }, "git-internals"],
    [{ pattern: "x", path: ".." }, "outside-workspace"],
  ])("%j fails with %s", (params, code) =>
    inRepository(async (bench) => expect(codeOf(await bench.call("files.search", params))).toBe(code)),
  );

  test("neither a file in the repository nor a link leads the search outside", async () => {
    await using outside = await makeFolder();
    await writeFile(join(outside.path, "secret"), "needle\n");
    await using repository = await makeRepository({ files: { ".ripgreprc": "--follow\n", a: "needle\n" } });
    await symlink(outside.path, join(repository.path, "link"));
    await withBench(repository.path, async (bench) => {
      expect((await bench.call("files.search", { pattern: "needle" })).content).toBe("a:1: needle");
    });
  });
});

describe("files.info", () => {
  test("tells files, folders and links apart, and does not follow a link", () =>
    inRepository(async (bench, path) => {
      await symlink("/etc/passwd", join(path, "link"));
      await writeFile(join(path, "zeros"), Buffer.alloc(10), { mode: 0o600 });
      const info = async (name: string) => (await bench.call("files.info", { path: name })).data;
      expect(await info("README.md")).toMatchObject({ kind: "file", bytes: 8, binary: false });
      expect(await info("zeros")).toMatchObject({ kind: "file", bytes: 10, binary: true, mode: "600" });
      expect(await info("src")).toMatchObject({ kind: "folder" });
      expect(await info(".")).toMatchObject({ path: ".", kind: "folder" });
      expect(await info("link")).toMatchObject({ kind: "link", target: "/etc/passwd" });
      expect(codeOf(await bench.call("files.info", { path: "missing" }))).toBe("no-such-file");
    }));
});

describe("files.diff", () => {
  test("between two files", () =>
    inRepository(async (bench, path) => {
      await writeFile(join(path, "new.md"), "# Greet\nmore\n");
      const { content, data } = await bench.call("files.diff", { path: "README.md", other: "new.md" });
      expect(content).toBe("--- README.md\n+++ new.md\n@@ -1,1 +1,2 @@\n # Greet\n+more\n");
      expect(data).toEqual({ same: false });
      const same = await bench.call("files.diff", { path: "README.md", other: "README.md" });
      expect(same).toMatchObject({ content: "No differences.", data: { same: true } });
    }));

  test("between a file and the last commit", () =>
    inRepository(async (bench, path) => {
      expect((await bench.call("files.diff", { path: "README.md" })).content).toBe("No differences.");
      await writeFile(join(path, "README.md"), "# Hello\n");
      const { content } = await bench.call("files.diff", { path: "README.md" });
      expect(content).toMatch(/\n@@ -1 \+1 @@\n-# Greet\n\+# Hello\n$/);
      expect(codeOf(await bench.call("files.diff", { path: "debug.log" }))).toBe("not-in-commit");
    }));

  test("files that have nothing in common do not hold the process", async () => {
    await using folder = await makeFolder();
    const lines = (from: number) => Array.from({ length: 60_000 }, (_, at) => `${from + at * 2}`).join("\n");
    await writeFile(join(folder.path, "a"), lines(0));
    await writeFile(join(folder.path, "b"), lines(1));
    const result = await benchOn(programlessWorkspace(folder.path)).call("files.diff", { path: "a", other: "b" });
    expect(codeOf(result)).toBe("too-different");
    expect(result.durationMs).toBeLessThan(8_000);
  });
});
