// Port: a property graph that speaks the Cypher which LadybugDB and Neo4j have in common. What lies in it is schema.ts.
//
// GR1  `write` does all of its statements or none, also when the process is killed in the middle. One writer at a time; others wait.
// GR2  A statement with `guard` that returns no row ends the write: nothing of it stays, and it answers false.
// GR3  `run` sees whole writes only, each query those that were finished when it began.
// GR4  GraphUnavailable: the graph could not be reached, or was lost in the middle, when nobody knows whether the write was done. The same
//      later may succeed, and no statement is at fault. GraphRefused: the graph does not take this statement, and never will.
// GR5  `open` makes the schema; open before use is not needed. A graph that could not be opened is tried anew by the next use.
// GR6  Nodes and edges are answered with the properties that are set; a property that is not set is absent, never null.
// GR7  `close` may be called twice; later use throws GraphUnavailable.
//
// The common Cypher, found by trying both: labels and types are written out, properties are of the schema and never null; many rows go by
// `UNWIND $rows AS row`, all rows with the same fields; the ends of an edge are matched one after the other (`MATCH (a…) WITH a, row MATCH
// (b…)`: together LadybugDB tries every pair); several keys to read are `WHERE n.id IN $ids`; `LIMIT` is written out; no APOC, `type()`,
// `label()`, `startNode()`, `SET n += …`, nor `collect()` where nothing may be collected (null or an empty list).

export type Value = string | number | boolean | readonly string[];

/** A parameter: numbers are whole. A list may be empty. */
export type Parameter = Value | readonly Readonly<Record<string, Value>>[];

export type Parameters = Readonly<Record<string, Parameter>>;

/** A node or edge as a query answers it. `type`: its label or its edge's type. */
export interface Entity {
  readonly type: string;
  readonly properties: Readonly<Record<string, Value>>;
}

export type Cell = Value | Entity | null;

export type Row = Readonly<Record<string, Cell>>;

export interface Statement {
  readonly cypher: string;
  readonly params: Parameters;
  /** GR2. */
  readonly guard?: boolean;
}

export interface Graph {
  /** In messages: "the graph in /folder". */
  readonly name: string;
  open(): Promise<void>;
  run(cypher: string, params?: Parameters): Promise<readonly Row[]>;
  /** True when all was written (GR1); false when a guard found nothing (GR2). */
  write(statements: readonly Statement[]): Promise<boolean>;
  close(): Promise<void>;
}

export const isEntity = (cell: Cell | undefined): cell is Entity =>
  typeof cell === "object" && cell !== null && !Array.isArray(cell);

/** What a graph refuses for good, in one sentence without its statement's parameters. */
export const reasonOf = (error: unknown): string =>
  (error instanceof Error ? error.message : String(error)).replace(/\s+/g, " ").trim().slice(0, 500);
