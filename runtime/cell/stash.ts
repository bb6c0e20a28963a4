// What an actor has put aside for later: messages it cannot answer in the state it is in (`actorContext().stash()`).
//
// SA1  A message is put aside when its method has ended: before that the method still works on it.
// SA2  One whose method ends after `unstashAll` has called for it goes straight back to the mailbox: it must not miss the call.

import type { Mailbox } from "./mailbox.ts";
import type { Message } from "./message.ts";
import { Shelf } from "./shelf.ts";

export class Stash {
  readonly #mailbox: Mailbox<Message>;
  readonly #shelf: Shelf;
  /** Messages whose method has asked and not ended yet (SA1), and whether all were called back meanwhile (SA2). */
  readonly #asked = new Map<Message, boolean>();

  constructor(mailbox: Mailbox<Message>) {
    this.#mailbox = mailbox;
    this.#shelf = new Shelf(mailbox);
  }

  ask(message: Message): void {
    this.#asked.set(message, false);
  }

  isAsked(message: Message): boolean {
    return this.#asked.has(message);
  }

  /** The method that asked has failed instead, or its life is over. */
  forget(message: Message): void {
    this.#asked.delete(message);
  }

  /** Puts a message aside that has asked for it; false when the mailbox is full. */
  add(message: Message): boolean {
    const isCalledBack = this.#asked.get(message);
    this.#asked.delete(message);
    if (!isCalledBack) return this.#shelf.add(message);
    const hasRoom = this.#mailbox.setAside();
    if (hasRoom) this.#mailbox.putBack([message]);
    return hasRoom;
  }

  /** Everything waits in the mailbox again, in front and in order. */
  putBack(): void {
    for (const message of this.#asked.keys()) this.#asked.set(message, true);
    this.#shelf.putBack();
  }
}
