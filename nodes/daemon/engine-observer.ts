// What this node sees of one of its model servers, life after life: metrics while it lives, its cache's events where it tells them. What was
// seen goes back to the server's own state (Engine.observe), into the node's report and onto its page of metrics.
//
// OB1  One monitor and one follower of events at a time, for the life that is on: what a life before has told says nothing about it.

import type { Clock } from "../../runtime/index.ts";
import type { Engine } from "../engine/engine.ts";
import type { ObservedEngine } from "../metrics.ts";
import { EngineMonitor, type EngineSight } from "../telemetry/engine-monitor.ts";
import { KvEvents } from "../telemetry/kv-events.ts";
import { type PrefixSummary, PrefixView } from "../telemetry/prefix-view.ts";

type Facts = Extract<EngineSight, { kind: "facts" }>;

/** Of one life of the server. */
interface Watch {
  readonly key: string;
  readonly monitor: EngineMonitor;
  readonly events: KvEvents | undefined;
}

/** States in which a server answers questions about itself. */
const ANSWERS: ReadonlySet<string> = new Set(["ready", "busy", "asleep"]);
/** Ends of prefixes that a page or a placement may want. */
const ENDS_MAX = 64;

export class EngineObserver {
  readonly engine: Engine;
  readonly #clock: Clock;
  readonly #changed: () => void;
  readonly #prefixes = new PrefixView();
  readonly #stopListening: () => void;
  #watch: Watch | undefined = undefined;
  #closing: Promise<unknown> = Promise.resolve();
  #seen: Facts | undefined = undefined;

  /** `changed` is called whenever something new was seen. */
  constructor(engine: Engine, clock: Clock, changed: () => void) {
    this.engine = engine;
    this.#clock = clock;
    this.#changed = changed;
    this.#stopListening = engine.onChange(() => this.#follow());
    this.#follow();
  }

  /** For the page of metrics; undefined while there is nobody to see. */
  observed(): ObservedEngine | undefined {
    const { model, url } = this.engine;
    if (model === undefined || url === undefined) return undefined;
    const { facts, rates } = this.#seen ?? {};
    const events = this.#watch?.events;
    return {
      model,
      url,
      ...(facts !== undefined && { facts }),
      ...(rates !== undefined && { rates }),
      ...(events !== undefined && { kvEvents: events.stats(), prefixes: this.#prefixes.summary(0) }),
    };
  }

  /** Which prefixes it has cached; undefined for one that does not tell. */
  prefixes(): PrefixSummary | undefined {
    return this.#watch?.events === undefined ? undefined : this.#prefixes.summary(ENDS_MAX);
  }

  #follow(): void {
    const { engine } = this;
    const { kind } = engine.status;
    const key = ANSWERS.has(kind) ? `${engine.url} ${engine.pid} ${engine.restarts}` : undefined;
    if (key === this.#watch?.key) return this.#changed();
    this.#end();
    if (key !== undefined && engine.url !== undefined) this.#watch = this.#begin(key, engine.url);
    this.#changed();
  }

  #begin(key: string, url: string): Watch {
    const { engine } = this;
    const { model, kvEvents } = engine;
    const monitor = new EngineMonitor({
      url,
      clock: this.#clock,
      observe: (sight) => this.#observe(sight),
      ...(model !== undefined && { model }),
    });
    const events = kvEvents && new KvEvents({ ...kvEvents, clock: this.#clock, follower: this.#prefixes });
    return { key, monitor, events };
  }

  #observe(sight: EngineSight): void {
    if (sight.kind !== "facts") return;
    this.#seen = sight;
    const { facts, rates } = sight;
    const { running = 0, waiting = 0, kvUsage, counters } = facts;
    const hitRate = rates.hitRate ?? facts.hitRate;
    const { generationTokensPerS: tokensPerS } = rates;
    const { promptTokens, generationTokens } = counters;
    const isCounted = promptTokens !== undefined || generationTokens !== undefined;
    this.engine.observe({
      running,
      waiting,
      ...(kvUsage !== undefined && { kvUsage }),
      ...(hitRate !== undefined && { hitRate }),
      ...(tokensPerS !== undefined && { tokensPerS }),
      ...(isCounted && { progress: (promptTokens ?? 0) + (generationTokens ?? 0) }),
    });
    this.#changed();
  }

  #end(): void {
    const watch = this.#watch;
    this.#watch = undefined;
    this.#seen = undefined;
    this.#prefixes.clear();
    if (watch === undefined) return;
    this.#closing = Promise.allSettled([this.#closing, watch.monitor.close(), watch.events?.close()]);
  }

  async close(): Promise<void> {
    this.#stopListening();
    this.#end();
    await this.#closing;
  }
}
