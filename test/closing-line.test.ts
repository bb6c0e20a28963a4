// The last line of a run, by a real run of vitest on a project where everything goes wrong that can.

import { execFile } from "node:child_process";
import { symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import { makeFolder } from "./support/git-repository.ts";
import { ROOT } from "./tidy/source.ts";

const CONFIG = `import { ClosingLine } from ${JSON.stringify(join(ROOT, "test/support/closing-line.ts"))};
export default { test: { include: ["*.test.ts"], reporters: ["default", new ClosingLine()] } };
`;
const START = 'import { beforeAll, describe, expect, it } from "vitest";\n';
const GOOD = `${START}it("a", () => {});\nit.skip("b", () => {});\nit.todo("c");\nit("d", () => {});\n`;
/** A failing test, a broken hook with a test behind it, an error after the fact. */
const BAD = `${START}it("e", () => expect(1).toBe(2));
describe("f", () => {
  beforeAll(() => { throw new Error("hook"); });
  it("g", () => {});
});
it("h", async () => { Promise.reject(new Error("late")); await new Promise(setImmediate); });
`;
const BROKEN = `${START}throw new Error("does not load");\n`;

async function lastLineOf(
  files: Readonly<Record<string, string>>,
): Promise<{ line: string | undefined; failed: boolean }> {
  await using folder = await makeFolder();
  await symlink(join(ROOT, "node_modules"), join(folder.path, "node_modules"));
  for (const [name, text] of Object.entries({ "vitest.config.ts": CONFIG, ...files })) {
    await writeFile(join(folder.path, name), text);
  }
  const vitest = join(ROOT, "node_modules/vitest/vitest.mjs");
  return await new Promise((resolve) =>
    execFile(process.execPath, [vitest, "run"], { cwd: folder.path }, (error, stdout) =>
      resolve({ line: stdout.trimEnd().split("\n").at(-1), failed: error !== null }),
    ),
  );
}

it("counts what passed and what was skipped", async () => {
  expect(await lastLineOf({ "good.test.ts": GOOD })).toEqual({ line: "2 passed, 0 failed, 2 skipped", failed: false });
});

it("counts whatever kept a test from being judged as failed", async () => {
  const files = { "good.test.ts": GOOD, "bad.test.ts": BAD, "broken.test.ts": BROKEN };
  const { line, failed } = await lastLineOf(files);
  // Failed: e, the hook of f, the late error, the file that does not load. Skipped: b, c, and g behind its hook.
  expect({ line, failed }).toEqual({ line: "3 passed, 4 failed, 3 skipped", failed: true });
});
