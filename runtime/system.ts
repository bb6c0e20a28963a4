// ActorSystem: what `connect()` returns. Users spawn, find, watch and stop actors here; the work is done by host, calls and peers.
//
// SY1  Everything a system starts ends with its `close`: actors in reverse order, then the way to other nodes, then its ports.
// SY2  Handles stay valid for as long as their actor lives, wherever they have travelled.

import { AsyncResource } from "node:async_hooks";
import type { ActorClass, ActorType, SpawnOptions } from "./actor.ts";
import { ADDRESS, type Address } from "./address.ts";
import type { Blobs } from "./blobs.ts";
import { type CallEnvironment, call, cast, PendingCall, type Receiver } from "./calls.ts";
import type { Cell } from "./cell/cell.ts";
import type { Cancellable } from "./cell/message.ts";
import type { Clock } from "./clock.ts";
import { Codec } from "./codec.ts";
import { makeContext } from "./context.ts";
import { copyArgs } from "./copy.ts";
import type { DeadLetters } from "./dead-letters.ts";
import { Deadlines } from "./deadlines.ts";
import { Directory } from "./directory.ts";
import type { ActorEnd } from "./envelope.ts";
import { runtimeError } from "./errors.ts";
import type { EventLog } from "./event-log.ts";
import { type AnyHandle, type Dispatch, type HandleMaker, type HandleOf, handleMaker } from "./handle.ts";
import { Host, type SpawnRequest } from "./host.ts";
import type { LogSink } from "./log.ts";
import { milliseconds, spawnSettings } from "./options.ts";
import { Peers } from "./peers.ts";
import type { Decision, Placer } from "./placer.ts";
import { openPool, type Pool } from "./pool/pool.ts";
import type { PoolArgs, PoolOptions } from "./pool/pool-options.ts";
import type { Random } from "./random.ts";
import type { Store } from "./store.ts";
import { PendingStream } from "./stream.ts";
import { isThenable } from "./thenable.ts";
import type { Transport } from "./transport.ts";

/** Everything a system stands on. */
export interface Ports {
  readonly transport: Transport;
  readonly store: Store;
  readonly eventLog: EventLog;
  readonly blobs: Blobs;
  readonly placer: Placer;
}

/** `connect`'s options, complete. */
export interface SystemSettings {
  readonly node: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: LogSink;
  readonly callTimeoutMs: number;
  readonly ports: Ports;
}

/** A spawn's options: `args` is required when the constructor requires an argument. */
export type SpawnArgs<Class extends ActorClass> =
  [] extends ConstructorParameters<Class>
    ? [options?: SpawnOptions<ConstructorParameters<Class>>]
    : [options: SpawnOptions<ConstructorParameters<Class>> & { readonly args: ConstructorParameters<Class> }];

/** Counts as data. */
export interface SystemStats {
  readonly actors: number;
  readonly deadLetters: number;
  readonly badFrames: number;
}

const STOP_TIMEOUT_MS = 5_000;

export class ActorSystem implements AsyncDisposable {
  readonly node: string;
  readonly clock: Clock;
  readonly ports: Ports;
  readonly #settings: SystemSettings;
  readonly #host: Host;
  readonly #peers: Peers;
  readonly #directory: Directory;
  readonly #calls: CallEnvironment;
  readonly #dispatch: Dispatch;
  readonly #makers = new Map<string, HandleMaker>();
  #lastLink = 0;
  #closing: Promise<void> | undefined;

