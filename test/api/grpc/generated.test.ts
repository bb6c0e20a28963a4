// The files made from protobuf are those that the protobuf files give, and these keep to the rules of buf.

import { execFile } from "node:child_process";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, it } from "vitest";
import { ROOT } from "../../tidy/source.ts";
import { temporaryFolder } from "./fake-door.ts";

const buf = (...args: string[]) =>
  promisify(execFile)(process.execPath, [join(ROOT, "node_modules/.bin/buf"), ...args], { cwd: ROOT });

async function filesIn(folder: string): Promise<Record<string, string>> {
  const paths = (await readdir(folder, { recursive: true })).filter((path) => /\.(js|ts)$/.test(path)).sort();
  return Object.fromEntries(
    await Promise.all(paths.map(async (path) => [path, await readFile(join(folder, path), "utf8")])),
  );
}

it("api/proto/gen is what `npx buf generate` makes", async () => {
  await using folder = await temporaryFolder();
  await buf("generate", "-o", folder.path);
  const [made, kept] = await Promise.all([
    filesIn(join(folder.path, "api/proto/gen")),
    filesIn(join(ROOT, "api/proto/gen")),
  ]);
  expect(Object.keys(made).length).toBeGreaterThan(10);
  expect(kept).toEqual(made);
});

it("the protobuf files pass buf's lint", async () => {
  await expect(buf("lint")).resolves.toMatchObject({ stdout: "" });
});
