// One live actor: its instance, its mailbox and the loop that runs one message after the other.
// It is not where an actor comes from or is found (host.ts), nor who decides what a failure means (supervisor.ts).
//
//     starting ──▶ running ──▶ stopping ──▶ ended
//        ▲            │ failure                ▲
//        └─ restarting ◀──────▶ (used up) ─────┘
//
// CE1  At most `concurrency` messages are in hand at once; the rest wait, in the order they came, control before work.
// CE2  A message whose deadline has passed or whose caller has gone is not started.
// CE3  An actor fails when its constructor or onStart throws, when a cast, timer or signal throws (nobody else would hear of it), when it
//      says so (ctx.fail), and with `failOnThrow` when any method throws. Otherwise what a called method throws goes to its caller.
// CE4  A restart makes a new instance from the same arguments. Waiting messages stay; messages in hand fail with ActorRestarted.
// CE5  When a cell ends, its children have ended, its timers are gone, and every message it held has been answered.

import type { ActorType } from "./actor.ts";
import { type Address, formatAddress } from "./address.ts";
import type { Receiver } from "./calls.ts";
import { type Clock, finishesWithin } from "./clock.ts";
import type { ActorEnd, WireError } from "./envelope.ts";
import { failure, failureOf } from "./failure.ts";
import { callHook, type Instance, type Started, startInstance } from "./instance.ts";
import { Life } from "./life.ts";
import { Mailbox } from "./mailbox.ts";
import { Callback, type Message } from "./message.ts";
import type { SpawnSettings } from "./options.ts";
import { pump } from "./pump.ts";
import { deadlockFailure, fullFailure, goneFailure, noMethodFailure, wrongKindFailure } from "./refusal.ts";
import { currentRunning, Running, type RunningActor } from "./running.ts";
import { type Directive, decide, withinWindow } from "./supervisor.ts";
import { isThenable } from "./thenable.ts";

/** What a cell needs of its host. */
export interface CellHost {
  readonly clock: Clock;
  /** Gives the cell a turn soon. */
  schedule(cell: Cell): void;
  /** The cell's ActorContext, asked for once. */
  contextOf(cell: Cell): unknown;
  /** Told once, when nothing of the cell runs any more. */
  ended(cell: Cell, end: ActorEnd): void;
  deadLetter(address: Address, method: string, args: readonly unknown[], why: WireError): void;
  failed(cell: Cell, why: WireError, directive: Directive["kind"]): void;
}

type State = "starting" | "running" | "restarting" | "stopping" | "ended";

/** Messages one turn may run before other actors have theirs. */
const TURN_MAX = 256;

export class Cell implements Receiver, RunningActor {
  readonly type: ActorType;
  readonly parent: Cell | undefined;
  readonly settings: SpawnSettings;
  /** Timers, children and watchers of this actor. */
  readonly life = new Life<Cell>();
  /** Belongs to the run queue. */
  scheduled = false;
  readonly #host: CellHost;
  readonly #args: readonly unknown[];
  readonly #mailbox: Mailbox<Message>;
  readonly #sinceMs: number;
  #address: Address;
  #state: State = "starting";
  #instance: Instance | undefined = undefined;
  #handled = 0;
  /** Messages in hand that outlive their turn: all but those of methods that return at once. */
  #inHand: Set<Message> | undefined = undefined;
  #restartsAtMs: number[] | undefined = undefined;
  #context: unknown = undefined;
  #idle: (() => void) | undefined = undefined;
  /** The last turn's Running, when no message has kept it. */
  #unkept: Running | undefined = undefined;
  #stopping: Promise<void> | undefined = undefined;

  constructor(
    host: CellHost,
    type: ActorType,
    address: Address,
    args: readonly unknown[],
    settings: SpawnSettings,
    parent: Cell | undefined,
  ) {
    this.#host = host;
    this.type = type;
    this.#address = address;
    this.#args = args;
    this.settings = settings;
    this.parent = parent;
    this.#mailbox = new Mailbox(settings.mailboxMax);
    this.#sinceMs = host.clock.now();
    parent?.life.adopt(this);
  }

  get address(): Address {
    return this.#address;
  }

  get label(): string {
    return formatAddress(this.#address);
  }

  get copies(): boolean {
    return this.settings.copy;
  }

  get context(): unknown {
    this.#context ??= this.#host.contextOf(this);
    return this.#context;
  }

  get #free(): boolean {
    return this.#inHand === undefined || this.#inHand.size < this.settings.concurrency;
  }

