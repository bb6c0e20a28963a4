// What the context service answers, on a real embedded graph. One test for each defect of the original's context service that we do not have.

import { createHash } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ContextChange } from "../../../actors/context/context-api.ts";
import { RuleCounter } from "../../../actors/context/token-counter.ts";
import { caught, codeOf } from "../../support/caught.ts";
import { waitUntil } from "../../support/wait-until.ts";
import { agile, openStand, PO, type Stand, storyKnown, taskDraft, toldOf } from "./stand.ts";

let stand: Stand;
beforeAll(async () => {
  stand = await openStand();
  const tasks = [
    taskDraft("t1", { priority: 9, text: "Count requests. password: hunter2222" }),
    taskDraft("t2", { dependsOn: ["t1"], text: "QADEV-SECRET-FREE text of t2" }),
    taskDraft("t3", { role: "QA", dependsOn: ["t2"], text: "Only for quality engineers." }),
  ];
  const description = `Bursts come. See https://me:geheim@git.example/x and Bearer abcdefgh12345678. ${"More. ".repeat(40)}`;
  await storyKnown(stand, "s1", { tasks, description });
  const { service } = stand;
  const changes = [
    decision("buckets", { title: "Token buckets", text: "They allow bursts.", affects: ["t1"], status: "accepted" }),
    decision("qa-only", { title: "Load tests", text: "With 100 clients.", affects: ["t3"] }),
    decision("keys", { title: "By API key", dependsOn: ["buckets"], roles: ["dev"] }),
    change("update", "Story", "s1", { summary: "Half of it is done." }),
  ];
  await service.updateContext({ storyId: "s1", by: PO, changes });
});
afterAll(() => stand.close());

const change = (
  operation: string,
  entityType: string,
  entityId: string,
  payload: object,
  reason = "so",
): ContextChange => ({ operation, entityType, entityId, payload, reason }) as ContextChange;
const decision = (id: string, payload: object) => change("create", "Decision", id, payload);
const update = (changes: readonly ContextChange[], more: object = {}) =>
  stand.service.updateContext({ storyId: "s1", by: PO, changes, ...more });
const get = (more: object = {}) => stand.service.getContext({ storyId: "s1", role: "DEV", phase: "BUILD", ...more });
/** Of the graph: nothing else writes while these tests run. */
const versionOf = async () => Number((await stand.graph.run("MATCH (v:Version) RETURN v.number AS number"))[0]?.number);

