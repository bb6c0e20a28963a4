// Asks a model server for its metrics again and again, and tells what it sees. Whether a server that does not answer is ill is for its
// supervisor to decide; what the metrics mean is in engine-facts.ts.
//
// EM1  One question at a time: the next begins `pollMs` after the last began, or when that has ended, whichever is later.
// EM2  Every question ends within `timeoutMs` and with at most METRICS_MAX_BYTES read.
// EM3  A server that has no metrics, or none of a model server, is said to be blind once and is not asked again.
// EM4  After `close` nothing is told; it resolves when the question under way has ended. Closing twice does no harm.

import type { Clock } from "../../runtime/index.ts";
import { boundedText } from "./bounded-text.ts";
import {
  ENGINE_METRICS,
  type EngineFacts,
  type EngineRates,
  engineFacts,
  type Reading,
  rates,
  restarted,
} from "./engine-facts.ts";
import { METRICS_MAX_CHARS, parseMetrics } from "./exposition.ts";

/** What one look at a server showed. */
export type EngineSight =
  | {
      readonly kind: "facts";
      readonly facts: EngineFacts;
      /** Since the oldest look within `windowMs`; empty at the first. */
      readonly rates: EngineRates;
      /** Milliseconds that the answer took. */
      readonly tookMs: number;
    }
  | {
      readonly kind: "failed";
      readonly reason: string /** Failures since it last answered, this one among them. */;
      readonly failures: number;
    }
  /** It will never tell (EM3). */
  | { readonly kind: "blind"; readonly reason: string };

export interface EngineMonitorOptions {
  /** "http://127.0.0.1:8000". */
  readonly url: string;
  /** Which model's facts, where the server has several. */
  readonly model?: string;
  readonly clock: Clock;
  readonly observe: (sight: EngineSight) => void;
  /** Default 500. */
  readonly pollMs?: number;
  /** Default 2,000. */
  readonly timeoutMs?: number;
  /** Over how much time rates are taken. Default 5,000: a batch of answers ends many requests at once. */
  readonly windowMs?: number;
}

export const METRICS_MAX_BYTES = METRICS_MAX_CHARS;
const NO_METRICS: ReadonlySet<number> = new Set([404, 405, 410, 501]);

export class EngineMonitor {
  readonly #options: EngineMonitorOptions;
  readonly #closing = new AbortController();
  readonly #done: Promise<void>;
  #readings: Reading[] = [];
  #failures = 0;

  /** Asks for the first time at once. For each life of a server a monitor of its own: what is blind once may see in the next. */
  constructor(options: EngineMonitorOptions) {
    this.#options = options;
    this.#done = this.#watch();
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#done;
  }

  async #watch(): Promise<void> {
    const { clock, observe, pollMs = 500 } = this.#options;
    const { signal } = this.#closing;
    while (!signal.aborted) {
      const beganMs = clock.monotonic();
      const sight = await this.#look(beganMs);
      if (signal.aborted) return;
      observe(sight);
      if (sight.kind === "blind") return;
      await pause(clock, pollMs - (clock.monotonic() - beganMs), signal);
    }
  }

  async #look(beganMs: number): Promise<EngineSight> {
    const { clock, timeoutMs = 2_000, url } = this.#options;
    const question = new AbortController();
    const timer = clock.schedule(timeoutMs, () => question.abort());
    const signal = AbortSignal.any([this.#closing.signal, question.signal]);
    try {
      const answer = await fetch(new URL("/metrics", url), { signal, redirect: "error" });
      if (NO_METRICS.has(answer.status)) {
        await answer.body?.cancel();
        return { kind: "blind", reason: `GET /metrics answers ${answer.status}` };
      }
      const text = await boundedText(answer, METRICS_MAX_BYTES);
      if (!answer.ok) return this.#failed(`GET /metrics answers ${answer.status}`);
      return this.#seen(text, beganMs);
    } catch (error) {
      return this.#failed(question.signal.aborted ? `no answer within ${timeoutMs} ms` : reasonOf(error));
    } finally {
      timer.cancel();
    }
  }

  #failed(reason: string): EngineSight {
    return { kind: "failed", reason, failures: ++this.#failures };
  }

  #seen(text: string, beganMs: number): EngineSight {
    const { clock, model, windowMs = 5_000 } = this.#options;
    const atMs = clock.monotonic();
    const facts = engineFacts(
      parseMetrics(text, (name) => ENGINE_METRICS.has(name)),
      model,
    );
    if (facts === undefined)
      return {
        kind: "blind",
        reason: `its metrics tell of no model server${model === undefined ? "" : ` with ${model}`}`,
      };
    this.#failures = 0;
    const now: Reading = { atMs, facts };
    const last = this.#readings.at(-1);
    // Counters of a life that is over say nothing about this one, but for the step from one to the other.
    const before = last !== undefined && restarted(last.facts, facts) ? [last] : this.#readings;
    const [oldest] = before;
    const first = before.findLastIndex((reading) => reading.atMs <= atMs - windowMs);
    this.#readings = before === this.#readings ? [...before.slice(Math.max(0, first)), now] : [now];
    return {
      kind: "facts",
      facts,
      rates: oldest === undefined ? {} : rates(before[Math.max(0, first)] ?? oldest, now),
      tookMs: atMs - beganMs,
    };
  }
}

/** Resolves after `ms`, or when the signal aborts; the timer keeps no process alive. */
function pause(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      timer.cancel();
      signal.removeEventListener("abort", end);
      resolve();
    };
    const timer = clock.schedule(ms, end);
    signal.addEventListener("abort", end, { once: true });
    if (signal.aborted) end();
  });
}

/** "fetch failed" alone would not say whether nobody listens or the line was cut. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { cause } = error;
  const code = cause instanceof Error ? ((cause as NodeJS.ErrnoException).code ?? cause.message) : "";
  return code === "" ? error.message : `${error.message}: ${code}`;
}
