// Walks through the graph: what lies around a node, what a decision bears on, why a commit exists. All bounded, all safe in circles.
//
// NE1  A walk goes level by level and enters no node twice, so circles end it. It stops at NODES_MAX nodes or EDGES_MAX edges, and says so.
// NE2  A level is a query for each type of node and edge, whatever the number of nodes; for a few nodes it is one for each, because looking for
//      keys in a list goes through all nodes of a type in LadybugDB, and a key alone is looked up.

import type { Edge, EntityType, GraphNode, Neighbourhood } from "./context-api.ts";
import { failContext } from "./errors.ts";
import type { Entity, Graph, Row } from "./graph.ts";
import { isEntity } from "./graph.ts";
import { EDGES, type EdgeType, NODES, nodeId, ownId, typeOfId } from "./schema.ts";

export const NODES_MAX = 200;
export const EDGES_MAX = 500;
const IMPACT_DEPTH = 10;
const DEPTH_MAX = 3;
const HASH_MIN = 7;
/** NE2. */
const ALONE_MAX = 8;
const EDGE_TYPES = Object.keys(EDGES) as readonly EdgeType[];

/** Throws NodeUnknown, DepthInvalid. */
export async function relationships(graph: Graph, id: string, depth: number): Promise<Neighbourhood> {
  if (!Number.isInteger(depth) || depth < 1 || depth > DEPTH_MAX)
    throw failContext("DepthInvalid", `A neighbourhood has a depth of 1 to ${DEPTH_MAX}, not ${depth}.`);
  const walk = new Walk(await nodeOf(graph, id));
  for (let level = 1; level <= depth; level++) {
    const rows = await Promise.all([...byType(walk.takeEdge())].map(([type, ids]) => around(graph, type, ids)));
    walk.add(rows.flat());
  }
  return walk.found();
}

/** What rests on a decision: decisions that depend on it, tasks that any of these affects, and tasks that wait for those. */
export async function impact(graph: Graph, given: string) {
  const decision = await nodeOf(graph, typeOfId(given) === undefined ? nodeId("Decision", given) : given, "Decision");
  const walk = new Walk(decision);
  for (let level = 1; level <= IMPACT_DEPTH; level++) {
    const ids = byType(walk.takeEdge());
    const [decisions, tasks] = [ids.get("Decision") ?? [], ids.get("Task") ?? []];
    if (decisions.length + tasks.length === 0) break;
    const hops = [
      hop(graph, { type: "DEPENDS_ON", of: "Decision", ids: decisions, isInto: true }),
      hop(graph, { type: "AFFECTS", of: "Decision", ids: decisions }),
      hop(graph, { type: "DEPENDS_ON", of: "Task", ids: tasks, isInto: true }),
    ];
    walk.add((await Promise.all(hops)).flat());
  }
  const { nodes } = walk.found();
  const of = (type: string) => nodes.filter((node) => node.type === type);
  return { decision, tasks: of("Task"), decisions: of("Decision") };
}

/** The chain from a commit up: what it merged, its tasks, their plans, decisions and story, the epic and the project. */
export async function why(graph: Graph, given: string): Promise<Neighbourhood> {
  const walk = new Walk(await commitOf(graph, given));
  const UP: readonly (readonly [EdgeType, EntityType, boolean])[] = [
    ["MERGED_AS", "Commit", true],
    ["PRODUCED", "Commit", true],
    ["PART_OF", "Task", false],
    ["AFFECTS", "Task", true],
    ["HAS_TASK", "Task", true],
    ["CONTAINS", "Story", true],
    ["CONTAINS", "Epic", true],
  ];
  for (const [type, of, isInto] of UP) {
    const ids = walk.idsOf(of);
    if (ids.length > 0) walk.add(await hop(graph, { type, of, ids, isInto }));
  }
  return walk.found();
}

/** The node of this key. Throws NodeUnknown (SC2). */
async function nodeOf(graph: Graph, id: string, wanted?: EntityType): Promise<GraphNode> {
  const type = typeOfId(id);
  const isWanted = type !== undefined && (wanted === undefined || type === wanted);
  const [row] = isWanted ? await graph.run(`MATCH (n:\`${type}\` {id: $id}) RETURN n`, { id }) : [];
  const node = isEntity(row?.n) ? shown(row.n) : undefined;
  if (node !== undefined && node.title !== "") return node;
  const kinds = Object.values(NODES).map(({ prefix }) => `${prefix}:…`);
  throw failContext("NodeUnknown", `The graph has no ${wanted ?? "node"} ${id}; ids are ${kinds.join(", ")}.`, {
    data: { id },
  });
}

