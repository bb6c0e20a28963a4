// Does the work of one attempt of a task with actors: a call of the one it names, or of a fresh one made for it here.

import type { Dispatch } from "../handle.ts";
import type { Host } from "../host.ts";
import { spawnSettings } from "../options.ts";
import type { TaskAttempt, TaskRequest } from "./task.ts";

/** Without a deadline of its own a task may take as long as it likes. */
const FOREVER_MS = 2 ** 31 - 1;

export async function runTask(
  host: Host,
  dispatch: Dispatch,
  { type, address, method, args, deadlineMs }: TaskRequest,
  signal: AbortSignal,
  attempt: TaskAttempt,
): Promise<unknown> {
  const timeoutMs = deadlineMs === undefined ? FOREVER_MS : Math.max(1, deadlineMs - host.clock.now());
  const options = { timeoutMs, signal };
  if (address !== undefined) return dispatch.call(address, method, args, options, attempt);
  const fresh = await host.spawn({ ...host.types.own(type), args: [], settings: spawnSettings(undefined) }, undefined);
  try {
    return await dispatch.call(fresh, method, args, options, attempt);
  } finally {
    host.kill(fresh);
  }
}
