// What a host of services gives them by its environment: folders and secrets, which are its own and do not travel.

import { homedir } from "node:os";
import { join } from "node:path";

export interface ServiceHostOptions {
  /** Where services keep files of this host: `context/`, `workspaces/`, `repositories/` (FLOTILLA_SERVICES). */
  readonly folder: string;
  /** Of the graph's server (FLOTILLA_NEO4J_PASSWORD). */
  readonly neo4jPassword: string | undefined;
  /** Of model servers (FLOTILLA_API_KEY). */
  readonly apiKey: string | undefined;
}

export function serviceHostOptions(env: NodeJS.ProcessEnv = process.env): ServiceHostOptions {
  const { FLOTILLA_SERVICES, FLOTILLA_NEO4J_PASSWORD, FLOTILLA_API_KEY } = env;
  return {
    folder: FLOTILLA_SERVICES || join(homedir(), ".flotilla", "services"),
    neo4jPassword: FLOTILLA_NEO4J_PASSWORD || undefined,
    apiKey: FLOTILLA_API_KEY || undefined,
  };
}
