// The Graph contract: what every form of actors/context/graph.ts does with the same Cypher. Numbers are that file's invariants.
// A form shares its server with others: cases use ids of their own.

import fc from "fast-check";
import { expect } from "vitest";
import { type Graph, isEntity, type Row, type Statement } from "../../actors/context/graph.ts";
import { systemRandom } from "../../runtime/index.ts";
import { caught, codeOf } from "../support/caught.ts";
import { type Cases, runContract, type Skips } from "./contract.ts";

export interface GraphForm {
  readonly graph: Graph;
  /** Another owner of the same graph, where a form may have two at a time. */
  readonly second?: Graph;
  close(): Promise<void>;
}

const TASKS = "UNWIND $rows AS row MERGE (n:Task {id: row.id}) SET n.title = row.title, n.attempt = row.attempt";
const NEEDS = `UNWIND $rows AS row MATCH (a:Task {id: row.from}) WITH a, row MATCH (b:Task {id: row.to})
  MERGE (a)-[r:DEPENDS_ON]->(b) SET r.reason = row.reason`;

const unique = (): string => `c${systemRandom.id()}`;
const task = (story: string, name: string): string => `task:${story}/${name}`;

/** Tasks of one story and what they wait for: "a>b" lets a wait for b. */
function written(story: string, names: string, ...needs: readonly string[]): Statement[] {
  const rows = names.split(" ").map((name) => ({ id: task(story, name), title: name.toUpperCase(), attempt: 1 }));
  const edges = needs.map((need) => {
    const [from = "", to = ""] = need.split(">");
    return { from: task(story, from), to: task(story, to), reason: need };
  });
  const nodes = { cypher: TASKS, params: { rows } };
  return edges.length === 0 ? [nodes] : [nodes, { cypher: NEEDS, params: { rows: edges } }];
}

const idsOf = (rows: readonly Row[]): unknown[] => rows.map(({ id }) => id).sort();
const titleOf = async (graph: Graph, id: string) =>
  (await graph.run("MATCH (n:Task {id: $id}) RETURN n.title AS title", { id }))[0]?.title;

