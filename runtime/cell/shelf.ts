// One place for messages that were taken from the mailbox and go on waiting, unanswered: stashed ones, and those that wait for their key.
// It does not know what they wait for (stash.ts, key-records.ts).
//
// SH1  They count in the mailbox's bound.
// SH2  One that is cancelled is forgotten at once: a caller who has gone must not hold a place.

import type { Mailbox } from "./mailbox.ts";
import type { Message } from "./message.ts";

export class Shelf {
  readonly #mailbox: Mailbox<Message>;
  readonly #messages = new Set<Message>();

  constructor(mailbox: Mailbox<Message>) {
    this.#mailbox = mailbox;
  }

  /** False when the mailbox is full (SH1). */
  add(message: Message): boolean {
    if (!this.#mailbox.setAside()) return false;
    this.#messages.add(message);
    message.wake = () => {
      if (message.cancelled !== undefined && this.#messages.delete(message)) this.#mailbox.forgetAside();
    };
    return true;
  }

  /** All of them wait in the mailbox again, in front, in the order they were added. */
  putBack(): void {
    for (const message of this.#messages) message.wake = undefined;
    this.#mailbox.putBack([...this.#messages]);
    this.#messages.clear();
  }
}
