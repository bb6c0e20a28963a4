// What a user holds and calls: methods of a handle are calls of the actor.
// It is not the actor, and it keeps nothing alive: it is an address with methods.
//
// H1  A handle is immutable; `with` makes another one.
// H2  A method the class does not have is still sent: the actor answers NoSuchMethod and lists what it has.

import type { ActorClass, ActorType } from "./actor.ts";
import { RESERVED } from "./actor.ts";
import { ADDRESS, type Address, formatAddress, PLAIN } from "./address.ts";
import type { CallOptions } from "./calls.ts";
import { checkCallOptions } from "./options.ts";
import type { Stream } from "./stream.ts";
import type { TaskAttempt } from "./tasks/task.ts";

type Reserved = "cast" | "with" | "onStart" | "onStop";

/** A method as its caller sees it: an answer later, or a stream of them. */
type Remote<Run> = Run extends (...args: infer Args) => infer Result ? (...args: Args) => Answer<Result> : never;

/** In tuples, because a union or never would be taken apart: a method that returns boolean is one method, one that throws answers never. */
type Answer<Result> = [Result] extends [never]
  ? Promise<never>
  : [Result] extends [AsyncIterable<infer Chunk> | Generator<infer Chunk>]
    ? Stream<Chunk>
    : Promise<Awaited<Result>>;

/** Names of the methods that can be called. */
export type MethodNames<Instance> = {
  [Name in keyof Instance]: Instance[Name] extends (...args: never[]) => unknown ? Exclude<Name, Reserved> : never;
}[keyof Instance];

/** The methods as they are called. */
export type Calls<Instance> = { readonly [Name in MethodNames<Instance>]: Remote<Instance[Name]> };

/** The methods with no answer wanted. */
export type Casts<Instance> = {
  readonly [Name in MethodNames<Instance>]: Instance[Name] extends (...args: infer Args) => unknown
    ? (...args: Args) => void
    : never;
};

/** A typed handle of an actor with this instance type. */
export type HandleOf<Instance> = Calls<Instance> &
  AsyncDisposable & {
    readonly [ADDRESS]: Address;
    /** The same actor with other call options: a time-out, a signal, a priority, a key, retries. Throws InvalidOption. */
    with(options: CallOptions): HandleOf<Instance>;
    /** The same methods with no answer wanted. */
    readonly cast: Casts<Instance>;
  };

/** A typed handle: `Handle<typeof Counter>`. */
export type Handle<Type extends ActorType> =
  Type extends ActorType<infer Class> ? HandleOf<InstanceType<Class>> : never;

/** Any actor's handle, for those that only pass it on, watch or stop it. */
export interface AnyHandle {
  readonly [ADDRESS]: Address;
}

/** What handles do their work with. */
export interface Dispatch {
  call(
    address: Address,
    method: string,
    args: unknown[],
    options: CallOptions | undefined,
    attempt?: TaskAttempt,
  ): Promise<unknown>;
  stream(address: Address, method: string, args: unknown[], options: CallOptions | undefined): Stream<unknown>;
  cast(address: Address, method: string, args: unknown[], options: CallOptions | undefined): void;
  stop(address: Address): Promise<void>;
}

const OPTIONS = Symbol("options");

interface Held {
  readonly [ADDRESS]: Address;
  readonly [OPTIONS]: CallOptions | undefined;
}

/** Makes handles of one actor type: its methods are found on a shared prototype, so a handle costs two fields. */
export type HandleMaker = (address: Address, options?: CallOptions) => AnyHandle;

/** A call of a method that `type` does not list: sent all the same (H2). */
function unlisted(send: (held: Held, method: string, args: unknown[]) => unknown): object {
  return new Proxy(Object.create(null), {
    get(_target, name, held: Held) {
      // What every object has is asked for by printers and comparers, not by callers.
      if (typeof name !== "string" || RESERVED.has(name) || name in Object.prototype) return undefined;
      return (...args: unknown[]) => send(held, name, args);
    },
  });
}

export function handleMaker(dispatch: Dispatch, type: ActorType<ActorClass> | undefined): HandleMaker {
  const call = (held: Held, method: string, args: unknown[]) =>
    dispatch.call(held[ADDRESS], method, args, held[OPTIONS]);
  const cast = (held: Held, method: string, args: unknown[]) =>
    dispatch.cast(held[ADDRESS], method, args, held[OPTIONS]);
  const proto: Record<PropertyKey, unknown> = Object.create(unlisted(call));
  const castProto: Record<PropertyKey, unknown> = Object.create(unlisted(cast));

  const make = (shape: object, address: Address, options: CallOptions | undefined): Held => {
    const held = Object.create(shape);
    held[ADDRESS] = address;
    held[OPTIONS] = options;
    return held;
  };

  for (const [name, { streams }] of type?.methods ?? []) {
    proto[name] = streams
      ? function (this: Held, ...args: unknown[]) {
          return dispatch.stream(this[ADDRESS], name, args, this[OPTIONS]);
        }
      : function (this: Held, ...args: unknown[]) {
          return dispatch.call(this[ADDRESS], name, args, this[OPTIONS]);
        };
    castProto[name] = function (this: Held, ...args: unknown[]) {
      dispatch.cast(this[ADDRESS], name, args, this[OPTIONS]);
    };
  }
  proto.with = function (this: Held, options: CallOptions) {
    checkCallOptions(options);
    return make(proto, this[ADDRESS], { ...this[OPTIONS], ...options });
  };
  Object.defineProperty(proto, "cast", {
    get(this: Held) {
      return make(castProto, this[ADDRESS], this[OPTIONS]);
    },
  });
  const print = function (this: Held) {
    return formatAddress(this[ADDRESS]);
  };
  proto.toJSON = print;
  if (!Object.hasOwn(proto, "toString")) proto.toString = print;
  Object.defineProperty(proto, PLAIN, {
    get(this: Held) {
      return this[OPTIONS] === undefined ? this : make(proto, this[ADDRESS], undefined);
    },
  });
  proto[Symbol.asyncDispose] = function (this: Held) {
    return dispatch.stop(this[ADDRESS]);
  };
  return (address, options) => make(proto, address, options);
}
