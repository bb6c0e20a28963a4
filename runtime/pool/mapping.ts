// One map over a pool: hands items to members as they become free and tells what became of each, in the order in which they end.
// It is not the pool (pool.ts): several maps may use one at the same time, each within its own concurrency.
//
//     items ──next──▶ item ──▶ copy on a free member ──▶ value ──▶ unread ──▶ reader
//                              └ unanswered after hedgeAfterMs: a second copy elsewhere, the first value wins
//                              └ its member lost: once more, elsewhere
//
// MP1  At most size · concurrency items are under way, and no more than that wait unread: items are taken from their source as the reader
//      reads, so an endless source is no harm.
// MP2  An item fails with what its method threw. What a lost member says instead (LOST, and no cause) may mean that it ran, in part or
//      not at all: the item is tried once more on another member, or on the replacement, within its own time.
// MP3  When the reader leaves or the map fails, what is under way is cancelled. It fails as a whole when its signal aborts, its pool is
//      closed, or no member is there and none could be started.

import { cancelledBy } from "../calls.ts";
import { finishesWithin } from "../clock.ts";
import { isFlotillaError, runtimeError } from "../errors.ts";
import { errorOf } from "../failure.ts";
import type { Crew } from "./crew.ts";
import type { Member } from "./member.ts";
import type { MapOptions } from "./pool-options.ts";

/** What became of one item. */
export type Ended = { readonly index: number } & PromiseSettledResult<unknown>;

const LOST: ReadonlySet<string> = new Set(["ActorEnded", "ActorRestarted", "NoSuchActor", "Unavailable", "Unknown"]);

/** Whether it is the member that failed and not what it was asked (MP2). */
export function isMemberLost(error: unknown): boolean {
  return isFlotillaError(error) && error.cause === undefined && LOST.has(error.code);
}

export class Mapping {
  readonly #crew: Crew;
  readonly #method: string;
  readonly #options: MapOptions;
  readonly #end = new AbortController();
  readonly #signal: AbortSignal;
  readonly #load = new Map<Member, number>();
  readonly #unread: Ended[] = [];
  readonly #wakers = new Set<() => void>();
  #running = 0;

  constructor(crew: Crew, method: string, options: MapOptions) {
    this.#crew = crew;
    this.#method = method;
    this.#options = options;
    this.#signal =
      options.signal === undefined ? this.#end.signal : AbortSignal.any([this.#end.signal, options.signal]);
  }

  /** Each item's end, in the order of their ends. */
  async *run(items: Iterable<unknown>): AsyncGenerator<Ended> {
    const source = items[Symbol.iterator]();
    const unwatch = this.#crew.watch(this.#wake);
    this.#signal.addEventListener("abort", this.#wake);
    try {
      let count = 0;
      let isDry = false;
      for (;;) {
        this.#check();
        for (let member = this.#next(); member !== undefined && !isDry; member = this.#next()) {
          const next = source.next();
          if (next.done) isDry = true;
          else void this.#begin(count++, next.value, member);
        }
        const ended = this.#unread.shift();
        if (ended !== undefined) yield ended;
        else if (isDry && this.#running === 0) return;
        else await new Promise<void>((resolve) => void this.#wakers.add(resolve));
      }
    } finally {
      unwatch();
      this.#end.abort(runtimeError("Cancelled", "the map has ended"));
      source.return?.();
    }
  }

  readonly #wake = (): void => {
    for (const wake of this.#wakers) wake();
    this.#wakers.clear();
  };

  /** Throws when nothing more will come of it (MP3). */
  #check(): void {
    if (this.#signal.aborted) throw errorOf(cancelledBy(this.#signal));
    const why = this.#crew.whyDown();
    if (why !== undefined) throw why;
  }

  /** Who may begin one more item (MP1). */
  #next(): Member | undefined {
    const { concurrency = 1 } = this.#options;
    if (this.#unread.length >= this.#crew.members.length * concurrency) return undefined;
    return this.#least((member) => this.#loadOf(member) < concurrency);
  }

  /** The live member with the least of this map to do, of several the one with the least to do at all. */
  #least(isWanted: (member: Member) => boolean): Member | undefined {
    const live = this.#crew.members.filter((member) => member.isLive && isWanted(member));
    const isLess = (one: Member, other: Member) =>
      this.#loadOf(one) < this.#loadOf(other) || (this.#loadOf(one) === this.#loadOf(other) && one.busy < other.busy);
    return live.reduce<Member | undefined>(
      (best, one) => (best === undefined || isLess(one, best) ? one : best),
      undefined,
    );
  }

  #loadOf(member: Member): number {
    return this.#load.get(member) ?? 0;
  }

  async #begin(index: number, item: unknown, member: Member): Promise<void> {
    this.#running++;
    try {
      const value = await this.#answer(item, member);
      this.#unread.push({ index, status: "fulfilled", value });
    } catch (reason) {
      this.#unread.push({ index, status: "rejected", reason });
    }
    this.#running--;
    this.#wake();
  }

  async #answer(item: unknown, member: Member): Promise<unknown> {
    const untilMs = this.#crew.clock.now() + (this.#options.timeoutMs ?? this.#crew.callTimeoutMs);
    try {
      return await this.#hedged(item, member, untilMs);
    } catch (error) {
      if (!isMemberLost(error)) throw error;
      const other = await this.#another(member, untilMs);
      if (other === undefined) throw error;
      return this.#hedged(item, other, untilMs);
    }
  }

  /** A live member that is not `lost`, or its replacement when there is no other; undefined when nobody came in time. */
  async #another(lost: Member, untilMs: number): Promise<Member | undefined> {
    for (;;) {
      const found = this.#least((other) => other !== lost) ?? this.#least(() => true);
      const leftMs = untilMs - this.#crew.clock.now();
      if (found !== undefined || leftMs <= 0 || this.#signal.aborted || this.#crew.whyDown() !== undefined)
        return found;
      await finishesWithin(this.#crew.clock, leftMs, (done) => void this.#wakers.add(done));
    }
  }

  async #hedged(item: unknown, member: Member, untilMs: number): Promise<unknown> {
    const { hedgeAfterMs } = this.#options;
    if (hedgeAfterMs === undefined) return this.#copy(item, member, untilMs, this.#signal);
    const race = new AbortController();
    const signal = AbortSignal.any([race.signal, this.#signal]);
    try {
      const first = this.#copy(item, member, untilMs, signal);
      const isEarly = await finishesWithin(this.#crew.clock, hedgeAfterMs, (done) => void first.then(done, done));
      const other = isEarly ? undefined : this.#least((candidate) => candidate !== member);
      return await (other === undefined ? first : Promise.any([first, this.#copy(item, other, untilMs, signal)]));
    } catch (error) {
      // Both have failed; what a method threw says more than the loss of a member.
      if (!(error instanceof AggregateError)) throw error;
      throw error.errors.find((each) => !isMemberLost(each)) ?? error.errors[0];
    } finally {
      race.abort(runtimeError("Cancelled", "another member has answered"));
    }
  }

  async #copy(item: unknown, member: Member, untilMs: number, signal: AbortSignal): Promise<unknown> {
    const timeoutMs = Math.max(0, untilMs - this.#crew.clock.now());
    const { priority } = this.#options;
    this.#load.set(member, this.#loadOf(member) + 1);
    try {
      return await this.#crew.callMember(member, this.#method, [item], {
        timeoutMs,
        signal,
        ...(priority && { priority }),
      });
    } finally {
      this.#load.set(member, this.#loadOf(member) - 1);
    }
  }
}
