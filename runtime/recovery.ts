// Makes the actors of departed nodes again. Every node does this by itself, without a leader: the directory lets one of them win.
// It decides neither who has departed (membership.ts) nor where an actor goes (the placer).
//
//     node departs ─▶ wait for our turn ─▶ its entries ─▶ place ─▶ spawn there with takeover ─▶ one wins (DI1)
//                                             └─ nothing fits, or it failed ─▶ again when the fleet changes
//
// RE1  Survivors take turns in an order that each computes alike: the first at once, the k-th after k × TURN_MS. By then there is
//      usually nothing left for it.
// RE2  An entry without a request, or of an actor whose owner has departed too, is deleted.
// RE3  An entry that could not be recovered stays as it is, and is tried again whenever a node joins or changes, and after RETRY_MS;
//      after RECHECK_MS where the failure says that another try may help.
// RE4  What this node's own lost lease left behind is recovered like a departed node's, once it is back.
// RE5  Processes of single actors recover nobody: their threads belong to their actors. They do hand over their own.
// RE6  Where an actor lived, or asked to live, does not bind where it lives next: that place is gone.

import { createHash } from "node:crypto";
import type { Address } from "./address.ts";
import type { Clock, Timer } from "./clock.ts";
import type { Directory, Found } from "./directory.ts";
import { isFlotillaError, runtimeError } from "./errors.ts";
import type { Movable } from "./holdings.ts";
import type { SpawnRequest } from "./host.ts";
import type { LogLevel } from "./log.ts";
import type { Membership } from "./membership.ts";
import { type Decision, type PlacementRequest, unplaceable } from "./placer.ts";
import { placementOf } from "./placing.ts";

export interface RecoveryOptions {
  readonly membership: Membership;
  readonly directory: Directory;
  readonly clock: Clock;
  readonly log: (level: LogLevel, message: string, data: Readonly<Record<string, unknown>>) => void;
  /** Whether this node has the actor. */
  readonly isHere: (address: Address) => boolean;
  readonly place: (request: PlacementRequest) => Decision | Promise<Decision>;
  /** Makes the actor on that node, this one or another. */
  readonly spawnAt: (node: string, request: SpawnRequest) => Address | Promise<Address>;
}

const TURN_MS = 500;
/** How soon a node that is only missing is looked at again. */
const RECHECK_MS = 1_000;
const RETRY_MS = 30_000;
/** Actors of one node that are made again at once. */
const AT_ONCE = 16;

/** Where `own` stands in the order in which `survivors` recover `departed` (rendezvous hashing, Thaler and Ravishankar 1998). */
export function turnOf(own: string, survivors: readonly string[], departed: string): number {
  const rank = (node: string) => createHash("sha256").update(`${departed}\u0000${node}`).digest("hex");
  const ownRank = rank(own);
  return survivors.filter((node) => node !== own && rank(node) < ownRank).length;
}

export class Recovery {
  readonly #options: RecoveryOptions;
  readonly #waiting = new Map<string, { readonly timer: Timer; readonly dueMs: number }>();
  /** Departed nodes with entries that nobody could recover (RE3). */
  readonly #unfinished = new Set<string>();
  readonly #stopListening: () => void = () => {};
  #closed = false;

