// The engine: which requests run, and when each gets its next token. What the tokens are was decided before (replies.ts); what is told
// to clients is decided later (answers.ts).
//
//     submit ─▶ waiting, first in first out ─▶ running: prefill ─▶ (delay) ─▶ decode ─▶ ended
//                     ▲                            │
//                     └── preempted: no free block ┘
//
// A step is what vLLM calls one: up to maxNumBatchedTokens prompt tokens are computed, and each request past its prefill gets one token.
// It takes  prefillMsPerToken × prompt tokens  +  decodeMsPerToken, if anybody decodes.
//
// G1  Steps end when they are due by the clock passed in; what the event loop is late by is made up, up to LATE_MAX_MS.
// G2  A listener hears of its tokens once a turn, however many steps the turn had; it hears its end exactly once, and nothing after it.
// G3  A prefix can be hit once it has been computed, not before.
// G4  A preempted request goes to the front of those waiting, keeps its tokens and computes them again.

import type { Clock, Timer } from "../../runtime/index.ts";
import { BlockCache, type CacheEvent } from "./block-cache.ts";
import type { SimMetrics } from "./metrics-text.ts";
import type { SimSettings } from "./options.ts";
import { type End, type Listener, Request, type Work } from "./request.ts";

export type Phase = "starting" | "ready" | "hung" | "sleeping" | "dead";

/** What the engine is doing, for tests and the log. */
export interface EngineState {
  readonly phase: Phase;
  readonly running: number;
  readonly waiting: number;
  /** Blocks held by requests. */
  readonly blocksHeld: number;
  /** Blocks whose content can be hit. */
  readonly blocksFound: number;
  /** Requests that ended, however. */
  readonly requestsEnded: number;
}

interface Step {
  readonly dueMs: number;
  readonly prefills: readonly { readonly request: Request; readonly count: number }[];
  readonly decodes: readonly Request[];
}

/** Timers and a busy event loop are late by less; a process that was stopped for longer has lost the time. */
const LATE_MAX_MS = 50;

/** Then others have their turn: requests arrive, and what was made leaves. */
const STEPS_PER_TURN = 64;

export interface EngineParts {
  readonly settings: SimSettings;
  readonly clock: Clock;
  readonly metrics: SimMetrics;
  /** What changed in the cache in one turn; not empty. */
  readonly publish: (events: readonly CacheEvent[]) => void;
  readonly died: () => void;
}

export class Engine {
  readonly cache: BlockCache;
  readonly #parts: EngineParts;
  #phase: Phase = "ready";
  #sleepLevel = 0;
  #running: Request[] = [];
  #waiting: Request[] = [];
  readonly #touched = new Set<Request>();
  #events: CacheEvent[] = [];
  #step: Step | undefined;
  #timer: Timer | undefined;
  #isTurnAsked = false;
  /** The first of those waiting found too few free blocks, and none has come free since. */
  #isHeadBlocked = false;
  #requestsEnded = 0;
  #dieAfterRequests: number | undefined;

