// The ledger: versions, keys, sets written together, a set that is refused, two ledgers on one graph.

import { rm } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ChangeSet } from "../../../actors/context/change-set.ts";
import { failContext } from "../../../actors/context/errors.ts";
import type { Graph } from "../../../actors/context/graph.ts";
import { LadybugGraph } from "../../../actors/context/ladybug-graph.ts";
import { Ledger } from "../../../actors/context/ledger.ts";
import { seededRandom } from "../../../runtime/index.ts";
import { caught } from "../../support/caught.ts";
import { graphFolder } from "./stand.ts";

let folder: string;
let graph: Graph;
let ledger: Ledger;
beforeAll(async () => {
  folder = await graphFolder();
  graph = new LadybugGraph({ folder });
  ledger = new Ledger(graph, seededRandom(1));
});
afterAll(async () => {
  await graph.close();
  await rm(folder, { recursive: true, force: true });
});

const task = (id: string, attempt: number, more: Partial<ChangeSet> = {}): ChangeSet => ({
  nodes: [{ id: `task:${id}`, set: { title: id, attempt } }],
  edges: [],
  told: [],
  ...more,
});
const attemptOf = async (id: string) =>
  (await graph.run("MATCH (t:Task {id: $id}) RETURN t.attempt AS attempt", { id: `task:${id}` }))[0]?.attempt;
const versionNow = async () => Number((await graph.run("MATCH (v:Version) RETURN v.number AS n"))[0]?.n);

describe("versions", () => {
  it("grow by one with each set, also of those that are written together (LE1, LE3)", async () => {
    const sets = Array.from({ length: 150 }, (_, index) =>
      ledger.apply(`together ${index}`, task(`a/t${index % 7}`, index)),
    );
    const applied = await Promise.all(sets);
    expect(applied.map(({ version }) => version)).toEqual(Array.from({ length: 150 }, (_, index) => index + 1));
    expect(new Set(applied.map(({ hash }) => hash)).size).toBe(150);
    // The last word on each task is the last set's.
    expect(await Promise.all([0, 1, 2, 3].map((index) => attemptOf(`a/t${index}`)))).toEqual([147, 148, 149, 143]);
  });

  it("stay where they are for a key that was applied, at once, later, and in another life (LE2)", async () => {
    const [one, two] = await Promise.all([ledger.apply("k", task("b/t", 1)), ledger.apply("k", task("b/t", 2))]);
    expect(two).toEqual(one);
    expect(await ledger.apply("k", task("b/t", 3))).toEqual(one);
    expect(await new Ledger(graph, seededRandom(2)).apply("k", task("b/t", 4))).toEqual(one);
    expect(await ledger.applied("k")).toEqual(one);
    expect(await attemptOf("b/t")).toBe(1);
    expect(await versionNow()).toBe(one.version);
  });

  it("mark the story that they concern", async () => {
    const { version } = await ledger.apply("story", task("c/t", 1, { storyId: "c" }));
    const [row] = await graph.run("MATCH (s:Story {id: 'story:c'}) RETURN s.changed AS changed");
    expect(row?.changed).toBe(version);
  });

  it("are made by one of two ledgers at a time (LE4)", async () => {
    const other = new Ledger(graph, seededRandom(3));
    const before = await versionNow();
    const both = [ledger, other].flatMap((one, who) =>
      Array.from({ length: 10 }, (_, index) => one.apply(`${who} ${index}`, task(`d/t${who}-${index}`, index))),
    );
    const versions = (await Promise.all(both)).map(({ version }) => version).sort((a, b) => a - b);
    expect(versions).toEqual(Array.from({ length: 20 }, (_, index) => before + index + 1));
  });
});

