// What a process sees of a fleet that it is in, and how long until it sees something.

import { type ActorSystem, type NodeRecord, sleep, systemClock } from "../runtime/index.ts";

const POLL_MS = 5;
const SEEN_MAX_MS = 20_000;

export const recordOf = (system: ActorSystem, id: string): NodeRecord | undefined =>
  system.nodes().find(({ node }) => node === id);

/** State of the first model server of a node; "" while it has told of none. */
export const engineState = (system: ActorSystem, id: string): string =>
  recordOf(system, id)?.report?.engines[0]?.state ?? "";

/** Milliseconds until it is so, asked every few. Throws after SEEN_MAX_MS. */
export async function until(what: string, isSo: () => boolean): Promise<number> {
  const startMs = systemClock.monotonic();
  while (!isSo()) {
    if (systemClock.monotonic() - startMs > SEEN_MAX_MS) throw new Error(`not within ${SEEN_MAX_MS} ms: ${what}`);
    await sleep(systemClock, POLL_MS);
  }
  return systemClock.monotonic() - startMs;
}
