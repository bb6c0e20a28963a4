// What really happened in a random program, written by the actors themselves, and what of it must not have happened.
// The rules it holds are those of random-program.ts (RP1 to RP6).

export class Ledger {
  readonly violations: string[] = [];
  readonly ends = new Map<string, number>();
  readonly open = new Set<string>();
  items = 0;
  readonly #starts = new Map<number, number>();
  readonly #ended = new Set<string>();
  readonly #lastOrder = new Map<string, number>();

  violation(what: string): void {
    this.violations.push(what);
  }

  started(id: number, actor: string): void {
    this.#starts.set(id, this.starts(id) + 1);
    if (this.#ended.has(actor)) this.violation(`${actor} ran call ${id} after its end was confirmed`);
  }

  starts(id: number): number {
    return this.#starts.get(id) ?? 0;
  }

  /** The number a caller gave its call of an actor must grow. */
  inOrder(actor: string, order: number): void {
    const last = this.#lastOrder.get(actor) ?? -1;
    if (order <= last) this.violation(`${actor} started call number ${order} of its caller after ${last}`);
    this.#lastOrder.set(actor, order);
  }

  ended(actor: string): void {
    this.#ended.add(actor);
  }

  count(end: string): void {
    this.ends.set(end, (this.ends.get(end) ?? 0) + 1);
  }
}
