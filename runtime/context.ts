// What a running actor may do: its own handle, the signal and deadline of the message in hand, children, timers, watches, its log.
// It is not passed around: `actorContext()` finds it wherever the actor's code runs, also after an await.
//
// CX1  Timers, watches and children belong to the actor and end with it; after a restart the new life sets its own.
// CX2  Timer and watch callbacks run as messages of the actor: never beside another message (unless `concurrency` says so).

import type { ActorClass, ActorType } from "./actor.ts";
import type { Address } from "./address.ts";
import type { Cell } from "./cell/cell.ts";
import { Callback, NEVER } from "./cell/message.ts";
import { currentRunning } from "./cell/running.ts";
import type { Clock, Timer } from "./clock.ts";
import type { ActorEnd } from "./envelope.ts";
import { runtimeError } from "./errors.ts";
import { failureOf } from "./failure.ts";
import type { AnyHandle, HandleOf } from "./handle.ts";
import type { Durables } from "./holdings.ts";
import type { LogLevel } from "./log.ts";
import type { Random } from "./random.ts";
import type { ActorReminders } from "./reminders.ts";
import type { Granted } from "./resources.ts";
import type { ActorState } from "./state.ts";
import type { ActorSystem, SpawnArgs } from "./system.ts";
import type { TaskAttempt } from "./tasks/task.ts";
import type { TraceContext, Tracing } from "./trace.ts";

export interface ActorTimers {
  /** Runs `run` once, `delayMs` from now. */
  after(delayMs: number, run: () => unknown): Timer;
  /** Runs `run` every `periodMs`; the next period begins when `run` has been done. */
  every(periodMs: number, run: () => unknown): Timer;
}

export interface ActorContext {
  readonly address: Address;
  /** This actor's own handle. A call of it from its own method waits for itself (Deadlock); `cast` does not. */
  readonly self: AnyHandle;
  /** Aborts when the message in hand is cancelled or the actor ends. Outside a message: never. */
  readonly signal: AbortSignal;
  /**
   * Aborts when this life of the actor is over, whichever way: after onStop, or at once and without it when the actor is killed or fails or
   * its node loses its lease. What it does beside its messages must end by it, else it goes on beside the next life.
   */
  readonly life: AbortSignal;
  /** When the message in hand stops mattering, in milliseconds since the epoch; Infinity when never. */
  readonly deadlineMs: number;
  /**
   * The trace that the message in hand belongs to, named as HTTP headers are: `fetch(url, { headers: { ...actorContext().trace } })`.
   * Undefined when there is none.
   */
  readonly trace: TraceContext | undefined;
  /** When the message in hand runs a task: its id, and the attempt's number, a fence for effects outside. */
  readonly attempt: TaskAttempt | undefined;
  /** What its node has granted this actor: its GPUs, and the variables that make programs see them. Undefined when it asked for nothing. */
  readonly granted: Granted | undefined;
  readonly clock: Clock;
  readonly random: Random;
  readonly timers: ActorTimers;
  readonly system: ActorSystem;
  /** Small state that outlives this actor, kept under its name. Named actors only (InvalidOption). */
  readonly state: ActorState;
  /** Timers that outlive this actor, kept under its name. Named actors only (InvalidOption). */
  readonly reminders: ActorReminders;
  /**
   * Grows with every new holder of this actor's name, so that what lies outside may refuse an old one: send it along with each effect, and
   * accept none below the highest seen. Named actors only (InvalidOption).
   */
  readonly fence: number;
  /** As `system.spawn`, but the new actor ends with this one and may escalate to it. */
  spawn<Class extends ActorClass>(
    type: ActorType<Class>,
    ...options: SpawnArgs<Class>
  ): Promise<HandleOf<InstanceType<Class>>>;
  /** Calls `onEnd` as this actor when the other one ends. */
  watch(handle: AnyHandle, onEnd: (end: ActorEnd) => unknown): Timer;
  /** Gives up this life: the supervisor decides what follows. */
  fail(error: unknown): void;
  /**
   * Puts the message in hand aside, unanswered, once its method has returned; what it returns is dropped, what it throws is not. It keeps
   * its place in the mailbox's bound (its caller gets MailboxFull when there is none), its deadline and its cancel, and waits until
   * `unstashAll` or a restart. Throws InvalidOption outside a message, in a timer or watch, and in a stream that has sent a chunk.
   */
  stash(): void;
  /** Puts what is stashed back into the mailbox, before all that waits there, in the order in which it was stashed. */
  unstashAll(): void;
  log(level: LogLevel, message: string, data?: Readonly<Record<string, unknown>>): void;
}

