// The Store port inside one process. Nothing survives it.
//
//     write ─▶ entries (key ─▶ entry, timer)
//        └───▶ each watcher whose filter takes the key: unread (key ─▶ last change), oldest change first
//
// M1  A watcher keeps one unread change for each key, so a lease renewed a thousand times while nobody reads costs one place.

import type { Clock, Timer } from "../clock.ts";
import { checkSize, checkWhole, closedError, portError } from "../port-errors.ts";
import {
  type Change,
  type Entry,
  type Fence,
  type FencedWrite,
  type Store,
  TTL_MAX_MS,
  TTL_MIN_MS,
  type WriteOptions,
  type Written,
} from "../store.ts";
import { checkFilter, checkSubject, matchesSubject } from "../subject.ts";
import { Bell } from "./bell.ts";

export interface MemoryStoreOptions {
  readonly clock: Clock;
  /** Keys it holds at most. */
  readonly keysMax?: number;
  /** Keys whose changes one watcher may leave unread. */
  readonly unreadMax?: number;
}

const VALUE_MAX_BYTES = 512 * 1024;
const KEYS_MAX = 1_000_000;
const UNREAD_MAX = 65_536;

interface Held {
  readonly entry: Entry;
  readonly expiry: Timer | undefined;
}

interface Watcher {
  readonly filter: string;
  readonly bell: Bell;
  readonly unread: Map<string, Exclude<Change, { kind: "ready" }>>;
  lagged: boolean;
}

const copied = (entry: Entry): Entry => ({ ...entry, value: entry.value.slice() });

export class MemoryStore implements Store {
  readonly valueMaxBytes = VALUE_MAX_BYTES;
  readonly #clock: Clock;
  readonly #keysMax: number;
  readonly #unreadMax: number;
  readonly #held = new Map<string, Held>();
  readonly #watchers = new Set<Watcher>();
  #revision = 0;
  #closed = false;

  constructor(options: MemoryStoreOptions) {
    this.#clock = options.clock;
    this.#keysMax = options.keysMax ?? KEYS_MAX;
    this.#unreadMax = options.unreadMax ?? UNREAD_MAX;
  }

  async get(key: string): Promise<Entry | undefined> {
    this.#check(key);
    return this.#current(key);
  }

