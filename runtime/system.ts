// ActorSystem: what `connect()` returns. Users spawn, find, watch and stop actors here, submit tasks, publish and subscribe; the work is done
// by the parts that the constructor puts together.
//
// SY1  Everything a system starts ends with its `close`: actors in reverse order, then the way to other nodes, then its ports.
// SY2  Handles stay valid for as long as their actor lives, wherever they have travelled and wherever it has been moved.

import { AsyncResource } from "node:async_hooks";
import type { ActorClass, ActorType, SpawnOptions } from "./actor.ts";
import { ADDRESS, type Address } from "./address.ts";
import { type CallEnvironment, call, cast, Questions } from "./calls.ts";
import type { Cell } from "./cell/cell.ts";
import type { Clock } from "./clock.ts";
import { CodeLoader } from "./code/code-loader.ts";
import { CodeShipper } from "./code/code-shipper.ts";
import { refuseWhileLoading } from "./code/loading.ts";
import { Codec } from "./codec.ts";
import { type ContextEnvironment, makeContext } from "./context.ts";
import { Counts, type SystemStats } from "./counts.ts";
import type { DeadLetters } from "./dead-letters.ts";
import { Deadlines } from "./deadlines.ts";
import { Directory, nameKey } from "./directory.ts";
import type { ActorEnd } from "./envelope.ts";
import { runtimeError } from "./errors.ts";
import { type AnyHandle, type Dispatch, type HandleMaker, type HandleOf, handleMaker } from "./handle.ts";
import { Host } from "./host.ts";
import type { LogSink } from "./log.ts";
import type { Membership } from "./membership.ts";
import { milliseconds } from "./options.ts";
import { Peers } from "./peers.ts";
import type { NodeRecord } from "./placer.ts";
import type { FleetFacts, Ports } from "./ports.ts";
import type { Random } from "./random.ts";
import { Recovery } from "./recovery.ts";
import { Routes } from "./routes.ts";
import { Spawner } from "./spawner.ts";
import { PendingStream } from "./stream.ts";
import { runTask } from "./tasks/run-task.ts";
import type { SubmitOptions } from "./tasks/task.ts";
import { type ResultOptions, Tasks, type WaitedTasks, type WaitOptions } from "./tasks/tasks.ts";
import { type Published, type PublishOptions, type SubscribeOptions, type Subscription, Topics } from "./topics.ts";
import { type Tracing, tracingFor } from "./trace.ts";
import { Types } from "./types.ts";

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
  /** The promises in force on a fleet. */
  readonly facts?: FleetFacts;
  /** What is known of another node. Default: what membership knows. */
  readonly recordOf?: (node: string) => NodeRecord | undefined;
  /** Whether the other nodes reach the same blobs. */
  readonly sharesBlobs?: boolean;
  /** Whether this process loads code that scripts bring: it runs with all of its rights. Default false. */
  readonly allowCode?: boolean;
  /** Whether this process runs tasks of the types it has. Default true. */
  readonly servesTasks?: boolean;
  /** This node's place among others; absent when it is alone. The system joins and leaves with it. */
  readonly membership?: Membership;
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
  /** Durable tasks that failed for good: list, show, replay. */
  readonly tasks: Tasks;
  readonly #settings: SystemSettings;
  readonly #types: Types;
  readonly #loader: CodeLoader;
  readonly #host: Host;
  readonly #peers: Peers;
  readonly #directory: Directory;
  readonly #spawner: Spawner;
  readonly #recovery: Recovery | undefined;
  readonly #questions: Questions;
  readonly #deadlines: Deadlines;
  readonly #topics: Topics;
  readonly #tracing: Tracing | undefined;
  readonly #dispatch: Dispatch;
  readonly #makers = new Map<string, HandleMaker>();
  #closing: Promise<void> | undefined;

  /** Use `connect`. */
  constructor(settings: SystemSettings) {
    refuseWhileLoading();
    const { node, clock, log, ports, membership } = settings;
    this.node = node;
    this.clock = clock;
    this.ports = ports;
    this.#settings = settings;
    const counts = new Counts();
    const revive = (address: Address) => this.#handleOf(address);
    const values = new Codec().values(revive);
    this.#tracing = tracingFor(node, settings.tracing);
    this.#deadlines = new Deadlines(clock);
    this.#loader = new CodeLoader({ node, clock, log, blobs: ports.blobs, allowed: settings.allowCode ?? false });
    this.#types = new Types(node, this.#loader);
    this.#directory = new Directory(ports.store, {
      revive,
      ...(membership && { presence: (peer: string) => membership.presence(peer) }),
    });
    this.#host = this.#newHost(counts);
    this.#peers = new Peers({
      node,
      host: this.#host,
      transport: ports.transport,
      codec: new Codec(),
      revive,
      deadlines: this.#deadlines,
      counts,
      blobs: settings.sharesBlobs ? ports.blobs : undefined,
      reconnected: () => membership?.reconnected(),
    });
    const environment = this.#callEnvironment(counts);
    this.#questions = new Questions(environment);
    this.#dispatch = {
      call: (address, method, args, options, attempt) => call(environment, address, method, args, options, attempt),
      cast: (address, method, args, options) => cast(environment, address, method, args, options),
      stream: (address, method, args, options) => new PendingStream(environment, address, method, args, options),
      stop: (address) => this.#stop(address, STOP_TIMEOUT_MS),
    };
    this.#spawner = this.#newSpawner();
    this.#recovery = membership && this.#newRecovery(membership);
    this.#topics = new Topics({ log: ports.eventLog, codec: values, counts });
    this.tasks = this.#newTasks(values);
    this.#followMembership(membership);
  }

  // Parts -------------------------------------------------------------------------------------------------------------------

  #newHost(counts: Counts): Host {
    const { node, clock, log, membership } = this.#settings;
    const watchRemote = (address: Address, onEnd: (end: ActorEnd) => void) => this.#peers.watch(address, onEnd);
    return new Host({
      node,
      clock,
      log,
      directory: this.#directory,
      types: this.#types,
      counts,
      tracing: this.#tracing,
      contextOf: (cell) => makeContext(cell, clock, this.#contextEnvironment),
      ...(membership && { fleet: { membership, watchRemote } }),
    });
  }

  #callEnvironment(counts: Counts): CallEnvironment {
    const { node, clock, callTimeoutMs, membership } = this.#settings;
    const routes = new Routes({
      node,
      host: this.#host,
      peers: this.#peers,
      isPresent: (peer) => membership === undefined || membership.isPresent(peer),
      resolve: (address) => this.#directory.resolve(address),
    });
    let lastLink = 0;
    return {
      clock,
      deadlines: this.#deadlines,
      callTimeoutMs,
      counts,
      tracing: this.#tracing,
      routes: {
        find: (address) => routes.find(address),
        deadLetter: (address, method, why) => this.#host.deadLetter(address, method, why),
      },
      nextLink: () => ++lastLink,
    };
  }

  #newSpawner(): Spawner {
    const { node, ports, membership } = this.#settings;
    return new Spawner({
      node,
      host: this.#host,
      peers: this.#peers,
      types: this.#types,
      shipper: new CodeShipper(ports.blobs, this.#loader),
      placer: ports.placer,
      questions: this.#questions,
      recordOf: (peer) => this.#settings.recordOf?.(peer) ?? membership?.nodes().find((record) => record.node === peer),
    });
  }

  #newRecovery(membership: Membership): Recovery {
    return new Recovery({
      membership,
      directory: this.#directory,
      clock: this.clock,
      log: this.#host.log.bind(this.#host),
      isHere: (address) => this.#host.isHere(address),
      place: (request) => this.ports.placer.place(request),
      spawnAt: (node, request) => this.#spawner.spawnAt(node, request),
    });
  }

  #newTasks({ encode, decode }: ReturnType<Codec["values"]>): Tasks {
    const { node, clock, random, ports } = this.#settings;
    const { queue, results, store, blobs } = ports;
    return new Tasks({
      node,
      clock,
      random,
      queue,
      results,
      store,
      blobs,
      encode,
      decode,
      log: (level, message, data) => this.#host.log(level, message, data),
      run: (request, signal, attempt) => runTask(this.#host, this.#dispatch, request, signal, attempt),
    });
  }

  #followMembership(membership: Membership | undefined): void {
    membership?.on((event) => {
      if (event.kind === "left") this.#peers.gone(event.record.node);
      if (event.kind === "joined") this.#peers.joined(event.record.node);
    });
  }

  // Life --------------------------------------------------------------------------------------------------------------------

  /** Starts to hear other nodes, takes this node's place among them, and takes tasks. Called by `connect`. */
  async listen(): Promise<void> {
    await this.#peers.listen();
    await this.#settings.membership?.join();
    for (const { type } of this.#types.list()) await this.#serve(type);
  }

  /** Takes no more actors and tasks, and moves those actors that can live elsewhere to other nodes. Part of `close` on a fleet. */
  async drain(): Promise<void> {
    await this.#settings.membership?.update({ draining: true });
    const { holdings } = this.#host;
    await this.#recovery?.handOver(holdings.movable(), ({ cell }) => holdings.surrender(cell));
  }

  /** Hands over what can move (`drain`), ends every other actor in reverse order, then everything else. May be called twice. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await this.tasks.close(STOP_TIMEOUT_MS);
    await this.drain();
    this.#recovery?.close();
    await this.#host.close(STOP_TIMEOUT_MS);
    this.#topics.close();
    await this.#settings.membership?.leave();
    await this.#peers.close();
    this.#deadlines.close();
    await this.#loader.close();
    const { store, eventLog, results, queue, blobs, close } = this.ports;
    await Promise.all([store.close(), eventLog.close(), results.close(), queue.close(), blobs.close()]);
    await close?.();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  // Looking at it -----------------------------------------------------------------------------------------------------------

  /** What nobody could take, counted and the last of them kept. */
  get deadLetters(): DeadLetters {
    return this.#host.deadLetters;
  }

  /** Everything that is counted here, as plain data of this moment. Looks at every actor: ask every second, not for every call. */
  stats(): SystemStats {
    const { counts, size, waiting, deadLetters } = this.#host;
    return counts.snapshot({ actors: size, waiting, deadLetters: deadLetters.count });
  }

  /** The server's version, durability mode and replicas: which promises are in force. Undefined in a process that is alone. */
  get facts(): FleetFacts | undefined {
    return this.#settings.facts;
  }

  /** Every node of the fleet that is there now, this one first; alone, only this one is not listed either: []. */
  nodes(): readonly NodeRecord[] {
    return this.#settings.membership?.nodes() ?? [];
  }

  // Actors ------------------------------------------------------------------------------------------------------------------

  /** Makes `type` known here, so that other nodes may spawn it by name and tasks of it are run here. `spawn` does the first by itself. */
  register(type: ActorType): void {
    this.#types.register(type);
    this.#settings.membership?.knows(type);
  }

  async #serve(type: string): Promise<void> {
    if (this.#settings.servesTasks !== false) await this.tasks.serve(type);
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
    const make = async () => this.#handleOf(await this.#spawner.spawn(parent, type, options), type);
    return this.#tracing === undefined ? make() : this.#tracing.spawning(type.type, make);
  }

  /**
   * The actor that holds a name. Throws NoSuchActor when nobody does, Unavailable while its node is not heard of or it is being moved.
   * With its type the handle is typed; without, only types spawned or registered here stream.
   */
  async get<Class extends ActorClass>(
    name: string,
    type?: ActorType<Class>,
    namespace = "default",
  ): Promise<HandleOf<InstanceType<Class>>> {
    if (type !== undefined) this.#types.register(type);
    const data = { name, namespace };
    const located = await this.#directory.locate(nameKey(namespace, name));
    if (located.kind === "at") return this.#handleOf(located.address) as HandleOf<InstanceType<Class>>;
    if (located.kind === "unsettled")
      throw runtimeError("Unavailable", `"${name}" cannot be reached: ${located.why}`, { data });
    throw runtimeError("NoSuchActor", `nobody is called "${name}" in namespace "${namespace}"`, { data });
  }

  /** Ends an actor after the message in hand, within `timeoutMs`; resolves when it has ended. Stopping one that is gone does nothing. */
  stop(handle: AnyHandle, options: { readonly timeoutMs?: number } = {}): Promise<void> {
    return this.#stop(handle[ADDRESS], milliseconds("timeoutMs", options.timeoutMs ?? STOP_TIMEOUT_MS));
  }

  async #stop(address: Address, timeoutMs: number): Promise<void> {
    if (address.node === this.node) return this.#host.stop(address, timeoutMs);
    // The other node takes up to twice timeoutMs: for what is in hand and for onStop.
    await this.#questions.ask(
      (sink) => this.#peers.stop(address, "stop", timeoutMs, sink),
      2 * timeoutMs + this.#settings.callTimeoutMs,
    );
  }

  /** Ends an actor now: its calls fail, nothing is waited for, no onStop runs. */
  async kill(handle: AnyHandle): Promise<void> {
    const address = handle[ADDRESS];
    if (address.node === this.node) return this.#host.kill(address);
    await this.#questions.ask((sink) => this.#peers.stop(address, "kill", 0, sink));
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

  #handleOf(address: Address, type = this.#types.typeOf(address.type)): AnyHandle {
    let make = this.#makers.get(address.type);
    if (make === undefined) {
      make = handleMaker(this.#dispatch, type);
      // A type learnt later brings its methods: until then its handles are made anew each time.
      if (type?.type === address.type) this.#makers.set(address.type, make);
    }
    return make(address);
  }

  get #contextEnvironment(): ContextEnvironment {
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

  // Tasks -------------------------------------------------------------------------------------------------------------------

  /**
   * Accepts `method(...args)` as a durable task of an actor, or of a fresh one of a type made for it on a node that has the type; resolves to
   * the task's id once it cannot be lost any more. Throws as Tasks.submit does.
   */
  async submit(
    target: ActorType | AnyHandle,
    method: string,
    args: readonly unknown[] = [],
    options?: SubmitOptions,
  ): Promise<string> {
    const address = ADDRESS in target ? target[ADDRESS] : undefined;
    if (!(ADDRESS in target)) this.register(target);
    const type = address?.type ?? (target as ActorType).type;
    // Learnt since `listen`: a process that is alone has nobody else to run it.
    if (this.#types.typeOf(type) !== undefined) await this.#serve(type);
    return this.tasks.submit({ type, ...(address && { address }) }, method, args, options);
  }

  /** What the task returned, once it has; rejects with what became of it instead. See Tasks.result. */
  result(id: string, options?: ResultOptions): Promise<unknown> {
    return this.tasks.result(id, options);
  }

  /** Waits until `count` of the tasks have ended, or `timeoutMs` have passed; tells which have. See Tasks.wait. */
  wait(ids: readonly string[], options?: WaitOptions): Promise<WaitedTasks> {
    return this.tasks.wait(ids, options);
  }

  /** Cancels a task: true when that is its outcome now, false when it had one before. Throws TaskUnknown. */
  cancel(id: string): Promise<boolean> {
    return this.tasks.cancel(id);
  }

  // Topics ------------------------------------------------------------------------------------------------------------------

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
}
