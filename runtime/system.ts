// ActorSystem: what `connect()` returns. Users spawn, find, watch and stop actors here, submit tasks, publish and subscribe.
// It is a door: the parts behind it are put together in assembly.ts.
//
// SY1  Everything a system starts ends with its `close`: actors in reverse order, then the way to other nodes, then its ports.
// SY2  Handles stay valid for as long as their actor lives, wherever they have travelled and wherever it has been moved.

import { AsyncResource } from "node:async_hooks";
import type { ActorClass, ActorType, SpawnOptions } from "./actor.ts";
import { type Address, addressIn } from "./address.ts";
import { Assembly, STOP_TIMEOUT_MS } from "./assembly.ts";
import type { Clock } from "./clock.ts";
import { refuseWhileLoading } from "./code/loading.ts";
import { copyArgs } from "./copy.ts";
import type { SystemStats } from "./counts.ts";
import type { DeadLetters } from "./dead-letters.ts";
import { nameKey } from "./directory.ts";
import type { ActorEnd } from "./envelope.ts";
import { runtimeError } from "./errors.ts";
import type { GroupOptions, PlacementGroup } from "./groups.ts";
import type { AnyHandle, HandleOf } from "./handle.ts";
import type { MemoryBound } from "./isolation/cgroup.ts";
import type { NodeRecord, NodeReport } from "./node-record.ts";
import { checkKnown, checkType, handleAddress, milliseconds, plainName, refuse } from "./options.ts";
import type { Decision } from "./placer.ts";
import { openPool, type Pool } from "./pool/pool.ts";
import type { PoolArgs, PoolOptions } from "./pool/pool-options.ts";
import type { FleetFacts, Ports } from "./ports.ts";
import type { SystemSettings } from "./system-settings.ts";
import type { TaskDeadLetters } from "./tasks/dead-letters.ts";
import type { SubmitOptions } from "./tasks/task.ts";
import type { ResultOptions, WaitedTasks, WaitOptions } from "./tasks/tasks.ts";
import type { Published, PublishOptions, SubscribeOptions, Subscription } from "./topics.ts";

/** A spawn's options: `args` is required when the constructor requires an argument. */
export type SpawnArgs<Class extends ActorClass> =
  [] extends ConstructorParameters<Class>
    ? [options?: SpawnOptions<ConstructorParameters<Class>>]
    : [options: SpawnOptions<ConstructorParameters<Class>> & { readonly args: ConstructorParameters<Class> }];

const STOP_OPTIONS: ReadonlySet<string> = new Set(["timeoutMs"]);

export class ActorSystem implements AsyncDisposable {
  readonly node: string;
  readonly clock: Clock;
  readonly ports: Ports;
  readonly #settings: SystemSettings;
  readonly #parts: Assembly;

  /** Use `connect`. */
  constructor(settings: SystemSettings) {
    refuseWhileLoading();
    this.node = settings.node;
    this.clock = settings.clock;
    this.ports = settings.ports;
    this.#settings = settings;
    this.#parts = new Assembly(settings, this);
  }

  // Life --------------------------------------------------------------------------------------------------------------------

  /** Starts to hear other nodes and takes this node's place among them. Called by `connect`. */
  listen(): Promise<void> {
    return this.#parts.start();
  }

  /**
   * Takes no more actors of others and no more tasks, and moves the actors that can live elsewhere to other nodes, from when `quiet` has resolved.
   * `close` begins with it on a fleet.
   */
  drain(quiet?: Promise<unknown>): Promise<void> {
    return this.#parts.drain(quiet);
  }