const reading: Cases<GraphForm> = {
  "a node is answered with its type and the properties that are set (GR6)": async (make) => {
    const { graph } = await make();
    const id = task(unique(), "a");
    await graph.write([{ cypher: "MERGE (n:Task {id: $id}) SET n.title = $title", params: { id, title: "One" } }]);
    const [row] = await graph.run("MATCH (n:Task {id: $id}) RETURN n", { id });
    expect(row).toEqual({ n: { type: "Task", properties: { id, title: "One" } } });
    expect(await graph.run("MATCH (n:Task {id: $id}) RETURN n.role AS role", { id })).toEqual([{ role: null }]);
  },
  "texts, whole numbers, flags and lists come back as they went, odd ones, too": async (make) => {
    const { graph } = await make();
    const odd = "quote ' \" ` \\ $id \n\t\u0001 é 漢 😀 {} --";
    const cypher = `UNWIND $rows AS row MERGE (n:Commit {id: row.id})
      SET n.title = row.title, n.added = row.added, n.isWork = row.isWork, n.files = row.files`;
    const one = unique();
    const rows = [
      {
        id: `commit:${one}1`,
        title: odd,
        added: Number.MAX_SAFE_INTEGER,
        isWork: true,
        files: ["a,b", "[x]", "'", odd],
      },
      { id: `commit:${one}2`, title: "", added: -1, isWork: false, files: [] },
    ];
    await graph.write([{ cypher, params: { rows } }]);
    const found = await graph.run("MATCH (n:Commit) WHERE n.id STARTS WITH $from RETURN n ORDER BY n.id", {
      from: `commit:${one}`,
    });
    expect(found.map(({ n }) => isEntity(n) && n.properties)).toEqual(rows);
  },
  "any text at all is kept exactly (GR1)": async (make) => {
    const { graph } = await make();
    const id = task(unique(), "a");
    const cypher = "MERGE (n:Task {id: $id}) SET n.title = $title";
    const points = fc.array(fc.nat({ max: 0x10ffff }), { maxLength: 40 });
    const text = points.map((some) => String.fromCodePoint(...some).toWellFormed());
    await fc.assert(
      fc.asyncProperty(text, async (title) => {
        await graph.write([{ cypher, params: { id, title } }]);
        expect(await titleOf(graph, id)).toBe(title);
      }),
      { numRuns: 12 },
    );
  },
  "edges are answered with their type and why, in both directions and of several types": async (make) => {
    const { graph } = await make();
    const s = unique();
    await graph.write(written(s, "a b c", "a>b", "b>c"));
    const out = await graph.run("MATCH (a:Task {id: $id})-[r]->(m) RETURN r, m", { id: task(s, "b") });
    expect(out).toEqual([
      {
        r: { type: "DEPENDS_ON", properties: { reason: "b>c" } },
        m: { type: "Task", properties: { id: task(s, "c"), title: "C", attempt: 1 } },
      },
    ]);
    const into = "MATCH (m:Task)-[r:DEPENDS_ON|PART_OF]->(a:Task) WHERE a.id IN $ids RETURN m.id AS id";
    expect(idsOf(await graph.run(into, { ids: [task(s, "b"), task(s, "c")] }))).toEqual([task(s, "a"), task(s, "b")]);
  },
  "optional matches, ordering and limits are the same for all": async (make) => {
    const { graph } = await make();
    const s = unique();
    await graph.write(written(s, "a b c", "a>b", "a>c"));
    const needs = `MATCH (t:Task {id: $id}) OPTIONAL MATCH (t)-[:DEPENDS_ON]->(u:Task)
      RETURN t.title AS title, u.title AS need ORDER BY need`;
    const needsOf = (name: string) => graph.run(needs, { id: task(s, name) });
    expect(await needsOf("a")).toEqual([
      { title: "A", need: "B" },
      { title: "A", need: "C" },
    ]);
    expect(await needsOf("b")).toEqual([{ title: "B", need: null }]);
    const ordered = "MATCH (n:Task) WHERE n.id IN $ids RETURN n.title AS title ORDER BY title DESC LIMIT 2";
    const ids = ["a", "b", "c"].map((name) => task(s, name));
    expect((await graph.run(ordered, { ids })).map(({ title }) => title)).toEqual(["C", "B"]);
    expect(await graph.run(ordered, { ids: [] })).toEqual([]);
  },
};

