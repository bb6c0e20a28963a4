// A handle of a whole pool: its methods are those of its members, each call goes to one of them.
// It is no address: it cannot be sent, and it belongs to the process that opened the pool.

import type { Method } from "../actor.ts";
import type { Calls, Casts } from "../handle.ts";
import { checkCallOptions, plainName } from "../options.ts";
import type { Stream } from "../stream.ts";
import type { PoolCallOptions } from "./pool-options.ts";

/** The methods of a pool's members, called on whichever member the strategy picks. */
export type PoolHandle<Instance> = Calls<Instance> & {
  /** The same pool with other call options. Throws InvalidOption. */
  with(options: PoolCallOptions): PoolHandle<Instance>;
  /** The same methods with no answer wanted. */
  readonly cast: Casts<Instance>;
};

/** What such a handle does its work with. */
export interface PoolDispatch {
  call(method: string, args: unknown[], options: PoolCallOptions): Promise<unknown>;
  stream(method: string, args: unknown[], options: PoolCallOptions): Stream<unknown>;
  cast(method: string, args: unknown[], options: PoolCallOptions): void;
}

export function poolHandle(
  methods: ReadonlyMap<string, Method>,
  dispatch: PoolDispatch,
  options: PoolCallOptions = {},
): object {
  const calls: Record<string, unknown> = Object.create(null);
  const casts: Record<string, unknown> = Object.create(null);
  for (const [name, { streams }] of methods) {
    calls[name] = streams
      ? (...args: unknown[]) => dispatch.stream(name, args, options)
      : (...args: unknown[]) => dispatch.call(name, args, options);
    casts[name] = (...args: unknown[]) => dispatch.cast(name, args, options);
  }
  calls.cast = casts;
  calls.with = (more: PoolCallOptions) => {
    const { hashKey, ...rest } = more;
    if (hashKey !== undefined) plainName("hashKey", hashKey);
    checkCallOptions(rest);
    return poolHandle(methods, dispatch, { ...options, ...more });
  };
  return calls;
}