describe("getContext", () => {
  it("waits for a task that the graph does not have yet", async () => {
    await storyKnown(stand, "s-late");
    const about = { storyId: "s-late", taskId: "late" };
    expect(await codeOf(get(about))).toBe("TaskUnknown");
    const late = get({ ...about, waitMs: 1_000 });
    const id = "task:s-late/late";
    await stand.ledger.apply("late", {
      nodes: [{ id, set: { title: "Late", text: "Text of late", role: "DEV" } }],
      edges: [{ type: "HAS_TASK", from: "story:s-late", to: id, set: {} }],
      told: [],
    });
    expect((await late).context).toContain("Text of late");
    expect(await codeOf(get({ ...about, taskId: "never", waitMs: 20 }))).toBe("TaskUnknown");
  });

  it("tells a developer who builds the task in hand, its role's tasks, what bears on them, and no more", async () => {
    const { context, scopes, blocks, omitted } = await get({ taskId: "t1" });
    expect(scopes).toEqual([
      ...["CASE_HEADER", "PLAN_HEADER", "SUBTASKS_ROLE", "DECISIONS_RELEVANT_ROLE", "DEPS_RELEVANT", "SUMMARY_LAST"],
    ]);
    for (const said of [
      "# Story s1",
      "## The task in hand",
      "Token buckets",
      "By API key",
      "t2 waits for t1",
      "Half of",
    ])
      expect(context).toContain(said);
    for (const unsaid of ["Load tests", "Only for quality engineers", "What happened last"])
      expect(context).not.toContain(unsaid);
    expect(omitted).toEqual([]);
    expect(blocks.context).toBe(context);
    expect(blocks.system).toContain("software developer");
  });

  it("names the tools that the role has, from the tools as they are (the original: one fixed line)", async () => {
    const { tools } = (await get()).blocks;
    expect(tools).toContain("files.read(path: string");
    expect(tools.split("\n").length).toBeGreaterThan(5);
  });

  it("takes roles and phases in any case, and says what there is (the original: an empty policy for DEV and QA)", async () => {
    expect((await get({ role: "dev", phase: "build" })).scopes).toEqual((await get()).scopes);
    expect((await caught(get({ role: "PM" }))).message).toContain("DEV");
    expect(await codeOf(get({ role: "PM" }))).toBe("RoleUnknown");
    const doc = await caught(get({ phase: "DOC" }));
    expect([doc.code, doc.message]).toEqual(["PhaseUnknown", expect.stringContaining("DOCS")]);
    expect((await get({ phase: "DOCS" })).scopes).toContain("SUBTASKS_ROLE");
  });

  it("says what is not there by its own code (the original: INTERNAL)", async () => {
    expect(await codeOf(get({ storyId: "none" }))).toBe("StoryUnknown");
    expect(await codeOf(get({ taskId: "t9" }))).toBe("TaskUnknown");
    // Something pointed at it, but nobody has told of it yet.
    await agile(stand.system, "story.transitioned", {
      ...{ storyId: "stub", event: "x", from: "A", to: "B", by: PO, version: 1 },
    });
    await waitUntil(
      "it is pointed at",
      async () => (await stand.graph.run("MATCH (s:Story {id: 'story:stub'}) RETURN s.state AS s"))[0],
    );
    expect(await codeOf(get({ storyId: "stub" }))).toBe("StoryUnknown");
  });

  it("keeps to the budget in tokens, and names what it left out (the original: ignored it, and counted words)", async () => {
    const counter = new RuleCounter();
    const whole = await get();
    expect(whole.tokenCount).toBe(counter.count(whole.context));
    const { data } = await caught(get({ tokenBudget: 10 }));
    const needed = Number(data.needed);
    for (const tokenBudget of [needed, needed + 60, whole.tokenCount - 1, whole.tokenCount]) {
      const { context, tokenCount, omitted } = await get({ tokenBudget });
      expect(tokenCount).toBe(counter.count(context));
      expect(tokenCount).toBeLessThanOrEqual(tokenBudget);
      expect(omitted.length > 0).toBe(context !== whole.context);
    }
    const least = await get({ tokenBudget: needed });
    expect(least.omitted.join()).toContain("the description");
    expect(least.omitted.join()).toContain("task t1");
    expect(await codeOf(get({ tokenBudget: needed - 1 }))).toBe("BudgetTooSmall");
    for (const tokenBudget of [0, -1, 1.5, Number.NaN]) expect(await codeOf(get({ tokenBudget }))).toBe("FieldInvalid");
  });

  it("tells no secret, and keeps none in the graph", async () => {
    const whole = await get({ role: "ARCHITECT" });
    const [row] = await stand.graph.run("MATCH (s:Story {id: 'story:s1'}) RETURN s");
    for (const text of [whole.context, JSON.stringify(row)]) {
      expect(text).not.toMatch(/hunter2222|geheim|abcdefgh12345678/);
      expect(text).toContain("[redacted]");
    }
    // Also where something else has written to the graph.
    const bad = { id: "story:s1", summary: "the key is sk-abcdefghijklmnopqrstuv" };
    await stand.graph.write([{ cypher: "MATCH (s:Story {id: $id}) SET s.summary = $summary", params: bad }]);
    const { context } = await get();
    expect(context).toContain("Story: the key is [redacted]");
    await update([change("update", "Story", "s1", { summary: "Half of it is done." })]);
  });

  it("has a hash of the whole text (the original: of the id and the version)", async () => {
    const [dev, qa] = [await get(), await get({ role: "QA" })];
    expect(dev.hash).toBe(createHash("sha256").update(dev.context).digest("hex"));
    expect(dev.hash).not.toBe(qa.hash);
    expect((await get()).hash).toBe(dev.hash);
  });
});

