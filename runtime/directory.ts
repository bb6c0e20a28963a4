// Actor name → address, over the Store port, so that it means the same in one process and on a fleet.
// It is not what keeps a name's holder alive or takes a dead one's name away (leases come with the NATS forms).
//
// DI1  Of any number of claims for one name exactly one wins; the others are told who did.
// DI2  A name is released only by the claim that holds it.

import { createHash } from "node:crypto";
import type { Address } from "./address.ts";
import type { Store } from "./store.ts";

/** A name held: what is needed to release it. */
export interface Claim {
  readonly key: string;
  readonly revision: number;
}

export type Claimed =
  | { readonly kind: "claimed"; readonly claim: Claim }
  | { readonly kind: "taken"; readonly by: Address };

/** Rounds against names that vanish between the refused claim and the look at who holds them. */
const ATTEMPTS_MAX = 10;

/** Subjects have room for two of these: longer ones become their hash, marked by what base64url never begins with. */
const TOKEN_MAX = 80;

export function token(text: string): string {
  const encoded = Buffer.from(text).toString("base64url");
  return encoded.length <= TOKEN_MAX ? encoded : `=${createHash("sha256").update(text).digest("base64url")}`;
}

const keyOf = (namespace: string, name: string): string => `name.${token(namespace)}.${token(name)}`;

const addressFrom = (value: Uint8Array): Address => JSON.parse(new TextDecoder().decode(value));

export class Directory {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  async claim(namespace: string, name: string, address: Address): Promise<Claimed> {
    const key = keyOf(namespace, name);
    const value = new TextEncoder().encode(JSON.stringify(address));
    for (let attempt = 1; ; attempt++) {
      const written = await this.#store.create(key, value);
      if (written.kind === "written") return { kind: "claimed", claim: { key, revision: written.revision } };
      const holder = written.current ?? (await this.#store.get(key));
      if (holder !== undefined) return { kind: "taken", by: addressFrom(holder.value) };
      if (attempt === ATTEMPTS_MAX)
        throw new Error(`the name ${name} was released ${attempt} times while it was claimed`);
    }
  }

  async find(namespace: string, name: string): Promise<Address | undefined> {
    const entry = await this.#store.get(keyOf(namespace, name));
    return entry === undefined ? undefined : addressFrom(entry.value);
  }

  async release(claim: Claim): Promise<void> {
    await this.#store.delete(claim.key, claim.revision);
  }
}
