// What this room reads from the environment. Nothing else in nodes/ does.

import { homedir } from "node:os";
import { delimiter, join } from "node:path";

/** Where programs are looked for and kept. */
export interface ProgramPlaces {
  /** Folders of the PATH, in its order. */
  readonly path: readonly string[];
  /** The project's own cache: FLOTILLA_CACHE, or ~/.cache/flotilla. */
  readonly cache: string;
}

export function programPlaces(environment: NodeJS.ProcessEnv = process.env): ProgramPlaces {
  const cache = environment.FLOTILLA_CACHE || join(homedir(), ".cache", "flotilla");
  return { path: (environment.PATH ?? "").split(delimiter).filter((folder) => folder !== ""), cache };
}
