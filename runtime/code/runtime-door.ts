// The runtime as code that travels knows it: bundles import a name, and the node gives that name its own runtime.

import { realpathSync } from "node:fs";
import { extname } from "node:path";
import { fileURLToPath } from "node:url";

/** What a bundle imports the runtime as; the node has a file of that name beside it. */
export const RUNTIME_SPECIFIER = "./flotilla-runtime.mjs";

/** The name of the package, which leads to the runtime's door. */
export const PACKAGE = "flotilla";

/** The URL of this process's runtime, in whatever language it was published. */
export function runtimeUrl(): string {
  return new URL(`../index${extname(import.meta.url)}`, import.meta.url).href;
}

/** Its file, behind all links. */
export function runtimeFile(): string {
  return realpathSync(fileURLToPath(runtimeUrl()));
}
