// Real git repositories in a temp folder, made by the git on PATH with nobody's configuration.

import { execFile } from "node:child_process";
import { mkdir, mkdtemp, realpath, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { toolsOptions } from "../../tools/options.ts";

const run = promisify(execFile);

const IDENTITY = { NAME: "Test Author", EMAIL: "author@example.invalid", DATE: "2026-01-02T03:04:05Z" };

const environment = () => ({
  PATH: toolsOptions().path,
  LC_ALL: "C.UTF-8",
  GIT_CONFIG_GLOBAL: "/dev/null",
  GIT_CONFIG_NOSYSTEM: "1",
  GIT_TERMINAL_PROMPT: "0",
  ...Object.fromEntries(Object.entries(IDENTITY).map(([key, value]) => [`GIT_AUTHOR_${key}`, value])),
  ...Object.fromEntries(Object.entries(IDENTITY).map(([key, value]) => [`GIT_COMMITTER_${key}`, value])),
});

export interface TestRepository extends AsyncDisposable {
  /** Absolute real path of the work tree. */
  readonly path: string;
  /** Runs git in the work tree; resolves with stdout without its last newline, rejects when git fails. */
  git(...args: string[]): Promise<string>;
  /** Full hash of HEAD. */
  head(): Promise<string>;
  /** Writes files (folders are made), without adding them. */
  write(files: Readonly<Record<string, string>>): Promise<void>;
}

export interface RepositoryContent {
  /** Path → content. */
  readonly files: Readonly<Record<string, string>>;
  /** Whether the files are committed on `main`. Default true. */
  readonly commit?: boolean;
}

/** A folder of its own, by default under the system's temp folder; the caller removes it with `await using`. */
export async function makeFolder(
  prefix = "flotilla-test-",
  parent = tmpdir(),
): Promise<{ path: string } & AsyncDisposable> {
  const path = await realpath(await mkdtemp(join(parent, prefix)));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

export async function makeRepository({ files, commit = true }: RepositoryContent): Promise<TestRepository> {
  const folder = await makeFolder("flotilla-repo-");
  const git = async (...args: string[]) => {
    const running = run("git", args, { cwd: folder.path, env: environment(), maxBuffer: 1 << 26 });
    // A program that git starts (a hook, a filter) may read what git has not: it must find an end.
    running.child.stdin?.end();
    const { stdout } = await running;
    return stdout.replace(/\n$/, "");
  };
  const write = async (added: Readonly<Record<string, string>>) => {
    for (const [path, content] of Object.entries(added)) {
      const target = join(folder.path, path);
      await mkdir(dirname(target), { recursive: true });
      await writeFile(target, content);
    }
  };
  await git("init", "--quiet", "--initial-branch=main");
  await write(files);
  if (commit) {
    await git("add", "--all");
    await git("commit", "--quiet", "--allow-empty", "--message", "First");
  }
  return {
    path: folder.path,
    git,
    write,
    head: () => git("rev-parse", "HEAD"),
    [Symbol.asyncDispose]: folder[Symbol.asyncDispose],
  };
}
