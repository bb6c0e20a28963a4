// One named actor's own keys in the store, written under the fence of its name: its state, its reminders. Whoever has the name next
// finds them there.
//
//     name.<ns>.<name>  (revision = fence)      state.<ns>.<name>      reminder.<ns>.<name>
//
// FK1  A write is accepted only while the actor has its name, by the store's own check (ST7): a holder that was paused or cut off
//      writes nothing after another has taken over, however late it wakes up.
// FK2  A refused write is the end of the actor: it is told LeaseLost, and the actor ends.
// FK3  Code that a life of the actor left behind may not begin to write (`checkLife`).

import type { Cell } from "./cell/cell.ts";
import { currentRunning } from "./cell/running.ts";
import type { ValueCodec } from "./codec.ts";
import { type Claim, unreadable } from "./directory.ts";
import { runtimeError } from "./errors.ts";
import type { FencedWrite, Store } from "./store.ts";

export interface FencedKeysOptions {
  readonly store: Store;
  readonly cell: Cell;
  readonly claim: Claim;
  readonly values: ValueCodec;
  /** Whether this node may act for the fleet now. */
  readonly isValid: () => boolean;
  /** Ends the actor, whose name is another's by now. */
  readonly onFenced: (why: string) => void;
}

export type KeyKind = "state" | "reminder";

export class FencedKeys {
  readonly #options: FencedKeysOptions;

  constructor(options: FencedKeysOptions) {
    this.#options = options;
  }

  /** Grows with every new holder of the name. */
  get fence(): number {
    return this.#options.claim.revision;
  }

  get isValid(): boolean {
    return !this.#options.cell.isEnded && this.#options.isValid();
  }

  async read(kind: KeyKind): Promise<unknown> {
    const entry = await this.#options.store.get(this.#key(kind));
    if (entry === undefined) return undefined;
    try {
      return this.#options.values.decode(entry.value);
    } catch {
      throw unreadable(entry.key);
    }
  }

  /** Throws NotSendable, ValueTooLarge, LeaseLost, Unavailable (it may have been written). */
  async write(kind: KeyKind, value: unknown): Promise<void> {
    this.#check();
    const { store, claim, values } = this.#options;
    this.#heed(await store.putFenced(this.#key(kind), values.encode(value, kind), claim));
  }

  async clear(kind: KeyKind): Promise<void> {
    this.#check();
    const { store, claim } = this.#options;
    this.#heed(await store.deleteFenced(this.#key(kind), claim));
  }

  #key(kind: KeyKind): string {
    return kind + this.#options.claim.key.slice("name".length);
  }

  /** Throws ActorEnded for code of a life that is over. */
  checkLife(): void {
    const { cell } = this.#options;
    const running = currentRunning();
    if (running?.actor !== cell || running.incarnation === cell.address.incarnation) return;
    throw runtimeError("ActorEnded", `this life of ${cell.label} is over and writes nothing`);
  }

  #check(): void {
    const { cell, isValid } = this.#options;
    if (cell.isEnded) throw runtimeError("ActorEnded", `${cell.label} has ended and writes nothing`);
    if (!isValid()) throw runtimeError("LeaseLost", `${cell.label} may not write: its node has no lease now`);
  }

  #heed({ kind }: FencedWrite): void {
    if (kind === "written") return;
    const { cell, onFenced } = this.#options;
    onFenced("another holds its name");
    throw runtimeError("LeaseLost", `${cell.label} was refused a write: another holds its name`);
  }
}
