// The model servers of a node as a decision reads them: which one, how soon it answers, how much it has to do.
//
// EN1  A server that starts, sleeps or can be loaded will do: whoever is placed beside it waits for it there. One that drains or is dead will not.
// EN2  A server is saturated when it has as many requests, running, waiting or just sent to it, as it can have in hand at once; or when requests wait while
//      its cache is nearly full. That some wait is no sign by itself: a council that asks all at once waits for one step of the server.

import type { EngineReport, NodeRecord } from "../runtime/index.ts";

/** How soon a server answers a first request, 0 to 1; 0 for those that will not do (EN1). */
export const READINESS = {
  ready: 1,
  busy: 0.8,
  asleep: 0.5,
  starting: 0.3,
  loadable: 0.1,
  draining: 0,
  dead: 0,
} satisfies Readonly<Record<EngineReport["state"], number>>;

/** Share of the cache from which on whoever waits waits for memory. */
const CACHE_FULL = 0.9;

/** The best server of that model on a node, which may be one that will not do; without a model, the one with the least to do. */
export function engineOf({ report }: NodeRecord, model: string | undefined): EngineReport | undefined {
  let best: EngineReport | undefined;
  for (const engine of report?.engines ?? []) {
    if (model !== undefined && engine.model !== model) continue;
    if (best === undefined || isBetter(engine, best, model === undefined)) best = engine;
  }
  return best;
}

function isBetter(engine: EngineReport, best: EngineReport, byLoad: boolean): boolean {
  const gained = READINESS[engine.state] - READINESS[best.state];
  if (byLoad && willDo(engine) && willDo(best)) return loadOf(engine, 0) < loadOf(best, 0);
  return gained > 0 || (gained === 0 && loadOf(engine, 0) < loadOf(best, 0));
}

export const willDo = (engine: EngineReport): boolean => READINESS[engine.state] > 0;

/** Requests for each that it can have in hand; `recent`: sent to it since its report. A server that does not say has one in hand. */
export const loadOf = ({ running, waiting, slots }: EngineReport, recent: number): number =>
  (running + waiting + recent) / (slots >= 1 ? slots : 1);

/** EN2 */
export const isSaturated = (engine: EngineReport, recent: number): boolean =>
  loadOf(engine, recent) >= 1 || (engine.waiting > 0 && engine.kvUsage >= CACHE_FULL);
