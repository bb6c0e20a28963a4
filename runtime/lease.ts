// A lease: one store key held by renewing it before its time to live runs out. Membership holds one for each node; all that a node holds
// on behalf of others (names, foreign actors) stands and falls with it.
// It does not fence writes: a paused holder learns of its loss only when it runs again. The store refuses its writes (ST7).
//
//     now  sent ──────────── self-fence ──── expiry in the store
//            │◀─ selfFenceMs ──▶│◀─ margin ──▶│   the holder stops before anybody else may begin
//
// LE1  Valid means: less than `selfFenceMs` ago an acknowledged write was SENT (the store counts from when it arrived, which is later). This
//      is asked of the clock at each look, never of a timer: after a pause of the process timers run in any order.
// LE2  Both clocks are asked and the stricter counts: the monotonic one stops while a virtual machine is suspended. By the wall clock alone a
//      lease is only suspended itself, until the store has answered: that clock may just have been set, and our value still in its place
//      proves that nobody else was there meanwhile.
// LE3  Loss is told once and is final for this lease: by a write that met another's, by the key's absence, or by self-fence.
// LE4  A store that cannot be reached is asked again until self-fence; an answer that got lost is no loss: our own value in the way is ours.
// LE5  Writes go out one at a time, each naming the revision of the one before.

import type { Clock, Timer } from "./clock.ts";
import type { Random } from "./random.ts";
import type { Entry, Store, Written } from "./store.ts";

/** Milliseconds: until the key expires, between renewals, and after which a holder without an answer stops by itself. */
export interface LeaseProfile {
  readonly ttlMs: number;
  readonly renewMs: number;
  readonly selfFenceMs: number;
}

/** `fast` suits a quiet local network and tests: a busy machine may miss its times. */
export const LEASE_PROFILES = {
  normal: { ttlMs: 10_000, renewMs: 2_000, selfFenceMs: 8_000 },
  fast: { ttlMs: 3_000, renewMs: 700, selfFenceMs: 2_200 },
} satisfies Record<string, LeaseProfile>;

export interface LeaseOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly random: Random;
  readonly key: string;
  readonly profile: LeaseProfile;
  /** What to write under the key now; asked at each write. */
  readonly value: () => Uint8Array;
  /** Whether a value found under the key was written by this lease (LE4). */
  readonly isOurs: (value: Uint8Array) => boolean;
  /** Told once, when a lease that was held is held no more (LE3). Not after `release`. */
  readonly onLost: (why: string) => void;
}

/** `taken`: by this entry; undefined when it was gone by the time we looked. */
export type Acquired = { readonly kind: "held" } | { readonly kind: "taken"; readonly by: Entry | undefined };

interface Moment {
  readonly monotonicMs: number;
  readonly wallMs: number;
}

/** Renewals are spread by this part of their period, so that nodes started together do not write together. */
const JITTER = 0.1;
/** A failed renewal is tried again after this part of the period. */
const RETRY = 0.25;

export class Lease {
  readonly #options: LeaseOptions;
  #state: "new" | "held" | "over" = "new";
  #revision = 0;
  #sent: Moment | undefined = undefined;
  #renewal: Timer | undefined = undefined;
  #fence: Timer | undefined = undefined;
  #writing: Promise<unknown> = Promise.resolve();

  constructor(options: LeaseOptions) {
    this.#options = options;
  }

  /** Whether what this lease stands for may still be done (LE1, LE2). */
  get isValid(): boolean {
    return (
      this.#state === "held" && this.#sent !== undefined && this.#ageMs(this.#sent) < this.#options.profile.selfFenceMs
    );
  }

  /** Takes the key when it is absent, ours, or stands at the revision `over`. Rejects with what the store throws. */
  async acquire(over?: number): Promise<Acquired> {
    const { store, key, value, profile, isOurs } = this.#options;
    const { ttlMs } = profile;
    const sent = this.#now();
    const written =
      over === undefined
        ? await store.create(key, value(), { ttlMs })
        : await store.update(key, value(), over, { ttlMs });
    if (written.kind === "written") {
      this.#hold(written.revision, sent);
      return { kind: "held" };
    }
    const { current } = written;
    if (current !== undefined && current.revision !== over && isOurs(current.value))
      return this.acquire(current.revision);
    return { kind: "taken", by: current };
  }

