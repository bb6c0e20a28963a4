// Whether a module is the script that this process runs: importing that elsewhere would run it there, to its end or to its `process.exit`.

import { existsSync, readFileSync, realpathSync } from "node:fs";
import { pathToFileURL } from "node:url";

/** The file this process was started with. */
function mainFile(): string | undefined {
  const [, path] = process.argv;
  return path === undefined || !existsSync(path) ? undefined : realpathSync(path);
}

/** The file of `module` when it is the script that runs and does not ask itself whether it is. */
export function runningScript(module: string): string | undefined {
  const main = mainFile();
  if (main === undefined || module !== pathToFileURL(main).href) return undefined;
  return readFileSync(main, "utf8").includes("import.meta.main") ? undefined : main;
}
