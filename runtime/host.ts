// All live actors of one process: makes cells, finds them by address, gives them turns, and clears up after them.
// It is not the users' door (system.ts) and knows no other node (peers.ts).
//
// HO1  A cell is found from before its constructor runs until it has ended: messages sent meanwhile wait in its mailbox.
// HO2  A name is claimed before its actor starts and released before anybody hears of its end.
// HO3  `close` ends actors in reverse order of their making.

import type { ActorType } from "./actor.ts";
import { type Address, formatAddress } from "./address.ts";
import { Cell } from "./cell/cell.ts";
import type { CellHost } from "./cell/cell-host.ts";
import { goneFailure } from "./cell/refusal.ts";
import { RunQueue } from "./cell/run-queue.ts";
import type { Directive } from "./cell/supervisor.ts";
import type { Clock } from "./clock.ts";
import type { ValueCodec } from "./codec.ts";
import type { Counts } from "./counts.ts";
import { DeadLetters } from "./dead-letters.ts";
import { type Claim, type Directory, nameKey, since, UNNAMED } from "./directory.ts";
import type { ActorEnd, WireError } from "./envelope.ts";
import { FlotillaError, runtimeError } from "./errors.ts";
import { errorOf } from "./failure.ts";
import { type FleetTies, type Holding, Holdings } from "./holdings.ts";
import { type LogLevel, type LogLine, type LogSink, receiveLogLines } from "./log.ts";
import type { SpawnSettings } from "./options.ts";
import type { Decision, PlacementOptions } from "./placer.ts";
import type { Amounts, Granted } from "./resources.ts";
import type { Store } from "./store.ts";
import type { Tracing } from "./trace.ts";
import type { TypeRequest, Types } from "./types.ts";

/** One spawn, decided and checked: what a host needs to make the actor. */
export interface SpawnRequest extends TypeRequest {
  readonly args: readonly unknown[];
  readonly settings: SpawnSettings;
  readonly name?: string;
  readonly namespace?: string;
  readonly getIfExists?: boolean;
  /** Ends with neither its parent nor the node that spawned it, and comes back when its own dies. */
  readonly detached?: boolean;
  /** Node of the process that spawned it. Default: the node it is made on. */
  readonly owner?: string;
  /** The actor that spawned it. */
  readonly parent?: Address;
  /** What the node that takes it must grant, and where it may live; also when it is made again. */
  readonly resources?: Amounts;
  readonly placement?: PlacementOptions;
  /** What it has been granted there. */
  readonly granted?: Granted;
  /** Why it goes where it goes; kept by the node that takes it (decisions.ts). */
  readonly decision?: Decision;
  /** The process that was made for it, when it shall have one of its own. */
  readonly process?: string;
  /** The entry of a node that has departed, to be taken over: the actor is made again. */
  readonly takeover?: Claim;
}

export interface HostOptions {
  readonly node: string;
  readonly clock: Clock;
  readonly log: LogSink;
  /** Takes what an actor says whose owner is another node. */
  readonly forward: (owner: string, line: LogLine) => void;
  readonly store: Store;
  readonly directory: Directory;
  readonly counts: Counts;
  /** Undefined when nobody records spans. */
  readonly tracing: Tracing | undefined;
  readonly types: Types;
  /** How actors' state is stored. */
  readonly values: ValueCodec;
  readonly startTimeoutMs: number;
  readonly contextOf: (cell: Cell) => unknown;
  /** Absent when this process is alone. */
  readonly fleet?: FleetTies;
}

export class Host implements CellHost {
  readonly clock: Clock;
  readonly startTimeoutMs: number;
  readonly deadLetters = new DeadLetters();
  readonly #options: HostOptions;
  readonly #cells = new Map<string, Cell>();
  /** Ids of actors whose names are being claimed. */
  readonly #claiming = new Set<string>();
  readonly holdings: Holdings;
  readonly #granted = new WeakMap<Cell, Granted>();
  readonly #queue: RunQueue;
  #lastId = 0;
  #closed = false;

  constructor(options: HostOptions) {
    this.#options = options;
    this.clock = options.clock;
    this.startTimeoutMs = options.startTimeoutMs;
    this.#queue = new RunQueue(options.clock);
    const { node, clock, store, directory, values, fleet } = options;
    this.holdings = new Holdings({ node, clock, store, directory, values, fleet, log: this.log.bind(this) });
  }

  /** What can be made here. */
  get types(): Types {
    return this.#options.types;
  }

  get counts(): Counts {
    return this.#options.counts;
  }

