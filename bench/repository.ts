// A repository of a wanted size in a temporary folder, made by the git on PATH.

import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);
const FILES = 1_000;
const FOLDERS = 20;

export interface BenchRepository extends AsyncDisposable {
  /** Absolute. */
  readonly path: string;
}

/** A thousand files of chance bytes as text, one commit on `main`: about `bytes` in the work tree, and nothing that packs well. */
export async function makeRepository(bytes: number): Promise<BenchRepository> {
  const path = await mkdtemp(join(tmpdir(), "flotilla-bench-repository-"));
  const git = (...args: string[]) =>
    run("git", ["-c", "user.name=bench", "-c", "user.email=bench@example.invalid", ...args], { cwd: path });
  await git("init", "--quiet", "--initial-branch=main");
  for (let index = 0; index < FILES; index++) {
    const folder = join(path, `part-${index % FOLDERS}`);
    await mkdir(folder, { recursive: true });
    // Two letters for each byte.
    await writeFile(join(folder, `file-${index}.txt`), randomBytes(bytes / FILES / 2).toString("hex"));
  }
  await git("add", "--all");
  await git("commit", "--quiet", "--message", "First");
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}
