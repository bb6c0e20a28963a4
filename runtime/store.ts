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
// ST7  `putFenced` and `deleteFenced` write whatever the key holds, if and only if the fence's key is still at the fence's revision: decided
//      and done at once. So who has lost the fence's key can change nothing more, however late its writes arrive.
// ST8  `close` may be called twice; it ends watches, and every later use rejects with `Closed`. Keys of a durable form stay.
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

/** `gone`: deleted or expired. */
export type Change =
  | { readonly kind: "put"; readonly entry: Entry }
  | { readonly kind: "gone"; readonly key: string; readonly revision: number }
  | { readonly kind: "ready" };

/** What a fenced write rests on: a key that must still be at this revision (ST7). */
export interface Fence {
  readonly key: string;
  readonly revision: number;
}

/** `fenced`: nothing was written, because the fence's key has moved on or is gone. */
export type FencedWrite = { readonly kind: "written"; readonly revision: number } | { readonly kind: "fenced" };

export interface Store {
  /** Largest value it takes, in bytes. */
  readonly valueMaxBytes: number;
  get(key: string): Promise<Entry | undefined>;
  create(key: string, value: Uint8Array, options?: WriteOptions): Promise<Written>;
  update(key: string, value: Uint8Array, revision: number, options?: WriteOptions): Promise<Written>;
  /** The revision of a successful deletion is the deletion's own. */
  delete(key: string, revision: number): Promise<Written>;
  putFenced(key: string, value: Uint8Array, fence: Fence, options?: WriteOptions): Promise<FencedWrite>;
  /** Writes a deletion also where the key is absent. */
  deleteFenced(key: string, fence: Fence): Promise<FencedWrite>;
  watch(filter: string, signal?: AbortSignal): AsyncIterable<Change>;
  close(): Promise<void>;
}

/** The entries under `filter` as one watch found them; like `get`, perhaps behind a write that has just happened elsewhere. */
export async function listEntries(store: Store, filter: string, signal?: AbortSignal): Promise<readonly Entry[]> {
  const entries = new Map<string, Entry>();
  for await (const change of store.watch(filter, signal)) {
    if (change.kind === "ready") break;
    if (change.kind === "put") entries.set(change.entry.key, change.entry);
    else entries.delete(change.key);
  }
  signal?.throwIfAborted();
  return [...entries.values()];
}
