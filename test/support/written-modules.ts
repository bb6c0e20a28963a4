// Modules that a test writes: they lie in a folder of their own until the test is over.

import { mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

export interface WrittenModules extends Disposable {
  readonly folder: string;
  /** Writes a file and answers its path. */
  write(name: string, text: string): string;
  /** Writes a module and answers its URL. */
  module(text: string, name?: string): string;
}

export function writtenModules(): WrittenModules {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), "flotilla-modules-")));
  const write = (name: string, text: string): string => {
    const path = join(folder, name);
    writeFileSync(path, text);
    return path;
  };
  return {
    folder,
    write,
    module: (text, name = "actors.ts") => pathToFileURL(write(name, text)).href,
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  };
}
