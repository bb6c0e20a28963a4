// The Store port on a JetStream key-value bucket.
//
// S1  A key that is deleted or expired leaves a mark, so that watches hear of it and revisions go on; the server removes it after MARK_MS.
//     A watch that missed changes for longer than half of that ends with ReaderLagged: it may have missed a mark.
// S2  Revisions are the stream's sequences. `create` expects 0 or the mark it meets; a mark is not an entry.
// S3  The server counts expiry in whole seconds and drops the rest, so ours are rounded up: never early (ST4). A renewal is an ordinary
//     write with an expiry; the `update` of nats.js would make the key permanent.
// S4  `get` may be answered by a replica that is behind (ST3); what a conflict shows comes from the leader.

import { checkSize, checkWhole, closedError, portError } from "../port-errors.ts";
import { type Random, systemRandom } from "../random.ts";
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
import { checkFilter, checkSubject } from "../subject.ts";
import type { Connection } from "./connection.ts";
import { commonShape, ensureStream, type Provision } from "./provision.ts";
import { NatsStream, type StoredMessage, type WriteConditions } from "./stream.ts";
import type { StreamNames } from "./subjects.ts";
import { tail } from "./tail.ts";

export interface NatsStoreOptions {
  readonly connection: Connection;
  readonly names: StreamNames;
  /** All keys and values together, when the bucket is made. */
  readonly maxBytes?: number;
  readonly replicas?: number;
  readonly random?: Random;
}

const VALUE_MAX_BYTES = 512 * 1024;
const MAX_BYTES = 512 * 1024 * 1024;
const MARK_MS = 10 * 60_000;
const LAG_MAX_MS = MARK_MS / 2;
const DEDUPE_MS = 30_000;
const NS_PER_MS = 1_000_000;
/** A key that changes hands this often while one create looks at it is somebody else's. */
const CREATE_TRIES = 5;

const NOTHING = new Uint8Array(0);
const GONE: WriteConditions = { isDeletion: true, ttlSeconds: MARK_MS / 1_000 };

const entryOf = ({ key, data, sequence }: StoredMessage): Entry => ({ key, value: data, revision: sequence });

/** Opens the bucket, making it when it is not there. Throws what ensureStream throws. */
export async function openNatsStore(options: NatsStoreOptions): Promise<NatsStore> {
  const { connection, names, maxBytes = MAX_BYTES, replicas = 1 } = options;
  const shape = {
    ...commonShape(names),
    max_msgs_per_subject: 1,
    discard: "new",
    allow_rollup_hdrs: true,
    allow_msg_ttl: true,
    subject_delete_marker_ttl: MARK_MS * NS_PER_MS,
  };
  const limits = { max_bytes: maxBytes, num_replicas: replicas, duplicate_window: DEDUPE_MS * NS_PER_MS };
  const provision = await ensureStream(connection, names, shape, limits);
  return new NatsStore(new NatsStream(connection, names, options.random ?? systemRandom), provision);
}

export class NatsStore implements Store {
  readonly valueMaxBytes = VALUE_MAX_BYTES;
  readonly provision: Provision;
  readonly #stream: NatsStream;
  readonly #end = new AbortController();

  constructor(stream: NatsStream, provision: Provision) {
    this.#stream = stream;
    this.provision = provision;
  }

  async get(key: string): Promise<Entry | undefined> {
    this.#check(key);
    const message = await this.#stream.near(key);
    return message === undefined || message.isGone ? undefined : entryOf(message);
  }

  async create(key: string, value: Uint8Array, options: WriteOptions = {}): Promise<Written> {
    this.#checkWrite(key, value, options);
    const bytes = value.slice();
    let expectedSequence = 0;
    for (let tries = 0; ; tries++) {
      const stored = await this.#write(key, bytes, { ...ttlOf(options), expectedSequence });
      if (stored.kind === "written") return stored;
      const there = await this.#stream.last(key);
      if (there !== undefined && !there.isGone) return { kind: "conflict", current: entryOf(there) };
      if (tries === CREATE_TRIES) return { kind: "conflict", current: undefined };
      expectedSequence = there?.sequence ?? 0;
    }
  }