describe("updateContext", () => {
  it("makes versions that grow by one (the original: the second of the day)", async () => {
    const first = await update([decision("v1", { title: "One" })]);
    const second = await update([decision("v2", { title: "Two" })]);
    expect(second.version).toBe(first.version + 1);
    expect(second.hash).not.toBe(first.hash);
    expect((await get()).version).toBe(second.version);
  });

  it("answers the same for the same key, and changes nothing again", async () => {
    const once = await update([decision("k1", { title: "Once" })], { key: "k" });
    const again = await Promise.all([1, 2, 3].map(() => update([decision("k2", { title: "Other" })], { key: "k" })));
    expect(again).toEqual([once, once, once]);
    expect(await codeOf(stand.service.impact("s1/k2"))).toBe("NodeUnknown");
  });

  it("refuses a version that has passed", async () => {
    const { version } = await get();
    await update([decision("f1", { title: "First" })], { expectedVersion: version });
    const stale = await caught(update([decision("f2", { title: "Late" })], { expectedVersion: version }));
    expect([stale.code, stale.data.version]).toEqual(["VersionStale", version + 1]);
  });

  it.each<[string, object, string]>([
    ["a type that there is not", change("create", "Pet", "x", {}), "there is no type Pet"],
    ["an operation that there is not", change("rename", "Decision", "x", {}), "not renamed"],
    ["what is planning's", change("update", "Task", "t1", { status: "done" }), "status"],
    ["making what planning makes", change("create", "Story", "s9", { title: "x" }), "planning does that"],
    ["a field that the type has not", decision("b1", { title: "x", colour: "red" }), "colour"],
    ["a field of another kind", decision("b2", { title: 7 }), "title"],
    ["no title", decision("b3", {}), "title"],
    ["an id that cannot be one", decision("a b", { title: "x" }), "entityId"],
    ["another story's", change("update", "Decision", "decision:s2/x", { title: "x" }), "not of story s1"],
    ["what is there already", decision("buckets", { title: "x" }), "one already"],
    ["what is not there", change("update", "Decision", "nope", { title: "x" }), "no such entity"],
    ["deleting what is not there", change("delete", "Decision", "nope", {}), "no such entity"],
    ["an edge to nothing", decision("b4", { title: "x", affects: ["t99"] }), "no task:s1/t99"],
    ["a commit that is no hash", change("create", "Commit", "HEAD", {}), "hexadecimal"],
  ])("names the change that is wrong and applies none: %s", async (_, bad, says) => {
    const before = await versionOf();
    const error = await caught(update([decision("ok", { title: "Fine" }), bad as ContextChange]));
    expect([error.code, error.data.index]).toEqual(["ChangeInvalid", 1]);
    expect(error.message).toContain("Change 2");
    expect(error.message).toContain(says);
    expect(await versionOf()).toBe(before);
    expect(await codeOf(stand.service.impact("s1/ok"))).toBe("NodeUnknown");
  });

  it("is bounded, and says whose it is", async () => {
    expect(await codeOf(update([]))).toBe("ChangeInvalid");
    expect(await codeOf(update(Array.from({ length: 101 }, (_, i) => decision(`n${i}`, { title: "x" }))))).toBe(
      "ChangeInvalid",
    );
    const large = Array.from({ length: 15 }, (_, i) => decision(`n${i}`, { title: "x", text: "x".repeat(20_000) }));
    expect((await caught(update(large))).message).toContain("bytes");
    expect(await codeOf(update([decision("o1", { title: "x" }), decision("o1", { title: "y" })]))).toBe(
      "ChangeInvalid",
    );
    expect(await codeOf(update([decision("o2", { title: "x" })], { by: { kind: "ghost", id: "x" } }))).toBe(
      "FieldInvalid",
    );
    expect(await codeOf(update([decision("o3", { title: "x" })], { storyId: "none" }))).toBe("StoryUnknown");
    expect(await codeOf(update([decision("o4", { title: "x" })], { taskId: "t9" }))).toBe("TaskUnknown");
    expect(await codeOf(update([decision("o5", { title: "x" })], { key: "k".repeat(101) }))).toBe("FieldInvalid");
  });

  it("replaces the edges that it names, keeps the others, and takes back what is deleted (UC3)", async () => {
    const { service } = stand;
    await update([decision("e1", { title: "E", affects: ["t1", "t2"], dependsOn: ["buckets"] })]);
    await update([change("update", "Decision", "e1", { affects: ["t3"] })]);
    const { edges } = await service.relationships({ nodeId: "decision:s1/e1" });
    expect(edges.map(({ type, to }) => `${type} ${to}`).sort()).toEqual([
      ...["AFFECTS task:s1/t3", "CONTAINS decision:s1/e1", "DEPENDS_ON decision:s1/buckets"],
    ]);
    expect(edges.find(({ type }) => type === "AFFECTS")?.properties).toMatchObject({
      ...{ reason: "so", decidedBy: "ada (po)" },
    });
    await update([change("delete", "Decision", "e1", {})]);
    expect(await codeOf(service.relationships({ nodeId: "decision:s1/e1" }))).toBe("NodeUnknown");
  });

  it("tells those whom it concerns (the original: under a name that nobody listened to)", async () => {
    await update([decision("w1", { title: "Watch it", affects: ["t2", "t1"] })]);
    await update([change("update", "Decision", "w1", { title: "Watch it more" })]);
    const { version, hash } = await update([change("delete", "Decision", "w1", {}, "API_KEY=abcdefgh")]);
    const told = (await toldOf(stand.system, "s1")).slice(-3);
    expect(told.at(-1)).toMatchObject({ version, hash });
    expect(told.map(({ changed }) => changed[0]?.taskIds)).toEqual([
      ["t1", "t2"],
      ["t1", "t2"],
      ["t1", "t2"],
    ]);
    expect(told.map(({ changed }) => changed[0]?.summary)).toEqual([
      "Decision w1 was made: Watch it (so).",
      "Decision w1 was changed: Watch it more (so).",
      "Decision w1 was taken back (API_KEY=[redacted]",
    ]);
  });

  it("keeps milestones, commits and tool calls of people, too", async () => {
    await update([
      change("create", "Milestone", "demo", { title: "Shown to the customer", concerns: ["t1"] }),
      change("create", "Commit", "0123456789abcdef", { title: "By hand", task: "t1", files: ["a.ts"] }),
      change("create", "ToolExecution", "x1", { task: "t1", tool: "psql", outcome: "ok", params: "select 1" }),
    ]);
    const { edges, nodes } = await stand.service.why("0123456");
    expect(edges.some(({ type, from }) => type === "PRODUCED" && from === "task:s1/t1")).toBe(true);
    expect(nodes.map(({ id }) => id)).toContain("story:s1");
    const architect = await get({ role: "ARCHITECT" });
    expect(architect.context).toContain("Shown to the customer");
  });
});

