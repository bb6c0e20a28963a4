// The processes and threads that hold one actor each, of one node; some processes are warm and waiting. Each is a member of the fleet by itself
// (its own id, its own lease), so that calls go to it directly and its death is noticed like a node's; this is only who starts, chooses and
// ends them. Processes and threads differ only in their vessels (vessel.ts); where nothing else is said, "process" means both here.
//
//     request ─▶ a warm one, or a new one ─▶ its environment, the type's module ─▶ spawn there, over the fleet ─▶ its address
//                    └─ another is warmed in its place
//
// PP1  One process, one actor (and what that actor spawns on its own node). Where anything went wrong the process is ended, never used again.
// PP2  A process that has ended without saying so to the fleet is declared gone at once by this node, which has seen it end, and says why.
// PP3  At most PROCESSES_MAX at once, of which as many as there are cores start at once.
// PP4  None outlives its node: closed with it, and by themselves or by the guard when it was killed.
// PP5  Warm ones are for the plain case. An actor with an environment gets one in which no module has run; one with a bound on its memory gets
//      a new one, since V8 takes a bound at its start only; a thread is always new.
// PP6  One that the fleet takes for dead, because its actor does not let it renew its lease, is ended unless it comes back soon, as one on a
//      busy machine does: nobody would hear of it again.

import { mkdtemp } from "node:fs/promises";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import type { Address } from "../address.ts";
import type { Clock, Timer } from "../clock.ts";
import { runtimeError } from "../errors.ts";
import type { SpawnRequest } from "../host.ts";
import type { LogLevel, LogSink } from "../log.ts";
import type { Membership } from "../membership.ts";
import { refuse } from "../options.ts";
import type { Random } from "../random.ts";
import type { Granted } from "../resources.ts";
import { Turnstile } from "../turnstile.ts";
import type { Types } from "../types.ts";
import { type Cgroup, type MemoryBound, memoryBound } from "./cgroup.ts";
import { Child, type ChildEnd } from "./child.ts";
import { processError } from "./errors.ts";
import { Guard } from "./guard.ts";
import { ProcessVessel } from "./process-vessel.ts";
import { ThreadVessel } from "./thread-vessel.ts";
import type { VesselKind, VesselOptions } from "./vessel.ts";
import type { JoinOptions } from "./words.ts";

/** What `connect` says about a node's processes. */
export interface ProcessSettings {
  /** The node's name, from which its processes get theirs. */
  readonly name: string;
  readonly join: JoinOptions;
  /** Processes that wait ready. Undefined: one, from the first use of a process on. */
  readonly warm: number | undefined;
}

export interface ProcessPoolOptions extends ProcessSettings {
  readonly node: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: LogSink;
  readonly types: Pick<Types, "moduleOf">;
  readonly membership: Pick<Membership, "bury" | "on">;
  /** Has a process, by its node id, make the actor. */
  readonly spawnAt: (node: string, request: SpawnRequest) => Promise<Address>;
}

const PROCESSES_MAX = 256;
/** For one that is taken for dead and lives. */
const COME_BACK_MS = 5_000;
/** A process that does nothing holds about 90 MiB, a thread 30. */
const MEMORY_MIN_BYTES = 128 * 2 ** 20;
/** Names on the server have 64 characters; the rest is "-p" or "-t", a number and a random part. */
const NAME_MAX_CHARS = 40;

/** One that was started ahead. */
interface Warm {
  readonly starting: Promise<Child>;
  /** Whether no module runs in it yet. */
  readonly isBare: boolean;
  isReady: boolean;
}

/** What one shall be like. */
interface Shape {
  readonly kind: VesselKind;
  /** The most memory it may take; absent: what Node allows a heap. */
  readonly memoryBytes?: number;
  /** What it imports ahead. */
  readonly modules: readonly string[];
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
  /** Those that are taken for dead, by name: when they are ended. */
  readonly #missing = new Map<string, Timer>();
  /** In the order in which they were started. */
  readonly #waiting = new Set<Warm>();
  readonly #starts = new Turnstile(availableParallelism());
  /** Modules whose types were wanted before: what later processes import ahead. */
  readonly #modules = new Set<string>();
  #common: Promise<Common> | undefined = undefined;
  readonly #stopListening: () => void;
  #bound: Promise<MemoryBound> | undefined = undefined;
  #wanted: number;
  #made = 0;
  /** Asked for and not yet among the children. */
  #pending = 0;
  #closed = false;

