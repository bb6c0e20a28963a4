// The members of a pool and what is sent to them: single calls by the strategy, and calls of one member.
// It is not what users hold (pool.ts) nor how items of a map are handed out (mapping.ts).
//
// CR1  A member that ends is replaced by a new one from the same options (member.ts); while its place is empty others get its calls,
//      except those that belong to it by hash. What a member's own `restart` mends never comes here.
// CR2  With nobody there a call fails at once with Unavailable: it certainly did not run.
// CR3  A call with a `key` goes by the hash of that key, whatever the strategy: only one member knows the key's outcome.

import type { CallOptions } from "../calls.ts";
import type { Clock } from "../clock.ts";
import { type FlotillaError, runtimeError } from "../errors.ts";
import type { AnyHandle, Dispatch } from "../handle.ts";
import type { Stream } from "../stream.ts";
import { Member } from "./member.ts";
import type { PoolDispatch } from "./pool-handle.ts";
import type { PoolCallOptions } from "./pool-options.ts";
import { hashPlace, inTurn, leastBusy, type PoolStrategy } from "./strategy.ts";

/** What a pool needs of its system. */
export interface PoolEnvironment {
  readonly clock: Clock;
  readonly callTimeoutMs: number;
  readonly dispatch: Dispatch;
  spawn(): Promise<AnyHandle>;
  watch(handle: AnyHandle, onEnd: () => void): () => void;
}

export class Crew implements PoolDispatch {
  readonly clock: Clock;
  readonly callTimeoutMs: number;
  readonly members: readonly Member[];
  readonly #dispatch: Dispatch;
  readonly #strategy: PoolStrategy;
  readonly #watchers = new Set<() => void>();
  #turn = 0;
  #closing: Promise<void> | undefined = undefined;

  constructor(environment: PoolEnvironment, size: number, strategy: PoolStrategy) {
    this.clock = environment.clock;
    this.callTimeoutMs = environment.callTimeoutMs;
    this.#dispatch = environment.dispatch;
    this.#strategy = strategy;
    const changed = () => this.#changed();
    this.members = Array.from({ length: size }, (_, index) => new Member(index, environment, changed));
  }

  /** Spawns every member. Rejects with the first failure, after those that came have been ended again. */
  async open(): Promise<void> {
    const opened = await Promise.allSettled(this.members.map((member) => member.open()));
    const failed = opened.find((each) => each.status === "rejected");
    if (failed === undefined) return;
    await this.close();
    throw failed.reason;
  }

  async call(method: string, args: unknown[], options: PoolCallOptions): Promise<unknown> {
    return this.callMember(this.#pick(options), method, args, plainOptions(options));
  }

  stream(method: string, args: unknown[], options: PoolCallOptions): Stream<unknown> {
    const open = (): { member: Member; stream: Stream<unknown> } => {
      const member = this.#pick(options);
      if (member.address === undefined || !member.isLive) throw this.#unavailable();
      return { member, stream: this.#dispatch.stream(member.address, method, args, plainOptions(options)) };
    };
    return counted(open);
  }

  cast(method: string, args: unknown[], options: PoolCallOptions): void {
    const { address } = this.#pick(options);
    // To a place that is empty just now: its last holder's address, where the cast becomes a dead letter.
    if (address !== undefined) this.#dispatch.cast(address, method, args, plainOptions(options));
  }

  /** One call of one member, counted as its work until it ends. */
  async callMember(member: Member, method: string, args: unknown[], options: CallOptions): Promise<unknown> {
    if (member.address === undefined || !member.isLive) throw this.whyDown() ?? this.#unavailable();
    member.busy++;
    try {
      return await this.#dispatch.call(member.address, method, args, options);
    } finally {
      member.busy--;
    }
  }

  /** Calls `onChange` whenever a member has come back or could not, and when the pool closes. Answers how to end that. */
  watch(onChange: () => void): () => void {
    this.#watchers.add(onChange);
    return () => this.#watchers.delete(onChange);
  }

  /** Why nobody will take anything: closed, or all are gone and none could be started. Undefined when somebody does or soon may. */
  whyDown(): FlotillaError | undefined {
    if (this.#closing !== undefined) return runtimeError("Closed", "the pool was closed");
    const isDown = this.members.every(({ isLive, lastError }) => !isLive && lastError !== undefined);
    return isDown ? this.#unavailable() : undefined;
  }

  /** Ends every member. May be called twice. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const closed = Promise.all(this.members.map((member) => member.close()));
    queueMicrotask(() => this.#changed());
    await closed;
  }

  #changed(): void {
    for (const watcher of [...this.#watchers]) watcher();
  }

  /** The member for one call; one whose place is empty when the call belongs there, or when all are. */
  #pick({ hashKey, key }: PoolCallOptions): Member {
    const hashed = hashKey ?? key;
    if (hashed !== undefined) return this.#at(hashPlace(hashed, this.members.length));
    if (this.#strategy === "hash")
      throw runtimeError(
        "InvalidOption",
        'a pool with strategy "hash" needs to know by what: handle.with({ hashKey })',
      );
    const pick = this.#strategy === "least-busy" ? leastBusy : inTurn;
    const index = Math.max(0, pick(this.members, this.#turn));
    this.#turn = (index + 1) % this.members.length;
    return this.#at(index);
  }

  #at(index: number): Member {
    return this.members[index] as Member;
  }

  #unavailable(): FlotillaError {
    const error = this.members.find(({ lastError }) => lastError !== undefined)?.lastError;
    const why = error === undefined ? "it is being replaced" : `it could not be replaced: ${error.message}`;
    return runtimeError("Unavailable", `nobody of the pool can take this now; ${why}`);
  }
}

/** What a member's system may know of a call's options. */
function plainOptions({ hashKey: _, ...options }: PoolCallOptions): CallOptions {
  return options;
}

/** A stream that counts as its member's work from its first chunk's asking to its end. */
async function* counted(open: () => { member: Member; stream: Stream<unknown> }): AsyncGenerator<unknown> {
  const { member, stream } = open();
  member.busy++;
  try {
    yield* stream;
  } finally {
    member.busy--;
  }
}
