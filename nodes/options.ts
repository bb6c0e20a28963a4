// What this room reads from the environment. Nothing else in nodes/ does.

import { homedir } from "node:os";
import { delimiter, join } from "node:path";
import type { DeviceMasks } from "./gpu/override.ts";

/** Where programs are looked for and kept. */
export interface ProgramPlaces {
  /** Folders of the PATH, in its order. */
  readonly path: readonly string[];
  /** Where Go may be: those, and where its installer puts it without touching the PATH. */
  readonly go: readonly string[];
  /** The project's own cache: FLOTILLA_CACHE, or ~/.cache/flotilla. */
  readonly cache: string;
}

export function programPlaces(environment: NodeJS.ProcessEnv = process.env): ProgramPlaces {
  const cache = environment.FLOTILLA_CACHE || join(homedir(), ".cache", "flotilla");
  const path = (environment.PATH ?? "").split(delimiter).filter((folder) => folder !== "");
  return { path, go: [...path, "/usr/local/go/bin"], cache };
}

/** Masks over the GPUs that this process was started under: those it starts see no others either. Absent: none. */
export function deviceMasks(environment: NodeJS.ProcessEnv = process.env): DeviceMasks {
  const { CUDA_VISIBLE_DEVICES: cuda, ROCR_VISIBLE_DEVICES: rocr, HIP_VISIBLE_DEVICES: hip } = environment;
  return {
    ...(cuda === undefined ? {} : { cuda }),
    ...(rocr === undefined ? {} : { rocr }),
    ...(hip === undefined ? {} : { hip }),
  };
}
