// Timers of a named actor that outlive it: at their time its method runs, in whatever life and on whatever node the name has by then.
// They wake nobody: a name without a holder has its reminders fire, late, when it has one again.
//
//     set ──▶ saved (with the fence) ──▶ timer ──▶ message to the actor ──▶ has run ──▶ removed, or saved with its next time
//
// RM1  A reminder is saved before `set` resolves, and its method never runs before its time.
// RM2  At least once: it is removed (or moved to its next time) after its method has run, so a death in between runs it again.
// RM3  A method that throws has run; the failure is the actor's own, as with any timer (CE3).
// RM4  Periods that were missed are one late run, not many; the next is a whole number of periods after the first.
// RM5  All reminders of an actor are one value of the store: one look when it starts, and one write for each change.

import type { Cell } from "./cell/cell.ts";
import { Message, NEVER, type ReplySink } from "./cell/message.ts";
import { unfitFailure } from "./cell/refusal.ts";
import type { Clock, Timer } from "./clock.ts";
import { copyArgs } from "./copy.ts";
import type { WireError } from "./envelope.ts";
import { runtimeError } from "./errors.ts";
import { errorOf } from "./failure.ts";
import type { FencedKeys } from "./fenced-keys.ts";
import { portError } from "./port-errors.ts";

/** When: once after so many milliseconds, at a moment (milliseconds since the epoch), or again and again with that period. */
export type ReminderTime =
  | { readonly afterMs: number }
  | { readonly atMs: number }
  /** At least EVERY_MIN_MS. */
  | { readonly everyMs: number };

/** A reminder as it is saved. */
export interface Reminder {
  readonly name: string;
  readonly method: string;
  readonly args: readonly unknown[];
  /** When it is due next, in milliseconds since the epoch. */
  readonly dueMs: number;
  readonly everyMs?: number;
}

export interface ActorReminders {
  /**
   * Has `method` of this actor run with `args` at that time, also when this actor, its node or the server has ended meanwhile. One with the
   * same name is replaced. Throws InvalidOption, NoSuchMethod, WrongKind, NotSendable, StorageFull, LeaseLost, Unavailable.
   */
  set(name: string, time: ReminderTime, method: string, ...args: unknown[]): Promise<void>;
  /** Answers whether there was one. */
  cancel(name: string): Promise<boolean>;
  list(): Promise<readonly Reminder[]>;
}

export const REMINDERS_MAX = 1_000;
/** Each run is a durable write: shorter periods are for ctx.timers. */
export const EVERY_MIN_MS = 1_000;
const RETRY_MS = 1_000;
/** The wall clock may be set: nobody waits longer than this without looking at it. */
const LOOK_MS = 60_000;

export class Reminders implements ActorReminders {
  readonly #keys: FencedKeys;
  readonly #cell: Cell;
  readonly #clock: Clock;
  #all: ReadonlyMap<string, Reminder> = new Map();
  readonly #timers = new Map<string, Timer>();
  #loading: Promise<void> | undefined = undefined;
  #changing: Promise<unknown> = Promise.resolve();
  #closed = false;

  constructor(keys: FencedKeys, cell: Cell, clock: Clock) {
    this.#keys = keys;
    this.#cell = cell;
    this.#clock = clock;
  }

  /** Arms what was saved under the name; tries again until it has been read. */
  start(): void {
    this.#load().catch(() => this.#later(() => this.start()));
  }

