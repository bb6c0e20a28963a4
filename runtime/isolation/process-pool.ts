// The processes of one node: some warm and waiting, the others with one actor each. Each is a member of the fleet by itself (its own id, its
// own lease), so that calls go to it directly and its death is noticed like a node's; this is only who starts, chooses and ends them.
//
//     request ─▶ a warm one, or a new one ─▶ load the type's module ─▶ spawn there, over the fleet ─▶ its address
//                    └─ another is warmed in its place
//
// PP1  One process, one actor (and what that actor spawns on its own node). Where anything went wrong the process is ended, never used again.
// PP2  A process that has ended without saying so to the fleet is declared gone at once by this node, which has seen it end.
// PP3  At most PROCESSES_MAX at once, of which as many as there are cores start at once.
// PP4  None outlives its node: closed with it, and by themselves or by the guard when it was killed.

import { mkdtemp } from "node:fs/promises";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import type { Address } from "../address.ts";
import type { Clock } from "../clock.ts";
import { runtimeError } from "../errors.ts";
import type { SpawnRequest } from "../host.ts";
import type { LogLevel, LogSink } from "../log.ts";
import type { Membership } from "../membership.ts";
import type { Random } from "../random.ts";
import { Turnstile } from "../turnstile.ts";
import type { Types } from "../types.ts";
import { Child } from "./child.ts";
import { processError } from "./errors.ts";
import { Guard } from "./guard.ts";
import type { JoinOptions } from "./words.ts";

/** What `connect` says about a node's processes. */
export interface ProcessSettings {
  /** The node's name, from which its processes get theirs. */
  readonly name: string;
  readonly join: JoinOptions;
  /** Processes that wait ready. Undefined: one, from the first use on. */
  readonly warm: number | undefined;
}

export interface ProcessPoolOptions extends ProcessSettings {
  readonly node: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: LogSink;
  readonly types: Pick<Types, "moduleOf">;
  readonly membership: Pick<Membership, "bury">;
  /** Has a process, by its node id, make the actor. */
  readonly spawnAt: (node: string, request: SpawnRequest) => Promise<Address>;
}

const PROCESSES_MAX = 256;
/** Names on the server have 64 characters; the rest is "-p", a number and a random part. */
const NAME_MAX_CHARS = 40;

/** One that was started ahead. */
interface Warm {
  readonly starting: Promise<Child>;
  isReady: boolean;
}

/** What all processes of a node share. */
interface Common {
  /** Where their compiled code is kept. */
  readonly folder: string;
  readonly guard: Guard;
}

export class ProcessPool {
  readonly #options: ProcessPoolOptions;
  /** With all that follows on their ends. */
  readonly #children = new Map<Child, Promise<void>>();
  /** In the order in which they were started. */
  readonly #waiting = new Set<Warm>();
  readonly #starts = new Turnstile(availableParallelism());
  /** Modules whose types were wanted before: what later processes import ahead. */
  readonly #modules = new Set<string>();
  #common: Promise<Common> | undefined = undefined;
  #wanted: number;
  #made = 0;
  /** Asked for and not yet among the children. */
  #pending = 0;
  #closed = false;

  constructor(options: ProcessPoolOptions) {
    this.#options = options;
    this.#wanted = options.warm ?? 0;
  }

  /** Starts those that shall wait ready. */
  open(): void {
    while (!this.#closed && this.#waiting.size < this.#wanted && this.size < PROCESSES_MAX) this.#warm();
  }

  /**
   * Makes an actor in a process of its own.
   * Throws ActorModuleInvalid, ProcessFailed, ProcessLimit, Closed, and whatever a spawn throws.
   */
  async spawn(request: SpawnRequest): Promise<Address> {
    const { types, spawnAt, warm = 1 } = this.#options;
    this.#checkOpen();
    const module = types.moduleOf(request);
    this.#wanted = warm;
    const child = await this.#take();
    try {
      if (module !== undefined) {
        await child.load(module, request.type);
        this.#modules.add(module);
      }
      const spawned = spawnAt(child.name, { ...request, process: child.name });
      const address = await child.whileAlive("its actor had started", spawned);
      // The name may be held by somebody elsewhere, which is what was asked for.
      if (address.node === child.name) child.tend(address);
      else void child.end();
      return address;
    } catch (error) {
      void child.end();
      throw error;
    }
  }

  /** A process that has joined the fleet and has no actor yet; another is started in its place. */
  #take(): Promise<Child> {
    const [warm] = this.#waiting;
    if (warm !== undefined) this.#waiting.delete(warm);
    const child = warm?.starting ?? this.#start();
    this.open();
    return child;
  }

