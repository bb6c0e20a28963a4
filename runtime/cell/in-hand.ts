// The messages one actor works on now: the one whose method is on the stack, and those whose methods have gone on to wait.
// It is not where messages wait for their turn (mailbox.ts).
//
// IH1  A message let go of is in hand no more: what its method still answers or throws is nobody's.
// IH2  The method on the stack counts as well: it may stop, kill or fail its own actor.

import type { Message } from "./message.ts";

export class InHand {
  /** Messages that outlive their turn: all but those of methods that return at once. */
  #held: Set<Message> | undefined = undefined;
  #beginning: Message | undefined = undefined;
  #idle: (() => void) | undefined = undefined;

  /** Messages that wait for something. */
  get size(): number {
    return this.#held === undefined ? 0 : this.#held.size;
  }

  begin(message: Message): void {
    this.#beginning = message;
  }

  /** The method that was on the stack has returned for good. */
  returned(): void {
    this.#beginning = undefined;
    this.rest();
  }

  /** The method that was on the stack goes on; false when its message has been let go of meanwhile (IH1). */
  hold(message: Message): boolean {
    const isLetGo = this.#beginning !== message;
    this.#beginning = undefined;
    if (isLetGo) return false;
    this.#held ??= new Set();
    this.#held.add(message);
    return true;
  }

  /** False when the message has been let go of (IH1). */
  finish(message: Message): boolean {
    return this.#held?.delete(message) ?? false;
  }

  some(test: (message: Message) => boolean): boolean {
    for (const message of this.#held ?? []) if (test(message)) return true;
    return false;
  }

  /** Takes everything out of hand. */
  letGo(): Message[] {
    const all = [...(this.#held ?? [])];
    if (this.#beginning !== undefined) all.push(this.#beginning);
    this.#held = this.#beginning = undefined;
    return all;
  }

  /** Calls `done` once nothing is in hand: now, or when `rest` finds it so. */
  whenIdle(done: () => void): void {
    this.#idle = done;
    this.rest();
  }

  /** Tells who waits for idleness; called after a message was finished and answered. */
  rest(): void {
    if (this.#idle === undefined || this.#beginning !== undefined || this.size > 0) return;
    this.#idle();
    this.#idle = undefined;
  }
}
