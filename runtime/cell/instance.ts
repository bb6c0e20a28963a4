// Makes the object behind an actor: its constructor, then its onStart, both running as the actor.

import type { ActorHooks, ActorType } from "../actor.ts";
import type { Clock } from "../clock.ts";
import { copyArgs } from "../copy.ts";
import type { WireError } from "../envelope.ts";
import { failure, failureOf } from "../failure.ts";
import { isThenable } from "../thenable.ts";
import type { Life } from "./life.ts";
import type { Running } from "./running.ts";

export type Instance = ActorHooks & object;

export type Started =
  | { readonly kind: "started"; readonly instance: Instance }
  | { readonly kind: "failed"; readonly why: WireError };

/** A new object from `args`, which are copied for each life. A promise only when its onStart waits: a spawn costs no more than that. */
export function startInstance(
  type: ActorType,
  args: readonly unknown[],
  copies: boolean,
  running: Running,
): Started | Promise<Started> {
  try {
    const instance = running.run(construct, type, copies ? copyArgs([...args]) : args, undefined, undefined);
    if (instance.onStart === undefined) return { kind: "started", instance };
    const starting: unknown = running.run(callHook, instance.onStart, instance, undefined, undefined);
    return isThenable(starting) ? whenStarted(type, instance, starting) : { kind: "started", instance };
  } catch (error) {
    return startFailed(type, error);
  }
}

async function whenStarted(type: ActorType, instance: Instance, starting: PromiseLike<unknown>): Promise<Started> {
  try {
    await starting;
    return { kind: "started", instance };
  } catch (error) {
    return startFailed(type, error);
  }
}

/**
 * What `starting` comes to, or why it was not waited for: it took longer than `timeoutMs`, or the actor has ended meanwhile. `onLate` takes the
 * instance that starts afterwards all the same, unless it was killed: what its onStart began would go on for ever.
 */
export function startWithin(
  clock: Clock,
  timeoutMs: number,
  type: ActorType,
  starting: Promise<Started>,
  life: Life<unknown>,
  onLate: (instance: Instance) => void,
): Promise<Started> {
  return new Promise((resolve) => {
    const settle = (started: Started) => {
      timer.cancel();
      unwatch();
      resolve(started);
    };
    const giveUp = (why: string, mayBeLate = true) => {
      settle({ kind: "failed", why: failure("ActorStartFailed", `${type.type} could not start: ${why}`) });
      if (mayBeLate) void starting.then((late) => late.kind === "started" && onLate(late.instance));
    };
    const timer = clock.schedule(timeoutMs, () => giveUp(`onStart had not ended after ${timeoutMs} ms`), true);
    const unwatch = life.watch(({ reason }) =>
      giveUp(`it was ${reason} before onStart had ended`, reason !== "killed"),
    );
    void starting.then(settle);
  });
}

function construct(type: ActorType, args: readonly unknown[]): Instance {
  return new type.actorClass(...(args as never[]));
}

/** Runs the onStop of an instance, if it has one; what it throws goes to `failed`. Never rejects. */
export async function stopInstance(
  { type }: ActorType,
  instance: Instance,
  running: Running,
  failed: (why: WireError) => void,
): Promise<void> {
  try {
    if (instance.onStop !== undefined) await running.run(callHook, instance.onStop, instance, undefined, undefined);
  } catch (error) {
    failed(failureOf(error, `${type}.onStop`));
  }
}

/** Calls a hook of `instance`; in the form that `Running.run` takes. */
function callHook(hook: () => unknown, instance: object): unknown {
  return hook.call(instance);
}

function startFailed(type: ActorType, error: unknown): Started {
  const { message, data, cause } = failureOf(error, type.type);
  const why = failure("ActorStartFailed", `${type.type} could not start: ${cause?.message ?? message}`, data);
  return { kind: "failed", why: cause === undefined ? why : { ...why, cause } };
}