describe("rehydrateSession", () => {
  it("gives each role its pack", async () => {
    const session = await stand.service.rehydrateSession({ storyId: "s1", roles: ["dev", "QA", "architect", "DEV"] });
    const [dev, qa, architect] = session.packs;
    expect(session.packs.map(({ role }) => role)).toEqual(["DEV", "QA", "ARCHITECT"]);
    expect(dev?.tasks.map(({ id }) => id)).toEqual(["task:s1/t1", "task:s1/t2"]);
    expect(qa?.tasks.length).toBe(3);
    expect(architect?.decisions.map(({ title }) => title)).toContain("Load tests");
    expect(dev?.decisions.map(({ title }) => title)).not.toContain("Load tests");
    expect(dev?.impacted).toContainEqual({ decisionId: "decision:s1/buckets", taskId: "task:s1/t1" });
    expect([dev?.lastSummary, session.stats.tasks]).toEqual(["Half of it is done.", 3]);
    expect(architect?.tokenBudget).toBeGreaterThan(dev?.tokenBudget ?? 0);
    expect(session.version).toBe((await get()).version);
    const bare = await stand.service.rehydrateSession({
      ...{ storyId: "s1", roles: ["DEV"], timelineEvents: 1, includeSummaries: false },
    });
    expect([bare.packs[0]?.milestones.length, bare.packs[0]?.lastSummary]).toEqual([1, ""]);
    expect(await codeOf(stand.service.rehydrateSession({ storyId: "s1", roles: ["CEO"] }))).toBe("RoleUnknown");
    expect(await codeOf(stand.service.rehydrateSession({ storyId: "none", roles: [] }))).toBe("StoryUnknown");
  });
});

