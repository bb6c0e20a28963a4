// What this node holds in the fleet on behalf of its actors: their names, and the ties that end them: the node that spawned an actor, the
// parent on another node, this node's own lease. It makes and ends no actor by itself but by these ties.
//
// HL1  A claim is released before anybody hears of its actor's end, and again and again until the store has heard.
// HL2  When this node's lease is lost, every actor that has an entry or a foreign owner ends (LeaseLost). Their entries stay: they are
//      recovery's to move or delete, and may be another's by now.
// HL3  An actor that is not detached ends when the node that spawned it has departed, or its parent on another node has ended.

import { type Address, formatAddress } from "./address.ts";
import type { Cell } from "./cell/cell.ts";
import { movedFailure } from "./cell/refusal.ts";
import type { Clock } from "./clock.ts";
import type { ValueCodec } from "./codec.ts";
import { type Claim, type Directory, isChosen, type NameEntry } from "./directory.ts";
import type { ActorEnd } from "./envelope.ts";
import { runtimeError } from "./errors.ts";
import { failure } from "./failure.ts";
import { FencedKeys } from "./fenced-keys.ts";
import type { SpawnRequest } from "./host.ts";
import type { LogLevel } from "./log.ts";
import type { Membership } from "./membership.ts";
import { Reminders } from "./reminders.ts";
import { type ActorState, stateOf } from "./state.ts";
import type { Store } from "./store.ts";

/** What a node on a fleet has beyond one that is alone. */
export interface FleetTies {
  readonly membership: Membership;
  /** Calls `onEnd` when an actor on another node ends. Answers how to take that back. */
  watchRemote(address: Address, onEnd: (end: ActorEnd) => void): () => void;
}

export interface HoldingsOptions {
  readonly node: string;
  readonly clock: Clock;
  readonly store: Store;
  readonly values: ValueCodec;
  readonly directory: Directory;
  readonly fleet: FleetTies | undefined;
  readonly log: (level: LogLevel, message: string, data: Readonly<Record<string, unknown>>) => void;
}

/** What a named actor has that outlives it. */
export interface Durables {
  readonly fence: number;
  readonly state: ActorState;
  readonly reminders: Reminders;
}

/** An actor that recovery may move: its entry and how to make it. */
export interface Movable {
  readonly cell: Cell;
  readonly claim: Claim;
  readonly request: SpawnRequest;
}

/** An actor's entry in the directory and the claim that wrote it. */
export interface Holding {
  readonly entry: NameEntry;
  readonly claim: Claim;
}

const RETRY_MS = 1_000;
/** Actors that live on elsewhere and are remembered. */
const LEFT_MAX = 10_000;
/** What an actor that loses its owner or parent may take to finish. */
const STOP_TIMEOUT_MS = 5_000;

export class Holdings {
  readonly #options: HoldingsOptions;
  readonly #held = new Map<Cell, Holding>();
  readonly #durables = new Map<Cell, Durables>();
  readonly #lost = new WeakSet<Cell>();
  readonly #owned = new Map<string, Set<Cell>>();
  /** Nodes that spawned actors here, also of detached ones. */
  readonly #owners = new WeakMap<Cell, string>();
  readonly #ties = new Map<Cell, () => void>();
  /** Actors that live on elsewhere, or will: id → entry. Whoever still looks for them here is told so. */
  readonly #left = new Map<string, string>();
  /** Addresses whose entries are being deleted (HL1). */
  readonly #releasing = new Set<string>();
  #closed = false;

  constructor(options: HoldingsOptions) {
    this.#options = options;
    options.fleet?.membership.on((event) => {
      if (event.kind === "lost") this.loseAll(event.why);
      if (event.kind === "left" || event.kind === "settled") this.#endOrphans();
    });
  }

