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
import { DeadLetters } from "./dead-letters.ts";
import type { Claim, Directory } from "./directory.ts";
import type { ActorEnd, WireError } from "./envelope.ts";
import { runtimeError } from "./errors.ts";
import { errorOf } from "./failure.ts";
import type { LogLevel, LogSink } from "./log.ts";
import type { SpawnSettings } from "./options.ts";

/** One spawn, decided and checked: what a host needs to make the actor. */
export interface SpawnRequest {
  readonly type: string;
  readonly args: readonly unknown[];
  readonly settings: SpawnSettings;
  readonly name?: string;
  readonly namespace?: string;
  readonly getIfExists?: boolean;
}

export interface HostOptions {
  readonly node: string;
  readonly clock: Clock;
  readonly log: LogSink;
  readonly directory: Directory;
  readonly startTimeoutMs: number;
  readonly contextOf: (cell: Cell) => unknown;
}

export class Host implements CellHost {
  readonly clock: Clock;
  readonly startTimeoutMs: number;
  readonly deadLetters = new DeadLetters();
  readonly #options: HostOptions;
  readonly #cells = new Map<string, Cell>();
  readonly #types = new Map<string, ActorType>();
  readonly #claims = new Map<Cell, Claim>();
  readonly #queue: RunQueue;
  #lastId = 0;
  #closed = false;

  constructor(options: HostOptions) {
    this.#options = options;
    this.clock = options.clock;
    this.startTimeoutMs = options.startTimeoutMs;
    this.#queue = new RunQueue(options.clock);
  }

  get size(): number {
    return this.#cells.size;
  }

  /** Makes a type known, so that it can be spawned from elsewhere by its name. Throws InvalidOption for two classes of one name. */
  register(type: ActorType): void {
    const known = this.#types.get(type.type);
    if (known === type) return;
    if (known !== undefined && known.actorClass !== type.actorClass) {
      throw runtimeError("InvalidOption", `two classes are called "${type.type}"; give one of them another type name`);
    }
    this.#types.set(type.type, type);
  }

  typeOf(name: string): ActorType | undefined {
    return this.#types.get(name);
  }

  /** The cell at an address of this node, while it lives. */
  find(address: Address): Cell | undefined {
    return this.#cells.get(address.id);
  }

  /** Makes an actor and answers once it has started. Throws UnknownActorType, NameTaken, ActorStartFailed, Closed. */
  spawn(request: SpawnRequest, parent: Cell | undefined): Address | Promise<Address> {
    this.#checkOpen(parent);
    const type = this.#types.get(request.type);
    if (type === undefined) {
      const known = [...this.#types.keys()].join(", ") || "none";
      throw runtimeError(
        "UnknownActorType",
        `no actor type "${request.type}" on ${this.#options.node}; known: ${known}`,
      );
    }
    const address: Address = {
      node: this.#options.node,
      id: String(++this.#lastId),
      type: request.type,
      incarnation: 1,
    };
    if (request.name !== undefined) return this.#spawnNamed(request, request.name, type, address, parent);
    const cell = new Cell(this, type, address, request.args, request.settings, parent);
    return this.#start(cell);
  }

  async #spawnNamed(
    request: SpawnRequest,
    name: string,
    type: ActorType,
    address: Address,
    parent?: Cell,
  ): Promise<Address> {
    const claimed = await this.#options.directory.claim(request.namespace ?? "default", name, address);
    if (claimed.kind === "taken") {
      if (request.getIfExists && claimed.by.type === request.type) return claimed.by;
      const by = formatAddress(claimed.by);
      throw runtimeError("NameTaken", `the name "${name}" is held by ${by}`, { data: { name, by } });
    }
    try {
      // The system or the parent may have ended while the name was claimed.
      this.#checkOpen(parent);
    } catch (error) {
      await this.#options.directory.release(claimed.claim);
      throw error;
    }
    const cell = new Cell(this, type, address, request.args, request.settings, parent);
    this.#claims.set(cell, claimed.claim);
    return this.#start(cell);
  }

  /** Throws when nobody would be left to end a new actor. */
  #checkOpen(parent: Cell | undefined): void {
    if (this.#closed) throw runtimeError("Closed", "the system was closed");
    if (parent?.isEnded) throw runtimeError("ActorEnded", `${parent.label} has ended and can have no children`);
  }

  #start(cell: Cell): Address | Promise<Address> {
    this.#cells.set(cell.address.id, cell);
    const why = cell.start();
    if (why === undefined) return cell.address;
    return why instanceof Promise ? why.then((late) => this.#started(cell, late)) : this.#started(cell, why);
  }

  #started(cell: Cell, why: WireError | undefined): Address {
    if (why === undefined) return cell.address;
    cell.kill();
    throw errorOf(why);
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
    const claim = this.#claims.get(cell);
    if (claim === undefined) return;
    this.#claims.delete(cell);
    this.#options.directory
      .release(claim)
      .catch((error: unknown) => this.log("warn", "a name was not released", { error: String(error) }, cell));
  }

  failed(cell: Cell, why: WireError, directive: Directive["kind"]): void {
    const data = { code: why.code, directive, stack: why.cause?.stack };
    this.log("error", `failed: ${why.message}; ${directive}`, data, cell);
  }

  deadLetter(to: Address, method: string, why: WireError): void {
    this.deadLetters.add(this.clock.now(), to, method, why);
    this.log("warn", `dead letter: ${to.type}.${method}: ${why.message}`, { code: why.code, to: formatAddress(to) });
  }

  log(level: LogLevel, message: string, data: Readonly<Record<string, unknown>> = {}, cell?: Cell): void {
    const { node } = this.#options;
    this.#options.log({ level, atMs: this.clock.now(), node, message, data, ...(cell && { actor: cell.label }) });
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

  /** Ends all actors: what they have in hand within `timeoutMs` for all of them together. */
  async close(timeoutMs: number): Promise<void> {
    this.#closed = true;
    const untilMs = this.clock.monotonic() + timeoutMs;
    for (const cell of [...this.#cells.values()].reverse()) {
      if (cell.parent === undefined) await cell.stop(Math.max(0, untilMs - this.clock.monotonic()));
    }
  }
}
