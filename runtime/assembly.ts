// The parts of one system, put together: who is made of what, and in which order they start and end.
// It is not the users' door (system.ts) and does none of the work.
//
// AS1  What starts in order ends in reverse, promptly, twice without harm.
// AS2  From the first moment of closing nothing new is made here; what can live elsewhere is moved, the rest ends within STOP_TIMEOUT_MS.

import type { ActorType, SpawnOptions } from "./actor.ts";
import { ActorControl } from "./actor-control.ts";
import type { Address } from "./address.ts";
import { type CallEnvironment, call, cast, Questions } from "./calls.ts";
import type { Cell } from "./cell/cell.ts";
import { CodeLoader } from "./code/code-loader.ts";
import { CodeShipper } from "./code/code-shipper.ts";
import { Codec, type ValueCodec } from "./codec.ts";
import { makeContext } from "./context.ts";
import { Counts } from "./counts.ts";
import { Deadlines } from "./deadlines.ts";
import { Directory } from "./directory.ts";
import type { ActorEnd } from "./envelope.ts";
import { type AnyHandle, type Dispatch, type HandleMaker, handleMaker } from "./handle.ts";
import { Host, type SpawnRequest } from "./host.ts";
import { ProcessPool } from "./isolation/process-pool.ts";
import { LogForwarder, type LogLine } from "./log.ts";
import type { Membership } from "./membership.ts";
import { checkType } from "./options.ts";
import { Peers } from "./peers.ts";
import { Recovery } from "./recovery.ts";
import { Routes } from "./routes.ts";
import { Spawner } from "./spawner.ts";
import { PendingStream } from "./stream.ts";
import type { ActorSystem } from "./system.ts";
import type { SystemSettings } from "./system-settings.ts";
import { runTask } from "./tasks/run-task.ts";
import { Tasks } from "./tasks/tasks.ts";
import { Topics } from "./topics.ts";
import { type Tracing, tracingFor } from "./trace.ts";
import { type TypeRequest, Types } from "./types.ts";
import { Whereabouts } from "./whereabouts.ts";

export const STOP_TIMEOUT_MS = 5_000;

export class Assembly {
  readonly types: Types;
  readonly host: Host;
  /** Of this node, for single actors; undefined where there can be none. */
  readonly processes: ProcessPool | undefined;
  readonly peers: Peers;
  readonly directory: Directory;
  readonly whereabouts: Whereabouts;
  readonly tasks: Tasks;
  readonly topics: Topics;
  readonly dispatch: Dispatch;
  readonly control: ActorControl;
  readonly #settings: SystemSettings;
  readonly #system: ActorSystem;
  readonly #loader: CodeLoader;
  readonly #spawner: Spawner;
  readonly #recovery: Recovery | undefined;
  readonly #questions: Questions;
  readonly #routes: Routes;
  readonly #deadlines: Deadlines;
  readonly #tracing: Tracing | undefined;
  readonly #forwarder: LogForwarder;
  readonly #makers = new Map<string, HandleMaker>();
  #started = false;
  #closing: Promise<void> | undefined;

