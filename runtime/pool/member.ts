// One place in a pool: the actor that holds it now, and its replacement when that one ends.
// It is not who picks among places (strategy.ts) nor a supervisor: an actor's own restarts come first, this begins where they end.
//
//     spawn ──▶ live ──ended──▶ empty ──spawn──▶ live          between failed spawns: RESPAWN's back-off
//                 └──────── close ────────▶ closed
//
// PM1  A place keeps its index for ever: what is sent to a place by hash goes to the same one after a replacement.
// PM2  Its count goes up with everything sent through the pool and down with its end, so "least busy" is about this pool's work.

import { ADDRESS, type Address } from "../address.ts";
import type { Backoff } from "../cell/supervisor.ts";
import type { Timer } from "../clock.ts";
import { FlotillaError, isFlotillaError } from "../errors.ts";
import type { AnyHandle } from "../handle.ts";
import type { PoolEnvironment } from "./crew.ts";

const RESPAWN: Backoff = { firstMs: 100, factor: 2, maxMs: 30_000 };

export class Member {
  readonly index: number;
  /** Calls and streams sent there that have not ended (PM2). */
  busy = 0;
  readonly #environment: PoolEnvironment;
  readonly #changed: () => void;
  #handle: AnyHandle | undefined = undefined;
  #address: Address | undefined = undefined;
  #unwatch: (() => void) | undefined = undefined;
  #timer: Timer | undefined = undefined;
  /** Spawns that have failed one after the other. */
  #failures = 0;
  #lastError: FlotillaError | undefined = undefined;
  #spawning: Promise<void> | undefined = undefined;
  #isClosed = false;

  /** `changed` is told when the place is taken again, or could not be. */
  constructor(index: number, environment: PoolEnvironment, changed: () => void) {
    this.index = index;
    this.#changed = changed;
    this.#environment = environment;
  }

  /** The actor, while the place is taken. */
  get handle(): AnyHandle | undefined {
    return this.#handle;
  }

  get isLive(): boolean {
    return this.#handle !== undefined;
  }

  /** Of the actor that holds the place, or held it last. */
  get address(): Address | undefined {
    return this.#address;
  }

  /** Why the last spawn failed, when the next one is not under way yet. */
  get lastError(): FlotillaError | undefined {
    return this.#spawning === undefined ? this.#lastError : undefined;
  }

  /** Takes the place. Rejects with why the spawn failed. */
  async open(): Promise<void> {
    const handle = await this.#environment.spawn();
    if (this.#isClosed) return this.#environment.dispatch.stop(handle[ADDRESS]);
    this.#handle = handle;
    this.#address = handle[ADDRESS];
    this.#failures = 0;
    this.#lastError = undefined;
    this.#unwatch = this.#environment.watch(handle, () => {
      if (this.#handle !== handle) return;
      this.#handle = undefined;
      this.#replace();
    });
  }

  #replace(): void {
    if (this.#isClosed) return;
    this.#spawning = this.open()
      .catch((error: unknown) => this.#failed(error))
      .finally(() => {
        this.#spawning = undefined;
        this.#changed();
      });
  }

  #failed(error: unknown): void {
    this.#lastError = isFlotillaError(error) ? error : new FlotillaError("ActorStartFailed", String(error));
    const afterMs = Math.min(RESPAWN.maxMs, RESPAWN.firstMs * RESPAWN.factor ** this.#failures++);
    // A closed system spawns nothing any more.
    if (this.#lastError.code !== "Closed" && !this.#isClosed)
      this.#timer = this.#environment.clock.schedule(afterMs, () => this.#replace());
  }

  /** Ends the actor and leaves the place empty. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#timer?.cancel();
    this.#unwatch?.();
    const handle = this.#handle;
    this.#handle = undefined;
    if (handle !== undefined) await this.#environment.dispatch.stop(handle[ADDRESS]);
    await this.#spawning;
  }
}
