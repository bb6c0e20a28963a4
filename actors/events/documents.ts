// Documents of a service in the fleet's store: JSON under a prefix and an id, parsed when read, replaced only at the revision that was read.
// It is not a query language: a service reads its documents when it starts and keeps what it needs in memory.
//
// DO1  Two writers that read the same revision cannot both win; the loser gets `undefined` and reads again.

import type { z } from "zod";
import { type ActorSystem, listEntries } from "../../runtime/index.ts";
import { fail } from "../errors.ts";

export interface Document<T> {
  readonly id: string;
  readonly value: T;
  readonly revision: number;
}

export class Documents<T> {
  readonly #store: ActorSystem["ports"]["store"];
  readonly #prefix: string;
  readonly #schema: z.ZodType<T>;

  /** `prefix`: dotted, "planning.story". Ids are single tokens of a subject. */
  constructor({ ports }: Pick<ActorSystem, "ports">, prefix: string, schema: z.ZodType<T>) {
    this.#store = ports.store;
    this.#prefix = prefix;
    this.#schema = schema;
  }

  /** Throws DocumentUnreadable, Unavailable. */
  async get(id: string): Promise<Document<T> | undefined> {
    const entry = await this.#store.get(`${this.#prefix}.${id}`);
    return entry === undefined ? undefined : this.#read(id, entry.value, entry.revision);
  }

  /** All of them, in no order. Throws DocumentUnreadable, Unavailable. */
  async list(): Promise<readonly Document<T>[]> {
    const entries = await listEntries(this.#store, `${this.#prefix}.*`);
    return entries.map(({ key, value, revision }) => this.#read(key.slice(this.#prefix.length + 1), value, revision));
  }

  /** Writes it where there is none; undefined when there is one. Throws ValueTooLarge, Unavailable (it may have been written, or not). */
  async create(id: string, value: T): Promise<Document<T> | undefined> {
    const written = await this.#store.create(`${this.#prefix}.${id}`, encode(value));
    return written.kind === "written" ? { id, value, revision: written.revision } : undefined;
  }

  /** Replaces what was read; undefined when it has changed since (DO1). Throws as `create` does. */
  async replace({ id, revision }: Document<T>, value: T): Promise<Document<T> | undefined> {
    const written = await this.#store.update(`${this.#prefix}.${id}`, encode(value), revision);
    return written.kind === "written" ? { id, value, revision: written.revision } : undefined;
  }

  /** Deletes what was read; false when it has changed since. */
  async delete({ id, revision }: Document<T>): Promise<boolean> {
    return (await this.#store.delete(`${this.#prefix}.${id}`, revision)).kind === "written";
  }

  #read(id: string, bytes: Uint8Array, revision: number): Document<T> {
    const parsed = this.#schema.safeParse(decode(bytes));
    if (parsed.success) return { id, value: parsed.data, revision };
    const message = `The document ${this.#prefix}.${id} in the fleet's store is not what this version of flotilla writes: ${parsed.error.message}`;
    throw fail("DocumentUnreadable", message, { data: { key: `${this.#prefix}.${id}` } });
  }
}

const encode = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));

function decode(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return undefined;
  }
}