  constructor(settings: SystemSettings, system: ActorSystem) {
    const { node, clock, log, ports, membership } = settings;
    this.#settings = settings;
    this.#system = system;
    const counts = new Counts();
    const codec = new Codec((run) => clock.soon(run));
    const values = codec.values(this.#revive);
    this.#tracing = tracingFor(node, settings.tracing);
    this.#deadlines = new Deadlines(clock);
    this.#loader = new CodeLoader({ node, clock, log, blobs: ports.blobs, allowed: settings.allowCode ?? false });
    this.types = new Types(node, this.#loader);
    const presence = membership && { presence: (peer: string) => membership.presence(peer) };
    const onUnreadable = (key: string) =>
      this.host.log("error", "an entry among the names is none of ours and is passed over", { key });
    this.directory = new Directory(ports.store, { values, onUnreadable, ...presence });
    const send = (owner: string, lines: readonly LogLine[]) => this.peers.sendLog(owner, lines);
    this.#forwarder = new LogForwarder({ node, clock, send });
    this.host = this.#newHost(counts, values);
    this.peers = this.#newPeers(codec, counts);
    this.#routes = this.#newRoutes();
    const environment = this.#callEnvironment(counts);
    this.#questions = new Questions(environment);
    const { host, peers } = this;
    this.control = new ActorControl({
      node,
      clock,
      host,
      peers,
      routes: this.#routes,
      questions: this.#questions,
      parentOf: (peer) => membership?.nodes().find((record) => record.node === peer)?.parent,
      endProcess: this.#endProcess,
    });
    this.dispatch = {
      call: (address, method, args, options, attempt) => call(environment, address, method, args, options, attempt),
      cast: (address, method, args, options) => cast(environment, address, method, args, options),
      stream: (address, method, args, options) => new PendingStream(environment, address, method, args, options),
      stop: (address) => this.control.stop(address, STOP_TIMEOUT_MS),
    };
    this.whereabouts = new Whereabouts(settings, system, {
      watch: (address, onEnd) => (address.node === node ? this.host : this.peers).watch(address, onEnd),
      log: (level, message, data) => this.host.log(level, message, data),
    });
    this.#spawner = this.#newSpawner();
    this.#recovery = membership && this.#newRecovery(membership);
    this.processes = membership && this.#newProcesses(membership);
    this.topics = new Topics({ log: ports.eventLog, codec: values, counts });
    this.tasks = this.#newTasks(values);
    membership?.on((event) => {
      this.whereabouts.changed();
      if (event.kind === "left") {
        this.peers.gone(event.record.node, event.why);
        this.#forwarder.forget(event.record.node);
        this.#spawner.nodeLeft();
      }
      if (event.kind === "joined") this.peers.joined(event.record.node);
      if (event.kind === "rejoined") this.peers.rejoined();
    });
  }

  readonly #endProcess = async (node: string): Promise<boolean> => (await this.processes?.kill(node)) ?? false;

  readonly #revive = (address: Address): AnyHandle => this.handleOf(address);

  #newHost(counts: Counts, values: ValueCodec): Host {
    const { node, clock, log, membership, ports, callTimeoutMs } = this.#settings;
    // Gone, or told over the pipe between a process and its node.
    const isNotTold = (owner: string) =>
      owner === membership?.record.parent || membership?.presence(owner).kind === "departed";
    const watchRemote = (address: Address, onEnd: (end: ActorEnd) => void) => this.peers.watch(address, onEnd);
    return new Host({
      node,
      clock,
      log,
      forward: (owner, line) => isNotTold(owner) || this.#forwarder.add(owner, line),
      store: ports.store,
      directory: this.directory,
      values,
      types: this.types,
      counts,
      tracing: this.#tracing,
      startTimeoutMs: callTimeoutMs,
      contextOf: (cell) => this.#contextOf(cell),
      ...(membership && { fleet: { membership, watchRemote } }),
    });
  }

  #newPeers(codec: Codec, counts: Counts): Peers {
    const { node, ports, sharesBlobs, membership } = this.#settings;
    return new Peers({
      node,
      host: this.host,
      transport: ports.transport,
      codec,
      revive: this.#revive,
      deadlines: this.#deadlines,
      counts,
      blobs: sharesBlobs ? ports.blobs : undefined,
      reconnected: () => membership?.reconnected(),
      // What is granted here is this node's to say; its processes are told by it.
      spawn: ({ granted, ...request }) =>
        this.#spawner.make(membership?.record.parent !== undefined && granted ? { ...request, granted } : request),
      load: (request) => this.#load(request),
      endProcess: this.#endProcess,
      isDeparted: (peer) => membership?.presence(peer).kind === "departed",
      moved: (key, from, actor) => this.#routes.left(key, from, actor),
    });
  }

