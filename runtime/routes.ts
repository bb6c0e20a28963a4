// Where a message for an address goes: a cell here, another node, or, when neither has the actor any more, wherever it was moved to.
// It moves nobody (recovery.ts) and keeps no names (directory.ts).
//
// RT1  An address without an entry (`key`) means one place for ever. One with an entry is looked up again once its place has gone.
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
  readonly isPresent: (node: string) => boolean;
  /** Where the actor lives now, or what its callers are told. */
  readonly resolve: (address: Address) => Promise<Address | WireError>;
}

export class Routes {
  readonly #options: RoutesOptions;
  /** Entry → where its actor was found. */
  readonly #moved = new Map<string, Address>();
  readonly #lookups = new Map<string, Lookup>();

  constructor(options: RoutesOptions) {
    this.#options = options;
  }

  /** What takes messages for the address; undefined when it is certain that nobody does. */
  find(address: Address): Receiver | undefined {
    const { key } = address;
    if (key === undefined) return this.#at(address);
    // Whoever comes while it is looked up waits behind those who came before (RT2).
    const pending = this.#lookups.get(key);
    if (pending !== undefined) return pending;
    const known = this.#moved.get(key) ?? address;
    const found = this.#at(known);
    if (found !== undefined && (known.node === this.#options.node || this.#options.isPresent(known.node))) return found;
    return this.#lookUp(key, known);
  }

  #at(address: Address): Receiver | undefined {
    const { node, host, peers } = this.#options;
    return address.node === node ? host.find(address) : peers.find(address.node);
  }

  #lookUp(key: string, address: Address): Lookup {
    const lookup = new Lookup();
    this.#lookups.set(key, lookup);
    void this.#resolve(key, address, lookup);
    return lookup;
  }

  async #resolve(key: string, address: Address, lookup: Lookup): Promise<void> {
    const found = await this.#options.resolve(address).catch((error: unknown) => failureOf(error, "looking it up"));
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

/** Takes the messages for one entry while it is looked up (RT2). */
class Lookup implements Receiver {
  readonly copies = true;
  readonly waiting: { readonly message: Message; readonly to: Address }[] = [];

  receive(message: Message, to: Address): undefined {
    this.waiting.push({ message, to });
  }
}