  async set(name: string, time: ReminderTime, method: string, ...args: unknown[]): Promise<void> {
    this.#keys.checkLife();
    const when = this.#due(time);
    this.#checkMethod(method);
    if (typeof name !== "string" || name === "") throw runtimeError("InvalidOption", "a reminder needs a name");
    const reminder: Reminder = { name, method, args: copyArgs([...args]), ...when };
    await this.#change((all) => {
      if (!all.has(name) && all.size >= REMINDERS_MAX) {
        throw portError("StorageFull", `${this.#cell.label} has ${REMINDERS_MAX} reminders and takes no more`);
      }
      all.set(name, reminder);
    });
  }

  async cancel(name: string): Promise<boolean> {
    this.#keys.checkLife();
    return this.#change((all) => all.delete(name));
  }

  async list(): Promise<readonly Reminder[]> {
    await this.#load();
    return [...this.#all.values()];
  }

  close(): void {
    this.#closed = true;
    for (const timer of this.#timers.values()) timer.cancel();
    this.#timers.clear();
  }

  #due(time: ReminderTime): { readonly dueMs: number; readonly everyMs?: number } {
    const nowMs = this.#clock.now();
    const [[kind, ms] = [], ...more] = Object.entries(time);
    const isKnown = kind === "afterMs" || kind === "atMs" || kind === "everyMs";
    if (!isKnown || more.length > 0 || !Number.isFinite(ms) || (kind === "everyMs" && Number(ms) < EVERY_MIN_MS)) {
      const expected = `one of { afterMs }, { atMs } and { everyMs } (at least ${EVERY_MIN_MS})`;
      throw runtimeError("InvalidOption", `a reminder's time: expected ${expected}, got ${JSON.stringify(time)}`);
    }
    if (kind === "atMs") return { dueMs: Number(ms) };
    return { dueMs: nowMs + Number(ms), ...(kind === "everyMs" && { everyMs: Number(ms) }) };
  }

  #checkMethod(name: string): void {
    const { type } = this.#cell;
    if (type.methods.get(name)?.streams !== false) throw errorOf(unfitFailure(type, name, false));
  }

  #load(): Promise<void> {
    this.#loading ??= this.#keys.read("reminder").then(
      (saved) => {
        this.#all = new Map(((saved ?? []) as Reminder[]).map((reminder) => [reminder.name, reminder]));
        for (const reminder of this.#all.values()) this.#arm(reminder);
      },
      (error: unknown) => {
        this.#loading = undefined;
        throw error;
      },
    );
    return this.#loading;
  }

  /** Changes the reminders, saved first; one change at a time. What failed to be saved is not changed here either. */
  #change<T>(change: (all: Map<string, Reminder>) => T): Promise<T> {
    const changed = this.#changing.then(async () => {
      await this.#load();
      const all = new Map(this.#all);
      const result = change(all);
      await (all.size === 0 ? this.#keys.clear("reminder") : this.#keys.write("reminder", [...all.values()]));
      this.#take(all);
      return result;
    });
    this.#changing = changed.catch(() => {});
    return changed;
  }

  #take(all: ReadonlyMap<string, Reminder>): void {
    const before = this.#all;
    this.#all = all;
    for (const name of before.keys()) if (!all.has(name)) this.#disarm(name);
    for (const [name, reminder] of all) if (before.get(name) !== reminder) this.#arm(reminder);
  }

  #arm(reminder: Reminder, delayMs = reminder.dueMs - this.#clock.now()): void {
    this.#disarm(reminder.name);
    if (this.#closed) return;
    const timer = this.#clock.schedule(Math.min(delayMs, LOOK_MS), () => {
      if (reminder.dueMs > this.#clock.now()) this.#arm(reminder);
      else this.#fire(reminder);
    });
    this.#timers.set(reminder.name, timer);
  }

  #disarm(name: string): void {
    this.#timers.get(name)?.cancel();
    this.#timers.delete(name);
  }

  #fire(reminder: Reminder): void {
    // After a pause this may run before the loss of the lease is noticed; then the next holder has it.
    if (this.#closed || !this.#keys.isValid) return;
    const sink: ReplySink = {
      value: () => this.#ran(reminder),
      fail: (why) => this.#failed(reminder, why),
      chunk: () => {},
      end: () => {},
    };
    const args = copyArgs([...reminder.args]);
    const why = this.#cell.receive(new Message(reminder.method, args, NEVER, [], sink, undefined));
    if (why !== undefined) this.#arm(reminder, Number(why.data.retryAfterMs ?? RETRY_MS));
  }

  #failed(reminder: Reminder, why: WireError): void {
    if (this.#cell.isEnded) return;
    // Without a cause it is the runtime's word: the life that had it in hand is over, and it may have run in part (RM2).
    if (why.cause === undefined && why.code === "ActorRestarted") return this.#arm(reminder, RETRY_MS);
    this.#ran(reminder);
    this.#cell.fail(why);
  }

  /** Moves a reminder on, unless it was set anew or cancelled by the method itself. */
  #ran(reminder: Reminder): void {
    const { name, dueMs, everyMs } = reminder;
    const moved = this.#change((all) => {
      if (all.get(name) !== reminder) return;
      if (everyMs === undefined) all.delete(name);
      else
        all.set(name, {
          ...reminder,
          dueMs: dueMs + everyMs * (1 + Math.floor((this.#clock.now() - dueMs) / everyMs)),
        });
    });
    // It did run: only its moving on is tried again, for as long as there is somebody to try.
    moved.catch(() => this.#later(() => this.#ran(reminder)));
  }

  #later(run: () => void): void {
    this.#clock.schedule(RETRY_MS, () => !this.#closed && run());
  }
}
