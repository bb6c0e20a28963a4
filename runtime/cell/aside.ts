// What one actor has put aside, made when it first puts something there: its stash and its records of calls with a key.
// It answers or shelves messages; whether and when one runs stays the cell's business.

import type { Method } from "../actor.ts";
import type { Clock } from "../clock.ts";
import type { WireError } from "../envelope.ts";
import { KeyRecords, outcomeOf } from "./key-records.ts";
import type { Mailbox } from "./mailbox.ts";
import type { Message } from "./message.ts";
import { deadlockFailure } from "./refusal.ts";
import { Stash } from "./stash.ts";

/** What this needs of the actor it belongs to. */
export interface Owner {
  readonly label: string;
  /** Whether outcomes are copied when they are kept. */
  readonly copies: boolean;
  refuse(message: Message, why: WireError): void;
  whyFull(): WireError;
  /** Told when messages may have come back to the mailbox. */
  resume(): void;
}

export class Aside {
  readonly #owner: Owner;
  readonly #stash: Stash;
  readonly #keys: KeyRecords;

  constructor(owner: Owner, clock: Clock, mailbox: Mailbox<Message>) {
    this.#owner = owner;
    this.#stash = new Stash(mailbox);
    this.#keys = new KeyRecords(mailbox, clock, owner.copies);
  }

  /** Will put a message in hand aside once its method has ended. */
  stash(message: Message): void {
    this.#stash.ask(message);
  }

  isStashed(message: Message): boolean {
    return this.#stash.isAsked(message);
  }

  unstashAll(): void {
    this.#stash.putBack();
    this.#owner.resume();
  }

  /** Whether a message with a key needs no run: its outcome is known, or it waits for another run of it, or it was refused. */
  knows(message: Message, method: Method | undefined): boolean {
    if (method === undefined || method.streams || message.credit !== undefined) return false;
    const next = this.#keys.begin(message);
    if (next === "circle") this.#owner.refuse(message, deadlockFailure(message.chain, this.#owner.label));
    return next !== "run";
  }

  /** The method of a message has ended well; true when the message is not to be answered now. */
  takes(message: Message, value: unknown): boolean {
    const isStashed = this.#stash.isAsked(message);
    if (message.key !== undefined) this.#keys.end(message, isStashed ? undefined : { kind: "value", value });
    if (!isStashed) return false;
    if (message.cancelled !== undefined) this.#stash.forget(message);
    else if (!this.#stash.add(message)) this.#owner.refuse(message, this.#owner.whyFull());
    return true;
  }

  threw(message: Message, why: WireError): void {
    this.#stash.forget(message);
    if (message.key !== undefined) this.#keys.end(message, outcomeOf(message, why));
  }

  /** The actor has let go of a message in hand; how its method ends is nobody's any more. */
  letGo(message: Message): void {
    this.#stash.forget(message);
    if (message.key !== undefined) this.#keys.end(message, undefined);
  }

  /** The stashed messages wait in the mailbox again: their next life begins, or their end has come. */
  putBack(): void {
    this.#stash.putBack();
  }
}
