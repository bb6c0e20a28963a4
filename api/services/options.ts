// Which model a fleet's services have, by their options and variables.
// Its key stays in the environment of whoever runs agents: actors/options.ts. And how services find by it what the command line says.

import type { ModelSpec } from "../../actors/index.ts";
import { chooseModel, type FleetOptions } from "../options.ts";

export interface ModelFlags {
  readonly model?: string;
  readonly modelUrl?: string;
}

/** Undefined where none is named: services can live without until somebody asks for work. Throws OptionInvalid. */
export function serviceModel(flags: ModelFlags, env: NodeJS.ProcessEnv = process.env): ModelSpec | undefined {
  const model = flags.model ?? (env.FLOTILLA_MODEL || undefined);
  const url = flags.modelUrl ?? (model === "mock" ? undefined : env.FLOTILLA_MODEL_URL || undefined);
  if (model === undefined && url === undefined) return undefined;
  const chosen = chooseModel(url, model, flags, undefined);
  return chosen.kind === "openai" ? { kind: "openai", url: chosen.url, model: chosen.model } : chosen;
}

/**
 * What was said by options of how to reach the fleet, as the variables that executors are given it by: they join the same fleet, in processes
 * of their own.
 */
export function tellExecutors(
  { servers, creds, prefix }: { readonly servers?: string; readonly creds?: string; readonly prefix?: string },
  env: NodeJS.ProcessEnv = process.env,
): void {
  if (servers) env.FLOTILLA_SERVERS = servers;
  if (creds) env.FLOTILLA_CREDS = creds;
  if (prefix) env.FLOTILLA_PREFIX = prefix;
}

/** What services need of the fleet for the executors they start, they read from their host's variables: so options are made variables. */
export function lendFleet({ servers, prefix, creds }: FleetOptions, env: NodeJS.ProcessEnv = process.env): void {
  env.FLOTILLA_SERVERS = servers;
  if (prefix !== undefined) env.FLOTILLA_PREFIX = prefix;
  if (creds !== undefined) env.FLOTILLA_CREDS_TEXT = creds;
}