  /** Messages that wait in mailboxes here: looks at every actor. */
  get waiting(): number {
    let waiting = 0;
    for (const cell of this.#cells.values()) waiting += cell.waiting;
    return waiting;
  }

  get size(): number {
    return this.#cells.size;
  }

  /** The cell at an address of this node, while it lives. */
  find(address: Address): Cell | undefined {
    return this.#cells.get(address.id);
  }

  /** What this node has granted an actor; undefined when it asked for nothing. */
  grantedOf(cell: Cell): Granted | undefined {
    return this.#granted.get(cell);
  }

  /** Whether an actor at this address is about to be made: others may know of it before this node knows that it has the name. */
  isBeingMade(address: Address): boolean {
    return this.#claiming.has(address.id);
  }

  /** Whether the entry of an actor at this address is in good hands: it lives, is being made, or is being released. */
  isHere(address: Address): boolean {
    return this.#cells.has(address.id) || this.#claiming.has(address.id) || this.holdings.isReleasing(address);
  }

  /** Makes an actor and answers once it has started. Throws as Types.find does, and NameTaken, ActorStartFailed, Closed; on a fleet LeaseLost. */
  spawn(request: SpawnRequest, parent: Cell | undefined): Address | Promise<Address> {
    this.#checkOpen(parent);
    const type = this.#options.types.find(request);
    if (!(type instanceof Promise)) return this.#spawnOf(type, request, parent);
    return type.then((loaded) => {
      // The system or the parent may have ended while the code was loaded.
      this.#checkOpen(parent);
      return this.#spawnOf(loaded, request, parent);
    });
  }

  #spawnOf(registered: ActorType, request: SpawnRequest, parent: Cell | undefined): Address | Promise<Address> {
    const type = this.#options.tracing?.served(registered) ?? registered;
    const address: Address = {
      node: this.#options.node,
      id: String(++this.#lastId),
      type: request.type,
      incarnation: 1,
    };
    this.holdings.check(request);
    const family = request.detached ? undefined : parent;
    const key = this.#keyOf(request, address);
    if (key !== undefined) {
      this.#claiming.add(address.id);
      const held = this.#spawnHeld(request, type, { ...address, key }, key, family);
      return held.finally(() => this.#claiming.delete(address.id));
    }
    return this.#start(this.#make(request, type, address, family), request);
  }

  /** The key of the entry that a new actor needs; undefined when it needs none. */
  #keyOf(request: SpawnRequest, { node, id }: Address): string | undefined {
    const { takeover, namespace = "default", name } = request;
    if (takeover !== undefined) return takeover.key;
    if (name !== undefined) return nameKey(namespace, name);
    // No two actors ever have one id on one node (A1), so nobody else makes this name.
    return this.holdings.isRecoverable(request) ? nameKey(UNNAMED, `${node}/${id}`) : undefined;
  }

  async #spawnHeld(
    request: SpawnRequest,
    type: ActorType,
    address: Address,
    key: string,
    parent?: Cell,
  ): Promise<Address> {
    const { directory, node } = this.#options;
    const { takeover, granted: _, ...again } = request;
    const recoverable = this.holdings.isRecoverable(request);
    const { owner = node, detached = false } = request;
    const entry = { address, owner, detached, ...(recoverable && { request: { ...again, owner } }) };
    const claiming = takeover === undefined ? directory.claim(key, entry) : directory.takeover(takeover, entry);
    const claimed = await claiming.catch((error: unknown) => {
      this.holdings.forget(key, address);
      throw error;
    });
    if (claimed.kind !== "claimed") return this.#notClaimed(request, claimed);
    try {
      // The system, the parent or the owner may have ended, or the lease, while the name was claimed.
      this.#checkOpen(parent);
      this.holdings.check(request);
    } catch (error) {
      await directory.release(claimed.claim);
      throw error;
    }
    const cell = this.#make(request, type, address, parent, { entry, claim: claimed.claim });
    return this.#start(cell, request);
  }