  #newRoutes(): Routes {
    const { node, membership } = this.#settings;
    return new Routes({
      node,
      host: this.host,
      peers: this.peers,
      isStaying: (peer) => membership === undefined || membership.isStaying(peer),
      resolve: (address, isSilent) => this.directory.resolve(address, isSilent),
    });
  }

  #callEnvironment(counts: Counts): CallEnvironment {
    const { node, clock, random, callTimeoutMs } = this.#settings;
    let lastLink = 0;
    return {
      node,
      clock,
      random,
      deadlines: this.#deadlines,
      callTimeoutMs,
      counts,
      tracing: this.#tracing,
      routes: {
        find: (address) => this.#routes.find(address),
        deadLetter: (address, method, why) => this.host.deadLetter(address, method, why),
      },
      nextLink: () => ++lastLink,
    };
  }

  #newSpawner(): Spawner {
    const { node, ports, membership, nodes } = this.#settings;
    return new Spawner({
      node,
      membership,
      processes: () => this.processes,
      host: this.host,
      peers: this.peers,
      types: this.types,
      shipper: new CodeShipper(ports.blobs, this.#loader),
      whereabouts: this.whereabouts,
      questions: this.#questions,
      nodes: () => membership?.nodes() ?? nodes?.() ?? [],
      stop: (address) => void this.control.stop(address, STOP_TIMEOUT_MS).catch(() => {}),
    });
  }

  #newProcesses(membership: Membership): ProcessPool | undefined {
    const { node, clock, random, log, processes } = this.#settings;
    if (processes === undefined) return undefined;
    const spawnAt = async (peer: string, request: SpawnRequest) => this.#spawner.spawnAt(peer, request);
    const { types } = this;
    return new ProcessPool({ ...processes, node, clock, random, log, types, membership, spawnAt });
  }

  #newRecovery(membership: Membership): Recovery {
    const { clock, ports } = this.#settings;
    return new Recovery({
      membership,
      directory: this.directory,
      clock,
      log: this.host.log.bind(this.host),
      isHere: (address) => this.host.isHere(address),
      place: (request) => ports.placer.place(request),
      spawnAt: (node, request) => this.#spawner.spawnAt(node, request),
    });
  }

  #newTasks({ encode, decode }: ValueCodec): Tasks {
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
      log: (level, message, data) => this.host.log(level, message, data),
      run: (request, signal, attempt) => runTask(this.host, this.dispatch, request, signal, attempt),
    });
  }

  #contextOf(cell: Cell): unknown {
    const { clock, random } = this.#settings;
    return makeContext(cell, clock, {
      system: this.#system,
      random,
      tracing: this.#tracing,
      spawnChild: (parent, type, options) => this.spawn(parent, type, options),
      handleOf: this.#revive,
      grantedOf: (holder) => this.host.grantedOf(holder),
      durablesOf: (holder) => this.host.holdings.durablesOf(holder),
      log: this.host.log.bind(this.host),
    });
  }

  // Work --------------------------------------------------------------------------------------------------------------------

  handleOf(address: Address, type = this.types.typeOf(address.type)): AnyHandle {
    let make = this.#makers.get(address.type);
    if (make === undefined) {
      make = handleMaker(this.dispatch, type);
      // A type learnt later brings its methods: until then its handles are made anew each time.
      if (type?.type === address.type) this.#makers.set(address.type, make);
    }
    return make(address);
  }

  spawn(parent: Cell | undefined, type: ActorType, options: SpawnOptions | undefined): Promise<AnyHandle> {
    const make = async () => {
      checkType(type);
      // Also for its own placer: a process can make what it spawns.
      this.#settings.membership?.knows(type);
      return this.handleOf(await this.#spawner.spawn(parent, type, options), type);
    };
    return this.#tracing === undefined || typeof type?.type !== "string"
      ? make()
      : this.#tracing.spawning(type.type, make);
  }

  /** Makes a type known here and to the other nodes, and runs its tasks when this node runs any. */
  register(type: ActorType): void {
    checkType(type);
    this.types.register(type);
    this.#settings.membership?.knows(type);
    if (this.#started) this.#serve(type.type);
  }

  #serve(type?: string): void {
    if (this.#settings.servesTasks === false) return;
    this.tasks.serve(type).catch((error: unknown) => {
      // One that leaves as soon as it has come has nothing to tell.
      if (this.#closing !== undefined) return;
      this.host.log("error", `tasks of ${type ?? "living actors"} are not taken here`, { error: String(error) });
    });
  }

  /** Takes tasks of a type whose code a script has brought. */
  async #load(request: TypeRequest): Promise<void> {
    const type = await this.types.find(request);
    this.#settings.membership?.knows(type);
    this.#serve(type.type);
  }

  /** As `register`, and sees to it that some node takes tasks of the type. */
  async provide(type: ActorType): Promise<void> {
    if (this.#settings.servesTasks === false) await this.#spawner.provide(type);
    else this.register(type);
  }

  // Life --------------------------------------------------------------------------------------------------------------------

  /** Starts to hear other nodes and takes this node's place among them. */
  async start(): Promise<void> {
    await this.peers.listen();
    await this.#settings.membership?.join();
    this.#started = true;
    this.processes?.open();
    await this.whereabouts.answer((type, options) => this.spawn(undefined, type, options));
    this.#serve();
    for (const { type } of this.types.list()) this.#serve(type);
  }

  async drain(quiet?: Promise<unknown>): Promise<void> {
    await this.#settings.membership?.update({ draining: true });
    await this.tasks.refuseNew();
    await quiet;
    const { holdings } = this.host;
    await this.processes?.drain();
    await this.#recovery?.handOver(holdings.movable(), ({ cell }) => holdings.surrender(cell));
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.host.refuseNew();
    this.processes?.refuseNew();
    this.whereabouts.refuseNew();
    const { membership, ports } = this.#settings;
    await this.tasks.close(STOP_TIMEOUT_MS);
    await this.drain();
    this.#recovery?.close();
    await Promise.all([this.processes?.close(), this.host.close(STOP_TIMEOUT_MS)]);
    this.whereabouts.close();
    this.#forwarder.close();
    this.topics.close();
    // Who hears that this node has left asks no more how its actors ended.
    await this.peers.sent();
    await membership?.leave();
    await this.peers.close();
    this.#deadlines.close();
    await this.#loader.close();
    const { store, eventLog, results, queue, blobs, close } = ports;
    await Promise.all([store.close(), eventLog.close(), results.close(), queue.close(), blobs.close()]);
    await close?.();
  }
}
