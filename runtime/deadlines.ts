// Who is waiting until when: tells an entry once its deadline has passed.
// It is not for precise timers: entries are kept in buckets of a few milliseconds so that a million calls a second cost one timer.
//
//     bucket 1001 ─▶ entry ⇄ entry ⇄ entry        bucket = first multiple of RESOLUTION_MS at or after the deadline
//     bucket 1002 ─▶ entry
//
// D1  An entry is told at or after its deadline, never before, at most once, and not after `remove`.
// D2  Adding and removing are O(1): calls that are answered in microseconds must not pay for their deadline.

import type { Clock, Timer } from "./clock.ts";

const RESOLUTION_MS = 8;

/** Something that waits. The link fields belong to Deadlines. */
export interface Waiting {
  readonly deadlineMs: number;
  bucket: Bucket | undefined;
  before: Waiting | undefined;
  after: Waiting | undefined;
  expired(): void;
}

interface Bucket {
  readonly key: number;
  first: Waiting | undefined;
}

export class Deadlines {
  readonly #clock: Clock;
  readonly #buckets = new Map<number, Bucket>();
  /** The bucket used last; calls of one moment with one timeout share it, which spares the map. */
  #recent: Bucket | undefined;
  #timer: Timer | undefined;
  #armedFor = Number.POSITIVE_INFINITY;
  #closed = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  add(entry: Waiting): void {
    const key = Math.ceil(entry.deadlineMs / RESOLUTION_MS);
    const bucket = this.#recent?.key === key ? this.#recent : this.#bucket(key);
    entry.bucket = bucket;
    entry.after = bucket.first;
    if (bucket.first !== undefined) bucket.first.before = entry;
    bucket.first = entry;
    if (key < this.#armedFor) this.#arm(key);
  }

  /** May be called twice, and for an entry never added. */
  remove(entry: Waiting): void {
    const bucket = entry.bucket;
    if (bucket === undefined) return;
    if (entry.before === undefined) bucket.first = entry.after;
    else entry.before.after = entry.after;
    if (entry.after !== undefined) entry.after.before = entry.before;
    entry.bucket = entry.before = entry.after = undefined;
    if (bucket.first === undefined && bucket !== this.#recent) this.#drop(bucket);
  }

  /** Forgets every entry without telling it, and sets no timer any more. */
  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#buckets.clear();
    this.#recent = undefined;
  }

  /** While a bucket's entries are told, another with its key may have taken its place. */
  #drop(bucket: Bucket): void {
    if (this.#buckets.get(bucket.key) === bucket) this.#buckets.delete(bucket.key);
  }

  #bucket(key: number): Bucket {
    const left = this.#recent;
    if (left !== undefined && left.first === undefined) this.#drop(left);
    let bucket = this.#buckets.get(key);
    if (bucket === undefined) {
      bucket = { key, first: undefined };
      this.#buckets.set(key, bucket);
    }
    this.#recent = bucket;
    return bucket;
  }

  #arm(key: number): void {
    if (this.#closed) return;
    this.#timer?.cancel();
    this.#armedFor = key;
    // Keeps the process alive: whoever awaits an answer must get one, not an exit.
    this.#timer = this.#clock.schedule(key * RESOLUTION_MS - this.#clock.now(), () => this.#fire(), true);
  }

  #fire(): void {
    const due = Math.floor(this.#clock.now() / RESOLUTION_MS);
    this.#armedFor = Number.POSITIVE_INFINITY;
    let earliest = Number.POSITIVE_INFINITY;
    for (const bucket of [...this.#buckets.values()]) {
      if (bucket.key > due) {
        if (bucket.first !== undefined) earliest = Math.min(earliest, bucket.key);
        continue;
      }
      this.#buckets.delete(bucket.key);
      if (this.#recent === bucket) this.#recent = undefined;
      for (let entry = bucket.first; entry !== undefined; entry = bucket.first) {
        this.remove(entry);
        entry.expired();
      }
    }
    if (earliest < this.#armedFor) this.#arm(earliest);
  }
}