  async create(key: string, value: Uint8Array, options: WriteOptions = {}): Promise<Written> {
    this.#checkWrite(key, value, options);
    if (this.#held.has(key)) return { kind: "conflict", current: this.#current(key) };
    this.#checkRoom();
    return this.#put(key, value, options);
  }

  async update(key: string, value: Uint8Array, revision: number, options: WriteOptions = {}): Promise<Written> {
    this.#checkWrite(key, value, options);
    if (this.#held.get(key)?.entry.revision !== revision) return { kind: "conflict", current: this.#current(key) };
    return this.#put(key, value, options);
  }

  async delete(key: string, revision: number): Promise<Written> {
    this.#check(key);
    if (this.#held.get(key)?.entry.revision !== revision) return { kind: "conflict", current: this.#current(key) };
    return { kind: "written", revision: this.#remove(key) };
  }

  async putFenced(key: string, value: Uint8Array, fence: Fence, options: WriteOptions = {}): Promise<FencedWrite> {
    this.#checkWrite(key, value, options);
    if (!this.#holds(fence)) return { kind: "fenced" };
    if (!this.#held.has(key)) this.#checkRoom();
    return this.#put(key, value, options);
  }

  async deleteFenced(key: string, fence: Fence): Promise<FencedWrite> {
    this.#check(key);
    return this.#holds(fence) ? { kind: "written", revision: this.#remove(key) } : { kind: "fenced" };
  }

  async *watch(filter: string, signal?: AbortSignal): AsyncGenerator<Change, void, undefined> {
    this.#checkOpen();
    checkFilter(filter);
    const watcher: Watcher = { filter, bell: new Bell(), unread: new Map(), lagged: false };
    const there = [...this.#held.values()]
      .map((held) => held.entry)
      .filter((entry) => matchesSubject(filter, entry.key));
    this.#watchers.add(watcher);
    try {
      for (const entry of there.sort((a, b) => a.revision - b.revision)) {
        if (signal?.aborted || this.#closed) return;
        yield { kind: "put", entry: copied(entry) };
      }
      if (!signal?.aborted && !this.#closed) yield { kind: "ready" };
      yield* this.#changes(watcher, signal);
    } finally {
      this.#watchers.delete(watcher);
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const held of this.#held.values()) held.expiry?.cancel();
    this.#held.clear();
    for (const watcher of this.#watchers) watcher.bell.ring();
  }

  async *#changes(watcher: Watcher, signal: AbortSignal | undefined): AsyncGenerator<Change, void, undefined> {
    while (!signal?.aborted && !this.#closed) {
      if (watcher.lagged) {
        throw portError("ReaderLagged", `more than ${this.#unreadMax} keys under ${watcher.filter} changed unread`, {
          data: { filter: watcher.filter, unreadMax: this.#unreadMax },
        });
      }
      const [change] = watcher.unread.values();
      if (change === undefined) {
        await watcher.bell.heard(signal);
        continue;
      }
      watcher.unread.delete(change.kind === "put" ? change.entry.key : change.key);
      yield change.kind === "put" ? { kind: "put", entry: copied(change.entry) } : change;
    }
  }

  #put(key: string, value: Uint8Array, options: WriteOptions): FencedWrite & Written {
    this.#held.get(key)?.expiry?.cancel();
    const entry: Entry = { key, value: value.slice(), revision: ++this.#revision };
    const expiry =
      options.ttlMs === undefined ? undefined : this.#clock.schedule(options.ttlMs, () => void this.#remove(key));
    this.#held.set(key, { entry, expiry });
    this.#tell(key, { kind: "put", entry });
    return { kind: "written", revision: entry.revision };
  }

  #remove(key: string): number {
    this.#held.get(key)?.expiry?.cancel();
    this.#held.delete(key);
    const revision = ++this.#revision;
    this.#tell(key, { kind: "gone", key, revision });
    return revision;
  }

  #tell(key: string, change: Exclude<Change, { kind: "ready" }>): void {
    for (const watcher of this.#watchers) {
      if (!matchesSubject(watcher.filter, key)) continue;
      // Out and in again, so that unread changes stay in the order of their revisions (ST5, M1).
      watcher.unread.delete(key);
      watcher.unread.set(key, change);
      if (watcher.unread.size > this.#unreadMax) {
        watcher.lagged = true;
        watcher.unread.clear();
        this.#watchers.delete(watcher);
      }
      watcher.bell.ring();
    }
  }

  #holds({ key, revision }: Fence): boolean {
    checkSubject(key);
    checkWhole("fence.revision", revision, 1);
    return this.#held.get(key)?.entry.revision === revision;
  }

  #checkRoom(): void {
    if (this.#held.size < this.#keysMax) return;
    throw portError("StorageFull", `the store holds ${this.#keysMax} keys (keysMax)`, {
      data: { keysMax: this.#keysMax },
    });
  }

  #current(key: string): Entry | undefined {
    const held = this.#held.get(key);
    return held === undefined ? undefined : copied(held.entry);
  }

  #checkWrite(key: string, value: Uint8Array, options: WriteOptions): void {
    this.#check(key);
    checkSize(`the value of ${key}`, value, this.valueMaxBytes);
    if (options.ttlMs !== undefined) checkWhole("ttlMs", options.ttlMs, TTL_MIN_MS, TTL_MAX_MS);
  }

  #check(key: string): void {
    this.#checkOpen();
    checkSubject(key);
  }

  #checkOpen(): void {
    if (this.#closed) throw closedError("store");
  }
}
