// Actor name → who has it and how to make it again, over the Store port, so that it means the same in one process and on a fleet.
// It does not keep a holder alive: an entry stands for as long as its holder's node is there (membership.ts), and longer, until somebody
// takes it over or deletes it.
//
//     name.<namespace>.<name> ─▶ { address, owner, detached, request? }     revision = fence token
//
// DI1  Of any number of claims and takeovers of one name exactly one wins; the others are told who did.
// DI2  An entry is written by claim, takeover and release only, never renewed, so its revision stays the fence of its holder's writes.
// DI3  A name is released only by the claim that holds it.
// DI4  An entry is taken from its holder only when the holder's node is known to have departed: never on what a node has not been heard
//      of for a while.

import { type Address, formatAddress } from "./address.ts";
import { Codec, type ValueCodec } from "./codec.ts";
import type { WireError } from "./envelope.ts";
import { runtimeError } from "./errors.ts";
import { failure } from "./failure.ts";
import type { SpawnRequest } from "./host.ts";
import type { Presence } from "./roll.ts";
import { type Entry, type Fence, listEntries, type Store, type Written } from "./store.ts";
import { token } from "./token.ts";

/** A name held: what is needed to release it, and the fence of its holder's durable writes. */
export type Claim = Fence;

/** What is stored under a name. */
export interface NameEntry {
  readonly address: Address;
  /** The node that spawned the actor: it ends with it unless detached. */
  readonly owner: string;
  readonly detached: boolean;
  /** How to make the actor again on another node; absent when it shall not be. */
  readonly request?: SpawnRequest;
}

/** An entry as found. `holder`: how the node that has it stands. */
export interface Found extends NameEntry {
  readonly claim: Claim;
  readonly holder: Presence;
}

export type Claimed =
  | { readonly kind: "claimed"; readonly claim: Claim }
  | { readonly kind: "taken"; readonly by: Address; readonly holder: Presence };

/** `unsettled`: there is a holder, and it cannot be reached now but may be soon. */
export type Located =
  | { readonly kind: "at"; readonly address: Address }
  | { readonly kind: "absent" }
  | { readonly kind: "unsettled"; readonly why: string };

export interface DirectoryOptions {
  /** Told of each entry that a list passes over because it is none of ours. */
  readonly onUnreadable?: (key: string) => void;
  /** How a node stands. Default: every node is there, as in one process. */
  readonly presence?: (node: string) => Presence;
  /** How entries are stored; makes the handles that a request's arguments may hold. Default: addresses stay addresses. */
  readonly values?: ValueCodec;
}

/** The namespace of names that nobody chose: those of actors that must be found again after a move. Users cannot name it. */
export const UNNAMED = "-";

/** Rounds against names that vanish between the refused claim and the look at who holds them. */
const ATTEMPTS_MAX = 10;

export const nameKey = (namespace: string, name: string): string => `name.${token(namespace)}.${token(name)}`;

/** Whether `key` is that of a name that somebody chose. */
export const isChosen = (key: string): boolean => !key.startsWith(`name.${token(UNNAMED)}.`);

export class Directory {
  readonly #store: Store;
  readonly #presence: (node: string) => Presence;
  readonly #values: ValueCodec;
  readonly #onUnreadable: (key: string) => void;

  constructor(store: Store, options: DirectoryOptions = {}) {
    this.#store = store;
    this.#presence = options.presence ?? (() => ({ kind: "present" }));
    this.#onUnreadable = options.onUnreadable ?? (() => {});
    this.#values = options.values ?? new Codec().values((address) => address);
  }

  /** Claims a key (`nameKey`) that is free, or held by a node that has departed (DI4). Throws EntryUnreadable, and what the store throws. */
  async claim(key: string, entry: NameEntry): Promise<Claimed> {
    const value = this.#values.encode(entry, "the spawn request");
    let written = await this.#store.create(key, value);
    for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt++) {
      if (written.kind === "written") return { kind: "claimed", claim: { key, revision: written.revision } };
      const current = written.current ?? (await this.#store.get(key));
      if (current === undefined) {
        written = await this.#store.create(key, value);
        continue;
      }
      const { address, holder, claim } = this.#found(current);
      // Our own claim, whose first answer got lost.
      if (isSameActor(address, entry.address)) return { kind: "claimed", claim };
      if (holder.kind !== "departed") return { kind: "taken", by: address, holder };
      written = await this.#store.update(key, value, claim.revision);
    }
    throw runtimeError("Unavailable", `a name changed hands ${ATTEMPTS_MAX} times while it was claimed (${key})`);
  }