  constructor(parts: EngineParts) {
    this.#parts = parts;
    const { numBlocks, blockSize } = parts.settings;
    this.cache = new BlockCache(numBlocks, blockSize, (event) => this.#events.push(event));
    this.#dieAfterRequests = parts.settings.dieAfterRequests;
  }

  get state(): EngineState {
    return {
      phase: this.#phase,
      running: this.#running.length,
      waiting: this.#waiting.length,
      blocksHeld: this.cache.held,
      blocksFound: this.cache.found,
      requestsEnded: this.#requestsEnded,
    };
  }

  /** 0: awake. */
  get sleepLevel(): number {
    return this.#sleepLevel;
  }

  /** Whether one more request may come: `maxNumQueuedReqs` counts the running ones, too, as vLLM does. */
  get isFull(): boolean {
    const max = this.#parts.settings.maxNumQueuedReqs;
    return max !== undefined && this.#running.length + this.#waiting.length >= max;
  }

  submit(work: Work, listener: Listener): Request {
    const request = new Request(work, listener, this.#parts.clock.monotonic());
    this.#waiting.push(request);
    this.#soon();
    return request;
  }

  /** Ends a request whose client left. */
  cancel(request: Request): void {
    if (request.ended !== undefined) return;
    this.#end(request, "left");
    this.#deliver();
    this.#soon();
  }

  /** No more steps: what is there and what comes waits. */
  hang(): void {
    if (this.#phase === "ready") this.#setPhase("hung");
  }

  /** Ends all requests with "dead"; what comes later never runs. */
  die(): void {
    if (this.#phase === "dead") return;
    this.#setPhase("dead");
    this.#endAll("dead");
    this.#parts.died();
  }

  /** From hung: goes on. From dead: as a new engine, with an empty cache. */
  heal(): void {
    if (this.#phase === "dead") this.cache.clear();
    if (this.#phase === "dead" || this.#phase === "hung") this.#setPhase("ready");
    this.#deliver();
    this.#soon();
  }

  /** Aborts what runs and forgets the cache; what comes later waits until `wake`. */
  sleep(level: number): void {
    if (level > 0) {
      this.#setPhase("sleeping");
      this.#sleepLevel = level;
    }
    this.#endAll("abort");
    this.cache.clear();
    this.#deliver();
  }

  wake(): void {
    if (this.#phase !== "sleeping") return;
    this.#sleepLevel = 0;
    this.#setPhase("ready");
    this.#soon();
  }

  /** False while requests run. */
  resetCache(): boolean {
    const isDone = this.cache.clear();
    this.#deliver();
    return isDone;
  }

  close(): void {
    this.#setPhase("dead");
    this.#endAll("dead");
  }

  #setPhase(phase: Phase): void {
    this.#phase = phase;
    this.#dropStep();
  }

  #dropStep(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#step = undefined;
  }

  #endAll(reason: End): void {
    for (const request of [...this.#running, ...this.#waiting]) this.#end(request, reason);
    this.#deliver();
  }

  #soon(): void {
    // Nobody who comes waits for the delay of another.
    if (this.#step?.prefills.length === 0 && this.#step.decodes.length === 0) this.#dropStep();
    if (this.#isTurnAsked || this.#timer !== undefined) return;
    this.#isTurnAsked = true;
    this.#parts.clock.soon(() => {
      this.#isTurnAsked = false;
      if (this.#timer === undefined) this.#turn();
    });
  }

  /** Ends the steps that are due, begins the next one, and tells what came of it (G1, G2). */
  #turn(): void {
    for (let steps = 0; this.#phase === "ready"; steps += 1) {
      const now = this.#parts.clock.monotonic();
      this.#step ??= this.#plan(now);
      if (this.#step === undefined) break;
      if (this.#step.dueMs > now) {
        this.#wakeIn(this.#step.dueMs - now);
        break;
      }
      if (steps === STEPS_PER_TURN) {
        this.#soon();
        break;
      }
      const { dueMs } = this.#step;
      this.#apply(this.#step, now);
      this.#step = this.#plan(Math.max(dueMs, now - LATE_MAX_MS));
      if (this.#step === undefined) break;
    }
    this.#deliver();
  }

  #wakeIn(delayMs: number): void {
    this.#timer = this.#parts.clock.schedule(delayMs, () => {
      this.#timer = undefined;
      this.#turn();
    });
  }

  /** The step that begins at `fromMs`; undefined: nobody has anything to do, or all who have are held up by their delay. */
  #plan(fromMs: number): Step | undefined {
    this.#admit(fromMs);
    const { maxNumBatchedTokens, prefillMsPerToken, decodeMsPerToken } = this.#parts.settings;
    let budget = maxNumBatchedTokens;
    const prefills: { request: Request; count: number }[] = [];
    const decodes: Request[] = [];
    let nextReadyMs = Number.POSITIVE_INFINITY;
    for (const request of this.#running) {
      const missing = request.length - request.computed;
      if (!isPrefilled(request)) {
        const count = Math.min(missing, budget);
        budget -= count;
        if (count > 0) prefills.push({ request, count });
      } else if (request.readyAtMs <= fromMs) decodes.push(request);
      else nextReadyMs = Math.min(nextReadyMs, request.readyAtMs);
    }
    const computed = maxNumBatchedTokens - budget;
    if (computed === 0 && decodes.length === 0) {
      return Number.isFinite(nextReadyMs) ? { dueMs: nextReadyMs, prefills, decodes } : undefined;
    }
    const costMs = computed * prefillMsPerToken + (decodes.length > 0 ? decodeMsPerToken : 0);
    return { dueMs: fromMs + costMs, prefills, decodes };
  }

  #admit(nowMs: number): void {
    while (this.#running.length < this.#parts.settings.maxNumSeqs && !this.#isHeadBlocked) {
      const request = this.#waiting[0];
      if (request === undefined) return;
      const held = this.cache.hold(request.tokens);
      // First in, first out: a small request does not overtake a large one that waits for blocks.
      this.#isHeadBlocked = held === undefined;
      if (held === undefined) return;
      this.#waiting.shift();
      request.holding = held.holding;
      request.computed = held.cached;
      if (request.cached === undefined) {
        request.cached = held.cached;
        request.admittedMs = nowMs;
        this.#parts.metrics.admitted(request);
      }
      this.#running.push(request);
    }
  }

  #apply(step: Step, nowMs: number): void {
    for (const { request, count } of step.prefills) {
      if (request.holding === undefined) continue;
      request.computed += count;
      this.#commit(request);
      if (!isPrefilled(request)) continue;
      request.readyAtMs = nowMs + (request.made === 0 ? request.work.delayMs : 0);
      // As in vLLM the step that computes the last prompt token makes the first of the reply.
      if (request.readyAtMs <= nowMs) this.#makeToken(request, nowMs);
    }
    for (const request of step.decodes) {
      if (request.holding !== undefined) this.#makeToken(request, nowMs);
    }
  }

  #makeToken(request: Request, nowMs: number): void {
    if (request.holding === undefined || !this.#makeRoom(request)) return;
    request.computed = request.length;
    this.#commit(request);
    request.made += 1;
    this.#touched.add(request);
    this.#parts.metrics.token(request, nowMs);
    if (request.made >= request.work.output.length) this.#end(request, "done", nowMs);
  }

  /** Room for the token that this step computes; the youngest request gives way, if need be the one itself (G4). */
  #makeRoom(request: Request): boolean {
    while (request.holding !== undefined) {
      if (this.cache.grow(request.holding, request.length)) return true;
      const youngest = this.#running.at(-1);
      if (youngest === undefined) return false;
      this.#preempt(youngest);
    }
    return false;
  }

