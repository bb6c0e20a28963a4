// What an author writes: a class, given a type name. And the options a spawn may carry.
// It is not a live actor (cell.ts).
//
// AC1  An actor's methods are the public methods of its class and of the classes it extends, found once when it is defined; nothing
//      else of the object can be called from outside.
// AC2  `onStart`, `onStop` and the names in RESERVED are never methods of a handle.

import type { RestartPolicy } from "./cell/supervisor.ts";
import { callingModule } from "./code/call-site.ts";
import { runtimeError } from "./errors.ts";
import type { PlacementOptions } from "./placer.ts";
import type { Amounts } from "./resources.ts";

/** Any class: constructor arguments are the spawn's `args`. */
export type ActorClass<Instance extends object = object, Args extends never[] = never[]> = new (
  ...args: Args
) => Instance;

/** Optional hooks of an actor's class. */
export interface ActorHooks {
  /** Runs before the first message; a throw fails the spawn (or the restart). */
  onStart?(): void | Promise<void>;
  /**
   * Runs after the last message of an orderly stop; not when killed or failed. An actor that is stopped, or given up, while its onStart still
   * waits gets it when that has ended.
   */
  onStop?(): void | Promise<void>;
}

export interface Method {
  readonly run: (...args: unknown[]) => unknown;
  /** Whether it is a generator: its answer is a stream. */
  readonly streams: boolean;
  /** Whether it is async or a generator, so that it may go on after its call has returned. */
  readonly waits: boolean;
}

/** A named class: what `spawn` takes. */
export interface ActorType<Class extends ActorClass = ActorClass> {
  readonly type: string;
  readonly actorClass: Class;
  readonly methods: ReadonlyMap<string, Method>;
  /** Which version of the class: nodes that have another one are not mistaken for having this. */
  readonly version: string;
  /** `file:` URL of the module that defines it, when known: what is bundled for a node that does not have the class. */
  readonly module?: string;
}

/** What a type says about itself; every field has a default. */
export interface TypeOptions {
  /** 1 to 64 letters, digits, "_", ".", "+" or "-". Change it when the class changes, so that old nodes are told apart. Default "0". */
  readonly version?: string;
  /** `import.meta.url` of the module that exports the type. Default: the module that calls `defineActor`. */
  readonly module?: string;
}

/**
 * How far an actor is kept apart from the others of its node. The same class lives in all three; apart, it needs a fleet, and its type must be
 * exported from a module that does nothing but define.
 *
 * - `"shared"`: one thread and one heap with the others, thousands in one node. Whatever blocks, fills or ends the node's process reaches all.
 * - `"thread"`: a thread of the node's process with its own event loop and heap. An endless loop, an error that nobody catches and `process.exit`
 *   end nothing but this actor, and so does memory over its limit when it grows in steps. What ends the process ends the node: a crash in
 *   native code, or half a gigabyte more than its limit in one piece. It cannot change the process (folder, user, signals), and native code does
 *   not see environment variables of its own, so an actor with a GPU belongs into a process. It is started when it is wanted.
 * - `"process"`: a process of its own, with its own environment. Nothing that it does to its thread, its memory or its process reaches other
 *   actors; a limit on its memory bounds its heap, and all of it where the node may make cgroups. The node can keep some ready (`warmProcesses`).
 */
export type Isolation = "shared" | "thread" | "process";