const writing: Cases<GraphForm> = {
  "the same write again makes nothing twice": async (make) => {
    const { graph } = await make();
    const s = unique();
    for (let time = 0; time < 3; time++) await graph.write(written(s, "a b", "a>b"));
    expect(await graph.run("MATCH (a:Task {id: $id})-[r]-(m) RETURN m.id AS id", { id: task(s, "a") })).toHaveLength(1);
  },
  "a write that fails in the middle leaves nothing (GR1)": async (make) => {
    const { graph } = await make();
    const s = unique();
    const taken = { cypher: "CREATE (n:Applied {id: $id})", params: { id: s } };
    await graph.write([taken]);
    expect(await codeOf(graph.write([...written(s, "a"), taken]))).toBe("GraphRefused");
    expect(await titleOf(graph, task(s, "a"))).toBeUndefined();
    // And the graph goes on.
    await graph.write(written(s, "a"));
    expect(await titleOf(graph, task(s, "a"))).toBe("A");
  },
  "a guard that finds nothing ends the write (GR2)": async (make) => {
    const { graph } = await make();
    const s = unique();
    await graph.write(written(s, "a"));
    const guard = (attempt: number): Statement => ({
      cypher: "MATCH (n:Task {id: $id}) WHERE n.attempt = $attempt SET n.attempt = $next RETURN n.attempt AS attempt",
      params: { id: task(s, "a"), attempt, next: attempt + 1 },
      guard: true,
    });
    expect(await graph.write([...written(s, "b"), guard(7)])).toBe(false);
    expect(await titleOf(graph, task(s, "b"))).toBeUndefined();
    expect(await graph.write([guard(1), ...written(s, "b")])).toBe(true);
    expect(await graph.run("MATCH (n:Task {id: $id}) RETURN n.attempt AS n", { id: task(s, "a") })).toEqual([{ n: 2 }]);
  },
  "writes at once wait for each other": async (make) => {
    const { graph, second = graph } = await make();
    const s = unique();
    await graph.write(written(s, "a"));
    const add =
      "MATCH (n:Task {id: $id}) SET n.priority = 1 WITH n SET n.attempt = n.attempt + 1 RETURN n.attempt AS n";
    const one = { cypher: add, params: { id: task(s, "a") } };
    await Promise.all(Array.from({ length: 20 }, (_, index) => (index % 2 === 0 ? graph : second).write([one])));
    expect(await graph.run("MATCH (n:Task {id: $id}) RETURN n.attempt AS n", { id: task(s, "a") })).toEqual([
      { n: 21 },
    ]);
  },
  "readers see whole writes only (GR3)": async (make) => {
    const { graph } = await make();
    const s = unique();
    const names = Array.from({ length: 40 }, (_, index) => `t${index}`);
    const ids = names.map((name) => task(s, name));
    const count = async () =>
      (await graph.run("MATCH (n:Task) WHERE n.id IN $ids RETURN count(*) AS n", { ids }))[0]?.n;
    const writes = graph.write(names.flatMap((name) => written(s, name)));
    const seen = new Set<unknown>();
    for (let time = 0; time < 5; time++) seen.add(await count());
    await writes;
    seen.add(await count());
    expect([...seen].filter((n) => n !== 0 && n !== 40)).toEqual([]);
    expect(seen).toContain(40);
  },
  "deleting takes a node with its edges, or edges alone": async (make) => {
    const { graph } = await make();
    const s = unique();
    await graph.write(written(s, "a b c", "a>b", "a>c", "b>c"));
    const some = "MATCH (a:Task {id: $id})-[r:DEPENDS_ON]->(b:Task) WHERE NOT b.id IN $keep DELETE r";
    await graph.write([{ cypher: some, params: { id: task(s, "a"), keep: [task(s, "c")] } }]);
    const left = "MATCH (a:Task)-[r]->(b:Task {id: $id}) RETURN a.id AS id";
    expect(idsOf(await graph.run(left, { id: task(s, "b") }))).toEqual([]);
    expect(idsOf(await graph.run(left, { id: task(s, "c") }))).toEqual([task(s, "a"), task(s, "b")]);
    await graph.write([{ cypher: "MATCH (n:Task {id: $id}) DETACH DELETE n", params: { id: task(s, "c") } }]);
    expect(await graph.run("MATCH (a:Task {id: $id})-[r]-(b) RETURN b.id AS id", { id: task(s, "a") })).toEqual([]);
  },
};

const failing: Cases<GraphForm> = {
  "what is no Cypher is refused, and says why (GR4)": async (make) => {
    const { graph } = await make();
    const error = await caught(graph.run("MATCHES (n) RETURN n"));
    expect([error.code, error.retryable]).toEqual(["GraphRefused", false]);
    expect(error.message).toContain("MATCHES");
    expect(await codeOf(graph.write([{ cypher: "MERGE (n:Task {id: $id}", params: { id: "x" } }]))).toBe(
      "GraphRefused",
    );
  },
  "opened again, it keeps what is there (GR5)": async (make) => {
    const { graph } = await make();
    const s = unique();
    await graph.write(written(s, "a"));
    await Promise.all([graph.open(), graph.open()]);
    expect(await titleOf(graph, task(s, "a"))).toBe("A");
  },
  "closed twice, it answers nobody (GR7)": async (make) => {
    const { graph } = await make();
    await graph.open();
    await Promise.all([graph.close(), graph.close()]);
    await graph.close();
    const error = await caught(graph.run("RETURN 1 AS one"));
    expect([error.code, error.retryable]).toEqual(["GraphUnavailable", true]);
    expect(await codeOf(graph.write([]))).toBe("GraphUnavailable");
  },
};

/** Runs the Graph contract on one form. */
export function graphContract(name: string, make: () => Promise<GraphForm>, skips: Skips = {}): void {
  runContract(`Graph: ${name}`, { ...reading, ...writing, ...failing }, make, skips);
}
