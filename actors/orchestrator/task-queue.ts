// What waits for a place, the most urgent first: a binary heap. Nothing is looked up in it and nothing taken out of its middle; what has
// become moot meanwhile is found out by whoever pops it.
//
// TQ1  Higher priority first; among equals the one pushed first.

interface Waiting<T> {
  readonly item: T;
  readonly priority: number;
  readonly order: number;
}

export class TaskQueue<T> {
  readonly #heap: Waiting<T>[] = [];
  #order = 0;

  get size(): number {
    return this.#heap.length;
  }

  push(item: T, priority: number): void {
    const heap = this.#heap;
    heap.push({ item, priority, order: this.#order++ });
    for (let at = heap.length - 1; at > 0; ) {
      const parent = (at - 1) >> 1;
      if (!this.#swapIfBefore(at, parent)) return;
      at = parent;
    }
  }

  pop(): T | undefined {
    const heap = this.#heap;
    const [first] = heap;
    const last = heap.pop();
    if (first === undefined || last === undefined || heap.length === 0) return first?.item;
    heap[0] = last;
    for (let at = 0; ; ) {
      const left = 2 * at + 1;
      const child = left + 1 < heap.length && this.#isBefore(left + 1, left) ? left + 1 : left;
      if (child >= heap.length || !this.#swapIfBefore(child, at)) return first.item;
      at = child;
    }
  }

  /** TQ1. */
  #isBefore(one: number, other: number): boolean {
    const [a, b] = [this.#heap[one], this.#heap[other]];
    if (a === undefined || b === undefined) return false;
    return a.priority === b.priority ? a.order < b.order : a.priority > b.priority;
  }

  #swapIfBefore(one: number, other: number): boolean {
    const [a, b] = [this.#heap[one], this.#heap[other]];
    if (a === undefined || b === undefined || !this.#isBefore(one, other)) return false;
    this.#heap[one] = b;
    this.#heap[other] = a;
    return true;
  }
}
