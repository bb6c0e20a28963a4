// The five file tools that change something, on real folders (F1–F4 of text-file.ts). What no path may reach: files-paths.test.ts.

import { chmod, link, lstat, mkdir, readdir, readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { ToolResult } from "../../tools/index.ts";
import { snapshot } from "../support/folder-snapshot.ts";
import { makeFolder } from "../support/git-repository.ts";
import { benchOn, programlessWorkspace } from "../support/tool-bench.ts";

/** A workspace's root with a folder beside it that nothing may touch. */
async function makeBench() {
  const folder = await makeFolder();
  const [root, outside] = [join(folder.path, "root"), join(folder.path, "outside")];
  await mkdir(root);
  await mkdir(outside);
  await writeFile(join(outside, "secret"), "secret\n");
  const { call } = benchOn(programlessWorkspace(root));
  const text = (path: string) => readFile(join(root, path), "utf8");
  return { root, outside, call, text, [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose]() };
}

const codeOf = (result: ToolResult) => result.error?.code;
const MODE = 0o777;

describe("files.write", () => {
  test("makes a file and the folders on the way, or not when told", async () => {
    await using bench = await makeBench();
    const made = await bench.call("files.write", { path: "a/b/c.txt", content: "für\n" });
    expect(made).toMatchObject({
      outcome: "ok",
      content: "Created a/b/c.txt (5 bytes).",
      data: { path: "a/b/c.txt", bytes: 5, created: true },
    });
    expect(await bench.text("a/b/c.txt")).toBe("für\n");
    expect(codeOf(await bench.call("files.write", { path: "x/y", content: "", createDirs: false }))).toBe(
      "no-such-file",
    );
  });

  test("replaces a file, keeps its permissions, and leaves nothing beside it", async () => {
    await using bench = await makeBench();
    await writeFile(join(bench.root, "run.sh"), "old");
    await chmod(join(bench.root, "run.sh"), 0o750);
    expect(await bench.call("files.write", { path: "run.sh", content: "new" })).toMatchObject({
      data: { created: false },
    });
    expect(await bench.text("run.sh")).toBe("new");
    expect((await lstat(join(bench.root, "run.sh"))).mode & MODE).toBe(0o750);
    expect(await readdir(bench.root)).toEqual(["run.sh"]);
  });

  test("replaces a binary file too", async () => {
    await using bench = await makeBench();
    await writeFile(join(bench.root, "f"), Buffer.alloc(64));
    expect(await bench.call("files.write", { path: "f", content: "text" })).toMatchObject({ outcome: "ok" });
  });

  test("a failed write leaves the old file and nothing beside it (F1)", async () => {
    await using bench = await makeBench();
    await writeFile(join(bench.root, "f"), "old");
    const tooLarge = "x".repeat(10 * 1024 * 1024 + 1);
    expect(codeOf(await bench.call("files.write", { path: "f", content: tooLarge }))).toBe("too-large");
    expect(codeOf(await bench.call("files.write", { path: "f", content: "half \ud83d" }))).toBe("not-utf8");
    expect(await snapshot(bench.root)).toEqual({ f: expect.stringMatching(/b2xk$/) });
  });

  test("what shares a hard link with the file stays as it was (F1)", async () => {
    await using bench = await makeBench();
    await link(join(bench.outside, "secret"), join(bench.root, "shared"));
    for (const [tool, params] of [
      ["files.write", { content: "mine" }],
      ["files.append", { content: "more" }],
      ["files.edit", { search: "mine", replace: "ours" }],
    ] as const) {
      expect(await bench.call(tool, { path: "shared", ...params })).toMatchObject({ outcome: "ok" });
    }
    expect(await bench.text("shared")).toBe("oursmore");
    expect(await readFile(join(bench.outside, "secret"), "utf8")).toBe("secret\n");
  });

  test("a link is never written through, wherever it leads (F2)", async () => {
    await using bench = await makeBench();
    await writeFile(join(bench.root, "inside"), "inside\n");
    const links = { out: "../outside/secret", new: "../outside/new", in: "inside", gone: "nowhere", self: "self" };
    for (const [name, target] of Object.entries(links)) await symlink(target, join(bench.root, name));
    const before = await snapshot(join(bench.root, ".."));
    for (const path of Object.keys(links)) {
      const code = async (tool: string, params: object) => codeOf(await bench.call(tool, { path, ...params }));
      expect(await code("files.write", { content: "x" })).toBe("is-a-link");
      expect(await code("files.append", { content: "x" })).toBe("is-a-link");
      expect(await code("files.edit", { search: "s", replace: "x" })).toBe("is-a-link");
    }
    expect(await snapshot(join(bench.root, ".."))).toEqual(before);
  });

  test.each([".", "folder", "folder/", "new/"])("%j is a folder, not a file", async (path) => {
    await using bench = await makeBench();
    await mkdir(join(bench.root, "folder"));
    expect(codeOf(await bench.call("files.write", { path, content: "" }))).toBe("is-a-folder");
    expect(await readdir(bench.root)).toEqual(["folder"]);
  });

  test("a file cannot be a folder on the way", async () => {
    await using bench = await makeBench();
    await bench.call("files.write", { path: "f", content: "" });
    expect(codeOf(await bench.call("files.write", { path: "f/g", content: "" }))).toBe("not-a-folder");
  });
});

describe("files.append", () => {
  test("adds at the end, exactly, and makes the file if there is none", async () => {
    await using bench = await makeBench();
    expect(await bench.call("files.append", { path: "log", content: "one\r\n" })).toMatchObject({
      data: { created: true },
    });
    expect(await bench.call("files.append", { path: "log", content: "zwölf" })).toMatchObject({
      content: "Added 6 bytes to log (now 11 bytes).",
      data: { created: false, added: 6, bytes: 11 },
    });
    expect(await bench.text("log")).toBe("one\r\nzwölf");
  });

  test("keeps permissions and a byte order mark", async () => {
    await using bench = await makeBench();
    await writeFile(join(bench.root, "f"), "\ufeffa", { mode: 0o640 });
    await bench.call("files.append", { path: "f", content: "b" });
    expect(await bench.text("f")).toBe("\ufeffab");
    expect((await lstat(join(bench.root, "f"))).mode & MODE).toBe(0o640);
  });

  test("refuses to grow a file over the limit, and to add text to a binary one", async () => {
    await using bench = await makeBench();
    await writeFile(join(bench.root, "big"), "x".repeat(10 * 1024 * 1024));
    await writeFile(join(bench.root, "bin"), Buffer.alloc(10));
    expect(codeOf(await bench.call("files.append", { path: "big", content: "y" }))).toBe("too-large");
    expect(codeOf(await bench.call("files.append", { path: "bin", content: "y" }))).toBe("binary-file");
  });
});

describe("files.edit", () => {
  async function edit(text: string, params: object) {
    await using bench = await makeBench();
    await writeFile(join(bench.root, "f"), text);
    const result = await bench.call("files.edit", { path: "f", ...params });
    return { result, text: await bench.text("f") };
  }

  test("replaces the one occurrence, taking the replacement literally", async () => {
    const { result, text } = await edit("a = 1\nb = 2\n", { search: "a = 1", replace: "a = '$&$1\\n'" });
    expect(result).toMatchObject({ outcome: "ok", content: "Replaced 1 occurrence in f.", data: { count: 1 } });
    expect(text).toBe("a = '$&$1\\n'\nb = 2\n");
  });

  test("the search text is not a pattern", async () => {
    expect((await edit("axb a.b", { search: "a.b", replace: "-" })).text).toBe("axb -");
  });

  test("replaces every occurrence when told, also by nothing", async () => {
    const { result, text } = await edit("x\ny\nx\n", { search: "x\n", replace: "", all: true });
    expect(result.data).toMatchObject({ count: 2 });
    expect(text).toBe("y\n");
  });

  test.each([
    [
      "several",
      "x\ny x\n\nx",
      { search: "x", replace: "z" },
      "ambiguous-match",
      "f holds the search text 3 times (lines 1, 2, 4); add text",
    ],
    [
      "several over lines",
      "a\nb\na\nb\n",
      { search: "a\nb\n", replace: "z" },
      "ambiguous-match",
      "2 times (lines 1, 3)",
    ],
    ["none", "x", { search: "y", replace: "z" }, "no-match", "f does not hold the search text."],
    [
      "none for line ends",
      "a\r\nb\r\n",
      { search: "a\nb", replace: "z" },
      "no-match",
      "The file's lines end in \\r\\n.",
    ],
    [
      "none for spaces",
      "if x:\n\treturn\n",
      { search: "if x:\n    return", replace: "z" },
      "no-match",
      "with other spaces",
    ],
    ["no change", "x", { search: "x", replace: "x" }, "no-change", "nothing would change"],
  ])("%s: refused, and the file stays", async (_title, before, params, code, message) => {
    const { result, text } = await edit(before, params);
    expect(result.error).toEqual({ code, message: expect.stringContaining(message) });
    expect(text).toBe(before);
  });

  test("an empty search text is invalid, and so is a file that is not there", async () => {
    expect((await edit("x", { search: "", replace: "y" })).result.outcome).toBe("invalid");
    expect(codeOf((await edit("x", { path: "g", search: "x", replace: "y" })).result)).toBe("no-such-file");
  });
});

describe("files.delete", () => {
  test("deletes a file, a link but not its target, and a folder only when told", async () => {
    await using bench = await makeBench();
    await mkdir(join(bench.root, "folder/deep"), { recursive: true });
    await symlink("../../outside", join(bench.root, "folder/out"));
    await symlink("../outside/secret", join(bench.root, "link"));
    await writeFile(join(bench.root, "f"), "");
    const remove = (path: string, recursive = false) => bench.call("files.delete", { path, recursive });
    expect(await remove("f")).toMatchObject({ outcome: "ok", content: "Deleted f." });
    expect(await remove("link")).toMatchObject({ outcome: "ok" });
    expect(codeOf(await remove("folder"))).toBe("is-a-folder");
    expect(await remove("folder", true)).toMatchObject({ outcome: "ok", data: { kind: "folder" } });
    expect(codeOf(await remove("folder", true))).toBe("no-such-file");
    expect(await readdir(bench.root)).toEqual([]);
    expect(await readFile(join(bench.outside, "secret"), "utf8")).toBe("secret\n");
  });

  test.each([
    [".", "is-the-root"],
    ["./", "is-the-root"],
    ["a/..", "is-the-root"],
    [".git", "git-internals"],
    ["..", "outside-workspace"],
    ["../outside", "outside-workspace"],
    ["/", "invalid-path"],
  ])("%j is never deleted: %s", async (path, code) => {
    await using bench = await makeBench();
    await mkdir(join(bench.root, ".git"));
    expect(codeOf(await bench.call("files.delete", { path, recursive: true }))).toBe(code);
    expect(await readdir(bench.root)).toEqual([".git"]);
  });
});

describe("files.mkdir", () => {
  test("makes folders on the way; one that is there is fine, a file is not", async () => {
    await using bench = await makeBench();
    const make = (path: string) => bench.call("files.mkdir", { path });
    expect(await make("a/b")).toMatchObject({
      outcome: "ok",
      content: "Made the folder a/b.",
      data: { created: true },
    });
    expect(await make("a/b/")).toMatchObject({ outcome: "ok", data: { created: false } });
    expect(await make(".")).toMatchObject({ outcome: "ok", data: { created: false } });
    await writeFile(join(bench.root, "f"), "");
    expect(codeOf(await make("f"))).toBe("not-a-folder");
    expect(codeOf(await make("f/g"))).toBe("not-a-folder");
    expect(codeOf(await make(".git/hooks"))).toBe("git-internals");
  });
});
