// Events become the graph: what each says is in it, once, whatever is told twice, in which order, and with the graph down in the middle.

import { rm } from "node:fs/promises";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { failContext } from "../../../actors/context/errors.ts";
import type { Graph } from "../../../actors/context/graph.ts";
import { LadybugGraph } from "../../../actors/context/ladybug-graph.ts";
import { agentResults, agileEvents } from "../../../actors/events/channels.ts";
import { postEvent } from "../../../actors/events/post.ts";
import { connect } from "../../../runtime/index.ts";
import { waitUntil } from "../../support/wait-until.ts";
import {
  agile,
  deadOf,
  graphFolder,
  jobChanged,
  openStand,
  PO,
  pictureOf,
  resultOf,
  type Stand,
  sendResultOf,
  storyKnown,
  taskKnown,
  tellStory,
  toldOf,
} from "./stand.ts";

const WORK = "a".repeat(40);
const MERGED = "b".repeat(40);

let shared: Stand;
beforeAll(async () => {
  shared = await openStand();
});
afterAll(() => shared.close());

const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

/** A task's commit, and that it was merged: from two channels. */
const workOn = (storyId: string) => [
  () => sendResultOf(shared.system, resultOf(storyId, "t1", 1, { commit: `${WORK}${storyId}`.slice(-40) })),
  () =>
    agile(shared.system, "task.changed", {
      ...{ storyId, taskId: "t1", status: "done", attempt: 1, version: 9, agentId: "agent-dev-001" },
      commit: `${MERGED}${storyId}`.slice(-40),
    }),
];

const typesAround = async (stand: Stand, id: string) => {
  const { nodes, edges } = await stand.service.relationships({ nodeId: id, depth: 1 });
  return { nodes: nodes.map((node) => node.id).sort(), edges: edges.map(({ type }) => type).sort() };
};

describe("what planning says", () => {
  it("is a story with its epic, project, plan, tasks and the reasons for them", async () => {
    const { service, graph } = shared;
    await storyKnown(shared, "e1");
    expect(await typesAround(shared, "task:e1/t2")).toEqual({
      nodes: ["decision:e1/plan.p1", "plan:e1/p1", "story:e1", "task:e1/t1", "task:e1/t3"],
      edges: ["AFFECTS", "DEPENDS_ON", "DEPENDS_ON", "HAS_TASK", "PART_OF"],
    });
    const { edges } = await service.relationships({ nodeId: "task:e1/t2" });
    expect(edges.find(({ type }) => type === "HAS_TASK")?.properties).toMatchObject({ reason: "Criterion of t2" });
    const [row] = await graph.run("MATCH (s:Story {id: $id}) RETURN s", { id: "story:e1" });
    expect(row?.s).toMatchObject({ properties: { state: "BUILD", rigor: "L2", readiness: 82, storyVersion: 4 } });
  });

  it("is told to those who work on the story, each change with its version, its tasks and a sentence", async () => {
    await storyKnown(shared, "e2");
    const told = await waitUntil("all is told", async () => {
      const all = await toldOf(shared.system, "e2");
      return all.length === 7 ? all : undefined;
    });
    const versions = told.map(({ version }) => version);
    expect(versions).toEqual([...versions].sort((a, b) => a - b));
    const last = told.at(-1)?.changed[0];
    expect(last).toMatchObject({ entityType: "Task", entityId: "task:e2/t3", operation: "create", taskIds: ["t3"] });
    expect(last?.summary).toBe("Task t3 was added: Title of t3.");
  });

  it("is not told when it happened long ago (IN3)", async () => {
    const { system, graph } = shared;
    const old = { now: () => system.clock.now() - 7_200_000 };
    const clock = { ...system.clock, ...old };
    await postEvent({ ports: system.ports, node: system.node, clock }, "planning", agileEvents, {
      ...{ type: "task.derived", key: "old", correlationId: "e3" },
      data: {
        ...{ storyId: "e3", planId: "p1", reason: "old", version: 1 },
        task: { id: "t1", title: "T", text: "t", role: "DEV", phase: "BUILD", dependsOn: [], priority: 1, size: "S" },
      },
    });
    await taskKnown(graph, "task:e3/t1");
    await storyKnown(shared, "e3-new");
    expect(await toldOf(system, "e3")).toEqual([]);
  });
});

