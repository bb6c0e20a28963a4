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
import { CodeLoader } from "./code/code-loader.ts";
import { CodeShipper } from "./code/code-shipper.ts";
import { refuseWhileLoading } from "./code/loading.ts";
import { Codec } from "./codec.ts";
import { makeContext } from "./context.ts";
import { copyArgs } from "./copy.ts";
import { Counts, type SystemStats } from "./counts.ts";
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
import type { Decision, NodeRecord, Placer } from "./placer.ts";
import type { Random } from "./random.ts";
import type { Store } from "./store.ts";
import { PendingStream } from "./stream.ts";
import { isThenable } from "./thenable.ts";
import { type Published, type PublishOptions, type SubscribeOptions, type Subscription, Topics } from "./topics.ts";
import { type Tracing, tracingFor } from "./trace.ts";
import type { Transport } from "./transport.ts";
import { Types } from "./types.ts";

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
  /** Whether spans are recorded; default: when a tracer provider is registered now (trace.ts). */
  readonly tracing?: boolean | undefined;
  readonly ports: Ports;
  /** Whether the other nodes reach the same blobs. */
  readonly sharesBlobs?: boolean;
  /** Whether this process loads code that scripts bring: it runs with all of its rights. Default false. */
  readonly allowCode?: boolean;
  /** What is known of another node; without it no code is shipped there. */
  readonly recordOf?: (node: string) => NodeRecord | undefined;
}

/** A spawn's options: `args` is required when the constructor requires an argument. */
export type SpawnArgs<Class extends ActorClass> =
  [] extends ConstructorParameters<Class>
    ? [options?: SpawnOptions<ConstructorParameters<Class>>]
    : [options: SpawnOptions<ConstructorParameters<Class>> & { readonly args: ConstructorParameters<Class> }];

const STOP_TIMEOUT_MS = 5_000;

export class ActorSystem implements AsyncDisposable {
  readonly node: string;
  readonly clock: Clock;
  readonly ports: Ports;
  readonly #settings: SystemSettings;
  readonly #types: Types;
  readonly #loader: CodeLoader;
  readonly #shipper: CodeShipper;
  readonly #host: Host;
  readonly #peers: Peers;
  readonly #directory: Directory;
  readonly #calls: CallEnvironment;
  readonly #topics: Topics;
  readonly #tracing: Tracing | undefined;
  readonly #dispatch: Dispatch;
  readonly #makers = new Map<string, HandleMaker>();
  #lastLink = 0;
  #closing: Promise<void> | undefined;