  constructor(options: ProcessPoolOptions) {
    this.#options = options;
    this.#wanted = options.warm ?? 0;
    this.#stopListening = options.membership.on((event) => {
      if (event.kind === "left" && event.reason === "dead") this.#declaredDead(event.record.node);
      if (event.kind === "joined") this.#isBack(event.record.node);
    });
  }

  /** Starts those that shall wait ready. */
  open(): void {
    while (!this.#closed && this.#waiting.size < this.#wanted && this.size < PROCESSES_MAX) this.#warm();
  }

  /**
   * Makes an actor in a process or a thread of its own, as its settings say, with what it was granted: the variables are set before its module
   * runs, and `memoryBytes` is the most that it may take.
   * Throws ActorModuleInvalid, InvalidOption, ProcessFailed, ProcessLimit, ProcessOutOfMemory, Closed, and whatever a spawn throws.
   */
  async spawn(request: SpawnRequest, granted?: Granted): Promise<Address> {
    this.#checkOpen();
    const module = this.#options.types.moduleOf(request);
    const environment = granted?.environment ?? {};
    const isPlain = Object.keys(environment).length === 0;
    const child = await this.#take(this.#shapeOf(request, granted));
    try {
      if (module !== undefined || !isPlain) {
        await child.prepare({ type: request.type, environment, ...(module !== undefined && { module }) });
        // What waits for an actor with an environment must not have run its module.
        if (module !== undefined && isPlain) this.#modules.add(module);
      }
      const spawned = this.#options.spawnAt(child.name, { ...request, process: child.name });
      const address = await child.whileAlive("its actor had started", spawned);
      // The name may be held by somebody elsewhere, which is what was asked for.
      if (address.node === child.name) child.tend(address);
      else void child.end();
      return address;
    } catch (error) {
      void child.end();
      throw error;
    } finally {
      // Only now: starting another would take the machine's time from this one.
      this.open();
    }
  }

  /** Ends one now, by its node id; resolves when it is no more. False when it is none of this node's. */
  async kill(name: string): Promise<boolean> {
    const child = this.#named(name);
    child?.kill();
    await (child && this.#children.get(child));
    return child !== undefined;
  }

  /** Whether all memory of a process can be bounded on this machine, or only its heap, and why. Found out once. */
  memoryBound(): Promise<MemoryBound> {
    this.#bound ??= memoryBound(this.#options.clock).then((bound) => {
      if (bound.kind === "absent") {
        const message = `memory of single actors' processes is bounded for their heaps only: ${bound.why}`;
        this.#say("warn", message, {});
      }
      return bound;
    });
    return this.#bound;
  }

  #named(name: string): Child | undefined {
    return [...this.#children.keys()].find((child) => child.name === name);
  }

  /** PP6. */
  #declaredDead(name: string): void {
    const child = this.#named(name);
    if (child === undefined) return;
    const { clock } = this.#options;
    const late = clock.schedule(COME_BACK_MS, () => {
      this.#say("warn", `${name} has not renewed its lease and is ended`, { pid: child.pid });
      child.kill();
    });
    this.#missing.set(name, late);
    void child.ended.then(() => this.#isBack(name));
  }

  #isBack(name: string): void {
    this.#missing.get(name)?.cancel();
    this.#missing.delete(name);
  }

  /** PP5. Throws InvalidOption for less memory than a process needs by itself. */
  #shapeOf({ settings }: SpawnRequest, granted: Granted | undefined): Shape {
    const kind = settings.isolation === "thread" ? "thread" : "process";
    const isPlain = Object.keys(granted?.environment ?? {}).length === 0;
    const modules = isPlain ? [...this.#modules] : [];
    const memoryBytes = granted?.resources.memoryBytes;
    if (memoryBytes === undefined) return { kind, modules };
    if (memoryBytes >= MEMORY_MIN_BYTES) return { kind, modules, memoryBytes };
    return refuse("resources.memoryBytes", `at least ${MEMORY_MIN_BYTES} for a ${kind} of its own`, memoryBytes);
  }

  /** One that has joined the fleet and has no actor yet; a warm one where that will do (PP5). */
  async #take(shape: Shape): Promise<Child> {
    if (shape.kind === "thread") return this.#start(shape);
    this.#wanted = this.#options.warm ?? 1;
    const warm = shape.memoryBytes === undefined ? this.#warmOne(shape) : undefined;
    if (warm !== undefined) this.#waiting.delete(warm);
    return warm?.starting ?? this.#start(shape);
  }

  /** One that may have been told to import more than is wanted, unless nothing is. */
  #warmOne({ modules }: Shape): Warm | undefined {
    return [...this.#waiting].find(({ isBare }) => isBare || modules.length > 0);
  }

  #warm(): void {
    const modules = [...this.#modules];
    const starting = this.#start({ kind: "process", modules });
    const warm: Warm = { starting, isReady: false, isBare: modules.length === 0 };
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

  async #start(shape: Shape): Promise<Child> {
    const { node } = this.#options;
    if (this.size >= PROCESSES_MAX) {
      throw processError("ProcessLimit", `${node} has ${PROCESSES_MAX} processes and threads, the most it may`, {
        data: { node },
      });
    }
    this.#pending++;
    return this.#starts.through(async () => {
      const child = await this.#newChild(shape).finally(() => this.#pending--);
      await child.joined;
      return child;
    });
  }

  async #newChild(shape: Shape): Promise<Child> {
    this.#common ??= this.#openCommon();
    const { folder, guard } = await this.#common;
    const { kind, memoryBytes, modules } = shape;
    const { node, name: parentName, join: options, clock, random, log } = this.#options;
    const name = `${parentName.slice(0, NAME_MAX_CHARS)}-${kind === "thread" ? "t" : "p"}${++this.#made}-${random.id()}`;
    const group = await this.#groupFor(name, shape);
    if (this.#closed) await group?.close();
    this.#checkOpen();
    const launch = (given: VesselOptions) =>
      kind === "thread" ? new ThreadVessel(given) : new ProcessVessel(given, group);
    const child = new Child({
      kind,
      name,
      parent: node,
      join: options,
      modules,
      folder,
      memoryBytes,
      clock,
      log,
      launch,
    });
    const over = child.ended.then((end) => this.#ended(child, end, guard));
    this.#children.set(child, over);
    this.#tell(guard);
    return child;
  }

  async #groupFor(name: string, { kind, memoryBytes }: Shape): Promise<Cgroup | undefined> {
    if (kind === "thread" || memoryBytes === undefined) return undefined;
    const bound = await this.memoryBound();
    if (bound.kind === "absent") return undefined;
    return bound.groups.make(name, memoryBytes).catch((error: unknown) => {
      const message = `the process ${name} could not be put under its memory limit: ${String(error)}`;
      throw processError("ProcessFailed", message, { data: { process: name }, cause: error });
    });
  }

  async #openCommon(): Promise<Common> {
    const folder = await mkdtemp(join(tmpdir(), "flotilla-processes-"));
    const failed = (error: unknown) =>
      this.#say("warn", "nobody will end this node's processes when it is killed", { error: String(error) });
    return { folder, guard: new Guard(folder, failed) };
  }

  #tell(guard: Guard): void {
    guard.guards([...this.#children.keys()].flatMap(({ pid }) => pid ?? []));
  }

  async #ended(child: Child, { inOrder, error }: ChildEnd, guard: Guard): Promise<void> {
    this.#children.delete(child);
    this.#tell(guard);
    if (inOrder) return;
    const { code, message } = error;
    this.#say("warn", message, { code, pid: child.pid });
    await this.#options.membership.bury(child.name, { code, message }).catch((failure: unknown) => {
      this.#say("warn", `that ${child.name} has ended is left to its lease to tell`, { error: String(failure) });
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
    this.#stopListening();
    await (await this.#common?.catch(() => undefined))?.guard.close();
  }
}
