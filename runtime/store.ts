// Port: small versioned keys with watch and expiry. Names, leases and membership are built on it.
// It is not a database: no queries, no transactions over two keys, no large values (those are blobs).
//
// ST1  Every change of the store (write, deletion, expiry) has a revision; revisions are whole numbers above 0 that only grow, also across
//      deletion and expiry of one key. So the revision of a successful write is a fencing number.
// ST2  A write names what it replaces: `create` needs the key absent, `update` and `delete` need it at the revision given. Of any number of
//      writes that name the same state, exactly one wins; the others get `conflict`.
// ST3  `get` may be behind a write that has just happened elsewhere. Never decide by what was read: write and look at the outcome.
// ST4  A key written with `ttlMs` is gone that long after its last write, never earlier, and in NATS forms up to a second later. Each write
//      sets the expiry anew; a write without `ttlMs` makes the key permanent. So renewing a lease is `update` with the same `ttlMs`.
// ST5  A watch gives what is there, then `ready` once, then each change; revisions rise from first to last. A slow watcher may miss values
//      in between, never the last word on a key. It ends when its signal aborts or the store closes, and with `ReaderLagged` when more keys
//      changed than it may leave unread.
// ST6  Bytes are copied in and out: nobody can change a stored value by keeping the array.
// ST7  `close` may be called twice; it ends watches, and every later use rejects with `Closed`. Keys of a durable form stay.
// ST8  A fenced write is done only while the key of its fence stands at the fence's revision, in one step with that check, whatever the
//      written key itself holds. Once the fence's key has moved on, no write under the old fence is ever accepted again.
//
// Keys are subjects and watches take filters (subject.ts). Other errors: InvalidSubject, InvalidOption, ValueTooLarge, StorageFull.

/** Shorter expiries cannot be kept by NATS servers. */
export const TTL_MIN_MS = 1_000;
/** About 24 days: the longest delay a Node timer has. */
export const TTL_MAX_MS = 2 ** 31 - 1;

export interface Entry {
  readonly key: string;
  readonly value: Uint8Array;
  readonly revision: number;
}

export interface WriteOptions {
  /** Milliseconds until the key expires (ST4), from TTL_MIN_MS to TTL_MAX_MS. */
  readonly ttlMs?: number;
}

/** `conflict`: nothing was written; `current` is what stands in the way, or undefined when the key is absent (perhaps only by now). */
export type Written =
  | { readonly kind: "written"; readonly revision: number }
  | { readonly kind: "conflict"; readonly current: Entry | undefined };

/** What a fenced write leans on: a key, and the revision at which it was claimed (ST8). */
export interface Fence {
  readonly key: string;
  readonly revision: number;
}

/** `fenced`: nothing was written; the claim that the fence names is over. */
export type Fenced = { readonly kind: "written"; readonly revision: number } | { readonly kind: "fenced" };

/** `gone`: deleted or expired. */
export type Change =
  | { readonly kind: "put"; readonly entry: Entry }
  | { readonly kind: "gone"; readonly key: string; readonly revision: number }
  | { readonly kind: "ready" };

export interface Store {
  /** Largest value it takes, in bytes. */
  readonly valueMaxBytes: number;
  get(key: string): Promise<Entry | undefined>;
  create(key: string, value: Uint8Array, options?: WriteOptions): Promise<Written>;
  update(key: string, value: Uint8Array, revision: number, options?: WriteOptions): Promise<Written>;
  /** The revision of a successful deletion is the deletion's own. */
  delete(key: string, revision: number): Promise<Written>;
  /** Writes `value` whatever the key holds, if the fence stands (ST8). */
  putFenced(key: string, value: Uint8Array, fence: Fence): Promise<Fenced>;
  /** Deletes the key, there or not, if the fence stands (ST8). */
  deleteFenced(key: string, fence: Fence): Promise<Fenced>;
  watch(filter: string, signal?: AbortSignal): AsyncIterable<Change>;
  close(): Promise<void>;
}
