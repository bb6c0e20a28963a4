// Folders for agents on a node: whose they are, and that those of the dead do not stay.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, readdir } from "node:fs/promises";
import { basename, join } from "node:path";
import { expect, test } from "vitest";
import { openWorkFolder, removeLeftFolders } from "../../tools/index.ts";
import { makeFolder } from "../support/git-repository.ts";

test("a folder goes with its work, unless it is to be kept", async () => {
  await using parent = await makeFolder();
  const [passing, kept] = [await openWorkFolder(false, parent.path), await openWorkFolder(true, parent.path)];
  await mkdir(join(passing.path, "clone/.git"), { recursive: true });
  for (const folder of [passing, kept]) await folder[Symbol.asyncDispose]();
  expect(await readdir(parent.path)).toEqual([basename(kept.path)]);
});

test("what a dead process left goes with the next one; what is another's stays", async () => {
  await using parent = await makeFolder();
  await using own = await openWorkFolder(false, parent.path);
  const child = spawn(process.execPath, ["-e", ""], { stdio: "ignore" });
  await once(child, "exit");
  const nameOf = (pid: number | undefined) => basename(own.path).replace(`-${process.pid}-`, `-${pid}-`);
  const dead = nameOf(child.pid);
  const elsewhere = dead.replace(/^flotilla-agent-\d+-/, "flotilla-agent-1-");
  const others = [nameOf(process.ppid), elsewhere, "flotilla-agent-notes"];
  for (const name of [dead, ...others]) await mkdir(join(parent.path, name, "clone"), { recursive: true });
  expect(await removeLeftFolders(parent.path)).toEqual([join(parent.path, dead)]);
  expect((await readdir(parent.path)).sort()).toEqual([basename(own.path), ...others].sort());
  expect(await removeLeftFolders(parent.path, { own: true })).toEqual([own.path]);
  expect((await readdir(parent.path)).sort()).toEqual([...others].sort());
});
