// Path by path: what resolveInside takes, where it leads, and what it refuses (H1–H4 of paths.ts).

import { mkdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { ToolFailure } from "../../tools/tool.ts";
import { isGitName, type PathPurpose, resolveInside } from "../../tools/workspace/paths.ts";
import { makeFolder } from "../support/git-repository.ts";

/** root/ with a folder, a file, a .git, and links of every kind; outside/ beside it. */
async function makeTree() {
  const folder = await makeFolder();
  const [root, outside] = [join(folder.path, "root"), join(folder.path, "outside")];
  for (const path of [root, outside, `${root}/src`, `${root}/.git`, `${root}/src/deep`]) await mkdir(path);
  await writeFile(join(root, "src/a.py"), "");
  const links = {
    "to-file": "src/a.py",
    "to-src": "src",
    "to-outside": "../outside",
    "to-etc": "/etc",
    "to-git": ".git",
    "to-nothing": "nowhere",
    "to-new-outside": "../outside/new",
    "to-itself": "to-itself",
    "src/up": "..",
    "src/up-twice": "../..",
    "to-link": "to-outside",
    // Begins like the root's own path without being inside it.
    "to-sibling": "../root-2",
  };
  await mkdir(`${root}-2`);
  for (const [name, target] of Object.entries(links)) await symlink(target, join(root, name));
  return { root, [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose]() };
}

async function outcome(root: string, path: string, purpose: PathPurpose): Promise<string> {
  try {
    return `/${(await resolveInside(root, path, purpose)).relative}`;
  } catch (error) {
    if (error instanceof ToolFailure) return error.code;
    throw error;
  }
}

/** Path → where following it leads, and which entry it names; one word for both. */
const CASES: Readonly<Record<string, string | readonly [follow: string, entry: string]>> = {
  ".": "/",
  "./": "/",
  "src/a.py": "/src/a.py",
  "./src//a.py": "/src/a.py",
  "src/../src/./a.py": "/src/a.py",
  "new.py": "/new.py",
  "no/such/folder/new.py": "/no/such/folder/new.py",
  "src/a.py/below": "/src/a.py/below",
  "-rf": "/-rf",
  "a b/ü/漢": "/a b/ü/漢",
  "..hidden": "/..hidden",
  "...": "/...",
  "": "invalid-path",
  "a\0b": "invalid-path",
  "a\nb": "invalid-path",
  "a\u0085b": "invalid-path",
  "a\u2028b": "invalid-path",
  "\ud83d": "invalid-path",
  "/etc/passwd": "invalid-path",
  "//host/share": "invalid-path",
  "~": "invalid-path",
  "~/x": "invalid-path",
  "~root": "/~root",
  "src\\a.py": "invalid-path",
  "..\\..\\x": "invalid-path",
  "C:x": "invalid-path",
  "c:/x": "invalid-path",
  [`${"x".repeat(256)}`]: "invalid-path",
  [`${"é".repeat(128)}`]: "invalid-path",
  [`${"x/".repeat(513)}`]: "invalid-path",
  "..": "outside-workspace",
  "../outside/x": "outside-workspace",
  "src/../../outside": "outside-workspace",
  "src/deep/../../../x": "outside-workspace",
  // Leaves the root and comes back by its name: refused, because the name of the root is nobody's business.
  "../root/src/a.py": "outside-workspace",
  "to-file": ["/src/a.py", "/to-file"],
  "to-src": ["/src", "/to-src"],
  "to-src/a.py": "/src/a.py",
  "src/up/src/a.py": "/src/a.py",
  "src/up": ["/", "/src/up"],
  "to-outside": ["outside-workspace", "/to-outside"],
  "to-outside/x": "outside-workspace",
  "to-link/x": "outside-workspace",
  "to-etc/passwd": "outside-workspace",
  "to-sibling/x": "outside-workspace",
  "src/up-twice/outside": "outside-workspace",
  "to-nothing": ["outside-workspace", "/to-nothing"],
  "to-nothing/x": "outside-workspace",
  "to-new-outside": ["outside-workspace", "/to-new-outside"],
  "to-itself/x": "outside-workspace",
  "to-git": ["git-internals", "/to-git"],
  "to-git/config": "git-internals",
  ".git": "git-internals",
  ".git/hooks/pre-commit": "git-internals",
  "src/.git/config": "git-internals",
  "x/../.git/config": "git-internals",
  ".GIT/config": "git-internals",
};

describe("resolveInside", () => {
  test.each(Object.entries(CASES))("%j", async (path, expected) => {
    await using tree = await makeTree();
    const [follow, entry] = typeof expected === "string" ? [expected, expected] : expected;
    expect(await outcome(tree.root, path, "follow")).toBe(follow);
    expect(await outcome(tree.root, path, "entry")).toBe(entry);
  });

  test("the absolute path is the root and the relative path", async () => {
    await using tree = await makeTree();
    const found = await resolveInside(tree.root, "./to-src/../to-src/a.py", "follow");
    expect(found).toEqual({ absolute: join(tree.root, "src/a.py"), relative: "src/a.py" });
  });

  test("a refusal says what is wrong and does not echo control characters", async () => {
    await expect(resolveInside("/r", "a\u001b[31mb", "follow")).rejects.toThrow(
      /^The path "a\\u001b\[31mb" holds control/,
    );
    await expect(resolveInside("/r", "/etc", "follow")).rejects.toThrow("is absolute; write it relative to the root");
  });
});

describe("names that some git or file system takes for .git (H2)", () => {
  test.each([
    ".git",
    ".GIT",
    ".Git",
    ".gıt",
    ".GİT",
    ".git ",
    ".git.",
    ".git . .",
    " .git",
    ".git:stream",
    ".git::$INDEX_ALLOCATION",
    "git~1",
    "GIT~2",
    "git~10",
    ".g\u200cit",
    "\ufeff.git",
    ".gi\u00adt",
    ".git\u200d",
    ".\u2064git",
    ".g\u0301it",
    "．git",
    ".ｇｉｔ",
    ".𝐠𝐢𝐭",
    ".git\u3000",
  ])("%j", (name) => expect(isGitName(name)).toBe(true));

  test.each([
    ".gitignore",
    ".gitattributes",
    ".github",
    ".gitmodules",
    "git",
    "x.git",
    ".gitx",
    "git~",
    "git~x",
    "..git",
  ])("%j is an ordinary name", (name) => expect(isGitName(name)).toBe(false));
});
