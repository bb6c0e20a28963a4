// Where a message for an address goes: a cell here, another node, or, when neither has the actor any more, wherever it was moved to.
// It moves nobody (recovery.ts) and keeps no names (directory.ts).
//
// RT1  An address without an entry (`key`) means one place for ever. One with an entry is looked up again once its place has gone, and
//      for each message while its place is about to go. That a place has gone is known from membership, or told by the node itself when
//      it lives on without the actor (`left`).
// RT2  Messages that come while an entry is looked up wait in order, and go on in order.
// RT3  What was found is remembered, so only the first message after a move pays for it.

import { type Address, formatAddress } from "./address.ts";
import type { Receiver } from "./calls.ts";
import type { Message } from "./cell/message.ts";
import { goneFailure } from "./cell/refusal.ts";
import type { WireError } from "./envelope.ts";
import { failureOf } from "./failure.ts";
import type { Host } from "./host.ts";
import type { Peers } from "./peers.ts";

/** Moves that are remembered (RT3). */
const MOVES_MAX = 10_000;

export interface RoutesOptions {
  readonly node: string;
  readonly host: Host;
  readonly peers: Peers;
  /** Whether a node is there and means to stay: one that is draining may give any actor away. */
  readonly isStaying: (node: string) => boolean;
  /** Where the actor lives now, or what its callers are told. `isSilent`: it does not answer at that address. */
  readonly resolve: (address: Address, isSilent: boolean) => Promise<Address | WireError>;
}

export class Routes {
  readonly #options: RoutesOptions;
  /** Entry → where its actor was found. */
  readonly #moved = new Map<string, Address>();
  readonly #lookups = new Map<string, Lookup>();
  /** Entry → where its actor is no more. */
  readonly #left = new Map<string, string>();

  constructor(options: RoutesOptions) {
    this.#options = options;
  }

  /** What takes messages for the address; undefined when it is certain that nobody does. */
  find(address: Address): Receiver | undefined {
    const { key } = address;
    if (key === undefined) return this.#at(address);
    const lookup = this.#lookups.get(key);
    if (lookup !== undefined) return lookup;
    const known = this.#moved.get(key) ?? address;
    if (this.#left.size > 0 && this.#takeLeft(key, known)) return this.#lookUp(key, known, true);
    const found = this.#at(known);
    if (found === undefined || !this.#isSettled(known)) return this.#lookUp(key, known, found === undefined);
    return known === address ? found : new Redirect(found, known);
  }

  #isSettled({ node }: Address): boolean {
    return node === this.#options.node || this.#options.isStaying(node);
  }

  /** Where the actor lives now, for what is no message to it: at once where that is known, else looked up; or why nobody can tell. */
  locate(address: Address): Address | Promise<Address | WireError> {
    const { key } = address;
    if (key === undefined) return address;
    const known = this.#moved.get(key) ?? address;
    const { node, host } = this.#options;
    const isGone = known.node === node && host.find(known) === undefined;
    const isSilent = isGone || (this.#left.size > 0 && this.#takeLeft(key, known));
    return !isSilent && this.#isSettled(known) ? known : this.#options.resolve(known, isSilent);
  }

  /** A node says that it has this actor no more: the next message for it is looked up. */
  left(key: string, node: string, actor: string): void {
    if (this.#left.size >= MOVES_MAX) this.#left.clear();
    this.#left.set(key, `${node}/${actor}`);
  }

  /** Whether that is news: where the actor was found since, it may well be. */
  #takeLeft(key: string, { node, id }: Address): boolean {
    const left = this.#left.get(key);
    return left !== undefined && this.#left.delete(key) && left === `${node}/${id}`;
  }

  #at(address: Address): Receiver | undefined {
    const { node, host, peers } = this.#options;
    return address.node === node ? host.find(address) : peers.find(address.node);
  }

  #lookUp(key: string, address: Address, isSilent: boolean): Lookup {
    const lookup = new Lookup();
    this.#lookups.set(key, lookup);
    void this.#resolve(key, address, lookup, isSilent);
    return lookup;
  }

  async #resolve(key: string, address: Address, lookup: Lookup, isSilent: boolean): Promise<void> {
    const found = await this.#options
      .resolve(address, isSilent)
      .catch((error: unknown) => failureOf(error, "looking it up"));
    this.#lookups.delete(key);
    if ("code" in found) {
      this.#moved.delete(key);
      for (const { message, to } of lookup.waiting) this.#refuse(message, to, found);
      return;
    }
    if (this.#moved.size >= MOVES_MAX) this.#moved.clear();
    this.#moved.set(key, found);
    for (const { message, to } of lookup.waiting) this.#forward(message, to, found);
  }

  #forward(message: Message, to: Address, found: Address): void {
    if (message.cancelled !== undefined) return;
    const why = this.#handOver(message, found);
    if (why !== undefined) this.#refuse(message, to, why);
  }

  #handOver(message: Message, found: Address): WireError | undefined {
    const receiver = this.#at(found);
    if (receiver === undefined) return goneFailure(formatAddress(found));
    try {
      return receiver.receive(message, found);
    } catch (error) {
      // Those who wait behind it must not be lost with it.
      return failureOf(error, `${found.type}.${message.method}`);
    }
  }

  #refuse(message: Message, to: Address, why: WireError): void {
    if (message.sink !== undefined) message.sink.fail(why);
    else this.#options.host.deadLetter(to, message.method, why);
  }
}

/** Takes messages for an actor where it lives now: the handles that it is called by still say where it was. */
class Redirect implements Receiver {
  readonly copies: boolean;
  readonly #receiver: Receiver;
  readonly #to: Address;

  constructor(receiver: Receiver, to: Address) {
    this.copies = receiver.copies;
    this.#receiver = receiver;
    this.#to = to;
  }

  receive(message: Message): WireError | undefined {
    return this.#receiver.receive(message, this.#to);
  }
}

/** Takes the messages for one entry while it is looked up (RT2). */
class Lookup implements Receiver {
  readonly copies = true;
  readonly waiting: { readonly message: Message; readonly to: Address }[] = [];

  receive(message: Message, to: Address): undefined {
    this.waiting.push({ message, to });
  }
}
