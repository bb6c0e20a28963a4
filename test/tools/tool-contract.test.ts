// The contract of tools, run on every standard one.

import { expect, test } from "vitest";
import { standardTools } from "../../tools/index.ts";
import { type ToolCase, toolContract } from "../contracts/tool.ts";

const FILES = { "src/a.py": "one\ntwo\n", "b.txt": "b\n" } as const;

/** A call of each tool that works anywhere git does; runners and remotes have suites of their own. */
const PARAMS: Readonly<Record<string, ToolCase["params"]>> = {
  "files.read": { path: "src/a.py" },
  "files.list": {},
  "files.search": { pattern: "two" },
  "files.info": { path: "src/a.py" },
  "files.diff": { path: "src/a.py", other: "b.txt" },
  "files.write": { path: "new/c.txt", content: "c\n" },
  "files.append": { path: "b.txt", content: "more\n" },
  "files.edit": { path: "b.txt", search: "b", replace: "c" },
  "files.delete": { path: "b.txt" },
  "files.mkdir": { path: "new" },
  "git.status": {},
  "git.log": {},
  "git.diff": {},
  "git.branch": {},
  "git.checkout": { create: "topic" },
  "git.add": { paths: ["b.txt"] },
};

for (const tool of standardTools()) toolContract(tool, { files: FILES, params: PARAMS[tool.name] });

test("the table names only tools that exist", () => {
  const names = new Set(standardTools().map(({ name }) => name));
  expect(Object.keys(PARAMS).filter((name) => !names.has(name))).toEqual([]);
});
