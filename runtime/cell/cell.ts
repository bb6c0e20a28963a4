// One live actor: its instance, its mailbox and the loop that runs one message after the other.
// It is not where an actor comes from or is found (host.ts), nor who decides what a failure means (supervisor.ts).
//
//     starting ──▶ running ──▶ stopping ──▶ ended
//        ▲            │ failure                ▲
//        └─ restarting ◀──────▶ (used up) ─────┘
//
// CE1  At most `concurrency` messages are in hand at once; the rest wait as their mailbox says, stashed ones until they are called back.
// CE2  A message whose deadline has passed or whose caller has gone is not started.
// CE3  An actor fails when its constructor or onStart throws, when a cast, timer or signal throws (nobody else would hear of it), when it
//      says so (ctx.fail), and with `failOnThrow` when any method throws. Otherwise what a called method throws goes to its caller.
// CE4  A restart makes a new instance from the same arguments. Waiting messages stay; messages in hand fail with ActorRestarted.
// CE5  When a cell ends, its children have ended, its timers are gone, and every message it held has been answered.

import type { ActorType, Method } from "../actor.ts";
import { type Address, formatAddress } from "../address.ts";
import type { Receiver } from "../calls.ts";
import { finishesWithin } from "../clock.ts";
import type { ActorEnd, WireError } from "../envelope.ts";
import { failure, failureOf } from "../failure.ts";
import type { SpawnSettings } from "../options.ts";
import { isThenable } from "../thenable.ts";
import { Aside, type Owner } from "./aside.ts";
import type { CellHost } from "./cell-host.ts";
import { InHand } from "./in-hand.ts";
import { type Instance, type Started, startInstance, startWithin, stopInstance } from "./instance.ts";
import { Life } from "./life.ts";
import { Mailbox } from "./mailbox.ts";
import { Callback, type Message } from "./message.ts";
import { pump } from "./pump.ts";
import { deadlockFailure, fullFailure, goneFailure, lateFailure, stoppedFailure, unfitFailure } from "./refusal.ts";
import { currentRunning, Running, type RunningActor } from "./running.ts";
import { decide, withinWindow } from "./supervisor.ts";

/** How old a turn's idea of the time may be: only messages nearer to their deadline are worth a look at the clock. */
const STALE_MS = 10_000;