/** The context of the actor whose code calls this. Throws InvalidOption outside every actor. */
export function actorContext(): ActorContext {
  const running = currentRunning();
  if (running === undefined) {
    throw runtimeError(
      "InvalidOption",
      "actorContext() works only inside an actor: in its constructor, methods and callbacks",
    );
  }
  return running.actor.context as ActorContext;
}

const neverAborted = (): AbortSignal => new AbortController().signal;

/** What a context needs beyond its cell. */
export interface ContextEnvironment {
  readonly system: ActorSystem;
  readonly random: Random;
  readonly tracing: Tracing | undefined;
  spawnChild(parent: Cell, type: ActorType, options: SpawnArgs<ActorClass>[0]): Promise<AnyHandle>;
  handleOf(address: Address): AnyHandle;
  durablesOf(cell: Cell): Durables;
  grantedOf(cell: Cell): Granted | undefined;
  log(level: LogLevel, message: string, data: Readonly<Record<string, unknown>>, cell: Cell): void;
}

export function makeContext(cell: Cell, clock: Clock, environment: ContextEnvironment): ActorContext {
  const { system } = environment;
  return {
    system,
    clock,
    random: environment.random,
    timers: timersOf(cell, clock, environment.tracing),
    get attempt() {
      return currentRunning()?.message?.attempt;
    },
    get granted() {
      return environment.grantedOf(cell);
    },
    get trace() {
      return currentRunning()?.message?.trace;
    },
    get address() {
      return cell.address;
    },
    get self() {
      return environment.handleOf(cell.address);
    },
    get signal() {
      return currentRunning()?.message?.signal ?? neverAborted();
    },
    get life() {
      return isOver(cell) ? AbortSignal.abort() : cell.life.signal;
    },
    get deadlineMs() {
      return currentRunning()?.message?.deadlineMs ?? NEVER;
    },
    get state() {
      return environment.durablesOf(cell).state;
    },
    get reminders() {
      return environment.durablesOf(cell).reminders;
    },
    get fence() {
      return environment.durablesOf(cell).fence;
    },
    async spawn(type, ...[options]) {
      if (isOver(cell)) throw runtimeError("ActorEnded", `this life of ${cell.label} is over and can have no children`);
      return environment.spawnChild(cell, type, options) as Promise<never>;
    },
    watch(handle, onEnd) {
      if (isOver(cell)) return NOTHING;
      const watch = cell.life.own({
        cancel: system.watch(handle, (end) => {
          watch.cancel();
          const run = () => onEnd(end);
          cell.signal("watch", environment.tracing?.apart(run) ?? run);
        }),
      });
      return watch;
    },
    fail: (error) => {
      if (!isOver(cell)) cell.fail(failureOf(error, cell.type.type));
    },
    stash: () => stash(cell),
    unstashAll() {
      if (!isOver(cell)) cell.aside.unstashAll();
    },
    log: (level, message, data = {}) => environment.log(level, message, data, cell),
  };
}

function stash(cell: Cell): void {
  const running = currentRunning();
  const message = running?.actor === cell ? running.message : undefined;
  if (message === undefined || message instanceof Callback || message.hasBegun)
    throw runtimeError(
      "InvalidOption",
      "stash() works only inside a call, a cast or a stream that has sent nothing yet",
    );
  if (!isOver(cell)) cell.aside.stash(message);
}

const NOTHING: Timer = { cancel() {} };

/** Whether the calling code was left behind by a life that is over: it must do nothing in the name of the next one (CX1). */
function isOver(cell: Cell): boolean {
  const running = currentRunning();
  return cell.isEnded || (running?.actor === cell && running.incarnation !== cell.address.incarnation);
}

function timersOf(cell: Cell, clock: Clock, tracing: Tracing | undefined): ActorTimers {
  const after = (delayMs: number, run: () => unknown) =>
    isOver(cell) ? NOTHING : cell.life.addTimer(clock, delayMs, () => cell.signal("timer", tracing?.apart(run) ?? run));
  const every = (periodMs: number, run: () => unknown): Timer => {
    let cancelled = false;
    let timer: Timer;
    const again = () => {
      if (!cancelled) timer = after(periodMs, fire);
    };
    const fire = async () => {
      try {
        await run();
      } finally {
        again();
      }
    };
    again();
    return {
      cancel() {
        cancelled = true;
        timer.cancel();
      },
    };
  };
  return { after, every };
}