  /** Whether an actor made so gets an entry that lets it come back on another node. One whose owner would die with this node does not. */
  isRecoverable({ detached, owner = this.#options.node, settings }: SpawnRequest): boolean {
    if (this.#options.fleet === undefined) return false;
    return detached === true || (settings.restart.maxRestarts > 0 && owner !== this.#options.node);
  }

  /** Throws when an actor made for `request` now would have nobody to belong to, or could not be held. */
  check(request: SpawnRequest): void {
    const { fleet, node } = this.#options;
    if (fleet === undefined) return;
    const { owner = node, detached = false } = request;
    if (!detached && owner !== node && fleet.membership.presence(owner).kind === "departed") {
      throw runtimeError("ActorEnded", `the node ${owner}, which asked for this ${request.type}, is no more`);
    }
    const isHeld = request.name !== undefined || owner !== node || this.isRecoverable(request);
    if (isHeld && !fleet.membership.isValid) throw runtimeError("LeaseLost", `${node} has no lease now`);
  }

  /** Ties a new actor to what it must end with. */
  add(cell: Cell, request: SpawnRequest, holding: Holding | undefined): void {
    if (holding !== undefined) this.#hold(cell, holding);
    const { owner, detached = false, parent } = request;
    if (owner !== undefined) this.#owners.set(cell, owner);
    if (owner !== undefined && owner !== this.#options.node && !detached) {
      const cells = this.#owned.get(owner) ?? new Set();
      this.#owned.set(owner, cells.add(cell));
    }
    const { fleet } = this.#options;
    if (parent !== undefined && parent.node !== this.#options.node && !detached && fleet !== undefined) {
      this.#ties.set(
        cell,
        fleet.watchRemote(parent, (end) => this.#parentEnded(cell, end)),
      );
    }
  }

  #hold(cell: Cell, holding: Holding): void {
    this.#held.set(cell, holding);
    const { claim } = holding;
    if (!isChosen(claim.key)) return;
    const { store, values, clock, fleet } = this.#options;
    const isValid = () => fleet?.membership.isValid ?? true;
    const keys = new FencedKeys({ store, values, cell, claim, isValid, onFenced: (why) => this.lose(cell, why) });
    const reminders = new Reminders(keys, cell, clock);
    this.#durables.set(cell, { fence: keys.fence, state: stateOf(keys), reminders });
    reminders.start();
  }

  /** The other node that spawned an actor, or the ancestor here that it belongs to; undefined when that is this one. */
  ownerOf(cell: Cell): string | undefined {
    let eldest = cell;
    while (eldest.parent !== undefined) eldest = eldest.parent;
    const owner = this.#owners.get(eldest);
    return owner === this.#options.node ? undefined : owner;
  }

  /** What outlives an actor. Throws InvalidOption for one without a name of its own, LeaseLost and ActorEnded for one that has ended. */
  durablesOf(cell: Cell): Durables {
    const durables = this.#durables.get(cell);
    if (durables !== undefined) return durables;
    if (this.#lost.has(cell)) throw runtimeError("LeaseLost", `${cell.label} lost its name`);
    if (cell.isEnded) throw runtimeError("ActorEnded", `${cell.label} has ended`);
    throw runtimeError("InvalidOption", `${cell.label} has no name to keep things under; spawn it with a name`);
  }

  /** Actors that another node could take. */
  movable(): Movable[] {
    return [...this.#held].flatMap(([cell, { entry, claim }]) =>
      entry.request === undefined ? [] : [{ cell, claim, request: entry.request }],
    );
  }

  /** The entry of an actor that was here and has been left to whoever makes it next; undefined for any other. */
  entryLeft(address: Address): string | undefined {
    return this.#left.get(address.id);
  }

  #leave(cell: Cell): void {
    const holding = this.#held.get(cell);
    this.#held.delete(cell);
    if (holding?.entry.request === undefined) return;
    if (this.#left.size >= LEFT_MAX) this.#left.clear();
    this.#left.set(cell.address.id, holding.claim.key);
  }

  /** Leaves an actor's entry to whoever makes it next, and ends it here. */
  async surrender(cell: Cell): Promise<void> {
    this.#leave(cell);
    await cell.stop(STOP_TIMEOUT_MS, movedFailure(cell.label));
  }

  /** Ends an actor whose hold on its name turned out to be void (HL2). */
  lose(cell: Cell, why: string): void {
    this.#leave(cell);
    this.#lost.add(cell);
    cell.kill(failure("LeaseLost", `${cell.label} is no longer held by ${this.#options.node}: ${why}`));
  }

  loseAll(why: string): void {
    const foreign = [...this.#owned.values()].flatMap((cells) => [...cells]);
    for (const cell of new Set([...this.#held.keys(), ...foreign])) this.lose(cell, why);
  }

  /** Lets go of everything an actor held (HL1). */
  ended(cell: Cell): void {
    this.#ties.get(cell)?.();
    this.#ties.delete(cell);
    for (const [owner, cells] of this.#owned) if (cells.delete(cell) && cells.size === 0) this.#owned.delete(owner);
    this.#durables.get(cell)?.reminders.close();
    this.#durables.delete(cell);
    const claim = this.#held.get(cell)?.claim;
    this.#held.delete(cell);
    if (claim === undefined) return;
    this.#until("a name was not released", cell.address, () => this.#options.directory.release(claim));
  }

  /** Whether the entry of an actor that has ended is still being deleted. */
  isReleasing(address: Address): boolean {
    return this.#releasing.has(address.id);
  }

  /** An entry that may have been written or not: deletes it if it is this actor's. */
  forget(key: string, address: Address): void {
    this.#until("a name was not cleared", address, () => this.#options.directory.forget(key, address));
  }

  #until(what: string, address: Address, run: () => Promise<void>): void {
    this.#releasing.add(address.id);
    const done = () => this.#releasing.delete(address.id);
    run().then(done, (error: unknown) => {
      if (this.#closed) return;
      const data = { address: formatAddress(address), error: String(error) };
      this.#options.log("warn", `${what}; it is tried again`, data);
      this.#options.clock.schedule(RETRY_MS, () => !this.#closed && this.#until(what, address, run));
    });
  }

  #parentEnded(cell: Cell, end: ActorEnd): void {
    // Not reached now: whether its node is no more is membership's to say.
    if (end.error?.code === "Unavailable") return;
    void cell.stop(STOP_TIMEOUT_MS);
  }

  #endOrphans(): void {
    for (const [owner, cells] of [...this.#owned]) {
      if (this.#options.fleet?.membership.presence(owner).kind !== "departed") continue;
      for (const cell of [...cells]) void cell.stop(STOP_TIMEOUT_MS);
    }
  }

  close(): void {
    this.#closed = true;
  }
}
