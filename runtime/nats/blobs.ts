// The Blobs port on a JetStream stream of our own layout.
//
//     <hash>      the record: how many bytes, how many chunks. A blob is there when its record is.
//     <hash>.0 …  the chunks, CHUNK_BYTES each
//
// It is not nats.js's object store: that gives each upload new chunk names, so two uploads of one name at once leave chunks behind, and a
// reader can meet a record whose chunks are gone. Here a chunk's name follows from its content, so uploads at once write the same.
//
// B1  The record is written last, expecting what was there when the upload began; a deletion in between makes the upload begin anew.
// B2  A deletion marks the record first, then removes the chunks that are older than the mark: never those of a later upload.
// B3  Chunks of an upload that failed stay until the same bytes are put again or deleted.

import { hash } from "node:crypto";
import type { Blobs } from "../blobs.ts";
import { checkSize, closedError } from "../port-errors.ts";
import { type Random, systemRandom } from "../random.ts";
import type { Connection } from "./connection.ts";
import { natsError } from "./failures.ts";
import { commonShape, ensureStream, type Provision } from "./provision.ts";
import { NatsStream, type StoredMessage } from "./stream.ts";
import type { StreamNames } from "./subjects.ts";

export interface NatsBlobsOptions {
  readonly connection: Connection;
  readonly names: StreamNames;
  readonly blobMaxBytes?: number;
  /** All blobs together, when the stream is made. */
  readonly maxBytes?: number;
  readonly replicas?: number;
  readonly random?: Random;
}

const BLOB_MAX_BYTES = 64 * 1024 * 1024;
const MAX_BYTES = 2 * 1024 * 1024 * 1024;
const CHUNK_BYTES = 256 * 1024;
const CHUNKS_IN_FLIGHT = 8;
const MARK_SECONDS = 600;
const DEDUPE_MS = 30_000;
const NS_PER_MS = 1_000_000;
const HASH = /^[0-9a-f]{64}$/;

interface BlobRecord {
  readonly bytes: number;
  readonly chunks: number;
}

/** Opens the blobs, making their stream when it is not there. Throws what ensureStream throws. */
export async function openNatsBlobs(options: NatsBlobsOptions): Promise<NatsBlobs> {
  const { connection, names, maxBytes = MAX_BYTES, replicas = 1 } = options;
  const shape = {
    ...commonShape(names),
    max_msgs_per_subject: 1,
    discard: "new",
    allow_rollup_hdrs: true,
    allow_msg_ttl: true,
  };
  const limits = { max_bytes: maxBytes, num_replicas: replicas, duplicate_window: DEDUPE_MS * NS_PER_MS };
  const provision = await ensureStream(connection, names, shape, limits);
  return new NatsBlobs(
    new NatsStream(connection, names, options.random ?? systemRandom),
    provision,
    options.blobMaxBytes,
  );
}

export class NatsBlobs implements Blobs {
  readonly blobMaxBytes: number;
  readonly provision: Provision;
  readonly #stream: NatsStream;
  #isClosed = false;

  constructor(stream: NatsStream, provision: Provision, blobMaxBytes = BLOB_MAX_BYTES) {
    this.#stream = stream;
    this.provision = provision;
    this.blobMaxBytes = blobMaxBytes;
  }

  async put(bytes: Uint8Array): Promise<string> {
    this.#checkOpen();
    checkSize("the blob", bytes, this.blobMaxBytes);
    const content = bytes.slice();
    const name = hash("sha256", content);
    const chunks = Math.ceil(content.byteLength / CHUNK_BYTES);
    const record: BlobRecord = { bytes: content.byteLength, chunks };
    for (;;) {
      const there = await this.#stream.last(name);
      if (isThere(there)) return name;
      await eachOf(chunks, async (at) => {
        const chunk = content.subarray(at * CHUNK_BYTES, (at + 1) * CHUNK_BYTES);
        await this.#stream.write(`${name}.${at}`, chunk);
      });
      const data = new TextEncoder().encode(JSON.stringify(record));
      const expectedSequence = there?.sequence ?? 0;
      const stored = await this.#stream.write(name, data, { expectedSequence });
      if (stored.kind === "stored") return name;
    }
  }

  async get(name: string): Promise<Uint8Array | undefined> {
    this.#checkOpen();
    if (!HASH.test(name)) return undefined;
    const there = await this.#stream.last(name);
    if (there === undefined || there.isGone) return undefined;
    const record: BlobRecord = JSON.parse(new TextDecoder().decode(there.data));
    const content = new Uint8Array(record.bytes);
    await eachOf(record.chunks, async (at) => {
      const key = `${name}.${at}`;
      const chunk = (await this.#stream.near(key)) ?? (await this.#stream.last(key));
      if (chunk !== undefined) content.set(chunk.data, at * CHUNK_BYTES);
    });
    if (hash("sha256", content) === name) return content;
    // Deleted while it was read; or the server lost a part of it.
    if (!isThere(await this.#stream.last(name))) return undefined;
    throw natsError("ServerFailed", `blob ${name} is damaged on the server; delete it and put it again`);
  }

  async has(name: string): Promise<boolean> {
    this.#checkOpen();
    return HASH.test(name) && isThere(await this.#stream.last(name));
  }

  async delete(name: string): Promise<void> {
    this.#checkOpen();
    if (!HASH.test(name)) return;
    const there = await this.#stream.last(name);
    if (there === undefined || there.isGone) return;
    const gone = { isDeletion: true, ttlSeconds: MARK_SECONDS, expectedSequence: there.sequence };
    const stored = await this.#stream.write(name, new Uint8Array(0), gone);
    // Refused: somebody else deleted it at the same moment.
    if (stored.kind === "stored") await this.#stream.purge(`${name}.*`, stored.sequence);
  }

  /** The connection is somebody else's and stays. */
  async close(): Promise<void> {
    this.#isClosed = true;
  }

  #checkOpen(): void {
    if (this.#isClosed) throw closedError("blobs");
  }
}

const isThere = (message: StoredMessage | undefined): boolean => message !== undefined && !message.isGone;

/** Runs `run` for 0 to `count` - 1, CHUNKS_IN_FLIGHT at once. */
async function eachOf(count: number, run: (at: number) => Promise<void>): Promise<void> {
  let next = 0;
  const lane = async () => {
    while (next < count) await run(next++);
  };
  await Promise.all(Array.from({ length: CHUNKS_IN_FLIGHT }, lane));
}
