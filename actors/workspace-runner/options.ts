// What the runner takes from its host's environment: folders, and how executors get into the fleet. Secrets stay with the host: they go to
// executors by their environment alone (WB5).

import { readFileSync } from "node:fs";
import { serviceHostOptions } from "../options.ts";

export interface RunnerHostOptions {
  /** Where jobs, workspaces and repositories are kept (FLOTILLA_SERVICES). */
  readonly folder: string;
  /** Addresses of the fleet's NATS servers, without credentials (FLOTILLA_SERVERS). */
  readonly natsUrl: string | undefined;
  /** FLOTILLA_PREFIX. */
  readonly prefix: string | undefined;
  /** Variables of every executor on this host that are no secrets. */
  readonly env: Readonly<Record<string, string>>;
  /** FLOTILLA_USER, FLOTILLA_PASS, FLOTILLA_CREDS_TEXT, FLOTILLA_API_KEY. */
  readonly secretEnv: Readonly<Record<string, string>>;
}

export function runnerHostOptions(env: NodeJS.ProcessEnv = process.env): RunnerHostOptions {
  const { folder, apiKey } = serviceHostOptions(env);
  const { FLOTILLA_SERVERS, FLOTILLA_PREFIX, FLOTILLA_CREDS, FLOTILLA_CACHE } = env;
  const { natsUrl, user, pass } = splitServers(FLOTILLA_SERVERS || undefined);
  const secrets = {
    FLOTILLA_USER: env.FLOTILLA_USER || user,
    FLOTILLA_PASS: env.FLOTILLA_PASS || pass,
    FLOTILLA_CREDS_TEXT: env.FLOTILLA_CREDS_TEXT || (FLOTILLA_CREDS && readFileSync(FLOTILLA_CREDS, "utf8")),
    FLOTILLA_API_KEY: apiKey,
  };
  return {
    folder,
    natsUrl,
    prefix: FLOTILLA_PREFIX || undefined,
    env: { ...(FLOTILLA_CACHE && { FLOTILLA_CACHE }) },
    secretEnv: Object.fromEntries(
      Object.entries(secrets).filter((entry): entry is [string, string] => Boolean(entry[1])),
    ),
  };
}

/** An address is seen by everybody who sees command lines. Several servers of a fleet take the same credentials. */
function splitServers(servers: string | undefined) {
  const [, user, pass] = /\/\/([^:@/,]+)(?::([^@/,]*))?@/.exec(servers ?? "") ?? [];
  return {
    natsUrl: servers?.replace(/\/\/[^@/,]+@/g, "//"),
    user: user && decodeURIComponent(user),
    pass: pass && decodeURIComponent(pass),
  };
}