describe("what agents made", () => {
  it.each([
    ["the result first", [0, 1]],
    ["the merge first", [1, 0]],
  ])("is joined with what became of it, %s", async (_, order) => {
    const storyId = `w${order.join("")}`;
    await storyKnown(shared, storyId);
    const steps = workOn(storyId);
    const [work, merged] = [WORK, MERGED].map((hash) => `commit:${`${hash}${storyId}`.slice(-40)}`);
    const known = [work, merged] as const;
    for (const step of order) {
      await steps[step]?.();
      await waitUntil(
        "its commit is in the graph",
        async () =>
          (await shared.graph.run("MATCH (c:`Commit` {id: $id}) RETURN c.title AS t", { id: String(known[step]) }))[0]
            ?.t,
      );
    }
    const { nodes, edges, node } = await shared.service.why(String(merged).slice("commit:".length));
    expect(node.title).toBe(`Work on task t1 of story ${storyId}`);
    expect(edges.map(({ from, type, to }) => `${from} ${type} ${to}`)).toEqual(
      expect.arrayContaining([
        `${work} MERGED_AS ${merged}`,
        `task:${storyId}/t1 PRODUCED ${merged}`,
        `task:${storyId}/t1 PART_OF plan:${storyId}/p1`,
        `decision:${storyId}/plan.p1 AFFECTS task:${storyId}/t1`,
        `story:${storyId} HAS_TASK task:${storyId}/t1`,
        `epic:limits CONTAINS story:${storyId}`,
        "project:shop CONTAINS epic:limits",
      ]),
    );
    expect(nodes.map(({ type }) => type).sort()).toEqual(
      ["Commit", "Decision", "Epic", "Plan", "Project", "Story", "Task"].sort(),
    );
  });

  it("keeps the newest tool calls, without secrets, and counts the rest (RE1, RE2)", async () => {
    await storyKnown(shared, "x1");
    const auditTrail = Array.from({ length: 60 }, (_, index) => ({
      ...{ sequence: index + 1, atMs: 1, agentId: "agent-dev-001", role: "DEV", taskId: "x1-t1", traceId: "t" },
      ...({ tool: "files.write", operation: "write", outcome: "failed", durationMs: 1.6, bytes: 3 } as const),
      params: { path: "a.env", password: "hunter2222", text: "API_TOKEN=geheim1234" },
      error: { code: "ToolFailed", message: "Bearer abcdefgh12345678 was refused" },
    }));
    const usage = { inputTokens: 1_200, outputTokens: 34, modelCalls: 3 };
    await sendResultOf(shared.system, resultOf("x1", "t1", 2, { auditTrail, usage }));
    const rows = await waitUntil("the calls are in the graph", async () => {
      const found = await shared.graph.run("MATCH (t:Task {id: $id})-[r:EXECUTED]->(e:ToolExecution) RETURN e, r", {
        id: "task:x1/t1",
      });
      return found.length > 0 ? found : undefined;
    });
    expect(rows).toHaveLength(50);
    expect(JSON.stringify(rows)).not.toMatch(/hunter2222|geheim1234|abcdefgh12345678/);
    expect(JSON.stringify(rows)).toContain("execution:x1/t1/2/60");
    const [task] = await shared.graph.run("MATCH (t:Task {id: $id}) RETURN t", { id: "task:x1/t1" });
    expect(task?.t).toMatchObject({ properties: { inputTokens: 1_200, outputTokens: 34, modelCalls: 3 } });
    const told = await waitUntil("it is told", async () =>
      (await toldOf(shared.system, "x1")).find(({ changed }) => changed[0]?.reason === "result of attempt 2"),
    );
    expect(told.changed[0]?.summary).toContain("10 older tool calls are not in the graph");
  });

  it("is found for tasks and stories whose ids have hyphens, and passed over where it is a council's (IN4)", async () => {
    const { system, graph } = shared;
    await sendResultOf(system, resultOf("no", "story-of-ours", 1));
    await storyKnown(shared, "my-story-1");
    await sendResultOf(system, resultOf("my-story-1", "t1", 1, { commit: "d".repeat(40) }));
    await waitUntil(
      "the second is in the graph",
      async () =>
        (
          await graph.run("MATCH (t:Task {id: $id})-[:PRODUCED]->(c) RETURN c.id AS id", { id: "task:my-story-1/t1" })
        )[0],
    );
    expect(await graph.run("MATCH (t:Task) WHERE t.id STARTS WITH 'task:no' RETURN t.id AS id")).toEqual([]);
  });

  it("is a failure where a large result's blob is gone, and where there is none", async () => {
    const { system, graph } = shared;
    await storyKnown(shared, "g1");
    await postEvent(system, "agent", agentResults, {
      ...{ type: "agent.result", data: { kind: "blob", blob: "0".repeat(64) }, topic: ["g1-t1"] },
      ...{ key: "agent-dev-001 1", correlationId: "g1-t1" },
    });
    const missing = { storyId: "g1", taskId: "t2", attempt: 1, agentId: "a", jobId: "g1-t2-1" };
    await postEvent(system, "workspace-runner", agentResults, {
      ...{ type: "agent.result.missing", topic: ["g1-t2"], key: "g1-t2-1 missing", correlationId: "g1" },
      data: { ...missing, error: { code: "ImageUnpullable", message: "no such image" } },
    });
    const job = { ...missing, state: "lost", backend: "kubernetes" } as const;
    await jobChanged(system, { ...job, error: { code: "Evicted", message: "the node was full" } });
    await jobChanged(system, { ...job, state: "running" });
    const found = await waitUntil("three failures are in the graph", async () => {
      const rows = await graph.run(
        "MATCH (m:Milestone)-[:CONCERNS]->(t:Task) WHERE m.id STARTS WITH 'milestone:g1/' RETURN m.detail AS detail, t.id AS id",
      );
      return rows.length === 3 ? rows : undefined;
    });
    const details = found.map(({ id, detail }) => `${id} ${detail}`).sort();
    expect(details[0]).toContain("task:g1/t1 its blob 000");
    expect(details.slice(1)).toEqual([
      "task:g1/t2 Evicted: the node was full",
      "task:g1/t2 ImageUnpullable: no such image",
    ]);
    expect(await deadOf(system)).toEqual([]);
  });
});

