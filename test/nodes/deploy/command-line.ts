// What the files in nodes/deploy/ may say to the program: its options as its own help tells them, and the variables that it reads.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { runCli } from "../../../api/cli.ts";
import { ROOT } from "../../tidy/source.ts";

export const deployFile = (name: string): string => readFileSync(join(ROOT, "nodes/deploy", name), "utf8");

/** Options that `flotilla COMMAND` takes. */
export async function knownOptions(command: string): Promise<ReadonlySet<string>> {
  let help = "";
  const take = { write: (text: string) => (help += text) };
  await runCli([command, "--help"], { out: take, err: take, signal: new AbortController().signal });
  return new Set(optionsIn(help));
}

export const optionsIn = (text: string): string[] => text.match(/(?<![\w-])--[a-z][a-z-]*/g) ?? [];

/** Variables that begin with FLOTILLA_ and that some options file reads. */
export function knownVariables(): ReadonlySet<string> {
  const files = ["actors/options.ts", "api/options.ts", "nodes/options.ts", "tools/options.ts"];
  return new Set(files.flatMap((file) => variablesIn(readFileSync(join(ROOT, file), "utf8"))));
}

export const variablesIn = (text: string): string[] => text.match(/\bFLOTILLA_[A-Z_]+/g) ?? [];

/** "60s", "90": in seconds. */
export const secondsOf = (text: string): number => Number(/^(\d+)s?$/.exec(text)?.[1]);

/** The value after `--grace` in the words of a command line. */
export const graceOf = (words: readonly string[]): number => secondsOf(words[words.indexOf("--grace") + 1] ?? "");
