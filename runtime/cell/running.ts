// What runs now: finds the message and actor that a piece of code works for, across awaits, so that a call made inside a method inherits
// that method's deadline, cancellation and call chain without being handed anything.
//
// R1  An async method has a Running of its own, which stays its own after every await.
// R2  Methods that return at once share one Running of their actor's turn; it names a message only while that method is on the stack,
//     so work left behind by such a method belongs to its actor and to no message. Nothing that may wait ever gets a Running so used.
//
// The AsyncLocalStorage below is the one constant of this kind in the house: it holds nothing itself. Each Running names its own cell and
// so its own system; two systems in one process do not meet in it.

import { AsyncLocalStorage, AsyncResource } from "node:async_hooks";
import type { Address } from "../address.ts";
import type { Message } from "./message.ts";

/** The part of an actor that code running in it may need. */
export interface RunningActor {
  /** Printed address: what call chains are made of. */
  readonly label: string;
  readonly address: Address;
  readonly context: unknown;
}

export class Running {
  readonly actor: RunningActor;
  /** Which life of its actor: what an earlier one left behind must not act for the next. */
  readonly incarnation: number;
  message: Message | undefined = undefined;
  /** Whether a method that returned at once has run in it. */
  used = false;
  /** Entering a remembered scope costs a twelfth of making one (20 against 250 ns), so a Running that nobody has kept is used again. */
  readonly #scope: AsyncResource;

  constructor(actor: RunningActor) {
    this.actor = actor;
    this.incarnation = actor.address.incarnation;
    this.#scope = storage.run(this, makeScope);
  }

  /** Runs `work` as this. */
  run<A, B, C, D, R>(work: (a: A, b: B, c: C, d: D) => R, a: A, b: B, c: C, d: D): R {
    return this.#scope.runInAsyncScope(work, undefined, a, b, c, d);
  }
}

const storage = new AsyncLocalStorage<Running>();

function makeScope(): AsyncResource {
  return new AsyncResource("flotilla.actor");
}

/** Who the calling code works for; undefined outside every actor. */
export function currentRunning(): Running | undefined {
  return storage.getStore();
}