  #warm(): void {
    const warm: Warm = { starting: this.#start(), isReady: false };
    this.#waiting.add(warm);
    // One that ends while it waits is replaced; one that cannot even start is not, or that would be tried for ever.
    const replace = () => this.#waiting.delete(warm) && this.open();
    warm.starting.then(
      (child) => {
        warm.isReady = true;
        void child.ended.then(replace);
      },
      (error: unknown) => {
        this.#waiting.delete(warm);
        if (!this.#closed) this.#say("error", "a process could not be started ahead", { error: String(error) });
      },
    );
  }

  /** All there are, those that start included. */
  get size(): number {
    return this.#children.size + this.#pending;
  }

  /** Those that wait and could have an actor at once. */
  get ready(): number {
    return [...this.#waiting].filter(({ isReady }) => isReady).length;
  }

  async #start(): Promise<Child> {
    const { node } = this.#options;
    if (this.size >= PROCESSES_MAX) {
      throw processError("ProcessLimit", `${node} has ${PROCESSES_MAX} processes, the most it may`, { data: { node } });
    }
    this.#pending++;
    return this.#starts.through(async () => {
      const child = await this.#newChild().finally(() => this.#pending--);
      await child.joined;
      return child;
    });
  }

  async #newChild(): Promise<Child> {
    this.#common ??= this.#openCommon();
    const { folder, guard } = await this.#common;
    this.#checkOpen();
    const { node, name, join: options, clock, random, log } = this.#options;
    const child = new Child({
      name: `${name.slice(0, NAME_MAX_CHARS)}-p${++this.#made}-${random.id()}`,
      parent: node,
      join: options,
      modules: [...this.#modules],
      folder,
      clock,
      log,
    });
    const over = child.ended.then(({ inOrder }) => this.#ended(child, inOrder, guard));
    this.#children.set(child, over);
    this.#tell(guard);
    return child;
  }

  async #openCommon(): Promise<Common> {
    const folder = await mkdtemp(join(tmpdir(), "flotilla-processes-"));
    const failed = (error: unknown) =>
      this.#say("warn", "nobody will end this node's processes when it is killed", { error: String(error) });
    return { folder, guard: new Guard(folder, failed) };
  }

  #tell(guard: Guard): void {
    guard.guards([...this.#children.keys()].map(({ pid }) => pid).filter((pid) => pid !== 0));
  }

  async #ended(child: Child, inOrder: boolean, guard: Guard): Promise<void> {
    this.#children.delete(child);
    this.#tell(guard);
    if (inOrder) return;
    this.#say("warn", `the process ${child.name} ${child.why}`, { pid: child.pid });
    await this.#options.membership.bury(child.name).catch((error: unknown) => {
      this.#say("warn", `that ${child.name} has ended is left to its lease to tell`, { error: String(error) });
    });
  }

  #say(level: LogLevel, message: string, data: Readonly<Record<string, unknown>>): void {
    const { node, clock, log } = this.#options;
    log({ level, atMs: clock.now(), node, message, data });
  }

  #checkOpen(): void {
    if (this.#closed) throw runtimeError("Closed", "the system was closed");
  }

  /** From now on nothing is started. */
  refuseNew(): void {
    this.#closed = true;
  }

  /** Has the actors in them that can live elsewhere handed over. */
  async drain(): Promise<void> {
    await Promise.all([...this.#children.keys()].map((child) => child.drain()));
  }

  /** Ends them all, in order where they let it be. May be called twice. */
  async close(): Promise<void> {
    this.refuseNew();
    const endings = [...this.#children.values()];
    for (const child of this.#children.keys()) void child.end();
    await Promise.all(endings);
    await (await this.#common?.catch(() => undefined))?.guard.close();
  }
}