  constructor(options: RecoveryOptions) {
    this.#options = options;
    if (options.membership.record.parent !== undefined) return;
    this.#stopListening = options.membership.on((event) => {
      if (event.kind === "left") this.#await(event.record.node);
      else if (event.kind === "joined" || event.kind === "changed")
        for (const node of this.#unfinished) this.#await(node);
      else if (event.kind === "settled" || event.kind === "rejoined") void this.#awaitAll();
    });
  }

  /** Every node that holds entries and is not there: those that departed before this node came, or unseen. */
  async #awaitAll(): Promise<void> {
    const { directory } = this.#options;
    const holders = new Set<string>();
    try {
      for (const found of await directory.list()) if (this.#isLeft(found)) holders.add(found.address.node);
    } catch (error) {
      this.#failed("the names could not be listed", error);
      this.#options.clock.schedule(RECHECK_MS, () => !this.#closed && void this.#awaitAll());
    }
    for (const node of holders) this.#await(node);
  }

  /** Whether an entry's actor is no more, or may be. */
  #isLeft({ address, holder }: Found): boolean {
    if (address.node === this.#options.membership.node) return !this.#options.isHere(address);
    return holder.kind !== "present";
  }

  #await(node: string, delayMs = this.#turnMs(node)): void {
    const { clock } = this.#options;
    const dueMs = clock.monotonic() + delayMs;
    const before = this.#waiting.get(node);
    if (this.#closed || (before !== undefined && before.dueMs <= dueMs)) return;
    before?.timer.cancel();
    const timer = clock.schedule(delayMs, () => {
      this.#waiting.delete(node);
      void this.#recover(node);
    });
    this.#waiting.set(node, { timer, dueMs });
  }

  #turnMs(node: string): number {
    const { membership } = this.#options;
    const nodes = membership.nodes().filter(({ parent }) => parent === undefined);
    const survivors = nodes.map((record) => record.node);
    return TURN_MS * turnOf(membership.node, survivors, node);
  }

  async #recover(node: string): Promise<void> {
    const { membership, directory } = this.#options;
    // Nobody recovers anything without a place of its own: it may be the one that is cut off. It looks again when it is back.
    if (this.#closed || !membership.isValid) return;
    const { kind } = membership.presence(node);
    if (kind === "missing") return this.#await(node, RECHECK_MS);
    if (kind === "present" && node !== membership.node) return;
    this.#unfinished.delete(node);
    try {
      const running = new Set<Promise<void>>();
      for (const found of await directory.list()) {
        if (found.address.node !== node || !this.#isLeft(found)) continue;
        const one: Promise<void> = this.#recoverOne(node, found).finally(() => running.delete(one));
        running.add(one);
        if (running.size >= AT_ONCE) await Promise.race(running);
      }
      await Promise.all(running);
    } catch (error) {
      this.#failed(`the actors of ${node} could not be listed`, error);
      this.#await(node, RECHECK_MS);
    }
  }

  async #recoverOne(node: string, found: Found): Promise<void> {
    const { directory, membership, log } = this.#options;
    const { address, claim, request, owner, detached } = found;
    const what = `${address.type}${request?.name === undefined ? "" : ` "${request.name}"`} of ${node}`;
    try {
      const ownerStands = detached ? "present" : membership.presence(owner).kind;
      if (request === undefined || ownerStands === "departed") return await directory.release(claim);
      // Its owner may be as dead as its node: nothing is made for one who is not there.
      if (ownerStands === "missing") return this.#await(node, RECHECK_MS);
      const moved = await this.#move({ claim, request });
      if (moved !== undefined) log("info", `${what} lives on ${moved.node} now`, { key: claim.key });
    } catch (error) {
      this.#unfinished.add(node);
      this.#failed(`${what} could not be made again`, error);
      // Whoever may give it a place is heard of when it comes (RE3).
      const isSoon = isFlotillaError(error) && error.retryable && error.code !== "Unplaceable";
      this.#await(node, isSoon ? RECHECK_MS : RETRY_MS);
    }
  }

  /** Makes an actor again somewhere; undefined when somebody else did, or it needs no more. Throws why not. */
  async #move({ claim, request }: Pick<Movable, "claim" | "request">): Promise<Address | undefined> {
    const { place, spawnAt } = this.#options;
    const decision = await place(placementOf(request));
    if (decision.kind === "unplaceable") throw runtimeError("Unplaceable", unplaceable(decision));
    try {
      return await spawnAt(decision.node, { ...request, takeover: claim, decision });
    } catch (error) {
      if (isFlotillaError(error, "NameTaken") || isFlotillaError(error, "NoSuchActor")) return undefined;
      throw error;
    }
  }

  /**
   * Moves this node's actors that can live elsewhere, before it leaves: each ends here, keeps its entry and is made again on another node.
   * What fits nowhere now is recovered once this node has left. The record must say `draining` already, or they come back here.
   */
  async handOver(movable: readonly Movable[], surrender: (movable: Movable) => Promise<void>): Promise<void> {
    const queue = [...movable];
    const next = async (): Promise<void> => {
      for (let each = queue.pop(); each !== undefined; each = queue.pop()) {
        await surrender(each);
        await this.#handOverOne(each);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, next));
  }

  async #handOverOne(movable: Movable): Promise<void> {
    const { type, name } = movable.request;
    const what = `${type}${name === undefined ? "" : ` "${name}"`}`;
    try {
      const moved = await this.#move(movable);
      if (moved !== undefined) this.#options.log("info", `${what} was handed over to ${moved.node}`, {});
    } catch (error) {
      if (isFlotillaError(error, "Unplaceable"))
        return this.#options.log("info", `${what} has no other node to live on and waits for one`, {});
      this.#failed(`${what} could not be handed over`, error);
    }
  }

  #failed(what: string, error: unknown): void {
    if (!this.#closed) this.#options.log("warn", what, { error: String(error) });
  }

  close(): void {
    this.#closed = true;
    this.#stopListening();
    for (const { timer } of this.#waiting.values()) timer.cancel();
  }
}
