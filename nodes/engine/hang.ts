// When a server that answers its health probe is taken for hung all the same: vLLM's front answers /health as long as its process runs,
// also when the engine behind it has stopped. Pure.
//
//     sign ····quietMs····▶ look at its metrics ──no change──▶ ask for one token ····stallMs without a sign····▶ stalled
//
// HR1  A sign of progress is a metric that only the engine moves (tokens, cache in use, requests in hand), or a token that was asked for.
//      That a request arrived, was refused or was given up by its client is none: the front does these alone.
// HR2  Without requests in hand the engine is asked every idleMs; with some, after quietMs without a sign.
// HR3  Nothing is stalled before it was asked, nor before stallMs without any sign: one long step of prefill shows nothing until it is done,
//      so stallMs bounds the longest step. A full queue is no stall, because the requests before the question are signs as they go on.
// HR4  A server that has no metrics shows no signs but its answers: there stallMs bounds the wait in its queue, too.

import type { WatchSettings } from "./options.ts";

export interface Pulse {
  /** The last sign of progress. */
  readonly signAtMs: number;
  /** When it was asked for a token, while that is not answered. */
  readonly askedAtMs?: number;
}

export type Verdict =
  | "fine"
  /** Look for a sign, and ask for a token if there is none. */
  | "doubtful"
  | "stalled";

export function verdict(pulse: Pulse, isInHand: boolean, limits: WatchSettings, nowMs: number): Verdict {
  const { signAtMs, askedAtMs } = pulse;
  if (askedAtMs !== undefined) {
    return nowMs - Math.max(signAtMs, askedAtMs) >= limits.stallMs ? "stalled" : "doubtful";
  }
  return nowMs - signAtMs >= (isInHand ? limits.quietMs : limits.idleMs) ? "doubtful" : "fine";
}

/** Moved by the engine alone: not `vllm:request_…`, which counts what clients gave up, nor anything that a new request changes. */
const SIGNS =
  /^(?!vllm:request_)(?:vllm|sglang|llamacpp):\S*?(?:tokens|usage|num_requests_|num_running_|processing)\S* \S+$/gm;
const MADE = /_created(\{|\s)/;

/** What of a metrics page changes with progress; "" when the page tells nothing of it. */
export function progressOf(metrics: string): string {
  return [...metrics.matchAll(SIGNS)]
    .map(([line]) => line)
    .filter((line) => !MADE.test(line))
    .join("\n");
}

const IN_HAND =
  /^(?:vllm:num_requests_(?:running|waiting)|sglang:num_(?:running|queue)_reqs|llamacpp:requests_(?:processing|deferred))(?:\{[^}]*\})? (\S+)$/gm;

/** Requests in hand and queued. */
export function inHandOf(metrics: string): number {
  return [...metrics.matchAll(IN_HAND)].reduce((sum, [, value]) => sum + (Number(value) || 0), 0);
}
