// Where an actor lives as its caller sees it: beside it, or on another node. What holds must hold in both places, so tests of behaviour
// run once for each.

import type { ActorClass, ActorSystem, ActorType, HandleOf, SpawnOptions } from "../../runtime/index.ts";
import { FakeClock, settle } from "./fake-clock.ts";
import { openSystems, type SystemsOptions } from "./systems.ts";

export const PLACES = ["same node", "other node"] as const;
export type Place = (typeof PLACES)[number];

export interface Stage extends AsyncDisposable {
  /** The caller's system. */
  readonly here: ActorSystem;
  /** The system in which `spawn` makes actors; `here` itself when the place is the same node. */
  readonly there: ActorSystem;
  /** Moved by hand; nothing else moves it. */
  readonly clock: FakeClock;
  /** Makes an actor in the place, from here. */
  spawn<Class extends ActorClass>(
    type: ActorType<Class>,
    options?: SpawnOptions<ConstructorParameters<Class>>,
  ): Promise<HandleOf<InstanceType<Class>>>;
}

export async function openStage(place: Place, options: SystemsOptions = {}): Promise<Stage> {
  const clock = new FakeClock();
  const systems = await openSystems(["here", "there"], { clock, ...options });
  const here = systems.at(0);
  const there = systems.at(place === "same node" ? 0 : 1);
  return {
    here,
    there,
    clock,
    async spawn(type, given = {}) {
      there.register(type);
      type Loose = (type: ActorType, options: SpawnOptions) => Promise<never>;
      return (here.spawn as Loose)(type, { ...given, node: there.node });
    },
    [Symbol.asyncDispose]: () => closeWithin(systems, clock),
  };
}

/** Closes while time passes, so that what is stuck meets its time-out. */
export async function closeWithin(systems: AsyncDisposable, clock: FakeClock, stepMs = 1_000, stepsMax = 120) {
  const state = { closed: false };
  const closing = Promise.resolve(systems[Symbol.asyncDispose]()).then(() => {
    state.closed = true;
  });
  await settleFrames();
  for (let step = 0; step < stepsMax && !state.closed; step++) await clock.advance(stepMs);
  if (!state.closed) throw new Error(`not closed within ${(stepMs * stepsMax) / 1_000} s`);
  await closing;
}

/** Lets everything that needs no time go on until it rests: frames there and back, several times over. */
export async function settleFrames(): Promise<void> {
  for (let turn = 0; turn < 10; turn++) await settle();
}