  /** Hands over what can move, ends every other actor in reverse order, then everything else. May be called twice. */
  close(): Promise<void> {
    return this.#parts.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  // Looking at it -----------------------------------------------------------------------------------------------------------

  /** What nobody could take, counted and the last of them kept. */
  get deadLetters(): DeadLetters {
    return this.#parts.host.deadLetters;
  }

  /** Everything that is counted here, as plain data of this moment. Looks at every actor: ask every second, not for every call. */
  stats(): SystemStats {
    const { host, peers, processes } = this.#parts;
    const { counts, size, waiting, deadLetters } = host;
    return counts.snapshot({
      actors: size,
      waiting,
      deadLetters: deadLetters.count,
      processes: processes?.size ?? 0,
      processesReady: processes?.ready ?? 0,
      ...peers.stats(),
    });
  }

  /** The server's version, durability mode and replicas: which promises are in force. Undefined in a process that is alone. */
  get facts(): FleetFacts | undefined {
    return this.#settings.facts;
  }

  /**
   * Whether memory limits of actors in processes of their own hold for all of their memory (control groups) or for their heaps only, and why.
   * Asked first, it moves this process into a group below its own where it may. Undefined where there can be no such processes.
   */
  async memoryBound(): Promise<MemoryBound | undefined> {
    return this.#parts.processes?.memoryBound();
  }

  /** Every node of the fleet that is there now, this one first; not the processes of single actors. Empty in a process that is alone. */
  nodes(): readonly NodeRecord[] {
    const nodes = this.#settings.membership?.nodes() ?? [];
    return nodes.filter(({ node, parent }) => parent === undefined || node === this.node);
  }

  /** Whether this node has its place among the others now: not while it cannot renew that. Always in a process that is alone. */
  get isMember(): boolean {
    return this.#settings.membership?.isValid ?? true;
  }

  /** Tells the fleet how this node stands, at most every NODE_REPORT_MIN_MS; of several in between only the last. Alone: nobody hears. */
  report(report: NodeReport): void {
    this.#settings.membership?.announce({ report });
  }

  // Actors ------------------------------------------------------------------------------------------------------------------

  /**
   * Makes `type` known here, so that other nodes may spawn it by name, and runs tasks of it here when this node runs tasks; `spawn` does the
   * first by itself. Throws InvalidOption for two classes of one name.
   */
  register(type: ActorType): void {
    this.#parts.register(type);
  }

  /**
   * Makes an actor and resolves to its handle once it has started.
   * Throws InvalidOption, NotSendable (an argument), NameTaken, Unplaceable, UnknownActorType (on another node), ActorStartFailed, Closed;
   * BundleFailed and the other errors of code/errors.ts when the class has to be shipped; with a process or thread of its own also
   * ActorModuleInvalid, ProcessFailed, ProcessLimit, ProcessNeedsFleet, ProcessOutOfMemory.
   */
  spawn<Class extends ActorClass>(
    type: ActorType<Class>,
    ...[options]: SpawnArgs<Class>
  ): Promise<HandleOf<InstanceType<Class>>> {
    const given = options as SpawnOptions | undefined;
    return this.#parts.spawn(undefined, type, given) as Promise<HandleOf<InstanceType<Class>>>;
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
    plainName("name", name);
    plainName("namespace", namespace);
    if (type !== undefined) {
      checkType(type);
      this.#parts.types.register(type);
    }
    const data = { name, namespace };
    const located = await this.#parts.directory.locate(nameKey(namespace, name));
    if (located.kind === "at") return this.#parts.handleOf(located.address) as HandleOf<InstanceType<Class>>;
    if (located.kind === "unsettled")
      throw runtimeError("Unavailable", `"${name}" cannot be reached: ${located.why}`, { data });
    throw runtimeError("NoSuchActor", `nobody is called "${name}" in namespace "${namespace}"`, { data });
  }

  /**
   * Spawns `size` actors of one type and resolves to the pool of them. It belongs to whoever opened it: `await using`, or `close`.
   * Throws InvalidOption and whatever `spawn` throws.
   */
  async pool<Class extends ActorClass>(
    type: ActorType<Class>,
    options: PoolArgs<Class>,
  ): Promise<Pool<InstanceType<Class>>> {
    if (typeof options !== "object" || options === null) refuse("options", "an object with a size", options);
    const { size: _, strategy: __, ...own } = options as PoolOptions;
    if (own.args !== undefined && !Array.isArray(own.args))
      refuse("args", "an array of constructor arguments", own.args);
    // Replacements are made much later: what the caller does to its own arguments meanwhile must not show.
    const args = own.copy === false ? (own.args ?? []) : copyArgs([...(own.args ?? [])]);
    const environment = {
      clock: this.clock,
      callTimeoutMs: this.#settings.callTimeoutMs,
      dispatch: this.#parts.dispatch,
      spawn: () => this.#parts.spawn(undefined, type, { ...own, args }),
      watch: (handle: AnyHandle, onEnd: () => void) => this.watch(handle, onEnd),
    };
    return (await openPool(environment, type, options)) as Pool<InstanceType<Class>>;
  }

  /**
   * Sets amounts aside for several actors, all or none: `spawn(Type, { placement: { bundle: group.bundle(0) } })`. It belongs to whoever
   * opened it: `await using`, or `close`. Throws InvalidOption, Unplaceable, Closed.
   */
  group(options: GroupOptions): Promise<PlacementGroup> {
    return this.#parts.whereabouts.group(options);
  }

  /**
   * Why an actor is where it is: what its placer has weighed when it was spawned. Undefined when that was not kept: it lives in a process
   * that grants nothing, or has neither a name nor demands. Throws NoSuchActor, Unavailable.
   */
  async decision(actor: AnyHandle | Pick<Address, "node" | "id">): Promise<Decision | undefined> {
    const address = addressIn(actor) ?? (actor as Pick<Address, "node" | "id">);
    if (typeof address?.node !== "string" || typeof address.id !== "string")
      refuse("actor", "a handle, or { node, id }", actor);
    return this.#parts.whereabouts.decisionOf(address);
  }

  /** Ends an actor after the message in hand, within `timeoutMs`; resolves when it has ended. Stopping one that is gone does nothing. */
  async stop(handle: AnyHandle, options: { readonly timeoutMs?: number } = {}): Promise<void> {
    checkKnown(options, STOP_OPTIONS);
    return this.#parts.control.stop(
      handleAddress(handle),
      milliseconds("timeoutMs", options.timeoutMs ?? STOP_TIMEOUT_MS),
    );
  }

