// What lies in the context graph, declared once: types of nodes with their fields, types of edges with their ends. Both graphs' tables,
// constraints and indexes are made from it, and so is what UpdateContext may change. docs/context.md draws it.
//
// SC1  A node's one key is `id`, global and readable: "<prefix>:<own>". Its type can be read from it.
// SC2  A node that others point at before it was told of is only its id: it has no title, and for those who ask it does not exist.
// SC3  What planning says of its projects, epics, stories, plans and tasks is planning's; others may only add a `summary`.

import type { EntityType } from "./context-api.ts";

/** int: whole numbers. list: of texts. */
export type FieldKind = "text" | "int" | "flag" | "list";

export type Fields = Readonly<Record<string, FieldKind>>;

const usage = { inputTokens: "int", outputTokens: "int", modelCalls: "int", durationMs: "int" } as const;
const planned = { title: "text", summary: "text" } as const;

/** The types that people ask for, each with its key's prefix and its fields. */
export const NODES = {
  Project: { prefix: "project", fields: planned },
  Epic: { prefix: "epic", fields: planned },
  Story: {
    prefix: "story",
    fields: {
      ...planned,
      ...{ description: "text", criteria: "list", rigor: "text", state: "text", readiness: "int" },
      /** Planning's version of the story, and the graph's version of the last change that concerned it. */
      ...{ storyVersion: "int", changed: "int" },
    },
  },
  Plan: {
    prefix: "plan",
    fields: { ...planned, text: "text", rationale: "text", status: "text", decidedBy: "text", at: "int" },
  },
  Task: {
    prefix: "task",
    fields: {
      ...planned,
      ...{ text: "text", role: "text", phase: "text", priority: "int", size: "text" },
      ...{ status: "text", attempt: "int", agent: "text", error: "text" },
      ...usage,
    },
  },
  Decision: {
    prefix: "decision",
    // Roles that it concerns; none: all.
    fields: { title: "text", text: "text", status: "text", roles: "list", decidedBy: "text", at: "int" },
  },
  Milestone: {
    prefix: "milestone",
    fields: { title: "text", kind: "text", detail: "text", decidedBy: "text", at: "int" },
  },
  Commit: {
    prefix: "commit",
    fields: {
      ...{ title: "text", isWork: "flag", isMerged: "flag", agent: "text", role: "text", attempt: "int" },
      ...{ finalState: "text", isVerified: "flag", findings: "list", files: "list", added: "int", deleted: "int" },
      ...{ at: "int" },
      ...usage,
    },
  },
  ToolExecution: {
    prefix: "execution",
    fields: {
      ...{ title: "text", tool: "text", outcome: "text", params: "text", error: "text", agent: "text" },
      ...{ durationMs: "int", bytes: "int", at: "int" },
    },
  },
} as const satisfies Readonly<Record<EntityType, { readonly prefix: string; readonly fields: Fields }>>;

/** The graph's own: its version, which change sets it holds, and how far its consumers have read (ledger.ts). */
export const RECORDS = {
  Version: { number: "int", touched: "int", graph: "text" },
  Applied: { version: "int", hash: "text" },
  Position: { sequence: "int" },
} as const satisfies Readonly<Record<string, Fields>>;

/** Fields that are looked for without the key, where a graph can index them. */
const INDEXED = [["Applied", "version"]] as const;

/** Every type of edge with the types that it may join. Two nodes have at most one edge of a type. */
export const EDGES = {
  CONTAINS: [
    ["Project", "Epic"],
    ["Epic", "Story"],
    ["Project", "Story"],
    ["Story", "Decision"],
    ["Story", "Milestone"],
  ],
  HAS_PLAN: [["Story", "Plan"]],
  HAS_TASK: [["Story", "Task"]],
  PART_OF: [["Task", "Plan"]],
  DEPENDS_ON: [
    ["Task", "Task"],
    ["Decision", "Decision"],
  ],
  AFFECTS: [["Decision", "Task"]],
  SUPERSEDES: [["Decision", "Decision"]],
  RELATES_TO: [["Decision", "Decision"]],
  CONCERNS: [["Milestone", "Task"]],
  PRODUCED: [["Task", "Commit"]],
  MERGED_AS: [["Commit", "Commit"]],
  EXECUTED: [["Task", "ToolExecution"]],
} as const satisfies Readonly<Record<string, readonly (readonly [EntityType, EntityType])[]>>;

export type EdgeType = keyof typeof EDGES;

/** Why an edge is there; the same for all types. */
export const EDGE_FIELDS = { reason: "text", decidedBy: "text", at: "int", attempt: "int" } as const satisfies Fields;

export const ENTITY_TYPES = Object.keys(NODES) as readonly EntityType[];

export const fieldsOf = (type: EntityType): Fields => NODES[type].fields;

/** The key of a node (SC1): nodeId("Task", storyId, taskId) is "task:<story>/<task>". */
export const nodeId = (type: EntityType, ...own: readonly string[]): string => `${NODES[type].prefix}:${own.join("/")}`;

/** The type that a key names (SC1); undefined for what is no key. */
export function typeOfId(id: string): EntityType | undefined {
  const prefix = id.slice(0, id.indexOf(":"));
  return ENTITY_TYPES.find((type) => NODES[type].prefix === prefix);
}

/** What comes after the prefix: "<story>/<task>" of a task. */
export const ownId = (id: string): string => id.slice(id.indexOf(":") + 1);

/** The last part of a key: planning's id of a task, the hash of a commit. */
export const localId = (id: string): string => id.slice(Math.max(id.indexOf(":"), id.lastIndexOf("/")) + 1);

const tables = (): readonly (readonly [string, Fields])[] => [
  ...ENTITY_TYPES.map((type) => [type, fieldsOf(type)] as const),
  ...Object.entries(RECORDS),
];

const COLUMNS: Readonly<Record<FieldKind, string>> = { text: "STRING", int: "INT64", flag: "BOOL", list: "STRING[]" };
const columns = (fields: Fields) => Object.entries(fields).map(([name, kind]) => `\`${name}\` ${COLUMNS[kind]}`);

/** Typed tables; a key is its table's hash index. */
export function ladybugSchema(): readonly string[] {
  const nodes = tables().map(
    ([type, fields]) =>
      `CREATE NODE TABLE IF NOT EXISTS \`${type}\`(id STRING PRIMARY KEY, ${columns(fields).join(", ")})`,
  );
  const edges = Object.entries(EDGES).map(([type, ends]) => {
    const pairs = ends.map(([from, to]) => `FROM \`${from}\` TO \`${to}\``);
    return `CREATE REL TABLE IF NOT EXISTS \`${type}\`(${[...pairs, ...columns(EDGE_FIELDS)].join(", ")})`;
  });
  return [...nodes, ...edges];
}

/** One constraint for each key, and indexes; everything else of a schema-free graph is what we write. */
export function neo4jSchema(): readonly string[] {
  const keys = tables().map(
    ([type]) => `CREATE CONSTRAINT flotilla_${type} IF NOT EXISTS FOR (n:\`${type}\`) REQUIRE n.id IS UNIQUE`,
  );
  const indexes = INDEXED.map(
    ([type, field]) => `CREATE INDEX flotilla_${type}_${field} IF NOT EXISTS FOR (n:\`${type}\`) ON (n.\`${field}\`)`,
  );
  return [...keys, ...indexes];
}