describe("a set", () => {
  it("is written with others that name the same fields in another order, in one go (LE3)", async () => {
    let writes = 0;
    const counting = new Proxy(graph, {
      get: (target, name) => {
        if (name === "write") writes++;
        const value = Reflect.get(target, name, target);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
    const other = new Ledger(counting, seededRandom(4));
    const nodes = (set: object) => ({ nodes: [{ id: `task:o/${JSON.stringify(set).length}`, set }] }) as never;
    await Promise.all([
      other.apply("order 0", task("o/t", 1)),
      other.apply("order 1", task("o/u", 2, nodes({ title: "one", attempt: 1 }))),
      other.apply("order 2", task("o/v", 3, nodes({ attempt: 22, title: "two" }))),
    ]);
    // The first, which nothing waited for, and the two that came meanwhile.
    expect(writes).toBe(2);
  });

  it("tells who waits for the node that it entitles", async () => {
    const ending = new AbortController();
    const waiting = ledger.entitled("task:wait/t", ending.signal).then(() => "told");
    await ledger.apply("wait 1", { ...task("wait/t", 1), nodes: [{ id: "task:wait/t", set: { attempt: 1 } }] });
    expect(await Promise.race([waiting, Promise.resolve("waits")])).toBe("waits");
    await ledger.apply("wait 2", task("wait/t", 1));
    expect(await waiting).toBe("told");
    const given = ledger.entitled("task:wait/none", ending.signal);
    ending.abort();
    await given;
  });

  it("that is refused fails alone, and those beside it are written (LE3)", async () => {
    const bad: ChangeSet = { nodes: [{ id: "task:e/bad", set: { noSuchField: 1 } }], edges: [], told: [] };
    const results = await Promise.allSettled([
      ledger.apply("e1", task("e/t1", 1)),
      ledger.apply("e2", bad),
      ledger.apply("e3", task("e/t3", 1)),
      ledger.apply("e4", bad),
    ]);
    expect(results.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled", "rejected"]);
    expect([await attemptOf("e/t1"), await attemptOf("e/t3"), await attemptOf("e/bad")]).toEqual([1, 1, undefined]);
    expect(await ledger.applied("e2")).toBeUndefined();
  });

  it("that removes is written alone, so what comes after it stays (CS4)", async () => {
    await Promise.all([
      ledger.apply("f1", task("f/t", 1)),
      ledger.apply("f2", { nodes: [], edges: [], told: [], removed: ["task:f/t"] }),
      ledger.apply("f3", task("f/t", 2)),
      ledger.apply("f4", { nodes: [], edges: [], told: [], removed: ["task:f/u"] }),
    ]);
    expect(await attemptOf("f/t")).toBe(2);
  });

  it("makes the ends of its edges, which do not exist before they are told of (CS2, SC2)", async () => {
    const set: ChangeSet = {
      nodes: [],
      told: [],
      edges: [{ type: "DEPENDS_ON", from: "task:g/a", to: "task:g/b", set: {} }],
    };
    await ledger.apply("g1", set);
    expect(await graph.run("MATCH (a:Task {id: 'task:g/a'})-[:DEPENDS_ON]->(b) RETURN b")).toEqual([
      { b: { type: "Task", properties: { id: "task:g/b" } } },
    ]);
  });

  it("brings no secret into the graph (CS3)", async () => {
    await ledger.apply("h", {
      ...{
        told: [],
        edges: [{ type: "DEPENDS_ON", from: "task:wait/a", to: "task:wait/b", set: { reason: "token=abcdefgh" } }],
      },
      nodes: [
        { id: "commit:h", set: { title: "password: hunter2222", files: ["https://me:geheim@host/x"], added: 1 } },
      ],
    });
    const kept = JSON.stringify([
      await graph.run("MATCH (c:`Commit` {id: 'commit:h'}) RETURN c"),
      await graph.run("MATCH (a:Task {id: 'task:h/a'})-[r]->(b) RETURN r"),
    ]);
    expect(kept).not.toMatch(/hunter2222|geheim|abcdefgh/);
  });
});

describe("sets that are written together", () => {
  it("are not refused for the order in which their fields came (LE3)", async () => {
    let writes = 0;
    const counted: Graph = {
      ...{ name: "counted", open: () => graph.open(), run: (...asked) => graph.run(...asked), close: async () => {} },
      write: (statements) => {
        writes++;
        return graph.write(statements);
      },
    };
    const own = new Ledger(counted, seededRandom(5));
    const set = { title: "made", added: 1, at: 2 };
    const sets: readonly ChangeSet[] = [
      { nodes: [{ id: "commit:o1", set }], edges: [], told: [] },
      // Known as an end before it is told of, and its fields the other way round.
      { nodes: [], edges: [{ type: "MERGED_AS", from: "commit:o2", to: "commit:o3", set: {} }], told: [] },
      { nodes: [{ id: "commit:o2", set: { at: 2, title: "made", added: 1 } }], edges: [], told: [] },
      { nodes: [{ id: "commit:o3", set }], edges: [], told: [] },
    ];
    await Promise.all(sets.map((each, index) => own.apply(`fields of ${index}`, each)));
    // The first is written by itself, those that came meanwhile together.
    expect(writes).toBe(2);
    const rows = await graph.run("MATCH (c:`Commit`) WHERE c.title = 'made' RETURN c.id AS id ORDER BY c.id");
    expect(rows.map(({ id }) => id)).toEqual(["commit:o1", "commit:o2", "commit:o3"]);
  });
});

describe("a graph that goes down", () => {
  it("fails those in hand, who may ask again, and the rest goes on; a lost answer is not applied twice", async () => {
    let mode: "up" | "down" | "deaf" = "up";
    const flaky: Graph = {
      ...{ name: "flaky", open: () => graph.open(), run: (...asked) => graph.run(...asked), close: async () => {} },
      async write(statements) {
        if (mode === "down") throw failContext("GraphUnavailable", "down");
        const written = await graph.write(statements);
        if (mode === "deaf") throw failContext("GraphUnavailable", "the answer was lost");
        return written;
      },
    };
    const own = new Ledger(flaky, seededRandom(4));
    mode = "down";
    expect((await caught(own.apply("i", task("i/t", 1)))).retryable).toBe(true);
    mode = "deaf";
    await caught(own.apply("i", task("i/t", 1)));
    mode = "up";
    const again = await own.apply("i", task("i/t", 2));
    expect([again.version, await attemptOf("i/t")]).toEqual([await versionNow(), 1]);
    await own.setPosition("x", 7);
    expect([await own.position("x"), await own.position("y")]).toEqual([7, undefined]);
  });
});
