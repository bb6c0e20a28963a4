// The embedded graph: LadybugDB in a file of this host, in this process. No server, nothing to start.
// It is not shared: one process, and in it one owner, has the file at a time.
//
// LG1  LadybugDB locks its file against other processes, but not against a second opening in its own: two lives of an actor in one process
//      would write over each other. So an owner also holds a name of the machine (an abstract socket), which ends with it or its process.
// LG2  One connection writes, others read: a reader never lands in the middle of a transaction.
// LG3  A process that is killed leaves a log of its writes beside the file; the next opening takes in what was committed and nothing else.

import { createHash } from "node:crypto";
import { mkdir, realpath } from "node:fs/promises";
import { createServer } from "node:net";
import { dirname, join } from "node:path";
import type { Connection, Database, LbugValue, PreparedStatement } from "@ladybugdb/core";
import { isFlotillaError } from "../../runtime/index.ts";
import { failContext } from "./errors.ts";
import {
  type Cell,
  type Entity,
  type Graph,
  type Parameters,
  type Row,
  reasonOf,
  type Statement,
  type Value,
} from "./graph.ts";
import { ladybugSchema } from "./schema.ts";

/** Pages kept in memory. Its default would be most of the machine's. */
const BUFFER_BYTES = 256 * 1_024 * 1_024;
const READERS = 2;
/** Of one query. Ours are small: more of them at once is more than more threads for one. */
const THREADS = 1;
const QUERY_TIMEOUT_MS = 30_000;
/** Prepared statements that a connection keeps. */
const PREPARED_MAX = 256;

export interface LadybugOptions {
  /** For the graph alone; made where there is none. */
  readonly folder: string;
}

interface Opened {
  readonly database: Database;
  readonly writer: Session;
  readonly readers: readonly Session[];
  readonly release: () => Promise<void>;
}

export class LadybugGraph implements Graph {
  readonly name: string;
  readonly #file: string;
  #opening: Promise<Opened> | undefined;
  #turn = 0;
  #closed = false;

  constructor({ folder }: LadybugOptions) {
    this.#file = join(folder, "graph.lbug");
    this.name = `the graph in ${folder}`;
  }

  async open(): Promise<void> {
    await this.#opened();
  }

  async run(cypher: string, params: Parameters = {}): Promise<readonly Row[]> {
    const { readers } = await this.#opened();
    const reader = readers[this.#turn++ % readers.length] as Session;
    return this.#told(() => reader.alone(() => reader.execute(cypher, params)));
  }

  async write(statements: readonly Statement[]): Promise<boolean> {
    const { writer } = await this.#opened();
    return this.#told(() => writer.alone(() => transaction(writer, statements)));
  }

  async close(): Promise<void> {
    this.#closed = true;
    const opening = this.#opening;
    this.#opening = undefined;
    const opened = await opening?.catch(() => undefined);
    if (opened === undefined) return;
    await Promise.all([opened.writer, ...opened.readers].map((session) => session.close()));
    await opened.database.close();
    await opened.release();
  }

  #opened(): Promise<Opened> {
    if (this.#closed) throw failContext("GraphUnavailable", `${this.name} was closed.`);
    this.#opening ??= this.#open().catch((error: unknown) => {
      this.#opening = undefined;
      throw error;
    });
    return this.#opening;
  }

  async #open(): Promise<Opened> {
    const folder = dirname(this.#file);
    await mkdir(folder, { recursive: true });
    const release = await this.#claim(await realpath(folder));
    const { default: ladybug } = await import("@ladybugdb/core");
    const database = new ladybug.Database(this.#file, BUFFER_BYTES);
    try {
      await database.init();
      const session = () => new Session(new ladybug.Connection(database, THREADS));
      const writer = session();
      await transaction(
        writer,
        ladybugSchema().map((cypher) => ({ cypher, params: {} })),
      );
      return { database, writer, readers: Array.from({ length: READERS }, session), release };
    } catch (error) {
      await database.close().catch(() => {});
      await release();
      if (/set lock/i.test(reasonOf(error))) throw this.#taken();
      throw failContext("GraphRefused", `${this.name} cannot be opened: ${reasonOf(error)}`, { cause: error });
    }
  }

  /** LG1. Where the system has no abstract sockets, LadybugDB's own lock has to do. */
  async #claim(folder: string): Promise<() => Promise<void>> {
    if (process.platform !== "linux") return async () => {};
    const server = createServer((socket) => socket.destroy());
    const hash = createHash("sha256").update(folder).digest("hex").slice(0, 32);
    await new Promise<void>((resolve, reject) => {
      server.once("error", () => reject(this.#taken()));
      server.listen(`\0flotilla-graph-${hash}`, resolve);
    });
    server.unref();
    return () => new Promise<void>((resolve) => server.close(() => resolve()));
  }

  #taken(): Error {
    return failContext("GraphUnavailable", `${this.name} is open already; one context service has it at a time.`);
  }

  async #told<T>(act: () => Promise<T>): Promise<T> {
    try {
      return await act();
    } catch (error) {
      if (isFlotillaError(error)) throw error;
      const reason = reasonOf(error);
      // A full disk, or a graph that is being closed, is no statement's fault.
      const isElsewhere = this.#closed || /^IO exception|connection is closed|database is closed/i.test(reason);
      const code = isElsewhere ? "GraphUnavailable" : "GraphRefused";
      throw failContext(code, `${this.name} says: ${reason}`, { cause: error });
    }
  }
}