  /** Use `connect`. */
  constructor(settings: SystemSettings) {
    const { node, clock, log, ports } = settings;
    this.node = node;
    this.clock = clock;
    this.ports = ports;
    this.#settings = settings;
    this.#directory = new Directory(ports.store);
    const contextOf = (cell: Cell) => makeContext(cell, clock, this.#contextEnvironment);
    const { callTimeoutMs } = settings;
    this.#host = new Host({
      node,
      clock,
      log,
      directory: this.#directory,
      startTimeoutMs: callTimeoutMs,
      contextOf,
    });
    const deadlines = new Deadlines(clock);
    const revive = (address: Address) => this.#handleOf(address);
    this.#peers = new Peers(this.#host, ports.transport, new Codec(), revive, deadlines);
    this.#calls = {
      node,
      clock,
      random: settings.random,
      deadlines,
      callTimeoutMs,
      routes: {
        find: (address) => this.#find(address),
        deadLetter: (address, method, why) => this.#host.deadLetter(address, method, why),
      },
      nextLink: () => ++this.#lastLink,
    };
    this.#dispatch = {
      call: (address, method, args, options) => call(this.#calls, address, method, args, options),
      cast: (address, method, args, options) => cast(this.#calls, address, method, args, options),
      stream: (address, method, args, options) => new PendingStream(this.#calls, address, method, args, options),
      stop: (address) => this.#stop(address, STOP_TIMEOUT_MS),
    };
  }

  /** Starts to hear other nodes. Called by `connect`. */
  async listen(): Promise<void> {
    await this.#peers.listen();
  }

  /** What nobody could take, counted and the last of them kept. */
  get deadLetters(): DeadLetters {
    return this.#host.deadLetters;
  }

  stats(): SystemStats {
    return { actors: this.#host.size, deadLetters: this.#host.deadLetters.count, badFrames: this.#peers.badFrames };
  }

  /** Makes `type` known here, so that other nodes may spawn it by name. `spawn` does this by itself. */
  register(type: ActorType): void {
    this.#host.register(type);
  }

  /**
   * Makes an actor and resolves to its handle once it has started.
   * Throws InvalidOption, NotSendable (an argument), NameTaken, Unplaceable, UnknownActorType (on another node), ActorStartFailed, Closed.
   */
  spawn<Class extends ActorClass>(
    type: ActorType<Class>,
    ...[options]: SpawnArgs<Class>
  ): Promise<HandleOf<InstanceType<Class>>> {
    return this.#spawn(undefined, type, options as SpawnOptions | undefined) as Promise<HandleOf<InstanceType<Class>>>;
  }

  /**
   * Spawns `size` actors of one type and resolves to the pool of them. It belongs to whoever opened it: `await using`, or `close`.
   * Throws InvalidOption and whatever `spawn` throws.
   */
  async pool<Class extends ActorClass>(
    type: ActorType<Class>,
    options: PoolArgs<Class>,
  ): Promise<Pool<InstanceType<Class>>> {
    const { size: _, strategy: __, ...own } = options as PoolOptions;
    // Replacements are made much later: what the caller does to its own arguments meanwhile must not show.
    const args = own.copy === false ? (own.args ?? []) : copyArgs([...(own.args ?? [])]);
    const environment = {
      clock: this.clock,
      callTimeoutMs: this.#settings.callTimeoutMs,
      dispatch: this.#dispatch,
      spawn: () => this.#spawn(undefined, type, { ...own, args }),
      watch: (handle: AnyHandle, onEnd: () => void) => this.watch(handle, onEnd),
    };
    return (await openPool(environment, type, options)) as Pool<InstanceType<Class>>;
  }

  async #spawn(parent: Cell | undefined, type: ActorType, options: SpawnOptions | undefined): Promise<AnyHandle> {
    const settings = spawnSettings(options);
    this.#host.register(type);
    const { name, namespace, getIfExists } = options ?? {};
    // Kept for restarts, so from now on nobody else's: what the spawner does to its own must not show in a later life.
    const args = settings.copy ? copyArgs([...(options?.args ?? [])]) : (options?.args ?? []);
    const request: SpawnRequest = {
      type: type.type,
      args,
      settings,
      ...(name !== undefined && { name }),
      ...(namespace !== undefined && { namespace }),
      ...(getIfExists !== undefined && { getIfExists }),
    };
    const node = options === undefined ? undefined : options.node;
    const placed = this.#settings.ports.placer.place({
      type: type.type,
      ...(name !== undefined && { name }),
      ...(node !== undefined && { node }),
    });
    const decision = isThenable(placed) ? await placed : placed;
    const address = await this.#spawnAt(decision, request, parent);
    return this.#handleOf(address, type);
  }

  #spawnAt(decision: Decision, request: SpawnRequest, parent: Cell | undefined): Address | Promise<Address> {
    if (decision.kind === "unplaceable") {
      const why = decision.rejected.map(({ node, reason }) => `${node}: ${reason}`).join("; ");
      throw runtimeError("Unplaceable", `no node for ${request.type}: ${why}`, {
        data: { rejected: decision.rejected },
      });
    }
    if (decision.node === this.node) return this.#host.spawn(request, parent);
    const { startTimeoutMs = 0 } = request.settings;
    return this.#ask(
      (pending, deadlineMs) => this.#peers.spawn(decision.node, request, deadlineMs, pending),
      startTimeoutMs + this.#settings.callTimeoutMs,
    ) as Promise<Address>;
  }

  /** Asks another node something that is not a call of an actor. */
  #ask(
    send: (pending: PendingCall, deadlineMs: number) => Cancellable,
    timeoutMs = this.#settings.callTimeoutMs,
  ): Promise<unknown> {
    const deadlineMs = this.#settings.clock.now() + timeoutMs;
    const pending = new PendingCall(this.#calls, deadlineMs, false);
    pending.wait(send(pending, deadlineMs));
    return pending.promise;
  }

  /**
   * The actor that holds a name. Throws NoSuchActor when nobody does.
   * With its type the handle is typed; without, only types spawned or registered here stream.
   */
  async get<Class extends ActorClass>(
    name: string,
    type?: ActorType<Class>,
    namespace = "default",
  ): Promise<HandleOf<InstanceType<Class>>> {
    if (type !== undefined) this.#host.register(type);
    const address = await this.#directory.find(namespace, name);
    if (address === undefined) {
      throw runtimeError("NoSuchActor", `nobody is called "${name}" in namespace "${namespace}"`, {
        data: { name, namespace },
      });
    }
    return this.#handleOf(address) as HandleOf<InstanceType<Class>>;
  }

  /** Ends an actor after the message in hand, within `timeoutMs`; resolves when it has ended. Stopping one that is gone does nothing. */
  stop(handle: AnyHandle, options: { readonly timeoutMs?: number } = {}): Promise<void> {
    return this.#stop(handle[ADDRESS], milliseconds("timeoutMs", options.timeoutMs ?? STOP_TIMEOUT_MS));
  }

  async #stop(address: Address, timeoutMs: number): Promise<void> {
    if (address.node === this.node) return this.#host.stop(address, timeoutMs);
    // The other node takes up to twice timeoutMs: for what is in hand and for onStop.
    await this.#ask(
      (pending) => this.#peers.stop(address, "stop", timeoutMs, pending),
      2 * timeoutMs + this.#settings.callTimeoutMs,
    );
  }

  /** Ends an actor now: its calls fail, nothing is waited for, no onStop runs. */
  async kill(handle: AnyHandle): Promise<void> {
    const address = handle[ADDRESS];
    if (address.node === this.node) return this.#host.kill(address);
    await this.#ask((pending) => this.#peers.stop(address, "kill", 0, pending));
  }

  /** Calls `onEnd` once when the actor ends, at once when it already has. Answers how to take that back. */
  watch(handle: AnyHandle, onEnd: (end: ActorEnd) => void): () => void {
    const address = handle[ADDRESS];
    // Bound to here: whoever ends the actor, the callback does not run on behalf of that one's message.
    const tell = AsyncResource.bind((end: ActorEnd) => {
      try {
        onEnd(end);
      } catch (error) {
        // It is called from within the ending of an actor, which must go on.
        this.#host.log("error", "a watcher threw", { error: String(error) });
      }
    });
    return address.node === this.node ? this.#host.watch(address, tell) : this.#peers.watch(address, tell);
  }

  /** Ends every actor in reverse order, then everything else. May be called twice. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await this.#host.close(STOP_TIMEOUT_MS);
    await this.#peers.close();
    this.#calls.deadlines.close();
    const { store, eventLog, blobs } = this.ports;
    await Promise.all([store.close(), eventLog.close(), blobs.close()]);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #find(address: Address): Receiver | undefined {
    return address.node === this.node ? this.#host.find(address) : this.#peers.receiver(address);
  }

  #handleOf(address: Address, type = this.#host.typeOf(address.type)): AnyHandle {
    let make = this.#makers.get(address.type);
    if (make === undefined) {
      make = handleMaker(this.#dispatch, type);
      // A type learnt later brings its methods: until then its handles are made anew each time.
      if (type?.type === address.type) this.#makers.set(address.type, make);
    }
    return make(address);
  }

  get #contextEnvironment() {
    return {
      system: this,
      random: this.#settings.random,
      spawnChild: (parent: Cell, type: ActorType, options: SpawnOptions | undefined) =>
        this.#spawn(parent, type, options),
      handleOf: (address: Address) => this.#handleOf(address),
      log: this.#host.log.bind(this.#host),
    };
  }
}
