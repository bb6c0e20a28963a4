// What `system.pool()` returns: actors of one type behind one handle, and maps over them.
// It is not an actor and has no address: it lives where it was opened, and its members are ordinary actors.
//
// PO1  `close` ends every member, and with them what is under way. A pool closed is not opened again.

import type { ActorType } from "../actor.ts";
import type { HandleOf } from "../handle.ts";
import { Crew, type PoolEnvironment } from "./crew.ts";
import { type Ended, Mapping } from "./mapping.ts";
import { type PoolHandle, poolHandle } from "./pool-handle.ts";
import {
  checkMapOptions,
  checkPoolOptions,
  type MapItem,
  type MapMethod,
  type MapOptions,
  type MapValue,
  type PoolOptions,
} from "./pool-options.ts";

type Settle = MapOptions & { readonly settle: true };
type FailFast = MapOptions & { readonly settle?: false };

/** What became of one item: its place among the items and its value. */
export interface Mapped<Value> {
  readonly index: number;
  readonly value: Value;
}

export class Pool<Instance> implements AsyncDisposable {
  /** The members' methods. Each call goes to one member, by the pool's strategy; `with({ hashKey })` keeps calls together. */
  readonly handle: PoolHandle<Instance>;
  readonly #crew: Crew;

  /** Use `system.pool`. */
  constructor(crew: Crew, type: ActorType) {
    this.#crew = crew;
    this.handle = poolHandle(type.methods, crew) as PoolHandle<Instance>;
  }

  /** Places, taken or not. */
  get size(): number {
    return this.#crew.members.length;
  }

  /** Handles of the members that are there now, by place: for what all of them must hear. */
  get members(): readonly HandleOf<Instance>[] {
    return this.#crew.members.flatMap(({ handle }) => (handle === undefined ? [] : [handle as HandleOf<Instance>]));
  }

  /**
   * Calls `method(item)` for each item on whichever member is free; resolves to the answers in the items' order. Rejects with the first
   * failure, and then cancels the rest; with `settle: true` it resolves to what became of each. An item that is hedged, or whose member is
   * lost, may run twice. Throws InvalidOption, Cancelled (its signal), Closed (the pool), Unavailable (no member could be started).
   */
  map<Name extends MapMethod<Instance>>(
    method: Name,
    items: Iterable<MapItem<Instance, Name>>,
    options: Settle,
  ): Promise<PromiseSettledResult<MapValue<Instance, Name>>[]>;
  map<Name extends MapMethod<Instance>>(
    method: Name,
    items: Iterable<MapItem<Instance, Name>>,
    options?: FailFast,
  ): Promise<MapValue<Instance, Name>[]>;
  async map(method: string, items: Iterable<unknown>, options: MapOptions = {}): Promise<unknown[]> {
    const results: unknown[] = [];
    for await (const { index, ...ended } of this.#run(method, items, options)) {
      if (options.settle) results[index] = ended;
      else results[index] = valueIn(ended);
    }
    return results;
  }

  /**
   * The same, each answer as it comes, with the place of its item. Items are taken from their source as the answers are read; leaving the
   * loop cancels what is under way.
   */
  mapUnordered<Name extends MapMethod<Instance>>(
    method: Name,
    items: Iterable<MapItem<Instance, Name>>,
    options: Settle,
  ): AsyncGenerator<{ readonly index: number } & PromiseSettledResult<MapValue<Instance, Name>>>;
  mapUnordered<Name extends MapMethod<Instance>>(
    method: Name,
    items: Iterable<MapItem<Instance, Name>>,
    options?: FailFast,
  ): AsyncGenerator<Mapped<MapValue<Instance, Name>>>;
  async *mapUnordered(
    method: string,
    items: Iterable<unknown>,
    options: MapOptions = {},
  ): AsyncGenerator<Ended | Mapped<unknown>> {
    for await (const ended of this.#run(method, items, options)) {
      yield options.settle ? ended : { index: ended.index, value: valueIn(ended) };
    }
  }

  /** Ends every member after the message in hand, within 5 s. May be called twice. */
  close(): Promise<void> {
    return this.#crew.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #run(method: string, items: Iterable<unknown>, options: MapOptions): AsyncGenerator<Ended> {
    checkMapOptions(options);
    return new Mapping(this.#crew, method, options).run(items);
  }
}

function valueIn(ended: PromiseSettledResult<unknown>): unknown {
  if (ended.status === "rejected") throw ended.reason;
  return ended.value;
}

/** Spawns a pool's members. Throws InvalidOption and whatever a spawn throws. */
export async function openPool(
  environment: PoolEnvironment,
  type: ActorType,
  options: PoolOptions,
): Promise<Pool<object>> {
  checkPoolOptions(options);
  const crew = new Crew(environment, options.size, options.strategy ?? "round-robin");
  await crew.open();
  return new Pool(crew, type);
}