  /** Use `connect`. */
  constructor(settings: SystemSettings) {
    refuseWhileLoading();
    const { node, clock, log, ports } = settings;
    this.node = node;
    this.clock = clock;
    this.ports = ports;
    this.#settings = settings;
    this.#directory = new Directory(ports.store);
    const contextOf = (cell: Cell) => makeContext(cell, clock, this.#contextEnvironment);
    this.#loader = new CodeLoader({ node, clock, log, blobs: ports.blobs, allowed: settings.allowCode ?? false });
    this.#shipper = new CodeShipper(ports.blobs, this.#loader);
    this.#types = new Types(node, this.#loader);
    const counts = new Counts();
    const tracing = tracingFor(node, settings.tracing);
    this.#tracing = tracing;
    this.#host = new Host({
      node,
      clock,
      log,
      directory: this.#directory,
      types: this.#types,
      counts,
      tracing,
      contextOf,
    });
    const deadlines = new Deadlines(clock);
    const revive = (address: Address) => this.#handleOf(address);
    const codec = new Codec();
    this.#peers = new Peers({
      node,
      host: this.#host,
      transport: ports.transport,
      codec,
      revive,
      deadlines,
      counts,
      blobs: settings.sharesBlobs ? ports.blobs : undefined,
    });
    this.#topics = new Topics({ log: ports.eventLog, codec: codec.values(revive), counts });
    this.#calls = {
      clock,
      deadlines,
      callTimeoutMs: settings.callTimeoutMs,
      counts,
      tracing,
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

  /** Everything that is counted here, as plain data of this moment. Looks at every actor: ask every second, not for every call. */
  stats(): SystemStats {
    const { counts, size, waiting, deadLetters } = this.#host;
    return counts.snapshot({ actors: size, waiting, deadLetters: deadLetters.count });
  }

  /**
   * Appends an event to a topic: dotted text of any characters. Kept for as long as the event log keeps it.
   * Throws InvalidOption (topic, key), NotSendable (by path), ValueTooLarge, Closed.
   */
  publish(topic: string, event: unknown, options?: PublishOptions): Promise<Published> {
    return this.#topics.publish(topic, event, options);
  }

  /**
   * The events of a topic, or with `*` (one part) and a last `>` (one or more) of many: from now, from the start or from a sequence.
   * Ends with its signal, with the loop over it, and with the system. Throws InvalidOption, Closed; reading too slowly ReaderLagged.
   */
  subscribe<Event = unknown>(pattern: string, options?: SubscribeOptions): Subscription<Event> {
    return this.#topics.subscribe(pattern, options);
  }

  /** Makes `type` known here, so that other nodes may spawn it by name. `spawn` does this by itself. */
  register(type: ActorType): void {
    this.#types.register(type);
  }

  /**
   * Makes an actor and resolves to its handle once it has started.
   * Throws InvalidOption, NotSendable (an argument), NameTaken, Unplaceable, UnknownActorType (on another node), ActorStartFailed, Closed;
   * BundleFailed and the other errors of code/errors.ts when the class has to be shipped.
   */
  spawn<Class extends ActorClass>(
    type: ActorType<Class>,
    ...[options]: SpawnArgs<Class>
  ): Promise<HandleOf<InstanceType<Class>>> {
    return this.#spawn(undefined, type, options as SpawnOptions | undefined) as Promise<HandleOf<InstanceType<Class>>>;
  }

  #spawn(parent: Cell | undefined, type: ActorType, options: SpawnOptions | undefined): Promise<AnyHandle> {
    const make = () => this.#make(parent, type, options);
    return this.#tracing === undefined ? make() : this.#tracing.spawning(type.type, make);
  }

  async #make(parent: Cell | undefined, type: ActorType, options: SpawnOptions | undefined): Promise<AnyHandle> {
    const settings = spawnSettings(options);
    const code = this.#types.register(type);
    const { name, namespace, getIfExists } = options ?? {};
    // Kept for restarts, so from now on nobody else's: what the spawner does to its own must not show in a later life.
    const args = settings.copy ? copyArgs([...(options?.args ?? [])]) : (options?.args ?? []);
    const request: SpawnRequest = {
      type: type.type,
      version: type.version,
      args,
      settings,
      ...(code !== undefined && { code }),
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
    const address = await this.#spawnAt(decision, request, parent, type);
    return this.#handleOf(address, type);
  }

  #spawnAt(
    decision: Decision,
    request: SpawnRequest,
    parent: Cell | undefined,
    type: ActorType,
  ): Address | Promise<Address> {
    if (decision.kind === "unplaceable") {
      const why = decision.rejected.map(({ node, reason }) => `${node}: ${reason}`).join("; ");
      throw runtimeError("Unplaceable", `no node for ${request.type}: ${why}`, {
        data: { rejected: decision.rejected },
      });
    }
    if (decision.node === this.node) return this.#host.spawn(request, parent);
    return this.#spawnOn(decision.node, request, type);
  }

  async #spawnOn(node: string, request: SpawnRequest, type: ActorType): Promise<Address> {
    const code = await this.#shipper.codeFor(type, this.#settings.recordOf?.(node));
    const sent = code === undefined ? request : { ...request, code };
    return this.#ask((pending, deadlineMs) => this.#peers.spawn(node, sent, deadlineMs, pending)) as Promise<Address>;
  }

  /** Asks another node something that is not a call of an actor. */
  #ask(
    send: (pending: PendingCall, deadlineMs: number) => Cancellable,
    timeoutMs = this.#settings.callTimeoutMs,
  ): Promise<unknown> {
    const deadlineMs = this.#settings.clock.now() + timeoutMs;
    const pending = new PendingCall(this.#calls, deadlineMs, false, undefined, undefined, this.#calls.counts.questions);
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
    if (type !== undefined) this.#types.register(type);
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
    this.#topics.close();
    await this.#peers.close();
    this.#calls.deadlines.close();
    await this.#loader.close();
    const { store, eventLog, blobs } = this.ports;
    await Promise.all([store.close(), eventLog.close(), blobs.close()]);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #find(address: Address): Receiver | undefined {
    return address.node === this.node ? this.#host.find(address) : this.#peers.at(address.node);
  }

  #handleOf(address: Address, type = this.#types.typeOf(address.type)): AnyHandle {
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
      tracing: this.#tracing,
      spawnChild: (parent: Cell, type: ActorType, options: SpawnOptions | undefined) =>
        this.#spawn(parent, type, options),
      handleOf: (address: Address) => this.#handleOf(address),
      log: this.#host.log.bind(this.#host),
    };
  }
}
