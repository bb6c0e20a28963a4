// Installed packages in a clone: found by its tests, never committed, never written through.

import { mkdir, readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import { systemClock, systemRandom } from "../../runtime/index.ts";
import { cloneForAgent } from "../../tools/workspace/checkout.ts";
import { lendDependencies } from "../../tools/workspace/dependencies.ts";
import { openProcessWorkspace } from "../../tools/workspace/process-workspace.ts";
import { makeFolder, makeRepository } from "../support/git-repository.ts";

const USES = `import { name } from "plain"; import { scoped } from "@scope/inner"; import { own } from "own-part"; console.log(name, scoped, own);`;

async function lentClone() {
  const repository = await makeRepository({
    files: {
      "package.json": `{"type":"module"}`,
      ".gitignore": "",
      "index.js": USES,
      "packages/own-part/package.json": `{"name":"own-part","type":"module","exports":"./index.js"}`,
      "packages/own-part/index.js": `export const own = "user's";`,
    },
  });
  const packageAt = async (name: string, source: string) => {
    const folder = join(repository.path, "node_modules", name);
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, "package.json"), `{"name":"${name}","type":"module","exports":"./index.js"}`);
    await writeFile(join(folder, "index.js"), source);
  };
  await packageAt("plain", `export const name = "plain";`);
  await packageAt("@scope/inner", `export const scoped = "scoped";`);
  await symlink("../packages/own-part", join(repository.path, "node_modules/own-part"));
  const folder = await makeFolder();
  const clone = await cloneForAgent({
    source: repository.path,
    into: join(folder.path, "clone"),
    commit: await repository.head(),
  });
  const lent = await lendDependencies({ source: repository.path, clone });
  const workspace = await openProcessWorkspace({ root: clone, clock: systemClock, random: systemRandom });
  const dispose = async () => {
    await workspace.close();
    await folder[Symbol.asyncDispose]();
    await repository[Symbol.asyncDispose]();
  };
  return { repository, clone, lent, workspace, [Symbol.asyncDispose]: dispose };
}

it("finds the user's packages and the agent's own version of the repository's", async () => {
  await using made = await lentClone();
  expect(made.lent).toBe(3);
  await writeFile(join(made.clone, "packages/own-part/index.js"), `export const own = "agent's";`);
  const { stdout, stderr } = await made.workspace.exec(process.execPath, ["index.js"], { timeoutMs: 20_000 });
  expect({ stdout, stderr }).toEqual({ stdout: "plain scoped agent's\n", stderr: "" });
});

it("leaves nothing for git to see", async () => {
  await using made = await lentClone();
  const { stdout } = await made.workspace.exec("git", ["status", "--porcelain"], { timeoutMs: 20_000 });
  expect(stdout).toBe("");
});

it("lets nobody write through a link under bubblewrap, and tools keep caches beside them", async (test) => {
  await using made = await lentClone();
  if (made.workspace.sandbox === "none") test.skip("bubblewrap does not work here");
  const script = `require("fs").mkdirSync("node_modules/.vite"); require("fs").writeFileSync("node_modules/plain/index.js", "bad")`;
  const { exitCode, stderr } = await made.workspace.exec(process.execPath, ["-e", script], { timeoutMs: 20_000 });
  expect(exitCode).toBe(1);
  expect(stderr).toContain("EROFS");
  expect(await readFile(join(made.repository.path, "node_modules/plain/index.js"), "utf8")).toContain("plain");
});

it("lends nothing where nothing is installed or the packages are committed", async () => {
  await using plain = await makeRepository({ files: { "a.js": "" } });
  await using committed = await makeRepository({ files: { "node_modules/x/index.js": "" } });
  await using folder = await makeFolder();
  for (const [index, { path, head }] of [plain, committed].entries()) {
    const clone = await cloneForAgent({ source: path, into: join(folder.path, String(index)), commit: await head() });
    expect(await lendDependencies({ source: path, clone })).toBe(0);
  }
});