describe("the graph, asked", () => {
  it("walks to a depth of 1 to 3, through circles, once over each node (NE1)", async () => {
    const { service, graph } = stand;
    // No event makes a circle of tasks; a graph that others write to may have one.
    const circle =
      "MATCH (a:Task {id: 'task:s1/t1'}) WITH a MATCH (b:Task {id: 'task:s1/t3'}) MERGE (a)-[:DEPENDS_ON]->(b)";
    await graph.write([{ cypher: circle, params: {} }]);
    const near = await service.relationships({ nodeId: "task:s1/t1" });
    const far = await service.relationships({ nodeId: "task:s1/t1", depth: 3 });
    expect(new Set(far.nodes.map(({ id }) => id)).size).toBe(far.nodes.length);
    expect(far.nodes.length).toBeGreaterThan(near.nodes.length);
    expect(far.nodes.map(({ id }) => id)).not.toContain("task:s1/t1");
    expect([near.isCut, far.isCut]).toEqual([false, false]);
    for (const depth of [0, 4, 1.5])
      expect(await codeOf(service.relationships({ nodeId: "task:s1/t1", depth }))).toBe("DepthInvalid");
    for (const id of ["task:s1/t9", "nonsense", "story:stub", "version"])
      expect(await codeOf(service.relationships({ nodeId: id }))).toBe("NodeUnknown");
    expect((await get()).context).toContain("t1 waits for t3");
    await graph.write([
      { cypher: "MATCH (a:Task {id: 'task:s1/t1'})-[r:DEPENDS_ON]->(b:Task {id: 'task:s1/t3'}) DELETE r", params: {} },
    ]);
  });

  it("is cut at a page, and says so", async () => {
    await storyKnown(stand, "wide");
    const rows = Array.from({ length: 300 }, (_, index) => ({ id: `milestone:wide/${index}`, title: `M ${index}` }));
    await stand.graph.write([
      { cypher: "UNWIND $rows AS row MERGE (m:Milestone {id: row.id}) SET m.title = row.title", params: { rows } },
      {
        cypher:
          "UNWIND $rows AS row MATCH (s:Story {id: 'story:wide'}) WITH s, row MATCH (m:Milestone {id: row.id}) MERGE (s)-[:CONTAINS]->(m)",
        params: { rows },
      },
    ]);
    const page = await stand.service.relationships({ nodeId: "story:wide", depth: 2 });
    expect([page.nodes.length, page.isCut]).toEqual([200, true]);
  });

  it("tells what rests on a decision, through others, too", async () => {
    await update([
      decision("i1", { title: "I1", affects: ["t1"], dependsOn: ["qa-only"] }),
      change("update", "Decision", "qa-only", { dependsOn: ["i2"] }),
      decision("i2", { title: "I2" }),
    ]);
    const { decision: own, tasks, decisions } = await stand.service.impact("decision:s1/i2");
    expect(own.title).toBe("I2");
    expect(decisions.map(({ id }) => id).sort()).toEqual(["decision:s1/i1", "decision:s1/qa-only"]);
    expect(tasks.map(({ id }) => id).sort()).toEqual(["task:s1/t1", "task:s1/t2", "task:s1/t3"]);
    expect((await stand.service.impact("s1/i2")).tasks.length).toBe(3);
    expect(await codeOf(stand.service.impact("task:s1/t1"))).toBe("NodeUnknown");
  });

  it("knows a commit by the beginning of its hash, and says when that is not enough", async () => {
    await update(["aaaaaaa1", "aaaaaaa2"].map((hash) => change("create", "Commit", hash, { title: hash })));
    expect((await stand.service.why("aaaaaaa1")).node.title).toBe("aaaaaaa1");
    expect((await caught(stand.service.why("aaaaaaa"))).message).toContain("Several commits");
    for (const hash of ["fffffff", "", "a"]) expect(await codeOf(stand.service.why(hash))).toBe("NodeUnknown");
  });
});