  /** The holder where that will do; throws otherwise. */
  #notClaimed(
    request: SpawnRequest,
    claimed: Exclude<Awaited<ReturnType<Directory["takeover"]>>, { kind: "claimed" }>,
  ): Address {
    const { name = request.takeover?.key, getIfExists, type } = request;
    if (claimed.kind === "released") throw runtimeError("NoSuchActor", `${name} was released and is not recovered`);
    const { by: holder, holder: stands } = claimed;
    const by = formatAddress(holder);
    if (stands.kind === "present") {
      if (getIfExists && holder.type === type) return holder;
      throw runtimeError("NameTaken", `the name "${name}" is held by ${by}`, { data: { name, by } });
    }
    // Soon it is either back or may be taken: whoever asks again will get it.
    throw new FlotillaError("NameTaken", `the name "${name}" is held by ${by}, whose node ${since(stands.sinceMs)}`, {
      retryable: true,
      data: { name, by, silentSinceMs: stands.sinceMs },
    });
  }

  #make(request: SpawnRequest, type: ActorType, address: Address, parent?: Cell, holding?: Holding): Cell {
    const cell = new Cell(this, type, address, request.args, request.settings, parent);
    this.holdings.add(cell, request, holding);
    if (request.granted !== undefined) this.#granted.set(cell, request.granted);
    return cell;
  }

  /** Throws when nobody would be left to end a new actor. */
  #checkOpen(parent: Cell | undefined): void {
    if (this.#closed) throw runtimeError("Closed", "the system was closed");
    if (parent?.isEnded) throw runtimeError("ActorEnded", `${parent.label} has ended and can have no children`);
  }

  #start(cell: Cell, request: SpawnRequest): Address | Promise<Address> {
    this.#cells.set(cell.address.id, cell);
    this.counts.spawned++;
    const why = cell.start();
    if (why === undefined) return cell.address;
    return why instanceof Promise
      ? why.then((late) => this.#started(cell, request, late))
      : this.#started(cell, request, why);
  }

  #started(cell: Cell, request: SpawnRequest, why: WireError | undefined): Address {
    if (why === undefined) return cell.address;
    if (request.takeover === undefined) {
      cell.kill();
      throw errorOf(why);
    }
    // Nobody waits for an actor that is made again: its supervisor decides, as after any other failure.
    cell.fail(why);
    return cell.address;
  }

  // What cells ask of their host ------------------------------------------------------------------------------------------

  schedule(cell: Cell): void {
    this.#queue.add(cell);
  }

  contextOf(cell: Cell): unknown {
    return this.#options.contextOf(cell);
  }

  ended(cell: Cell): void {
    this.#cells.delete(cell.address.id);
    this.holdings.ended(cell);
  }

  failed(cell: Cell, why: WireError, directive: Directive["kind"]): void {
    if (directive === "restart") this.counts.restarted++;
    const data = { code: why.code, directive, stack: why.cause?.stack };
    this.log("error", `failed: ${why.message}; ${directive}`, data, cell);
  }

  deadLetter(to: Address, method: string, why: WireError): void {
    this.deadLetters.add(this.clock.now(), to, method, why);
    this.log("warn", `dead letter: ${to.type}.${method}: ${why.message}`, { code: why.code, to: formatAddress(to) });
  }

  log(level: LogLevel, message: string, data: Readonly<Record<string, unknown>> = {}, cell?: Cell): void {
    const { node } = this.#options;
    const line = { level, atMs: this.clock.now(), node, message, data, ...(cell && { actor: cell.label }) };
    this.#options.log(line);
    const owner = cell && this.holdings.ownerOf(cell);
    if (owner !== undefined) this.#options.forward(owner, line);
  }

  /** Takes lines that actors of ours have logged on another node. Answers how many were none. */
  hear(from: string, lines: unknown): number {
    return receiveLogLines(from, lines, this.#options.log);
  }

  // Ends --------------------------------------------------------------------------------------------------------------------

  async stop(address: Address, timeoutMs: number): Promise<void> {
    await this.find(address)?.stop(timeoutMs);
  }

  kill(address: Address): void {
    this.find(address)?.kill();
  }

  /** Calls `onEnd` once, at once (in a microtask) when nobody is there. Answers how to take that back. */
  watch(address: Address, onEnd: (end: ActorEnd) => void): () => void {
    const cell = this.find(address);
    if (cell !== undefined) return cell.life.watch(onEnd);
    let wanted = true;
    queueMicrotask(() => wanted && onEnd({ address, reason: "unknown", error: goneFailure(formatAddress(address)) }));
    return () => {
      wanted = false;
    };
  }

  /** From now on nothing is made here. */
  refuseNew(): void {
    this.#closed = true;
  }

  /** Ends all actors: what they have in hand within `timeoutMs` for all of them together. */
  async close(timeoutMs: number): Promise<void> {
    this.#closed = true;
    const untilMs = this.clock.monotonic() + timeoutMs;
    for (const cell of [...this.#cells.values()].reverse()) {
      if (cell.parent === undefined) await cell.stop(Math.max(0, untilMs - this.clock.monotonic()));
    }
    this.holdings.close();
  }
}