  /** Writes the value anew now, and so renews. Resolves when the store has it, or the lease is over. */
  renew(): Promise<void> {
    const renewed = this.#writing.then(() => this.#renew());
    this.#writing = renewed;
    return renewed;
  }

  /** Gives the key up. With `lastWords` the key stays a little longer with them as its value (TTL_MIN_MS); without, it is deleted. */
  async release(lastWords?: { readonly value: Uint8Array; readonly ttlMs: number }): Promise<void> {
    const wasHeld = this.#state === "held";
    this.#end();
    await this.#writing;
    if (!wasHeld) return;
    const { store, key } = this.#options;
    try {
      if (lastWords === undefined) await store.delete(key, this.#revision);
      else await store.update(key, lastWords.value, this.#revision, { ttlMs: lastWords.ttlMs });
    } catch {
      // The key expires by itself; who leaves has nobody to tell.
    }
  }

  /** Whether the monotonic clock alone says that it is over. */
  get #isFenced(): boolean {
    const { clock, profile } = this.#options;
    return this.#sent === undefined || clock.monotonic() - this.#sent.monotonicMs >= profile.selfFenceMs;
  }

  #hold(revision: number, sent: Moment): void {
    this.#state = "held";
    this.#acknowledged(revision, sent);
  }

  async #renew(): Promise<void> {
    if (this.#state !== "held") return;
    if (this.#isFenced) return this.#lose("it could not be renewed in time");
    const { store, key, value, profile } = this.#options;
    const sent = this.#now();
    const { ttlMs, renewMs } = profile;
    const written = await store.update(key, value(), this.#revision, { ttlMs }).catch(() => undefined);
    if (written === undefined) this.#renewIn(renewMs * RETRY);
    else if (this.#state === "held") this.#take(written, sent);
    // A release under way needs the last revision.
    else if (written.kind === "written") this.#revision = written.revision;
  }

  #take(written: Written, sent: Moment): void {
    if (written.kind === "written") return this.#acknowledged(written.revision, sent);
    const { current } = written;
    if (current === undefined) return this.#lose("its key is gone from the store");
    if (!this.#options.isOurs(current.value)) return this.#lose("somebody else holds its key");
    // An answer of ours got lost on the way, or the store looked at an older copy of itself: the next write tells.
    this.#revision = Math.max(this.#revision, current.revision);
    this.#renewIn(this.#options.profile.renewMs * RETRY);
  }

  #acknowledged(revision: number, sent: Moment): void {
    this.#revision = revision;
    this.#sent = sent;
    const { clock, random, profile } = this.#options;
    this.#renewIn(profile.renewMs * (1 + JITTER * (2 * random.next() - 1)));
    // The answer may have come after a pause that used up all it says (LE1): then this is over at once.
    this.#fence?.cancel();
    this.#fence = clock.schedule(profile.selfFenceMs - (clock.monotonic() - sent.monotonicMs), () =>
      this.#lose("it could not be renewed in time"),
    );
  }

  #renewIn(delayMs: number): void {
    this.#renewal?.cancel();
    if (this.#state === "held") this.#renewal = this.#options.clock.schedule(delayMs, () => void this.renew());
  }

  #lose(why: string): void {
    if (this.#state !== "held") return;
    this.#end();
    this.#options.onLost(why);
  }

  #end(): void {
    this.#state = "over";
    this.#renewal?.cancel();
    this.#fence?.cancel();
  }

  #now(): Moment {
    return { monotonicMs: this.#options.clock.monotonic(), wallMs: this.#options.clock.now() };
  }

  #ageMs(since: Moment): number {
    const now = this.#now();
    return Math.max(now.monotonicMs - since.monotonicMs, now.wallMs - since.wallMs);
  }
}
