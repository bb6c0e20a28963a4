// A user's module of actors, as `flotilla node --actors FILE` names it: which actor types it exports.

import { existsSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { type ActorType, isActorType } from "../actor.ts";
import type { FlotillaError } from "../errors.ts";
import { codeError } from "./errors.ts";
import { whileLoading } from "./loading.ts";

/** The actor types among a module's exports. */
export function actorTypesIn(exports: Readonly<Record<string, unknown>>): readonly ActorType[] {
  return [...new Set(Object.values(exports).filter(isActorType))];
}

/** The line that an author writes so that others can use a type. */
export function exportLine(type: string, options?: string): string {
  const words = type.split(/[^A-Za-z0-9]+/).filter((word) => word !== "");
  const name = words.map((word) => word.charAt(0).toUpperCase() + word.slice(1)).join("");
  const constant = /^[A-Z]/.test(name) ? name : `Actor${name}`;
  return `export const ${constant} = defineActor("${type}", class { … }${options === undefined ? "" : `, ${options}`})`;
}

function invalid(path: string, why: string, cause?: unknown): FlotillaError {
  return codeError("ActorModuleInvalid", `${path} ${why}`, { data: { path }, cause });
}

/**
 * Imports the module at `path` (taken from the current folder) and answers the actor types it exports: at least one.
 * Throws ActorModuleInvalid when it is not there, throws or connects while it loads (`cause`), or exports no actor.
 */
export async function loadActorModule(path: string): Promise<readonly ActorType[]> {
  if (!existsSync(path)) throw invalid(path, "is not there; name a file that exports actors");
  const url = pathToFileURL(path).href;
  const exports = await whileLoading(path, () => import(url)).catch((error: unknown) => {
    throw invalid(path, `cannot be loaded: ${String(error)}`, error);
  });
  const types = actorTypesIn(exports);
  if (types.length === 0) throw invalid(path, `exports no actor; write: ${exportLine("my-actor")}`);
  return types;
}
