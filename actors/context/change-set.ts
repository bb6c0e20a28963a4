// One change of the graph, as plain data, and the statements that make it. Pure: who makes changes is agile-changes.ts, result-changes.ts
// and update-changes.ts, who writes them is ledger.ts.
//
//     change sets ─▶ one row for each node and each edge, the last word on each field wins ─▶ one statement for each kind of row
//
// CS1  Many sets make as many statements as one, because a statement costs milliseconds and a row next to nothing.
// CS2  The ends of an edge are made where they are not yet there (SC2), so the order in which channels are read does not matter.
// CS3  No secret lies in the graph: every text passes redactText on its way in, whoever wrote it.
// CS4  What a set removes is removed before anything of it is written; sets that remove are written alone, or a removal would also take
//      what the set before it made.

import { redactText } from "../../tools/index.ts";
import type { EntityType } from "./context-api.ts";
import type { Statement, Value } from "./graph.ts";
import { EDGES, type EdgeType, typeOfId } from "./schema.ts";

export type Properties = Readonly<Record<string, Value>>;

export interface NodeWrite {
  readonly id: string;
  /** Fields that are not named stay as they are. */
  readonly set: Properties;
}

export interface EdgeWrite {
  readonly type: EdgeType;
  readonly from: string;
  readonly to: string;
  readonly set: Properties;
}

/** What those who work on the story are told of a set. */
export interface Told {
  readonly entityType: string;
  readonly entityId: string;
  readonly operation: "create" | "update" | "delete";
  readonly reason: string;
  readonly taskIds: readonly string[];
  readonly summary: string;
}

export interface ChangeSet {
  /** The story that it concerns; a set without one is told to nobody. */
  readonly storyId?: string;
  readonly nodes: readonly NodeWrite[];
  readonly edges: readonly EdgeWrite[];
  /** Nodes that go, with their edges. */
  readonly removed?: readonly string[];
  /** All edges of a type from a node go. */
  readonly cleared?: readonly { readonly type: EdgeType; readonly from: string }[];
  /** An attempt of a task whose own commit and merged commit shall be joined, once both are known. */
  readonly attempt?: { readonly task: string; readonly attempt: number };
  readonly told: readonly Told[];
}

/** Fields without those that are not known. */
export const known = (fields: Readonly<Record<string, Value | undefined>>): Properties =>
  Object.fromEntries(Object.entries(fields).filter((entry): entry is [string, Value] => entry[1] !== undefined));

export const edge = (
  type: EdgeType,
  from: string,
  to: string,
  why: Readonly<Record<string, Value | undefined>> = {},
): EdgeWrite => ({ type, from, to, set: known(why) });

export const removes = ({ removed = [], cleared = [] }: ChangeSet): boolean => removed.length + cleared.length > 0;

/** Rows that a set makes, roughly: what a write is bounded by. */
export const sizeOf = ({ nodes, edges }: ChangeSet): number => nodes.length + edges.length;

/** The statements that make the sets, in their order. */
export function statementsOf(sets: readonly ChangeSet[]): readonly Statement[] {
  return [
    ...sets.flatMap(removal),
    ...nodeStatements(sets),
    ...edgeStatements(sets),
    ...joined(sets.flatMap(({ attempt }) => attempt ?? [])),
  ];
}

function removal({ removed = [], cleared = [] }: ChangeSet): readonly Statement[] {
  const edges = cleared.flatMap(({ type, from }) =>
    EDGES[type]
      .filter(([label]) => label === typeOfId(from))
      .map(([a, b]) => ({
        cypher: `MATCH (a:\`${a}\` {id: $from})-[r:${type}]->(b:\`${b}\`) DELETE r`,
        params: { from },
      })),
  );
  const nodes = removed.map((id) => ({
    cypher: `MATCH (n:\`${labelOf(id)}\` {id: $id}) DETACH DELETE n`,
    params: { id },
  }));
  return [...edges, ...nodes];
}