describe("told again", () => {
  it("an event changes nothing, a hundred times over, also as another event of the same key (IN1)", async () => {
    const { system, graph, ledger } = shared;
    await storyKnown(shared, "r1");
    const event = { ...{ storyId: "r1", event: "qa", from: "TEST", to: "DOCS", by: PO, version: 12 } };
    const log = system.ports.eventLog;
    await agile(system, "story.transitioned", event, "r1 12");
    const [raw] = (await log.read("topic.agile.events", (await log.lastSequence()) - 1, 10)).slice(-1);
    await agile(system, "story.transitioned", { ...event, event: "back", to: "BUILD", version: 13 }, "r1 13");
    for (let time = 0; time < 100; time++) await log.append("topic.agile.events", raw?.data ?? new Uint8Array());
    const end = await log.lastSequence();
    await waitUntil("all were read", async () => ((await ledger.position("context-agile")) ?? 0) > end);
    const [row] = await graph.run("MATCH (s:Story {id: $id}) RETURN s.state AS state", { id: "story:r1" });
    expect(row?.state).toBe("BUILD");
    const told = await toldOf(system, "r1");
    expect(new Set(told.map(({ version }) => version)).size).toBe(9);
  });

  it("what is no event goes to the dead letters, and the rest goes on", async () => {
    const { system } = shared;
    await system.ports.eventLog.append("topic.agile.events", new TextEncoder().encode("not json"));
    await storyKnown(shared, "r2");
    expect(await deadOf(system)).toContain("agile.events: EventNotJson");
  });
});

