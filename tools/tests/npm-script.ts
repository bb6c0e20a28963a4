// What a package.json says about its tests: which runner its test script ends in. Pure but for reading the one file.
// It is not a shell: a script is looked at only as far as its last command's words.

import { join } from "node:path";
import { z } from "zod";
import { readPlainFile } from "../plain-file.ts";
import { ToolFailure } from "../tool.ts";
import { parseJson } from "./case-list.ts";

/** A manifest is written by people; one of more than this is not read. */
export const MANIFEST_MAX_BYTES = 1024 * 1024;

const packageJson = z.object({
  scripts: z.record(z.string(), z.string()).catch({}).default({}),
  dependencies: z.record(z.string(), z.unknown()).catch({}).default({}),
  devDependencies: z.record(z.string(), z.unknown()).catch({}).default({}),
});
export type PackageJson = z.output<typeof packageJson>;

/** `script`: run `npm test` with the runner's options behind it. `binary`: run the installed program by itself. */
export type NpmPlan =
  | { readonly kind: "vitest" | "jest"; readonly by: "script" | "binary" }
  | { readonly kind: "node"; readonly options: readonly string[]; readonly targets: readonly string[] }
  | { readonly kind: "status" }
  | { readonly kind: "none" };

/** What `npm init` writes: a script that only says that there is none. */
const NO_TEST = /no test specified/;
/** Options of node that take the next word as their value. */
const TAKES_VALUE: ReadonlySet<string> = new Set([
  "--import",
  "--require",
  "-r",
  "--loader",
  "--experimental-loader",
  "--test-name-pattern",
  "--env-file",
  "-C",
  "--conditions",
]);

/** The package.json of a folder; undefined when there is none. Throws ToolFailure `invalid-package` when it is not one. */
export async function readPackage(root: string): Promise<PackageJson | undefined> {
  const file = await readPlainFile(join(root, "package.json"), MANIFEST_MAX_BYTES);
  if (file.kind !== "text") return undefined;
  const parsed = packageJson.safeParse(parseJson(file.text));
  if (parsed.success) return parsed.data;
  throw new ToolFailure("invalid-package", "package.json is not a JSON object: correct it, then run the tests again.");
}

/** Which runner a package's test script means. */
export function npmPlan({ scripts, dependencies, devDependencies }: PackageJson): NpmPlan {
  const script = scripts.test ?? "";
  const last =
    script
      .split(/&&|\|\||[;|]/)
      .at(-1)
      ?.trim() ?? "";
  const installed = { ...dependencies, ...devDependencies };
  for (const kind of ["vitest", "jest"] as const) {
    const named = new RegExp(`(?:^|[\\s/])${kind}(?:\\.m?js)?(?:\\s|$)`);
    if (named.test(last)) return { kind, by: "script" };
    if (named.test(script) || (script === "" && kind in installed)) return { kind, by: "binary" };
  }
  if (/^node\s(?:.*\s)?--test(?:\s|$)/.test(last)) return nodePlan(last);
  return script === "" || NO_TEST.test(script) ? { kind: "none" } : { kind: "status" };
}

/** `node --test` with the script's own options and files, but not its reporters: ours takes their place. */
function nodePlan(command: string): NpmPlan {
  const words = command
    .split(/\s+/)
    .slice(1)
    .map((word) => word.replace(/^(["'])(.*)\1$/, "$2"));
  const options: string[] = [];
  const targets: string[] = [];
  for (let at = 0; at < words.length; at++) {
    const word = words[at] ?? "";
    if (/^--test-reporter(?:-destination)?$/.test(word)) at++;
    else if (word === "--test" || word === "--watch" || word.startsWith("--test-reporter")) continue;
    else if (TAKES_VALUE.has(word)) options.push(word, words[++at] ?? "");
    else if (word.startsWith("-")) options.push(word);
    else targets.push(word);
  }
  return { kind: "node", options, targets };
}
