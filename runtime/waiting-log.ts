// Requests for an actor that wait for a place, told to those who ask why: in the log, when one begins to wait and when its reasons change,
// and in this node's record, where the whole fleet can read it.

import type { LogLevel } from "./log.ts";
import type { WaitingPlacement } from "./node-record.ts";
import { unplaceable } from "./placer.ts";
import type { WaitingRequest } from "./placing.ts";

export interface WaitingLogOptions {
  /** Tells the fleet what waits here now, longest first. */
  readonly announce: (waiting: readonly WaitingPlacement[]) => void;
  readonly log: (level: LogLevel, message: string, data: Readonly<Record<string, unknown>>) => void;
}

/** Of one node, in its record: thousands that wait, wait for the same. */
const TOLD_MAX = 8;
const WHY_MAX_CHARS = 300;

export class WaitingLog {
  readonly #options: WaitingLogOptions;
  readonly #waiting = new Map<number, WaitingPlacement>();

  constructor(options: WaitingLogOptions) {
    this.#options = options;
  }

  /** `waiting` undefined: it waits no more. */
  told(id: number, waiting: WaitingRequest | undefined): void {
    const before = this.#waiting.get(id);
    if (waiting === undefined) {
      if (this.#waiting.delete(id)) this.#announce();
      return;
    }
    const { request, decision, sinceMs } = waiting;
    const { type, name } = request;
    const why = unplaceable(decision);
    if (before?.why === why) return;
    const what = name === undefined ? type : `${type} "${name}"`;
    this.#options.log("info", `${what} waits for a place: ${why}`, { sinceMs });
    this.#waiting.set(id, { type, ...(name !== undefined && { name }), sinceMs, why });
    this.#announce();
  }

  #announce(): void {
    const told = [...this.#waiting.values()].slice(0, TOLD_MAX);
    this.#options.announce(told.map((waiting) => ({ ...waiting, why: waiting.why.slice(0, WHY_MAX_CHARS) })));
  }
}