/** One connection: its prepared statements, and one use after the other. */
class Session {
  readonly #connection: Connection;
  readonly #prepared = new Map<string, PreparedStatement>();
  #last: Promise<unknown> = Promise.resolve();

  constructor(connection: Connection) {
    this.#connection = connection;
    connection.setQueryTimeout(QUERY_TIMEOUT_MS);
  }

  alone<T>(act: () => Promise<T>): Promise<T> {
    const done = this.#last.then(act);
    this.#last = done.catch(() => {});
    return done;
  }

  async execute(cypher: string, params: Parameters): Promise<readonly Row[]> {
    const prepared = await this.#prepare(cypher);
    const result = await this.#connection.execute(prepared, params as Record<string, LbugValue>);
    const [only] = [result].flat();
    if (only === undefined) return [];
    try {
      return (await only.getAll()).map(rowOf);
    } finally {
      only.close();
    }
  }

  async #prepare(cypher: string): Promise<PreparedStatement> {
    const known = this.#prepared.get(cypher);
    if (known !== undefined) return known;
    const made = await this.#connection.prepare(cypher);
    if (!made.isSuccess()) throw new Error(made.getErrorMessage());
    const [oldest] = this.#prepared.keys();
    if (oldest !== undefined && this.#prepared.size >= PREPARED_MAX) this.#prepared.delete(oldest);
    this.#prepared.set(cypher, made);
    return made;
  }

  async close(): Promise<void> {
    await this.#last;
    this.#prepared.clear();
    await this.#connection.close();
  }
}

async function transaction(session: Session, statements: readonly Statement[]): Promise<boolean> {
  // LadybugDB ends a transaction by itself when a statement of it fails.
  const back = () => session.execute("ROLLBACK", {}).catch(() => {});
  await session.execute("BEGIN TRANSACTION", {});
  try {
    for (const { cypher, params, guard = false } of statements) {
      const rows = await session.execute(cypher, params);
      if (!guard || rows.length > 0) continue;
      await back();
      return false;
    }
    await session.execute("COMMIT", {});
    return true;
  } catch (error) {
    await back();
    throw error;
  }
}

const rowOf = (row: Record<string, LbugValue>): Row =>
  Object.fromEntries(Object.entries(row).map(([name, value]) => [name, cellOf(value)]));

function cellOf(value: LbugValue): Cell {
  if (typeof value === "bigint") return Number(value);
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value as Cell;
  const { _label, _id, _src, _dst, ...properties } = value as Record<string, LbugValue>;
  return { type: String(_label), properties: setOnly(properties) };
}

/** GR6. A query for nodes of several types answers with the columns of all. */
const setOnly = (properties: Record<string, LbugValue>): Entity["properties"] =>
  Object.fromEntries(
    Object.entries(properties)
      .filter(([, value]) => value !== null)
      .map(([name, value]) => [name, cellOf(value) as Value]),
  );
