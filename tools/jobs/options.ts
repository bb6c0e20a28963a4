// Where this host's container engine listens, by its environment: DOCKER_HOST, else docker's socket, else podman's of this user.

import { existsSync } from "node:fs";
import { join } from "node:path";

export const DOCKER_SOCKET = "/var/run/docker.sock";

/** As DOCKER_HOST is written: unix:///path, tcp://host:port. Undefined: there is none. */
export function engineAddress(
  env: NodeJS.ProcessEnv = process.env,
  isThere: (path: string) => boolean = existsSync,
): string | undefined {
  if (env.DOCKER_HOST) return env.DOCKER_HOST;
  const sockets = [DOCKER_SOCKET];
  if (env.XDG_RUNTIME_DIR) sockets.push(join(env.XDG_RUNTIME_DIR, "podman", "podman.sock"));
  const found = sockets.find(isThere);
  return found === undefined ? undefined : `unix://${found}`;
}
