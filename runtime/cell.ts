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

import type { ActorHooks, ActorType, Method } from "./actor.ts";
import { type Address, formatAddress } from "./address.ts";
import type { Receiver } from "./calls.ts";
import type { Clock, Timer } from "./clock.ts";
import type { ActorEnd, WireError } from "./envelope.ts";
import { failure, failureOf } from "./failure.ts";
import { Mailbox } from "./mailbox.ts";
import { Callback, type Message } from "./message.ts";
import type { ResolvedSpawn } from "./options.ts";
import { Running, type RunningActor, runAs } from "./running.ts";
import { pump } from "./pump.ts";
import { decide, withinWindow } from "./supervisor.ts";

/** What a cell needs of its host. */
export interface CellHost {
  readonly clock: Clock;
  /** Gives the cell a turn soon; called for every message that may be run. */
  schedule(cell: Cell): void;
  /** The cell's context, made on first use. */
  contextOf(cell: Cell): unknown;
  /** Called once, when nothing of the cell runs any more. */
  ended(cell: Cell, end: ActorEnd): void;
  /** A message nobody could take or a failure nobody waits for. */
  deadLetter(address: Address, message: Message, why: WireError): void;
  failed(cell: Cell, why: WireError, then: "restart" | "stop" | "escalate"): void;
}

type State = "starting" | "running" | "restarting" | "stopping" | "ended";

/** Messages one turn may run before other actors have theirs. */
const TURN_MAX = 256;
const STOPPED = "the actor was stopped before it got to this message";

export class Cell implements Receiver, RunningActor {
  readonly type: ActorType;
  readonly parent: Cell | undefined;
  readonly options: ResolvedSpawn;
  /** Set by the host's run queue. */
  scheduled = false;
  #address: Address;
  #state: State = "starting";
  #instance: (ActorHooks & object) | undefined;
  readonly #host: CellHost;
  readonly #mailbox: Mailbox<Message>;
  #inHand = 0;
  #handled = 0;
  readonly #sinceMs: number;
  /** Messages that outlive their turn: all but those of methods that return at once. */
  #running: Set<Message> | undefined;
  #children: Set<Cell> | undefined;
  #watchers: Set<(end: ActorEnd) => void> | undefined;
  #timers: Set<Timer> | undefined;
  #restartsAtMs: number[] | undefined;
  #context: unknown;
  #whenIdle: (() => void) | undefined;

  constructor(host: CellHost, type: ActorType, address: Address, options: ResolvedSpawn, parent: Cell | undefined) {
    this.#host = host;
    this.type = type;
    this.#address = address;
    this.options = options;
    this.parent = parent;
    this.#mailbox = new Mailbox(options.mailboxMax);
    this.#sinceMs = host.clock.now();
    parent?.adopt(this);
  }

  get address(): Address {
    return this.#address;
  }

  get label(): string {
    return formatAddress(this.#address);
  }

  get copies(): boolean {
    return this.options.copy;
  }

  get context(): unknown {
    this.#context ??= this.#host.contextOf(this);
    return this.#context;
  }

  get waiting(): number {
    return this.#mailbox.length;
  }

  get isEnded(): boolean {
    return this.#state === "ended";
  }

  receive(message: Message): WireError | undefined {
    if (this.#state === "stopping" || this.#state === "ended") return this.#gone();
    if (message.chain.length > 0 && this.#closesCircle(message)) return deadlock(message, this.label);
    if (!this.#mailbox.push(message)) return this.#full();
    if (!this.scheduled) this.#host.schedule(this);
    return undefined;
  }

  /** Runs `run` as this actor, after the message in hand and before waiting work. */
  signal(name: string, run: () => unknown): void {
    if (this.#state === "stopping" || this.#state === "ended") return;
    this.#mailbox.pushControl(new Callback(name, run));
    if (!this.scheduled) this.#host.schedule(this);
  }

  /** Makes the first instance. Answers why it could not be made. */
  async start(): Promise<WireError | undefined> {
    const why = this.construct();
    return why instanceof Promise ? await why : why;
  }

  /** As `start`, but without a promise when the class starts at once: a spawn costs no more than its constructor. */
  construct(): WireError | undefined | Promise<WireError | undefined> {
    try {
      const running = new Running(this);
      this.#instance = runAs(running, (cell: Cell, args: never[]) => new cell.type.actorClass(...args), this, this.options.freshArgs());
      const { onStart } = this.#instance;
      if (onStart !== undefined) {
        const started: unknown = runAs(running, (instance: object, run: () => unknown) => run.call(instance), this.#instance, onStart);
        if (isThenable(started)) return this.#whenStarted(started);
      }
    } catch (error) {
      return this.#startFailed(error);
    }
    this.#run();
    return undefined;
  }

  async #whenStarted(started: PromiseLike<unknown>): Promise<WireError | undefined> {
    try {
      await started;
    } catch (error) {
      return this.#startFailed(error);
    }
    this.#run();
    return undefined;
  }

  #startFailed(error: unknown): WireError {
    const { message, data, cause } = failureOf(error, this.type.type);
    const reason = cause?.message ?? message;
    const why = { ...failure("ActorStartFailed", `${this.type.type} could not start: ${reason}`, data), ...(cause && { cause }) };
    return why;
  }

  #run(): void {
    // A kill may have come while onStart was waiting.
    if (this.#state !== "starting" && this.#state !== "restarting") return;
    this.#state = "running";
    if (this.#mailbox.length > 0) this.#host.schedule(this);
  }

  /** Runs what may be run. Called by the run queue only. */
  turn(nowMs: number): void {
    let budget = TURN_MAX;
    while (budget > 0 && this.#state === "running") {
      const running = new Running(this);
      const used = runAs(running, this.#runSome, nowMs, budget);
      if (used === 0) return;
      budget -= used;
    }
    if (this.#state === "running" && this.#mailbox.length > 0 && this.#inHand < this.options.concurrency) {
      this.#host.schedule(this);
    }
  }

  /** Runs messages until one goes on by itself (its Running is then its own, R1) or none is left. Answers how many it took. */
  readonly #runSome = (nowMs: number, budget: number): number => {
    const running = this.#currentTurn();
    for (let used = 0; used < budget; used++) {
      if (this.#state !== "running") return used;
      const message = this.#next();
      if (message === undefined) return used;
      if (message.cancelled !== undefined) continue;
      if (message.deadlineMs <= nowMs) {
        this.#expire(message);
        continue;
      }
      running.message = message;
      if (this.#begin(message)) return used + 1;
      running.message = undefined;
    }
    return budget;
  };
}