/** A graph that is down while `isDown` says so. */
function breakable(own: Graph): Graph & { isDown: boolean } {
  const checked = <T>(act: () => Promise<T>): Promise<T> =>
    broken.isDown ? Promise.reject(failContext("GraphUnavailable", "the graph is down")) : act();
  const broken = {
    ...{ name: own.name, isDown: true },
    open: () => checked(() => own.open()),
    run: (cypher: string, params = {}) => checked(() => own.run(cypher, params)),
    write: (statements: Parameters<Graph["write"]>[0]) => checked(() => own.write(statements)),
    close: () => own.close(),
  } satisfies Graph & { isDown: boolean };
  return broken;
}

describe("a graph that is down", () => {
  it("at the start and in the middle lets events wait and says so to callers, and nothing is lost", async () => {
    let broken: ReturnType<typeof breakable> | undefined;
    const stand = await openStand({ graph: (own) => (broken = breakable(own)) });
    closing.push(() => stand.close());
    if (broken === undefined) throw new Error("no graph was made");
    await tellStory(stand.system, "d1");
    await expect(stand.service.getContext({ storyId: "d1", role: "DEV", phase: "BUILD" })).rejects.toMatchObject({
      code: "GraphUnavailable",
      retryable: true,
    });
    broken.isDown = false;
    await taskKnown(stand.graph, "task:d1/t3");
    broken.isDown = true;
    await tellStory(stand.system, "d2");
    await waitUntil("an event waits", () => stand.lines.some((line) => line.includes("could not handle")));
    broken.isDown = false;
    await taskKnown(stand.graph, "task:d2/t3");
    expect(await deadOf(stand.system)).toEqual([]);
  });
});

describe("a graph that is lost", () => {
  it("is filled again from the log, with what UpdateContext had changed (CC1, CO2)", async () => {
    const system = await connect();
    const folder = await graphFolder();
    closing.push(
      () => system.close(),
      () => rm(folder, { recursive: true, force: true }),
    );
    const first = await openStand({ system, folder });
    await storyKnown(first, "l1");
    await first.service.updateContext({
      ...{ storyId: "l1", by: PO },
      changes: [
        {
          ...({ operation: "create", entityType: "Decision", entityId: "buckets", reason: "bursts" } as const),
          payload: { title: "Token buckets", affects: ["t1"], roles: ["dev"] },
        },
        {
          ...({ operation: "update", entityType: "Task", entityId: "t1", reason: "" } as const),
          payload: { summary: "Begun." },
        },
      ],
    });
    await sendResultOf(system, resultOf("l1", "t1", 1, { commit: WORK }));
    await waitUntil("the commit is there", () => first.service.why(WORK).catch(() => undefined));
    const before = await pictureOf(first.graph);
    await first.end();
    await rm(folder, { recursive: true });
    const second = await openStand({ system, folder });
    await waitUntil("the graph is whole again", async () => (await pictureOf(second.graph)).length === before.length);
    expect(await pictureOf(second.graph)).toEqual(before);
    // And a third life on the same folder goes on where it was.
    await second.end();
    const third = new LadybugGraph({ folder });
    const ends = await third.run("MATCH (p:Position) RETURN p.id AS id, p.sequence AS sequence ORDER BY id");
    await third.close();
    const agileEnd = (await system.ports.eventLog.read("topic.agile.events", 1, 100)).at(-1)?.sequence ?? 0;
    expect(ends.map(({ id }) => id)).toEqual(["context-agile", "context-changes", "context-results"]);
    expect(ends[0]?.sequence).toBe(agileEnd + 1);
  });

  it("that is ahead of its log reads the log from the start (CC2)", async () => {
    const folder = await graphFolder();
    const before = new LadybugGraph({ folder });
    await before.write([{ cypher: "CREATE (p:Position {id: 'context-agile', sequence: 5000})", params: {} }]);
    await before.close();
    const stand = await openStand({ folder });
    closing.push(() => stand.close());
    await storyKnown(stand, "a4");
  });
});