  get #leaving(): boolean {
    return this.#state === "stopping" || this.#state === "ended";
  }

  // Messages ----------------------------------------------------------------------------------------------------------------

  receive(message: Message): WireError | undefined {
    if (this.#leaving) return goneFailure(this.label);
    if (message.chain.length > 0 && !this.settings.reentrant && this.#closesCircle(message))
      return deadlockFailure(message.chain, this.label);
    if (!this.#mailbox.push(message))
      return fullFailure(this.label, this.#mailbox.max, this.#handled / (this.#host.clock.now() - this.#sinceMs + 1));
    if (!this.scheduled && (this.settings.reentrant || this.#free)) this.#host.schedule(this);
    return undefined;
  }

  /** Runs `run` as this actor, after what is in hand and before waiting work; dropped once the actor is leaving. */
  signal(name: string, run: () => unknown): void {
    if (this.#leaving) return;
    this.#mailbox.pushControl(new Callback(name, run));
    if (!this.scheduled && this.#free) this.#host.schedule(this);
  }

  /** Runs what may be run now. Called by the run queue only. */
  turn(nowMs: number): void {
    for (let taken = 0; taken < TURN_MAX && this.#state === "running"; ) {
      const running = this.#unkept ?? new Running(this);
      this.#unkept = undefined;
      const count = running.run(runSome, this, running, nowMs);
      if (running.message === undefined) this.#unkept = running;
      if (count === 0) return;
      taken += count;
    }
    if (this.#state === "running" && !this.#mailbox.isEmpty && this.#free) this.#host.schedule(this);
  }

  /** Runs messages until one goes on by itself, `running` then being its own (R1), or none may be taken. Answers how many it took. */
  runSome(running: Running, nowMs: number): number {
    for (let taken = 0; taken < TURN_MAX; taken++) {
      const message = this.#state === "running" ? this.#take() : undefined;
      if (message === undefined) return taken;
      if (message.cancelled !== undefined) continue;
      if (message.deadlineMs <= nowMs) {
        this.#expire(message);
        continue;
      }
      this.#handled++;
      running.message = message;
      if (this.#begin(message)) return taken + 1;
      running.message = undefined;
    }
    return TURN_MAX;
  }

  #take(): Message | undefined {
    if (this.#free) return this.#mailbox.take();
    if (!this.settings.reentrant) return undefined;
    return this.#mailbox.takeWhere((message) => this.#someInHand((held) => message.isWaitedForBy(held)));
  }

  /** Starts a message; true when it goes on after this returns. */
  #begin(message: Message): boolean {
    let result: unknown;
    try {
      if (message instanceof Callback) {
        result = message.run();
      } else {
        const method = this.type.methods.get(message.method);
        const wanted = message.credit !== undefined;
        if (method === undefined || method.streams !== wanted) {
          const name = `${this.type.type}.${message.method}`;
          this.#refuse(
            message,
            method === undefined ? noMethodFailure(name, this.type) : wrongKindFailure(name, wanted),
          );
          return false;
        }
        result = method.run.apply(this.#instance, message.args);
        if (wanted) result = pump(message, result as Iterator<unknown> | AsyncIterator<unknown>);
      }
    } catch (error) {
      this.#threw(message, error);
      return false;
    }
    if (!isThenable(result)) {
      message.sink?.value(result);
      return false;
    }
    this.#hold(message);
    result.then(
      (value) => this.#finish(message, () => message.credit === undefined && message.sink?.value(value)),
      (error: unknown) => this.#finish(message, () => this.#threw(message, error)),
    );
    return true;
  }

  #hold(message: Message): void {
    (this.#inHand ??= new Set()).add(message);
    if (this.settings.reentrant) return;
    // A method that called itself and then awaits the answer is a circle only now that it turns out to wait.
    const inCircle = (waiting: Message): boolean => waiting.isWaitedForBy(message) && this.#closesCircle(waiting);
    for (
      let stuck = this.#mailbox.takeWhere(inCircle);
      stuck !== undefined;
      stuck = this.#mailbox.takeWhere(inCircle)
    ) {
      stuck.sink?.fail(deadlockFailure(stuck.chain, this.label));
    }
  }

  /** Ends a held message; one that a restart or a stop has let go of says no more. */
  #finish(message: Message, settle: () => void): void {
    if (!this.#inHand?.delete(message)) return;
    settle();
    if (this.#idle !== undefined && this.#inHand.size === 0) return this.#idle();
    if (!this.scheduled && this.#state === "running" && !this.#mailbox.isEmpty) this.#host.schedule(this);
  }

  #threw(message: Message, error: unknown): void {
    const why = failureOf(error, `${this.type.type}.${message.method}`);
    message.sink?.fail(why);
    // What a cancelled method throws is its way to end, not a fault of the actor.
    if (message.cancelled !== undefined) return;
    if (message.sink === undefined || this.settings.failOnThrow) this.fail(why);
  }

  #someInHand(test: (message: Message) => boolean): boolean {
    for (const message of this.#inHand ?? []) if (test(message)) return true;
    return false;
  }

  /** Whether every message in hand waits for this one, so that none can ever make room for it. */
  #closesCircle(message: Message): boolean {
    return !this.#free && !this.#someInHand((held) => !message.isWaitedForBy(held));
  }

  // Refusals ----------------------------------------------------------------------------------------------------------------

  #refuse(message: Message, why: WireError): void {
    if (message.sink !== undefined) message.sink.fail(why);
    else if (!(message instanceof Callback)) this.#host.deadLetter(this.#address, message.method, message.args, why);
  }

  #expire(message: Message): void {
    this.#refuse(
      message,
      failure("DeadlineExceeded", "the deadline passed before the actor got to it; it did not run"),
    );
  }

  // Life --------------------------------------------------------------------------------------------------------------------

  /** Makes an instance; a promise only when its onStart waits. Answers why it could not be made. */
  start(): WireError | undefined | Promise<WireError | undefined> {
    const started = startInstance(this.type, this.#args, this.settings.copy, new Running(this));
    return started instanceof Promise ? started.then((late) => this.#started(late)) : this.#started(started);
  }

  #started(started: Started): WireError | undefined {
    if (started.kind === "failed") return started.why;
    // A kill or a stop may have come while onStart was waiting.
    if (this.#leaving) return undefined;
    this.#instance = started.instance;
    this.#state = "running";
    if (!this.#mailbox.isEmpty && !this.scheduled) this.#host.schedule(this);
    return undefined;
  }

  /** Ends this life because of `why`; the supervisor says what follows (CE3). */
  fail(why: WireError): void {
    if (this.#leaving) return;
    const { restart, escalate } = this.settings;
    const nowMs = this.#host.clock.now();
    const directive = decide(this.#restartsAtMs ?? [], restart, escalate && this.parent !== undefined, nowMs);
    this.#host.failed(this, why, directive.kind);
    if (directive.kind !== "restart") {
      const { parent } = this;
      this.#end("failed", failure("ActorEnded", `${this.label} failed: ${why.message}`), why);
      if (directive.kind === "escalate") parent?.fail(why);
      return;
    }
    this.#state = "restarting";
    this.#restartsAtMs = [...withinWindow(this.#restartsAtMs ?? [], restart, nowMs), nowMs];
    this.#letGo(failure("ActorRestarted", `${this.label} was restarted: ${why.message}`));
    this.life.addTimer(this.#host.clock, directive.afterMs, () => this.#restart());
  }

  #restart(): void {
    if (this.#state !== "restarting") return;
    this.#address = { ...this.#address, incarnation: this.#address.incarnation + 1 };
    const failed = this.start();
    if (failed instanceof Promise) void failed.then((why) => why && this.fail(why));
    else if (failed !== undefined) this.fail(failed);
  }

  /** Drops what belongs to this life: messages in hand, timers, children in reverse. */
  #letGo(why: WireError): void {
    const held = [...(this.#inHand ?? [])];
    this.#inHand = undefined;
    for (const message of held) {
      message.cancel(why);
      message.sink?.fail(why);
    }
    this.life.cancelTimers();
    for (const child of this.life.children()) child.kill();
  }

  /** Ends the actor after what is in hand, within `timeoutMs`; then its children, then onStop. An actor that stops itself is not waited for. */
  stop(timeoutMs: number): Promise<void> {
    if (this.#state === "ended") return Promise.resolve();
    this.#stopping ??= this.#stop(timeoutMs);
    return currentRunning()?.actor === this ? Promise.resolve() : this.#stopping;
  }

  async #stop(timeoutMs: number): Promise<void> {
    const { clock } = this.#host;
    const started = this.#state === "running";
    const why = failure("ActorEnded", `${this.label} was stopped`);
    this.#state = "stopping";
    this.#refuseWaiting(why);
    this.life.cancelTimers();
    if (!(await finishesWithin(clock, timeoutMs, (done) => this.#whenIdle(done)))) this.#letGo(why);
    for (const child of this.life.children()) await child.stop(timeoutMs);
    const { onStop } = this.#instance ?? {};
    if (started && onStop !== undefined)
      await finishesWithin(clock, timeoutMs, (done) => this.#runOnStop(onStop, done));
    this.#end("stopped", why);
  }

  #whenIdle(done: () => void): void {
    if ((this.#inHand?.size ?? 0) === 0) done();
    else this.#idle = done;
  }

  #runOnStop(onStop: () => unknown, done: () => void): void {
    const run = async () => new Running(this).run(callHook, onStop, this.#instance ?? {}, 0);
    run().then(done, (error: unknown) => {
      this.#host.failed(this, failureOf(error, `${this.type.type}.onStop`), "stop");
      done();
    });
  }

  /** Ends the actor now: nothing is waited for, no hook runs. */
  kill(): void {
    this.#end("killed", failure("ActorEnded", `${this.label} was killed`));
  }

  #end(reason: ActorEnd["reason"], why: WireError, error?: WireError): void {
    if (this.#state === "ended") return;
    this.#state = "ended";
    this.#letGo(why);
    this.#refuseWaiting(why);
    this.#idle?.();
    this.parent?.life.disown(this);
    const end: ActorEnd = { address: this.#address, reason, ...(error && { error }) };
    // The name must be free before anybody hears of the end, else a watcher that spawns again meets its own predecessor.
    this.#host.ended(this, end);
    this.life.end(end);
    this.#instance = undefined;
  }

  #refuseWaiting(why: WireError): void {
    for (let message = this.#mailbox.take(); message !== undefined; message = this.#mailbox.take())
      this.#refuse(message, why);
  }
}

function runSome(cell: Cell, running: Running, nowMs: number): number {
  return cell.runSome(running, nowMs);
}