export class Cell implements Receiver, RunningActor, Owner {
  readonly type: ActorType;
  readonly parent: Cell | undefined;
  readonly settings: SpawnSettings;
  /** Belongs to the run queue. */
  scheduled = false;
  readonly #host: CellHost;
  readonly #args: readonly unknown[];
  readonly #mailbox: Mailbox<Message>;
  readonly #inHand = new InHand();
  /** A whole number, small enough to need no box of its own. */
  readonly #sinceMs: number;
  #address: Address;
  #state: "starting" | "running" | "restarting" | "stopping" | "ended" = "starting";
  #instance: Instance | undefined = undefined;
  #handled = 0;
  #restartsAtMs: number[] | undefined = undefined;
  #context: unknown = undefined;
  /** The last turn's Running, when no message has kept it. */
  #unkept: Running | undefined = undefined;
  #moved: WireError | undefined = undefined; // once it is left to another node
  #stopping: Promise<void> | undefined = undefined;
  #aside: Aside | undefined = undefined;
  #life: Life<Cell> | undefined = undefined;

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
    this.#sinceMs = Math.trunc(host.clock.monotonic());
    parent?.life.adopt(this);
  }

  get address(): Address {
    return this.#address;
  }

  get label(): string {
    return formatAddress(this.#address);
  }

  get waiting(): number {
    return this.#mailbox.length;
  }

  get isEnded(): boolean {
    return this.#state === "ended";
  }

  get copies(): boolean {
    return this.settings.copy;
  }

  get context(): unknown {
    this.#context ??= this.#host.contextOf(this);
    return this.#context;
  }

  /** Timers, children and watchers of this actor. */
  get life(): Life<Cell> {
    this.#life ??= new Life();
    return this.#life;
  }

  /** What is stashed, or waits for a key. */
  get aside(): Aside {
    this.#aside ??= new Aside(this, this.#host.clock, this.#mailbox);
    return this.#aside;
  }

  get #free(): boolean {
    return this.#inHand.size < this.settings.concurrency;
  }

  get #leaving(): boolean {
    return this.#state === "stopping" || this.#state === "ended";
  }

  receive(message: Message): WireError | undefined {
    if (this.#leaving) return this.#moved ?? goneFailure(this.label);
    if (message.chain.length > 0 && !this.settings.reentrant && this.#closesCircle(message))
      return deadlockFailure(message.chain, this.label);
    if (!this.#mailbox.push(message)) return this.whyFull();
    if (!this.scheduled && (this.settings.reentrant || this.#free)) this.#host.schedule(this);
    return undefined;
  }

  /** Runs `run` as this actor, after what is in hand and before waiting work; dropped once the actor is leaving. */
  signal(name: string, run: () => unknown): void {
    if (this.#leaving) return;
    this.#mailbox.pushControl(new Callback(name, run));
    if (!this.scheduled && this.#free) this.#host.schedule(this);
  }

  /** Runs what may be run now, at most `max` messages. Called by the run queue only. */
  turn(nowMs: number, max: number): void {
    for (let taken = 0; taken < max && this.#state === "running"; ) {
      const running = this.#unkept ?? new Running(this);
      this.#unkept = undefined;
      const count = running.run(runSome, this, running, nowMs, max - taken);
      // One whose life has just failed in its hands must not be the next life's.
      if (running.message === undefined && running.incarnation === this.#address.incarnation) this.#unkept = running;
      if (count === 0) return;
      taken += count;
    }
    this.resume();
  }

  /** Asks for a turn when there is something that may be run. */
  resume(): void {
    if (this.#state === "running" && !this.#mailbox.isEmpty && this.#free) this.#host.schedule(this);
  }

  /** Runs messages until one goes on by itself with `running` as its own (R1), or none may be taken. Answers how many it took. */
  runSome(running: Running, nowMs: number, max: number): number {
    for (let taken = 0; taken < max; taken++) {
      const message = this.#state === "running" ? this.#take() : undefined;
      if (message === undefined) return taken;
      if (message.cancelled !== undefined) continue;
      if (message.deadlineMs <= nowMs + STALE_MS && message.deadlineMs <= this.#host.clock.now()) {
        this.refuse(message, lateFailure());
        continue;
      }
      this.#handled++;
      const method = this.type.methods.get(message.method);
      if (message.key !== undefined && this.aside.knows(message, method)) continue;
      if (running.used && (method === undefined || method.waits)) {
        const own = new Running(this);
        own.message = message;
        own.run(begin, this, message, method, undefined);
        continue;
      }
      running.message = message;
      if (this.begin(message, method)) return taken + 1;
      running.message = undefined;
      running.used = true;
    }
    return max;
  }

  #take(): Message | undefined {
    if (this.#free) return this.#mailbox.take();
    if (!this.settings.reentrant) return undefined;
    return this.#mailbox.takeWhere((message) => this.#inHand.some((held) => message.isWaitedForBy(held)));
  }

  /** Starts a message; true when it goes on after this returns. */
  begin(message: Message, method: Method | undefined): boolean {
    this.#inHand.begin(message);
    try {
      const result = message instanceof Callback ? message.run() : this.#invoke(message, method);
      if (isThenable(result)) {
        this.#hold(message, result);
        return true;
      }
      this.#answer(message, result);
    } catch (error) {
      this.#threw(message, error);
    }
    this.#inHand.returned();
    return false;
  }

  #invoke(message: Message, method: Method | undefined): unknown {
    const isStream = message.credit !== undefined;
    if (method === undefined || method.streams !== isStream)
      return this.refuse(message, unfitFailure(this.type, message.method, isStream));
    const result = method.run.apply(this.#instance, message.args);
    if (!isStream) return result;
    return pump(message, result as Iterator<unknown>, () => this.#aside?.isStashed(message) ?? false);
  }

  /** A method has ended well: sends its answer, unless its message is to be stashed. */
  #answer(message: Message, value: unknown): void {
    if (this.#aside?.takes(message, value)) return;
    if (message.credit === undefined) message.sink?.value(value);
  }

  #hold(message: Message, result: PromiseLike<unknown>): void {
    const isHeld = this.#inHand.hold(message);
    // A foreign thenable may throw or answer twice; a promise made of it does not.
    (result instanceof Promise ? result : Promise.resolve(result)).then(
      (value) => this.#finish(message, () => this.#answer(message, value)),
      (error: unknown) => this.#finish(message, () => this.#threw(message, error)),
    );
    if (!isHeld || this.settings.reentrant || !message.hasAsked) return;
    // A method that called itself and then awaits the answer is a circle only now that it turns out to wait.
    for (const stuck of this.#mailbox.takeAllWhere((it) => it.isWaitedForBy(message) && this.#closesCircle(it)))
      stuck.sink?.fail(deadlockFailure(stuck.chain, this.label));
  }

  /** Ends a held message; one that a restart or a stop has let go of says no more. */
  #finish(message: Message, settle: () => void): void {
    if (!this.#inHand.finish(message)) return;
    settle();
    this.#inHand.rest();
    this.resume();
  }

  #threw(message: Message, error: unknown): void {
    const why = failureOf(error, `${this.type.type}.${message.method}`);
    this.#aside?.threw(message, why);
    message.sink?.fail(why);
    // What a cancelled method throws is its way to end, not a fault of the actor.
    if (message.cancelled !== undefined) return;
    if (message.sink === undefined || this.settings.failOnThrow) this.fail(why);
  }

  /** Whether every message in hand waits for this one, so that none can ever make room for it. */
  #closesCircle(message: Message): boolean {
    return !this.#free && !this.#inHand.some((held) => !message.isWaitedForBy(held));
  }

  whyFull(): WireError {
    const livedMs = this.#host.clock.monotonic() - this.#sinceMs + 1;
    return fullFailure(this.label, this.#mailbox.max, this.#handled / livedMs);
  }

  refuse(message: Message, why: WireError): void {
    if (message.sink !== undefined) message.sink.fail(why);
    else if (!(message instanceof Callback)) this.#host.deadLetter(this.#address, message.method, why);
  }

  /** Makes an instance; a promise only when its onStart waits. Answers why it could not be made. */
  start(): WireError | undefined | Promise<WireError | undefined> {
    const { incarnation } = this.#address;
    const started = startInstance(this.type, this.#args, this.settings.copy, new Running(this));
    if (!(started instanceof Promise)) return this.#started(started, incarnation);
    const { clock, startTimeoutMs } = this.#host;
    const timeoutMs = this.settings.startTimeoutMs ?? startTimeoutMs;
    const inTime = startWithin(clock, timeoutMs, this.type, started, this.life, (late) => this.#stopInstance(late));
    return inTime.then((late) => this.#started(late, incarnation));
  }

  #started(started: Started, incarnation: number): WireError | undefined {
    // A kill, a stop or a failure may have come while onStart was waiting.
    const isCurrent = this.#state === "starting" && this.#address.incarnation === incarnation;
    if (started.kind === "failed") return isCurrent || this.isEnded ? started.why : undefined;
    if (!isCurrent) return undefined;
    this.#instance = started.instance;
    this.#state = "running";
    this.resume();
    return undefined;
  }

  /** Ends this life because of `why`; the supervisor says what follows (CE3). Between two lives there is none that could fail. */
  fail(why: WireError): void {
    if (this.#leaving || this.#state === "restarting") return;
    const { restart, escalate } = this.settings;
    const nowMs = this.#host.clock.now();
    const directive = decide(this.#restartsAtMs ?? [], restart, escalate && this.parent !== undefined, nowMs);
    this.#host.failed(this, why, directive.kind);
    if (directive.kind !== "restart") {
      this.#end("failed", failure("ActorEnded", `${this.label} failed: ${why.message}`), why);
      if (directive.kind === "escalate") this.parent?.fail(why);
      return;
    }
    this.#state = "restarting";
    this.#restartsAtMs = [...withinWindow(this.#restartsAtMs ?? [], restart, nowMs), nowMs];
    this.#letGo(failure("ActorRestarted", `${this.label} was restarted: ${why.message}`));
    this.#aside?.putBack();
    // What the old life's timers and watches had to say is nothing to the next one.
    this.#mailbox.dropControl();
    this.#address = { ...this.#address, incarnation: this.#address.incarnation + 1 };
    this.life.addTimer(this.#host.clock, directive.afterMs, () => this.#restart());
  }

  #restart(): void {
    if (this.#state !== "restarting") return;
    this.#state = "starting";
    const failed = this.start();
    if (failed instanceof Promise) void failed.then((why) => why && this.fail(why));
    else if (failed !== undefined) this.fail(failed);
  }

  /** Drops what belongs to this life: messages in hand, timers, children in reverse. */
  #letGo(why: WireError): void {
    this.#unkept = undefined;
    for (const message of this.#inHand.letGo()) {
      this.#aside?.letGo(message);
      message.cancel(why);
      message.sink?.fail(why);
    }
    for (const child of this.#life?.children() ?? []) child.kill();
    this.#life?.over();
  }

  /**
   * Ends the actor: what is in hand and its children within `timeoutMs`, then onStop within as much again. An actor that stops itself
   * is not waited for. `moved`: what those hear whose messages have not begun, where it is made again elsewhere.
   */
  stop(timeoutMs: number, moved?: WireError): Promise<void> {
    this.#moved ??= moved;
    if (this.#state === "ended") return Promise.resolve();
    if (this.#stopping === undefined) this.#stopping = this.#stop(timeoutMs);
    else void this.#hurry(this.#stopping, timeoutMs);
    return currentRunning()?.actor === this ? Promise.resolve() : this.#stopping;
  }

  /** A later stop with less patience than the first; twice, as the first may take that long. */
  async #hurry(stopping: Promise<void>, timeoutMs: number): Promise<void> {
    const inTime = await finishesWithin(this.#host.clock, 2 * timeoutMs, (done) => void stopping.then(done));
    if (!inTime) this.#end("stopped", stoppedFailure(this.label, this.#moved !== undefined));
  }

  async #stop(timeoutMs: number): Promise<void> {
    const { clock } = this.#host;
    const untilMs = clock.monotonic() + timeoutMs;
    const started = this.#state === "running";
    const why = stoppedFailure(this.label, this.#moved !== undefined);
    this.#state = "stopping";
    this.#refuseWaiting(why);
    this.#life?.cancelTimers();
    if (!(await finishesWithin(clock, timeoutMs, (done) => this.#inHand.whenIdle(done)))) this.#letGo(why);
    for (const child of this.#life?.children() ?? []) await child.stop(Math.max(0, untilMs - clock.monotonic()));
    const instance = this.#instance;
    if (started && instance?.onStop !== undefined)
      await finishesWithin(clock, timeoutMs, (done) => void this.#stopInstance(instance).then(done));
    this.#end("stopped", why);
  }

  #stopInstance(instance: Instance): Promise<void> {
    return stopInstance(this.type, instance, new Running(this), (why) => this.#host.failed(this, why, "stop"));
  }

  /** Ends the actor now: nothing is waited for, no hook runs. With `why` it has failed, and no restart could mend it. */
  kill(why?: WireError): void {
    this.#end(why ? "failed" : "killed", why ?? failure("ActorEnded", `${this.label} was killed`), why);
  }

  #end(reason: ActorEnd["reason"], why: WireError, error?: WireError): void {
    if (this.#state === "ended") return;
    this.#state = "ended";
    this.#letGo(why);
    this.#refuseWaiting(why);
    this.#inHand.rest();
    this.parent?.life.disown(this);
    // The name must be free before anybody hears of the end, else a watcher that spawns again meets its own predecessor.
    this.#host.ended(this);
    this.#life?.end({ address: this.#address, reason, ...(error && { error }) });
    this.#instance = undefined;
  }

  #refuseWaiting(why: WireError): void {
    this.#aside?.putBack();
    for (let message = this.#mailbox.take(); message !== undefined; message = this.#mailbox.take())
      this.refuse(message, this.#moved ?? why);
  }
}

const runSome = (cell: Cell, running: Running, nowMs: number, max: number) => cell.runSome(running, nowMs, max);
const begin = (cell: Cell, message: Message, method: Method | undefined) => cell.begin(message, method);
