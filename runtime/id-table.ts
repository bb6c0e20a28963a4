// What is under way, by number: for numbers that are handed out in rising order and mostly given back soon.
//
//     ring   [ 4097 | 4098 | …  | 4095 | 4096 ]   slot = id modulo size, grown with what is under way
//     old    { 17, 203 }                          entries whose slot is wanted by a later id: long calls among many short ones
//
// IT1  Why not a Map: one that is filled and emptied a million times a second is rebuilt every few thousand entries, and each table it
//      leaves behind keeps what was under way alive until the next full collection (half of all calls survived young collections;
//      a quarter of the caller's time went there).

/** Small: a node has a table for each other one it has ever spoken to. */
const SIZE_MIN = 64;
const SIZE_MAX = 131_072;

export class IdTable<Value> {
  #ids: number[] = new Array(SIZE_MIN).fill(-1);
  #values: (Value | undefined)[] = new Array(SIZE_MIN).fill(undefined);
  #old: Map<number, Value> | undefined = undefined;
  #inRing = 0;

  get size(): number {
    return this.#inRing + (this.#old?.size ?? 0);
  }

  get(id: number): Value | undefined {
    const slot = id & (this.#ids.length - 1);
    return this.#ids[slot] === id ? this.#values[slot] : this.#old?.get(id);
  }

  set(id: number, value: Value): void {
    if (this.#inRing * 2 > this.#ids.length && this.#ids.length < SIZE_MAX) this.#grow();
    this.#place(id, value);
  }

  /** Takes it out; undefined when it is not there. */
  take(id: number): Value | undefined {
    const slot = id & (this.#ids.length - 1);
    if (this.#ids[slot] !== id) {
      const value = this.#old?.get(id);
      if (value !== undefined) this.#old?.delete(id);
      return value;
    }
    const value = this.#values[slot];
    this.#ids[slot] = -1;
    this.#values[slot] = undefined;
    this.#inRing--;
    return value;
  }

  ids(): number[] {
    return [...(this.#old?.keys() ?? []), ...this.#ids.filter((id) => id !== -1)].sort((a, b) => a - b);
  }

  #place(id: number, value: Value): void {
    const slot = id & (this.#ids.length - 1);
    const held = this.#ids[slot] as number;
    if (held === -1) this.#inRing++;
    else if (held !== id) {
      this.#old ??= new Map();
      this.#old.set(held, this.#values[slot] as Value);
    }
    this.#ids[slot] = id;
    this.#values[slot] = value;
  }

  #grow(): void {
    const [ids, values] = [this.#ids, this.#values];
    this.#ids = new Array(ids.length * 2).fill(-1);
    this.#values = new Array(ids.length * 2).fill(undefined);
    this.#inRing = 0;
    for (const [slot, id] of ids.entries()) if (id !== -1) this.#place(id, values[slot] as Value);
  }
}
