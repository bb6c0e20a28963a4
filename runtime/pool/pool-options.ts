// What the users of a pool may say: of the pool, of one call through it, of one map over it.

import type { ActorClass, SpawnOptions } from "../actor.ts";
import type { CallOptions } from "../calls.ts";
import type { MethodNames } from "../handle.ts";
import { milliseconds, refuse, wholeNumber } from "../options.ts";
import { POOL_STRATEGIES, type PoolStrategy } from "./strategy.ts";

const SIZE_MAX = 10_000;

/** A pool's options: how many actors, how calls are spread, and how each of them is spawned. */
export interface PoolOptions<Args extends readonly unknown[] = readonly unknown[]>
  extends Omit<SpawnOptions<Args>, "name" | "namespace" | "getIfExists"> {
  /** Actors, 1 to 10,000. */
  readonly size: number;
  /** Who gets a single call. Default "round-robin". */
  readonly strategy?: PoolStrategy;
}

/** A pool's options: `args` is required when the constructor requires an argument. */
export type PoolArgs<Class extends ActorClass> = PoolOptions<ConstructorParameters<Class>> &
  ([] extends ConstructorParameters<Class> ? unknown : { readonly args: ConstructorParameters<Class> });

/** What a caller may say about one call through a pool. */
export interface PoolCallOptions extends CallOptions {
  /** Calls with the same text go to the same member, whatever the strategy. Default: `key`, so that a repeated call meets its outcome. */
  readonly hashKey?: string;
}

/** How `map` and `mapUnordered` go about their items. */
export interface MapOptions {
  /** Milliseconds for each item from its start, second copies included. Default: the system's call time-out. */
  readonly timeoutMs?: number;
  /** An item unanswered after so many milliseconds is sent to a second member too; the first value wins, the other is cancelled. Default: never. */
  readonly hedgeAfterMs?: number;
  /** Items that one member works on at once. Default 1. */
  readonly concurrency?: number;
  /** As for a call. */
  readonly priority?: CallOptions["priority"];
  /** Gives the whole map up when it aborts. */
  readonly signal?: AbortSignal;
  /** Answer with what became of each item instead of failing with the first that fails. Default false. */
  readonly settle?: boolean;
}

/** Methods that can be mapped over items: those that take one argument and answer once. */
export type MapMethod<Instance> = {
  [Name in MethodNames<Instance>]: Instance[Name] extends (...args: infer Args) => infer Result
    ? Args extends []
      ? never
      : [Result] extends [AsyncIterable<unknown> | Generator<unknown>]
        ? never
        : Instance[Name] extends (item: never) => unknown
          ? Name
          : never
    : never;
}[MethodNames<Instance>];

/** What a mapped method takes. */
export type MapItem<Instance, Name extends keyof Instance> = Instance[Name] extends (...args: infer Args) => unknown
  ? Args[0]
  : never;

/** What a mapped method answers with. */
export type MapValue<Instance, Name extends keyof Instance> = Instance[Name] extends (...args: never[]) => infer Result
  ? Awaited<Result>
  : never;

/** Throws InvalidOption. */
export function checkPoolOptions({ size, strategy }: PoolOptions): void {
  wholeNumber("size", size, 1, SIZE_MAX);
  if (strategy !== undefined && !POOL_STRATEGIES.includes(strategy))
    refuse("strategy", `one of ${POOL_STRATEGIES.join(", ")}`, strategy);
}

/** Throws InvalidOption. */
export function checkMapOptions({ timeoutMs, hedgeAfterMs, concurrency }: MapOptions): void {
  if (timeoutMs !== undefined) milliseconds("timeoutMs", timeoutMs, 1);
  if (hedgeAfterMs !== undefined) milliseconds("hedgeAfterMs", hedgeAfterMs);
  if (concurrency !== undefined) wholeNumber("concurrency", concurrency, 1, 1_000_000);
}