/** A commit by its key, its hash, or the beginning of it. */
async function commitOf(graph: Graph, given: string): Promise<GraphNode> {
  const hash = typeOfId(given) === "Commit" ? ownId(given) : given;
  if (hash.length < HASH_MIN) return nodeOf(graph, nodeId("Commit", hash), "Commit");
  const query = "MATCH (n:`Commit`) WHERE n.id STARTS WITH $from RETURN n.id AS id LIMIT 2";
  const found = await graph.run(query, { from: nodeId("Commit", hash) });
  if (found.length > 1 && !found.some(({ id }) => id === nodeId("Commit", hash)))
    throw failContext("NodeUnknown", `Several commits begin with ${hash}; name more of it.`, { data: { id: hash } });
  const [only] = found.length === 1 ? found : [];
  return nodeOf(graph, String(only?.id ?? nodeId("Commit", hash)), "Commit");
}

/** One edge with the node at its other end. */
interface Step {
  readonly edge: Edge;
  readonly node: GraphNode;
}

/** Everything next to nodes of one type, in both directions. */
async function around(graph: Graph, of: EntityType, ids: readonly string[]): Promise<readonly Step[]> {
  const hops = EDGE_TYPES.flatMap((type) => [
    hop(graph, { type, of, ids }),
    hop(graph, { type, of, ids, isInto: true }),
  ]);
  return (await Promise.all(hops)).flat();
}

interface Hop {
  readonly type: EdgeType;
  readonly of: EntityType;
  readonly ids: readonly string[];
  /** Against the edge's direction. */
  readonly isInto?: boolean;
}

async function hop(graph: Graph, { type, of, ids, isInto = false }: Hop): Promise<readonly Step[]> {
  const pairs = EDGES[type].filter(([from, to]) => (isInto ? to : from) === of);
  const rows = pairs.flatMap(([from, to]) => {
    const [a, b] = isInto ? ["m", "a"] : ["a", "m"];
    const path = `MATCH (${a}:\`${from}\`)-[r:${type}]->(${b}:\`${to}\`)`;
    const answer = `RETURN a.id AS id, r, m LIMIT ${EDGES_MAX + 1}`;
    if (ids.length > ALONE_MAX) return [graph.run(`${path} WHERE a.id IN $ids ${answer}`, { ids })];
    return ids.map((id) => graph.run(`${path} WHERE a.id = $id ${answer}`, { id }));
  });
  return (await Promise.all(rows)).flat().flatMap((row) => stepOf(row, isInto));
}

function stepOf({ id, r, m }: Row, isInto: boolean): readonly Step[] {
  if (!isEntity(r) || !isEntity(m)) return [];
  const [own, node] = [String(id), shown(m)];
  const [from, to] = isInto ? [node.id, own] : [own, node.id];
  return [{ node, edge: { from, to, type: r.type, properties: r.properties } }];
}

export function shown({ type, properties }: Entity): GraphNode {
  const { id, title = "", ...rest } = properties;
  return { id: String(id), type, title: String(title), properties: rest };
}

function byType(ids: readonly string[]): ReadonlyMap<EntityType, readonly string[]> {
  const groups = new Map<EntityType, string[]>();
  for (const id of ids) {
    const type = typeOfId(id);
    if (type !== undefined) groups.set(type, [...(groups.get(type) ?? []), id]);
  }
  return groups;
}

/** What a walk has found so far (NE1). */
class Walk {
  readonly #from: GraphNode;
  readonly #nodes = new Map<string, GraphNode>();
  readonly #edges = new Map<string, Edge>();
  #frontier: string[];
  #isCut = false;

  constructor(from: GraphNode) {
    this.#from = from;
    this.#frontier = [from.id];
  }

  /** Nodes that are new since it was last asked. */
  takeEdge(): readonly string[] {
    const frontier = this.#frontier;
    this.#frontier = [];
    return frontier;
  }

  idsOf(type: EntityType): readonly string[] {
    return [this.#from.id, ...this.#nodes.keys()].filter((id) => typeOfId(id) === type);
  }

  add(steps: readonly Step[]): void {
    for (const { node, edge } of steps) {
      const key = `${edge.type} ${edge.from} ${edge.to}`;
      if (this.#edges.has(key)) continue;
      const isNew = node.id !== this.#from.id && !this.#nodes.has(node.id);
      if (this.#edges.size >= EDGES_MAX || (isNew && this.#nodes.size >= NODES_MAX)) {
        this.#isCut = true;
        continue;
      }
      this.#edges.set(key, edge);
      if (!isNew) continue;
      this.#nodes.set(node.id, node);
      this.#frontier.push(node.id);
    }
  }

  found(): Neighbourhood {
    const nodes = [...this.#nodes.values()];
    return { node: this.#from, nodes, edges: [...this.#edges.values()], isCut: this.#isCut };
  }
}
