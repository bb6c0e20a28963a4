// The benchmark's command line, resolved once. Everything that can be wrong is found before anything is measured.

import { type FileHandle, open } from "node:fs/promises";
import { parseArgs } from "node:util";

export interface Options {
  readonly quick: boolean;
  readonly growth: boolean;
  readonly peers: boolean;
  readonly only: readonly string[];
  readonly json: FileHandle | undefined;
}

export const USAGE = "npm run bench -- [--peers] [--growth] [--quick] [--only ID]… [--json FILE]";

/** `ids`: what --only may name. Opens the JSON file: a wrong path must not cost the minutes of a run. */
export async function readOptions(argv: readonly string[], ids: readonly string[]): Promise<Options> {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      quick: { type: "boolean", default: false },
      growth: { type: "boolean", default: false },
      peers: { type: "boolean", default: false },
      only: { type: "string", multiple: true, default: [] },
      json: { type: "string" },
    },
  });
  const { quick, growth, peers, only } = values;
  if (growth && (peers || only.length > 0 || values.json !== undefined)) {
    throw new Error("--growth measures by itself and writes bench/results/; use it without --peers, --only and --json");
  }
  for (const id of only) {
    if (!ids.includes(id)) throw new Error(`no scenario "${id}"; there are ${ids.join(", ")}`);
  }
  const json = values.json === undefined ? undefined : await open(values.json, "w");
  return { quick, growth, peers, only, json };
}

/** The environment of a program that is started for a row. */
export const environmentWith = (more: Readonly<Record<string, string>>): NodeJS.ProcessEnv => ({
  ...process.env,
  ...more,
});