/** Bounds and conduct of one actor; every field has a default. */
export interface SpawnOptions<Args extends readonly unknown[] = readonly unknown[]> {
  /** Arguments of the constructor, copied; kept for restarts. */
  readonly args?: Args;
  /** Unique in its namespace while the actor lives. */
  readonly name?: string;
  /** Default "default". */
  readonly namespace?: string;
  /** With a name: when it is taken, resolve to the actor that has it. */
  readonly getIfExists?: boolean;
  /** Restart after a failure: at most `maxRestarts` within `withinMs`. Default: a failure ends the actor. */
  readonly restart?: Pick<RestartPolicy, "maxRestarts" | "withinMs"> & Partial<RestartPolicy>;
  /** When its restarts are used up, the actor that spawned it fails too. Default false. */
  readonly escalate?: boolean;
  /** Also treat what a called method throws as a failure of the actor; the caller gets the error in any case. Default false. */
  readonly failOnThrow?: boolean;
  /** Messages handled at once. Default 1. */
  readonly concurrency?: number;
  /** Let a call in whose chain already holds this actor (A → B → A) instead of failing it with Deadlock. Default false. */
  readonly reentrant?: boolean;
  /** Messages that may wait, of all callers and priorities together, stashed ones included. Default 10,000. */
  readonly mailboxMax?: number;
  /** Milliseconds that onStart may take, at each start; then it has failed (ActorStartFailed). Default: the call time-out of its system. */
  readonly startTimeoutMs?: number;
  /** Copy arguments and results inside one process. Turn off only where a profile says so. Default true. */
  readonly copy?: boolean;
  /** On a fleet: outlive the process that spawned it, and come back on another node when its own dies. Default false. */
  readonly detached?: boolean;
  /** What of its node the actor has to itself, see Isolation. Default "shared". */
  readonly isolation?: Isolation;
  /** Node to live on; default: the placer chooses. */
  readonly node?: string;
  /** What its node must grant it, for as long as it lives: { gpus: 0.5, cpus: 2 }. Default: nothing. */
  readonly resources?: Amounts;
  /** Where it may live, and where best. */
  readonly placement?: PlacementOptions;
  /**
   * Milliseconds to wait for a place when no node will do. Default: the call time-out of its system (ten minutes with a model) while what
   * stands against it may pass, and no time when nothing but a change of the fleet can help.
   */
  readonly placeTimeoutMs?: number;
}

/** Names a handle keeps for itself. */
export const RESERVED: ReadonlySet<string> = new Set([
  "cast",
  "with",
  "then",
  "catch",
  "finally",
  "constructor",
  "toJSON",
]);
const HOOKS: ReadonlySet<string> = new Set(["onStart", "onStop"]);

function methodOf(run: Method["run"]): Method {
  const tag = Object.prototype.toString.call(run);
  const streams = tag === "[object AsyncGeneratorFunction]" || tag === "[object GeneratorFunction]";
  return { run, streams, waits: streams || tag === "[object AsyncFunction]" };
}

function methodsOf(type: string, actorClass: ActorClass): Map<string, Method> {
  const methods = new Map<string, Method>();
  for (let proto: object = actorClass.prototype; proto !== Object.prototype; proto = Object.getPrototypeOf(proto)) {
    for (const [name, { value }] of Object.entries(Object.getOwnPropertyDescriptors(proto))) {
      if (typeof value !== "function" || name === "constructor" || HOOKS.has(name) || methods.has(name)) continue;
      if (RESERVED.has(name)) {
        throw runtimeError(
          "InvalidOption",
          `actor type ${type}: a method cannot be called "${name}", handles keep that name; rename it`,
        );
      }
      methods.set(name, methodOf(value));
    }
  }
  return methods;
}

/**
 * Gives a class the name under which it is spawned, here and on other nodes.
 * Throws InvalidOption for a name or version that cannot travel, or a method with a reserved name.
 */
export function defineActor<Class extends ActorClass>(
  type: string,
  actorClass: Class,
  options: TypeOptions = {},
): ActorType<Class> {
  const { version = "0", module = callingModule(defineActor) } = options;
  if (!/^[\w.-]{1,64}$/.test(type)) {
    throw runtimeError("InvalidOption", `actor type "${type}": expected 1 to 64 letters, digits, "_", "." or "-"`);
  }
  if (!/^[\w.+-]{1,64}$/.test(version)) {
    throw runtimeError(
      "InvalidOption",
      `actor type ${type}: version "${version}": expected 1 to 64 letters, digits, "_", ".", "+" or "-"`,
    );
  }
  const methods = methodsOf(type, actorClass);
  return { type, actorClass, methods, version, ...(module !== undefined && { module }) };
}

/** Whether `value`, an export of somebody's module, came from `defineActor`. */
export function isActorType(value: unknown): value is ActorType {
  if (typeof value !== "object" || value === null) return false;
  const { type, actorClass, methods } = value as Partial<ActorType>;
  return typeof type === "string" && typeof actorClass === "function" && methods instanceof Map;
}
