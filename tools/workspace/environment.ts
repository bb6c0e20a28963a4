// The environment a command starts from, and the search for its program. Nothing is inherited (W2).

import { constants } from "node:fs";
import { access, stat } from "node:fs/promises";
import { delimiter, isAbsolute, join, resolve } from "node:path";
import type { ToolsOptions } from "../options.ts";

/** HOME and TMPDIR of a workspace lie in its scratch folder under these names. */
export const homeOf = (scratch: string) => join(scratch, "home");
export const temporaryOf = (scratch: string) => join(scratch, "tmp");

/** What every command of a workspace gets before the caller's own variables. */
export function baseEnvironment(options: ToolsOptions, scratch: string): Readonly<Record<string, string>> {
  return {
    ...options.toolchains,
    PATH: options.path,
    LANG: "C.UTF-8",
    LC_ALL: "C.UTF-8",
    HOME: homeOf(scratch),
    TMPDIR: temporaryOf(scratch),
  };
}

/**
 * Whether `program` can be run from `cwd`: looked up before it is started, because a sandbox reports a missing program in the same
 * way as a program that failed.
 */
export async function isRunnable(program: string, cwd: string, path: string): Promise<boolean> {
  const candidates = program.includes("/")
    ? [resolve(cwd, program)]
    : path
        .split(delimiter)
        .filter(isAbsolute)
        .map((folder) => join(folder, program));
  for (const candidate of candidates) {
    const runnable = await access(candidate, constants.X_OK).then(
      async () => (await stat(candidate)).isFile(),
      () => false,
    );
    if (runnable) return true;
  }
  return false;
}
