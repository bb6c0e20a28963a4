// A list of linked things, first in first out.
// It is not bounded and counts nothing: that is its owner's (mailbox.ts).

/** Anything that can be linked. A thing sits in one list at most. */
export interface Linked<T> {
  next: T | undefined;
}

export class Fifo<T extends Linked<T>> {
  #first: T | undefined = undefined;
  #last: T | undefined = undefined;

  get isEmpty(): boolean {
    return this.#first === undefined;
  }

  push(item: T): void {
    if (this.#last === undefined) this.#first = item;
    else this.#last.next = item;
    this.#last = item;
  }

  /** Puts `item` before all others. */
  putFirst(item: T): void {
    item.next = this.#first;
    this.#first = item;
    this.#last ??= item;
  }

  take(): T | undefined {
    const item = this.#first;
    if (item === undefined) return undefined;
    this.#first = item.next;
    if (item.next === undefined) this.#last = undefined;
    item.next = undefined;
    return item;
  }

  /** Takes the first item that `wanted` accepts, past those it does not. */
  takeWhere(wanted: (item: T) => boolean): T | undefined {
    let before: T | undefined;
    for (let item = this.#first; item !== undefined; before = item, item = item.next) {
      if (!wanted(item)) continue;
      if (before === undefined) this.#first = item.next;
      else before.next = item.next;
      if (item === this.#last) this.#last = before;
      item.next = undefined;
      return item;
    }
    return undefined;
  }
}
