// Scripts as users run them: by Node alone, with no test runner between it and the modules.

import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";

async function outputOf(script: string): Promise<unknown> {
  const path = fileURLToPath(new URL(`../../fixtures/code/${script}`, import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, [path]);
  return JSON.parse(stdout);
}

const LOADED = expect.stringMatching(/^file:.*\/[0-9a-f]{64}\.mjs$/);

test("ship the classes of other modules, and are not run a second time on the node", async () => {
  expect(await outputOf("whole-script.ts")).toEqual({
    added: 2,
    module: LOADED,
    message: expect.stringMatching(
      /whole-script\.ts is the script that runs.*move the actors into a module of their own/,
    ),
  });
});

test("may hold their classes themselves behind import.meta.main", async () => {
  expect(await outputOf("guarded-script.ts")).toEqual({ module: LOADED });
});