  /** Claims what stands at `from`, and nothing else: one of those who recover it wins. `released`: there is nothing left to recover. */
  async takeover(from: Claim, entry: NameEntry): Promise<Claimed | { readonly kind: "released" }> {
    const { key } = from;
    const written: Written = await this.#store.update(
      key,
      this.#values.encode(entry, "the spawn request"),
      from.revision,
    );
    if (written.kind === "written") return { kind: "claimed", claim: { key, revision: written.revision } };
    const current = written.current ?? (await this.#store.get(key));
    if (current === undefined) return { kind: "released" };
    const { address, holder, claim } = this.#found(current);
    return isSameActor(address, entry.address) ? { kind: "claimed", claim } : { kind: "taken", by: address, holder };
  }

  async find(key: string): Promise<Found | undefined> {
    const entry = await this.#store.get(key);
    return entry === undefined ? undefined : this.#found(entry);
  }

  /** Every entry there is now. */
  async list(): Promise<readonly Found[]> {
    const found: Found[] = [];
    for (const entry of await listEntries(this.#store, "name.*.*")) {
      // One that somebody else wrote must not keep the others from being recovered.
      const read = this.#read(entry);
      if (read === undefined) this.#onUnreadable(entry.key);
      else found.push(read);
    }
    return found;
  }

  /** Where the holder of a key can be reached. `silent`: an address that has not answered as its actor, so that it is no answer. */
  async locate(key: string, silent?: Address): Promise<Located> {
    const found = await this.find(key);
    if (found === undefined) return { kind: "absent" };
    const { address, holder, request } = found;
    if (holder.kind === "present" && !isSameActor(address, silent)) return { kind: "at", address };
    if (holder.kind === "missing")
      return { kind: "unsettled", why: `its node ${address.node} ${since(holder.sinceMs)}` };
    if (request === undefined) return { kind: "absent" };
    return { kind: "unsettled", why: `it is being moved from ${address.node} to another node` };
  }

  /** Where the actor of an address lives now that it cannot be reached there; otherwise what its callers are told. */
  async resolve(address: Address, isSilent = true): Promise<Address | WireError> {
    const { key, node } = address;
    const label = formatAddress(address);
    if (key !== undefined) {
      const located = await this.locate(key, isSilent ? address : undefined);
      if (located.kind === "at") return located.address;
      if (located.kind === "unsettled") return failure("Unavailable", `${label} cannot be reached: ${located.why}`);
      return failure("NoSuchActor", `${label} is no more`, { address: label });
    }
    const stands = this.#presence(node);
    if (stands.kind === "missing")
      return failure("Unavailable", `${label} cannot be reached: its node ${since(stands.sinceMs)}`);
    return failure("NoSuchActor", `no actor at ${label}: its node is no more`, { address: label });
  }

  /** Deletes what `claim` holds (DI3). Done when somebody else holds it. */
  async release(claim: Claim): Promise<void> {
    await this.#store.delete(claim.key, claim.revision);
  }

  /** Deletes the entry of an actor whose claim's outcome nobody heard of. */
  async forget(key: string, address: Address): Promise<void> {
    const found = await this.find(key);
    if (found !== undefined && isSameActor(found.address, address)) await this.release(found.claim);
  }

  #found(entry: Entry): Found {
    const found = this.#read(entry);
    if (found === undefined) throw unreadable(entry.key);
    return found;
  }

  #read({ key, revision, value }: Entry): Found | undefined {
    const entry = nameEntryIn(() => this.#values.decode(value));
    return entry && { ...entry, claim: { key, revision }, holder: this.#presence(entry.address.node) };
  }
}

/** The entry that `decode` answers with; undefined for anything else. */
function nameEntryIn(decode: () => unknown): NameEntry | undefined {
  try {
    const entry = decode() as NameEntry;
    const { node, id, type, incarnation } = entry.address;
    const isEntry =
      [node, id, type, entry.owner].every((text) => typeof text === "string") &&
      Number.isSafeInteger(incarnation) &&
      typeof entry.detached === "boolean" &&
      (entry.request === undefined || typeof entry.request?.type === "string");
    return isEntry ? entry : undefined;
  } catch {
    return undefined;
  }
}

/** What is stored under the key is none of ours. */
export const unreadable = (key: string) =>
  runtimeError("EntryUnreadable", `what is stored under ${key} is no entry of ours`, { data: { key } });

/** "has not been heard of since …": for messages. */
export const since = (ms: number): string => `has not been heard of since ${new Date(ms).toISOString()}`;

function isSameActor(address: Address, other: Address | undefined): boolean {
  return address.node === other?.node && address.id === other.id;
}