function nodeStatements(sets: readonly ChangeSet[]): readonly Statement[] {
  const rows = new Map<string, Record<string, Value>>();
  const put = (id: string, set: Properties) => rows.set(id, { ...rows.get(id), ...redacted(set), id });
  for (const { nodes, edges } of sets) {
    for (const { id, set } of nodes) put(id, set);
    for (const { from, to } of edges) for (const id of [from, to]) put(id, {});
  }
  return grouped(
    [...rows.values()],
    (row) => labelOf(String(row.id)),
    (label, fields) => {
      const sets = fields.filter((field) => field !== "id").map((field) => `n.\`${field}\` = row.\`${field}\``);
      return `UNWIND $rows AS row MERGE (n:\`${label}\` {id: row.id})${setting(sets)}`;
    },
  );
}

function edgeStatements(sets: readonly ChangeSet[]): readonly Statement[] {
  const rows = new Map<string, Record<string, Value>>();
  for (const { type, from, to, set } of sets.flatMap(({ edges }) => edges)) {
    const key = `${type} ${from} ${to}`;
    rows.set(key, { ...rows.get(key), ...redacted(set), type, from, to });
  }
  const kindOf = ({ type, from, to }: Record<string, Value>) =>
    `${type} ${labelOf(String(from))} ${labelOf(String(to))}`;
  return grouped([...rows.values()], kindOf, (kind, fields) => {
    const [type, a, b] = kind.split(" ");
    const sets = fields.filter((field) => !ENDS.includes(field)).map((field) => `r.\`${field}\` = row.\`${field}\``);
    return `UNWIND $rows AS row MATCH (a:\`${a}\` {id: row.from}) WITH a, row MATCH (b:\`${b}\` {id: row.to}) MERGE (a)-[r:${type}]->(b)${setting(sets)}`;
  });
}

/** CS3. */
const redacted = (set: Properties): Properties =>
  Object.fromEntries(Object.entries(set).map(([name, value]) => [name, withoutSecrets(value)]));

function withoutSecrets(value: Value): Value {
  if (typeof value === "string") return redactText(value);
  return typeof value === "object" ? value.map(redactText) : value;
}

const ENDS: readonly string[] = ["type", "from", "to"];
const setting = (sets: readonly string[]): string => (sets.length === 0 ? "" : ` SET ${sets.join(", ")}`);

/** One statement for the rows of each kind that have the same fields, in one order: LadybugDB takes no list of rows of several orders. */
function grouped(
  rows: readonly Record<string, Value>[],
  kindOf: (row: Record<string, Value>) => string,
  cypherOf: (kind: string, fields: readonly string[]) => string,
): readonly Statement[] {
  const groups = new Map<string, Record<string, Value>[]>();
  for (const row of rows) {
    const fields = Object.keys(row).sort();
    const ordered = Object.fromEntries(fields.map((field) => [field, row[field] as Value]));
    const cypher = cypherOf(kindOf(row), fields);
    const group = groups.get(cypher);
    if (group === undefined) groups.set(cypher, [ordered]);
    else group.push(ordered);
  }
  return [...groups].map(([cypher, of]) => ({ cypher, params: { rows: of } }));
}

const joined = (rows: readonly { readonly task: string; readonly attempt: number }[]): readonly Statement[] => {
  if (rows.length === 0) return [];
  const cypher = `UNWIND $rows AS row
    MATCH (t:Task {id: row.task})-[p:PRODUCED]->(c:\`Commit\`) WHERE p.attempt = row.attempt AND c.isWork = true
    WITH t, c, row MATCH (t)-[q:PRODUCED]->(m:\`Commit\`) WHERE q.attempt = row.attempt AND m.isMerged = true AND c.id <> m.id
    MERGE (c)-[r:MERGED_AS]->(m)`;
  return [{ cypher, params: { rows: rows.map(({ task, attempt }) => ({ task, attempt })) } }];
};

function labelOf(id: string): EntityType {
  const type = typeOfId(id);
  if (type === undefined) throw new Error(`${id} is no node's key`);
  return type;
}