  async update(key: string, value: Uint8Array, revision: number, options: WriteOptions = {}): Promise<Written> {
    this.#checkWrite(key, value, options);
    // No entry has revision 0, but the server would take it for "absent".
    if (revision < 1) return this.#conflict(key);
    const stored = await this.#write(key, value.slice(), { ...ttlOf(options), expectedSequence: revision });
    return stored.kind === "written" ? stored : this.#conflict(key);
  }

  async delete(key: string, revision: number): Promise<Written> {
    this.#check(key);
    if (revision < 1) return this.#conflict(key);
    const stored = await this.#write(key, NOTHING, { ...GONE, expectedSequence: revision });
    return stored.kind === "written" ? stored : this.#conflict(key);
  }

  async putFenced(key: string, value: Uint8Array, fence: Fence, options: WriteOptions = {}): Promise<FencedWrite> {
    this.#checkWrite(key, value, options);
    return this.#writeFenced(key, value.slice(), fence, ttlOf(options));
  }

  async deleteFenced(key: string, fence: Fence): Promise<FencedWrite> {
    this.#check(key);
    return this.#writeFenced(key, NOTHING, fence, GONE);
  }

  async *watch(filter: string, signal?: AbortSignal): AsyncGenerator<Change, void, undefined> {
    this.#checkOpen();
    checkFilter(filter);
    const end = signal === undefined ? this.#end.signal : AbortSignal.any([signal, this.#end.signal]);
    const missed = (sinceMs: number) => checkLag(filter, sinceMs);
    /** Keys told before `ready`: those that are gone again by then must be told as gone, and no others. */
    let there: Set<string> | undefined = new Set();
    for await (const item of tail({ stream: this.#stream, filter, from: 1, signal: end, missed })) {
      if (item.kind === "caught-up") {
        if (there !== undefined) yield { kind: "ready" };
        there = undefined;
      } else {
        const { message } = item;
        if (!message.isGone) {
          there?.add(message.key);
          yield { kind: "put", entry: entryOf(message) };
        } else if (there === undefined || there.delete(message.key)) {
          yield { kind: "gone", key: message.key, revision: message.sequence };
        }
      }
    }
  }

  /** Ends watches. The connection is somebody else's and stays. */
  async close(): Promise<void> {
    this.#end.abort();
  }

  async #write(key: string, value: Uint8Array, conditions: WriteConditions) {
    const stored = await this.#stream.write(key, value, conditions);
    this.#checkOpen();
    return stored.kind === "stored"
      ? ({ kind: "written", revision: stored.sequence } as const)
      : ({ kind: "refused" } as const);
  }

  async #writeFenced(key: string, value: Uint8Array, fence: Fence, conditions: WriteConditions): Promise<FencedWrite> {
    checkSubject(fence.key);
    checkWhole("fence.revision", fence.revision, 1);
    const fenced = { ...conditions, expectedSequence: fence.revision, expectedKey: fence.key };
    const stored = await this.#write(key, value, fenced);
    return stored.kind === "written" ? stored : { kind: "fenced" };
  }

  async #conflict(key: string): Promise<Written> {
    const there = await this.#stream.last(key);
    return { kind: "conflict", current: there === undefined || there.isGone ? undefined : entryOf(there) };
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
    if (this.#end.signal.aborted) throw closedError("store");
  }
}

/** In whole seconds, rounded up (S3). */
const ttlOf = ({ ttlMs }: WriteOptions): WriteConditions =>
  ttlMs === undefined ? {} : { ttlSeconds: Math.ceil(ttlMs / 1_000) };

/** Throws when marks of keys that are gone may have been removed unread (S1). */
function checkLag(filter: string, sinceMs: number): void {
  if (sinceMs <= LAG_MAX_MS) return;
  throw portError("ReaderLagged", `changes under ${filter} were left unread for ${Math.round(sinceMs / 1_000)} s`, {
    data: { filter, sinceMs, maxMs: LAG_MAX_MS },
  });
}