  /** Ends an actor now: its calls fail, nothing is waited for, no onStop runs. */
  async kill(handle: AnyHandle): Promise<void> {
    return this.#parts.control.kill(handleAddress(handle));
  }

  /** Calls `onEnd` once when the actor ends, at once when it already has. Answers how to take that back. */
  watch(handle: AnyHandle, onEnd: (end: ActorEnd) => void): () => void {
    const address = handleAddress(handle);
    if (typeof onEnd !== "function") refuse("onEnd", "a function", onEnd);
    // Bound to here: whoever ends the actor, the callback does not run on behalf of that one's message.
    const tell = AsyncResource.bind((end: ActorEnd) => {
      try {
        onEnd(end);
      } catch (error) {
        // It is called from within the ending of an actor, which must go on.
        this.#parts.host.log("error", "a watcher threw", { error: String(error) });
      }
    });
    return this.#parts.control.watch(address, tell);
  }

  // Tasks -------------------------------------------------------------------------------------------------------------------

  /**
   * Accepts `method(...args)` as a durable task of an actor, or of a fresh one of a type made for it on a node that has the type; resolves to
   * the task's id once it cannot be lost any more. Throws as Tasks.submit does (tasks/tasks.ts).
   */
  async submit(
    target: ActorType | AnyHandle,
    method: string,
    args: readonly unknown[] = [],
    options?: SubmitOptions,
  ): Promise<string> {
    const { tasks } = this.#parts;
    const address = addressIn(target);
    if (address === undefined) {
      checkType(target as ActorType);
      await this.#parts.provide(target as ActorType);
      return tasks.submit({ type: (target as ActorType).type }, method, args, options);
    }
    return tasks.submit({ type: address.type, address }, method, args, options);
  }

  /**
   * What the task returned, once it has. Rejects with TaskFailed (data.history: every attempt), TaskCancelled, TaskExpired, TaskUnknown at
   * once, TaskDataLost; with DeadlineExceeded or Cancelled when only the wait was given up.
   */
  result(id: string, options?: ResultOptions): Promise<unknown> {
    return this.#parts.tasks.result(id, options);
  }

  /** Waits until `count` of the tasks have ended, or `timeoutMs` have passed; tells which have. Throws TaskUnknown, Cancelled. */
  wait(ids: readonly string[], options?: WaitOptions): Promise<WaitedTasks> {
    return this.#parts.tasks.wait(ids, options);
  }

  /** Cancels a task: true when that is its outcome now, false when it had one before. Throws TaskUnknown. */
  cancel(id: string): Promise<boolean> {
    return this.#parts.tasks.cancel(id);
  }

  /** Tasks that failed for good, with the history of their attempts: list, show, replay. */
  get deadTasks(): TaskDeadLetters {
    return this.#parts.tasks.deadLetters;
  }

  // Topics ------------------------------------------------------------------------------------------------------------------

  /**
   * Appends an event to a topic: dotted text of any characters. Kept for as long as the event log keeps it.
   * Throws InvalidOption (topic, key), NotSendable (by path), ValueTooLarge, Closed.
   */
  publish(topic: string, event: unknown, options?: PublishOptions): Promise<Published> {
    return this.#parts.topics.publish(topic, event, options);
  }

  /**
   * The events of a topic, or with `*` (one part) and a last `>` (one or more) of many: from now, from the start or from a sequence.
   * Ends with its signal, with the loop over it, and with the system. Throws InvalidOption, Closed; reading too slowly ReaderLagged.
   */
  subscribe<Event = unknown>(pattern: string, options?: SubscribeOptions): Subscription<Event> {
    return this.#parts.topics.subscribe(pattern, options);
  }
}
