// Port: large immutable bytes by their hash. Big arguments and results, and actor modules, travel by it.
// It is not a file store: nothing has a name but its content.
//
// BL1  A blob's name is the SHA-256 of its bytes in 64 lower-case hexadecimal digits. The bytes `get` answers have that hash.
// BL2  `put` is idempotent: the same bytes any number of times, from anyone, are one blob. Once it resolves, every `get` finds it.
// BL3  `delete` of what is not there does nothing; a string that is no hash names no blob.
// BL4  Bytes are copied in and out: nobody can change a blob by keeping the array.
// BL5  `close` may be called twice; every later use rejects with `Closed`. Blobs of a durable form stay.
//
// Other errors: ValueTooLarge (one blob), StorageFull (all of them).

export interface Blobs {
  /** Largest blob it takes, in bytes. */
  readonly blobMaxBytes: number;
  /** Resolves with the hash. */
  put(bytes: Uint8Array): Promise<string>;
  get(hash: string): Promise<Uint8Array | undefined>;
  has(hash: string): Promise<boolean>;
  delete(hash: string): Promise<void>;
  close(): Promise<void>;
}
