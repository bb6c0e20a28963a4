// Whether a nats-server uses a folder already. Two on one folder would write the same files and lose what each acknowledged.
//
// NF1  Told by the process that the server itself named in the folder, as it runs now: nothing stale can keep anybody out, and pids that were
//      given to others do not. Known by /proc, so on Linux only; elsewhere the servers' ports alone keep two apart.
// NF2  One that is about to end is waited for: whoever restarts a fleet whose process was killed comes before its server has gone.

import { readFile, realpath } from "node:fs/promises";
import { join } from "node:path";
import { type Clock, sleep } from "../runtime/index.ts";
import { nodeError } from "./errors.ts";

export const CONFIG_FILE = "nats-server.conf";
/** The server writes its pid there. */
export const PID_FILE = "nats-server.pid";
const ENDS_WITHIN_MS = 5_000;
const POLL_MS = 50;

/** Resolves when nobody uses the folder. Throws NatsFolderInUse. */
export async function freeFolder(folder: string, clock: Clock): Promise<void> {
  const untilMs = clock.monotonic() + ENDS_WITHIN_MS;
  for (;;) {
    const pid = await userOf(folder);
    if (pid === undefined) return;
    if (clock.monotonic() >= untilMs) {
      throw nodeError("NatsFolderInUse", `a NATS server (pid ${pid}) keeps its data in ${folder} already`, {
        data: { folder, pid },
      });
    }
    await sleep(clock, POLL_MS);
  }
}

async function userOf(folder: string): Promise<number | undefined> {
  const pid = Number(await readFile(join(folder, PID_FILE), "utf8").catch(() => "0"));
  if (!(pid > 0)) return undefined;
  const command = (await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")).split("\0");
  const config = command[command.indexOf("-c") + 1];
  if (config === undefined || !config.endsWith(CONFIG_FILE)) return undefined;
  const [theirs, ours] = await Promise.all([config, join(folder, CONFIG_FILE)].map((path) => realpath(path)));
  return theirs === ours ? pid : undefined;
}
