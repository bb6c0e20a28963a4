// The Blobs port inside one process. Nothing survives it, and nothing is given up to make room: whoever puts must delete.

import { hash } from "node:crypto";
import type { Blobs } from "../blobs.ts";
import { checkSize, closedError, portError } from "../port-errors.ts";

export interface MemoryBlobsOptions {
  readonly blobMaxBytes?: number;
  /** All blobs together. */
  readonly maxBytes?: number;
}

const BLOB_MAX_BYTES = 64 * 1024 * 1024;
const MAX_BYTES = 512 * 1024 * 1024;

export class MemoryBlobs implements Blobs {
  readonly blobMaxBytes: number;
  readonly #maxBytes: number;
  readonly #blobs = new Map<string, Uint8Array>();
  #bytes = 0;
  #closed = false;

  constructor(options: MemoryBlobsOptions = {}) {
    this.blobMaxBytes = options.blobMaxBytes ?? BLOB_MAX_BYTES;
    this.#maxBytes = options.maxBytes ?? MAX_BYTES;
  }

  async put(bytes: Uint8Array): Promise<string> {
    this.#checkOpen();
    checkSize("the blob", bytes, this.blobMaxBytes);
    const name = hash("sha256", bytes);
    if (this.#blobs.has(name)) return name;
    if (this.#bytes + bytes.byteLength > this.#maxBytes) {
      throw portError("StorageFull", `the blobs hold ${this.#bytes} of ${this.#maxBytes} bytes (maxBytes)`, {
        data: { bytes: this.#bytes, maxBytes: this.#maxBytes },
      });
    }
    this.#blobs.set(name, bytes.slice());
    this.#bytes += bytes.byteLength;
    return name;
  }

  async get(hash: string): Promise<Uint8Array | undefined> {
    this.#checkOpen();
    return this.#blobs.get(hash)?.slice();
  }

  async has(hash: string): Promise<boolean> {
    this.#checkOpen();
    return this.#blobs.has(hash);
  }

  async delete(hash: string): Promise<void> {
    this.#checkOpen();
    this.#bytes -= this.#blobs.get(hash)?.byteLength ?? 0;
    this.#blobs.delete(hash);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#blobs.clear();
  }

  #checkOpen(): void {
    if (this.#closed) throw closedError("blobs");
  }
}
