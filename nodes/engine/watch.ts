// Watches an attached server until it is lost: its health probe, and signs that its engine makes progress. What follows is life.ts's part.
//
// EW1  Nobody listens, or it says that it is dead: lost at once. No answer twice in a row: lost after everyMs + 2 · timeoutMs at the latest.
// EW2  What answers and does not work is lost by the rule of hang.ts. At most one request for a token is open at a time.
// EW3  Its metrics are read only when in doubt: a page of them costs a server more than a probe does.

import { type Clock, sleep } from "../../runtime/index.ts";
import { type Pulse, verdict } from "./hang.ts";
import type { WatchSettings } from "./options.ts";
import type { AttachedServer, Probe } from "./probe.ts";

/** What the watch is told by the engine that it is for, and tells it. */
export interface Watched {
  /** Whether requests are in hand, as far as the node knows. */
  isInHand(): boolean;
  isAsleep(): boolean;
  /** Changes when others have seen it make progress. */
  progress(): string;
  /** It has answered its probe, and is not in doubt. */
  looked(): void;
}

export interface Loss {
  readonly why: string;
  /** Whether it may come to itself again: it was only silent, or says itself that it is broken, or does not work. */
  readonly kind: "silent" | "broken" | "stalled";
}

export interface WatchParts {
  readonly probe: Probe;
  readonly attached: AttachedServer;
  readonly watched: Watched;
  readonly limits: WatchSettings;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

const MISSES_MAX = 2;

export class Watch {
  readonly #parts: WatchParts;
  readonly #over = new AbortController();
  #pulse: Pulse;
  #isOpen = false;
  /** Requests in hand by its own metrics. */
  #inHand = 0;
  #shown: string | undefined;
  #told: string;

  constructor(parts: WatchParts) {
    this.#parts = parts;
    this.#pulse = { signAtMs: parts.clock.monotonic() };
    this.#told = parts.watched.progress();
  }

  /** Resolves when it is lost. Rejects when the signal aborts. */
  async untilLost(): Promise<Loss> {
    const { probe, attached, watched, limits, clock, signal } = this.#parts;
    try {
      for (let misses = 0; ; ) {
        if (misses === 0) await sleep(clock, limits.everyMs, signal);
        const health = await probe.health(attached);
        signal.throwIfAborted();
        if (health.kind === "broken") return { kind: "broken", why: health.why };
        if (health.kind !== "well" && (health.kind === "gone" || ++misses >= MISSES_MAX)) {
          return { kind: "silent", why: health.why };
        }
        if (health.kind === "silent") continue;
        misses = 0;
        if (await this.#isStalled()) {
          const why = `it answers ${attached.healthPath}, and no request made progress for ${limits.stallMs / 1_000} s`;
          return { kind: "stalled", why };
        }
        signal.throwIfAborted();
        watched.looked();
      }
    } finally {
      this.#over.abort();
    }
  }

  async #isStalled(): Promise<boolean> {
    const { watched, limits, clock } = this.#parts;
    if (watched.isAsleep()) {
      this.#sign();
      return false;
    }
    const told = watched.progress();
    if (told !== this.#told) this.#sign();
    this.#told = told;
    const found = verdict(this.#pulse, watched.isInHand() || this.#inHand > 0, limits, clock.monotonic());
    if (found === "doubtful" && !(await this.#showsProgress()) && !this.#isOpen) void this.#ask();
    return found === "stalled" && !(await this.#showsProgress());
  }

  async #showsProgress(): Promise<boolean> {
    const { probe, attached } = this.#parts;
    const load = attached.hasMetrics ? await probe.load() : undefined;
    if (load === undefined) return false;
    const isNew = this.#shown !== undefined && this.#shown !== load.progress;
    this.#shown = load.progress;
    this.#inHand = load.inHand;
    if (isNew) this.#sign();
    return isNew;
  }

  /** A question that is still open stays so: its answer will be a sign as well. */
  #sign(): void {
    const { askedAtMs } = this.#pulse;
    const signAtMs = this.#parts.clock.monotonic();
    this.#pulse = this.#isOpen && askedAtMs !== undefined ? { signAtMs, askedAtMs } : { signAtMs };
  }

  /** Asking again after a refusal counts from the first time. */
  async #ask(): Promise<void> {
    const { probe, attached, clock } = this.#parts;
    this.#pulse = { askedAtMs: clock.monotonic(), ...this.#pulse };
    this.#isOpen = true;
    const token = await probe.token(attached, this.#over.signal);
    this.#isOpen = false;
    if (token === "answered") this.#sign();
  }
}