  #preempt(request: Request): void {
    this.#release(request);
    request.computed = 0;
    this.#running = this.#running.filter((other) => other !== request);
    this.#waiting.unshift(request);
    this.#parts.metrics.preempted();
  }

  #commit(request: Request): void {
    if (request.holding === undefined) return;
    this.cache.commit(request.holding, request.computed, (index) => request.at(index), request.work.session);
  }

  #end(request: Request, reason: End, nowMs = this.#parts.clock.monotonic()): void {
    request.ended = reason;
    this.#release(request);
    this.#running = this.#running.filter((other) => other !== request);
    this.#waiting = this.#waiting.filter((other) => other !== request);
    this.#touched.add(request);
    this.#requestsEnded += 1;
    this.#parts.metrics.ended(request, nowMs);
  }

  #release(request: Request): void {
    if (request.holding !== undefined) this.cache.release(request.holding);
    request.holding = undefined;
    this.#isHeadBlocked = false;
  }

  #deliver(): void {
    if (this.#events.length > 0) {
      const events = this.#events;
      this.#events = [];
      this.#parts.publish(events);
    }
    const touched = [...this.#touched];
    this.#touched.clear();
    for (const request of touched) {
      if (request.made > request.told) request.listener.progress(request.made);
      request.told = request.made;
      if (request.ended !== undefined) request.listener.end(request.ended);
    }
    if (this.#dieAfterRequests === undefined || this.#requestsEnded < this.#dieAfterRequests) return;
    this.#dieAfterRequests = undefined;
    this.die();
  }
}

/** All is computed but for the token made last, which the next step computes. */
const isPrefilled = (request: Request): boolean =>
  request.computed >= request.work.prompt.length && request.computed >= request.length - 1 && request.computed > 0;
