// A JavaScript project with passing tests, as files for makeRepository: every machine that runs our tests can run its tests.

export const SMALL_PROJECT: Readonly<Record<string, string>> = {
  "package.json": `${JSON.stringify({ name: "small", type: "module", scripts: { test: "node --test" } }, null, 2)}\n`,
  "src/utils.js": "export function add(a, b) {\n  return a + b;\n}\n",
  "test/utils.test.js": `import assert from "node:assert/strict";
import test from "node:test";
import { add } from "../src/utils.js";

test("add", () => assert.equal(add(2, 3), 5));
`,
};
