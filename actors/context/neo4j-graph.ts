// The graph on a Neo4j server (5 or newer), by Bolt. It may be down when we start and go down at any time.
//
// NG1  Nothing is tried again here: whoever calls knows for how long it is worth while.
// NG2  A server that refuses us (a wrong password, no such database) counts as unavailable: it is no statement's fault, and events wait.

import type { Driver, Neo4jError, Node, Relationship, Session } from "neo4j-driver";
import { isFlotillaError } from "../../runtime/index.ts";
import { failContext } from "./errors.ts";
import type { Cell, Graph, Parameter, Parameters, Row, Statement, Value } from "./graph.ts";
import { reasonOf } from "./graph.ts";
import { neo4jSchema } from "./schema.ts";

const CONNECT_TIMEOUT_MS = 3_000;
const ACQUIRE_TIMEOUT_MS = 5_000;
const QUERY_TIMEOUT_MS = 30_000;
const CONNECTIONS_MAX = 20;

export interface Neo4jOptions {
  /** "bolt://host:7687", "neo4j+s://…". */
  readonly url: string;
  /** Default "neo4j", where there is a password; without one nobody logs in. */
  readonly user?: string;
  readonly password: string | undefined;
}

type Library = typeof import("neo4j-driver");

interface Opened {
  readonly library: Library;
  readonly driver: Driver;
}

export class Neo4jGraph implements Graph {
  readonly name: string;
  readonly #options: Neo4jOptions;
  /** Writes of one owner wait for each other (GR1); those of two are kept apart by locks of the server. */
  #last: Promise<unknown> = Promise.resolve();
  #opening: Promise<Opened> | undefined;
  #closed = false;

  constructor(options: Neo4jOptions) {
    this.#options = options;
    this.name = `the graph on ${withoutLogin(options.url)}`;
  }

  async open(): Promise<void> {
    await this.#opened();
  }

  async run(cypher: string, params: Parameters = {}): Promise<readonly Row[]> {
    const opened = await this.#opened();
    return this.#told(() =>
      withSession(opened, "READ", async (session) => {
        const { records } = await session.run(cypher, given(opened, params), { timeout: QUERY_TIMEOUT_MS });
        return records.map((record) => rowOf(record.toObject()));
      }),
    );
  }

  async write(statements: readonly Statement[]): Promise<boolean> {
    const opened = await this.#opened();
    const done = this.#last.then(() => this.#told(() => transaction(opened, statements)));
    this.#last = done.catch(() => {});
    return done;
  }

  async close(): Promise<void> {
    this.#closed = true;
    const opening = this.#opening;
    this.#opening = undefined;
    await this.#last;
    await (await opening?.catch(() => undefined))?.driver.close();
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
    const { url, user = "neo4j", password } = this.#options;
    const { default: library } = await import("neo4j-driver");
    return this.#told(async () => {
      const login = password === undefined ? undefined : library.auth.basic(user, password);
      const driver = library.driver(url, login, {
        disableLosslessIntegers: true,
        connectionTimeout: CONNECT_TIMEOUT_MS,
        connectionAcquisitionTimeout: ACQUIRE_TIMEOUT_MS,
        maxConnectionPoolSize: CONNECTIONS_MAX,
        telemetryDisabled: true,
      });
      const opened = { library, driver };
      try {
        await withSession(opened, "WRITE", async (session) => {
          for (const statement of neo4jSchema()) await session.run(statement);
        });
      } catch (error) {
        await driver.close();
        throw error;
      }
      return opened;
    });
  }

  async #told<T>(act: () => Promise<T>): Promise<T> {
    try {
      return await act();
    } catch (error) {
      if (isFlotillaError(error)) throw error;
      const isStatement = STATEMENT.test((error as Neo4jError).code ?? "");
      const code = isStatement && !this.#closed ? "GraphRefused" : "GraphUnavailable";
      const login = /Security\.(Unauth|Auth)/.test((error as Neo4jError).code ?? "")
        ? " (FLOTILLA_NEO4J_PASSWORD on the host of the services)"
        : "";
      throw failContext(code, `${this.name} says: ${reasonOf(error)}${login}`, { cause: error });
    }
  }
}

/** Codes that name a fault of the statement or of its data (NG2). */
const STATEMENT = /^Neo\.ClientError\.(Statement|Schema|Procedure|Request)\./;

async function withSession<T>(
  { library, driver }: Opened,
  mode: "READ" | "WRITE",
  act: (session: Session) => Promise<T>,
): Promise<T> {
  const session = driver.session({ defaultAccessMode: library.session[mode] });
  try {
    return await act(session);
  } finally {
    await session.close().catch(() => {});
  }
}

const transaction = (opened: Opened, statements: readonly Statement[]): Promise<boolean> =>
  withSession(opened, "WRITE", async (session) => {
    const open = session.beginTransaction({ timeout: QUERY_TIMEOUT_MS });
    try {
      for (const { cypher, params, guard = false } of statements) {
        const { records } = await open.run(cypher, given(opened, params));
        if (!guard || records.length > 0) continue;
        await open.rollback();
        return false;
      }
      await open.commit();
      return true;
    } finally {
      await open.close().catch(() => {});
    }
  });

/** Whole numbers go as integers: a plain number would be kept as a floating one. */
function given({ library }: Opened, params: Parameters): Record<string, unknown> {
  const one = (value: Parameter): unknown => {
    if (typeof value === "number") return library.int(value);
    if (!Array.isArray(value)) return value;
    return value.map((item) => (typeof item === "object" ? record(item) : item));
  };
  const record = (values: Readonly<Record<string, Parameter>>) =>
    Object.fromEntries(Object.entries(values).map(([name, value]) => [name, one(value)]));
  return record(params);
}

const rowOf = (row: Record<string, unknown>): Row =>
  Object.fromEntries(Object.entries(row).map(([name, value]) => [name, cellOf(value)]));

function cellOf(value: unknown): Cell {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value as Cell;
  const { properties, ...rest } = value as Node | Relationship;
  const type = "labels" in rest ? rest.labels[0] : rest.type;
  return { type: String(type), properties: properties as Readonly<Record<string, Value>> };
}

function withoutLogin(url: string): string {
  return url.replace(/\/\/[^@/]*@/, "//");
}
