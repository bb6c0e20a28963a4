// A small git repository in a temporary folder, with a test that passes: what the examples with agents work on.

import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { cloneForAgent } from "../tools/index.ts";

const FILES = {
  "package.json": `{ "name": "sample", "type": "module", "scripts": { "test": "node --test" } }\n`,
  "src/text.js": "export function shout(text) {\n  return text.toUpperCase();\n}\n",
  "test/text.test.js": [
    `import assert from "node:assert";`,
    `import { test } from "node:test";`,
    `import { shout } from "../src/text.js";`,
    "",
    `test("shouts", () => assert.equal(shout("a"), "A"));`,
    "",
  ].join("\n"),
};

export interface SampleRepository extends AsyncDisposable {
  /** Full hash of its one commit. */
  readonly commit: string;
  /** Makes an agent's own clone; resolves with its path. */
  clone(agentId: string): Promise<string>;
}

export async function makeSampleRepository(): Promise<SampleRepository> {
  const folder = await mkdtemp(join(tmpdir(), "flotilla-example-"));
  const source = join(folder, "source");
  const author = { name: "Example", email: "example@example.invalid" };
  for (const [path, content] of Object.entries(FILES)) {
    await mkdir(join(source, path, ".."), { recursive: true });
    await writeFile(join(source, path), content);
  }
  const git = (...args: string[]) => promisify(execFile)("git", args, { cwd: source });
  await git("init", "--quiet", "--initial-branch=main");
  await git("config", "user.name", author.name);
  await git("config", "user.email", author.email);
  await git("add", "--all");
  await git("-c", "commit.gpgsign=false", "commit", "--quiet", "--message", "First");
  const commit = (await git("rev-parse", "HEAD")).stdout.trim();
  return {
    commit,
    clone: (agentId) => cloneForAgent({ source, into: join(folder, agentId), commit, author }),
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
}
