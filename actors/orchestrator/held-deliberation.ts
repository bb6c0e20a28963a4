// One deliberation that the orchestrator holds: what has happened in it, where it stands, and who waits for its end.
// It is not the deliberating (deliberation.ts) nor the list of all of them (deliberations.ts).
//
// HD1  Its updates are kept from the first to the last, so that a reader who comes late reads the same as one who came first.
// HD2  `done` comes last, once, with the deliberation as it is kept from then on.

import { type Clock, isFlotillaError } from "../../runtime/index.ts";
import { fail } from "../errors.ts";
import type { Sitting, SittingUpdate } from "./deliberation.ts";
import type { DeliberationOrder, KeptRecord } from "./deliberation-record.ts";
import type { Deliberation, DeliberationUpdate } from "./orchestrator-api.ts";

/** A reader's stream is given up without a chunk for 30 s, and models think longer. */
const BEAT_MS = 5_000;

/** What is known of every deliberation, running or not. */
type Heading = Pick<DeliberationOrder, "taskId" | "startedAtMs"> & Pick<Deliberation, "role" | "metadata">;

export class HeldDeliberation {
  readonly heading: Heading;
  /** Who takes part. */
  readonly agentIds: readonly string[];
  /** Aborts when nobody wants it any more. */
  readonly over = new AbortController();
  /** Callers that wait for its end, and readers of its updates. */
  callers = 0;
  /** Whether somebody may ask for it later: then it goes on without callers. */
  isKept = false;
  /** What it was begun from; absent for one that ended in an earlier life. */
  order: DeliberationOrder | undefined;
  /** Where it is kept; absent while it is being recorded, and for one that is not. */
  record: KeptRecord | undefined;
  readonly #clock: Clock;
  readonly #updates: DeliberationUpdate[] = [];
  readonly #ended = Promise.withResolvers<Deliberation>();
  #changed = Promise.withResolvers<void>();
  #sitting: Sitting | undefined;
  #final: Deliberation | undefined;

  constructor(heading: Heading, agentIds: readonly string[], clock: Clock) {
    this.heading = heading;
    this.agentIds = agentIds;
    this.#clock = clock;
  }

  /** One that has ended before. */
  static ended(final: Deliberation, clock: Clock): HeldDeliberation {
    const ids = final.results.map(({ agentId }) => agentId);
    const held = new HeldDeliberation(final, ids, clock);
    held.end(final);
    return held;
  }

  get final(): Deliberation | undefined {
    return this.#final;
  }

  /** As it stands now. */
  now(): Deliberation {
    const { taskId, role, startedAtMs, metadata } = this.heading;
    const results = this.#sitting?.entries() ?? [];
    const known = { taskId, role, startedAtMs, metadata, results, winnerId: null };
    const status = this.#sitting === undefined ? "pending" : "in_progress";
    return this.#final ?? { ...known, status, durationMs: this.#clock.now() - startedAtMs };
  }

  /** It has begun. */
  sits(sitting: Sitting): void {
    this.#sitting = sitting;
  }

  tell(update: SittingUpdate): void {
    this.#push({ ...update, taskId: this.heading.taskId });
  }

  end(final: Deliberation): void {
    if (this.#final !== undefined) return;
    this.#final = final;
    this.#sitting = undefined;
    const { taskId } = this.heading;
    this.#push({ taskId, stage: "done", round: this.#updates.at(-1)?.round ?? 1, percent: 100, deliberation: final });
    this.#ended.resolve(final);
  }

  /** Its end. Rejects with Cancelled when the signal aborts before it. */
  async ending(signal: AbortSignal): Promise<Deliberation> {
    return abortable(this.#ended.promise, signal);
  }

  /** What happens in it, from its beginning (HD1). Throws Cancelled when the signal aborts. */
  async *watch(signal: AbortSignal): AsyncGenerator<DeliberationUpdate, void> {
    for (let next = 0; ; ) {
      for (; next < this.#updates.length; next++) {
        const update = this.#updates[next];
        if (update !== undefined) yield update;
      }
      if (this.#final !== undefined) return;
      const last = this.#updates.at(-1);
      const isQuiet = await this.#quiet(signal);
      if (isQuiet && last !== undefined)
        yield { taskId: last.taskId, stage: last.stage, round: last.round, percent: last.percent };
    }
  }

  /** Characters of all its texts. */
  get size(): number {
    const results = this.#final?.results ?? [];
    const texts = results.flatMap(({ revisions, reviews }) => [...revisions, ...reviews]);
    return texts.reduce((sum, { text }) => sum + text.length, 0);
  }

  /** Resolves with the next update (false), or after a while without one (true). */
  async #quiet(signal: AbortSignal): Promise<boolean> {
    const changed = this.#changed.promise.then(() => false);
    const beat = Promise.withResolvers<boolean>();
    const timer = this.#clock.schedule(BEAT_MS, () => beat.resolve(true));
    try {
      return await abortable(Promise.race([changed, beat.promise]), signal);
    } finally {
      timer.cancel();
    }
  }

  #push(update: DeliberationUpdate): void {
    this.#updates.push(update);
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }
}

async function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = Promise.withResolvers<never>();
  const onAbort = () =>
    aborted.reject(isFlotillaError(signal.reason) ? signal.reason : fail("Cancelled", "The caller gave the call up."));
  if (signal.aborted) onAbort();
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await Promise.race([promise, aborted.promise]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
