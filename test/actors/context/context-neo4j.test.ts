// A real Neo4j: the graph's contract, the service's answers, and events that wait while the connection is cut. One file, because it empties the
// database. It needs a server without a password, named by FLOTILLA_TEST_NEO4J=bolt://127.0.0.1:PORT; how to have one: docs/context.md.

import { createServer, connect as dial, type Socket } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Graph } from "../../../actors/context/graph.ts";
import { Neo4jGraph } from "../../../actors/context/neo4j-graph.ts";
import { graphContract } from "../../contracts/graph.ts";
import { codeOf } from "../../support/caught.ts";
import { waitUntil } from "../../support/wait-until.ts";
import {
  agile,
  deadOf,
  openStand,
  PO,
  resultOf,
  type Stand,
  sendResultOf,
  storyKnown,
  taskKnown,
  tellStory,
} from "./stand.ts";

const url = process.env.FLOTILLA_TEST_NEO4J;

/** Passes bytes on to the server, until it is cut. */
function wireTo(server: URL) {
  const sockets = new Set<Socket>();
  let isCut = false;
  const wire = createServer((near) => {
    if (isCut) return near.destroy();
    const far = dial(Number(server.port), server.hostname);
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(one);
      one.pipe(other).on("error", () => {});
      one.on("error", () => other.destroy()).on("close", () => other.destroy());
    }
  });
  const cut = () => {
    isCut = true;
    for (const socket of sockets) socket.destroy();
  };
  return { wire, cut, mend: () => (isCut = false) };
}

const SLOW = { timeout: 120_000 };

if (url !== undefined) {
  graphContract("Neo4j", async () => {
    const [graph, second] = [
      new Neo4jGraph({ url, password: undefined }),
      new Neo4jGraph({ url, password: undefined }),
    ];
    return { graph, second, close: async () => void (await Promise.all([graph.close(), second.close()])) };
  });
}

describe.skipIf(url === undefined)("the context service on Neo4j (FLOTILLA_TEST_NEO4J=bolt://…)", SLOW, () => {
  const { wire, cut, mend } = wireTo(new URL(url ?? "bolt://127.0.0.1:7687"));
  let stand: Stand;
  let graph: Graph;

  beforeAll(async () => {
    await new Promise<void>((resolve) => wire.listen(0, "127.0.0.1", resolve));
    const { port } = wire.address() as { port: number };
    graph = new Neo4jGraph({ url: `bolt://127.0.0.1:${port}`, password: undefined });
    await graph.write([{ cypher: "MATCH (n) DETACH DELETE n", params: {} }]);
    stand = await openStand({ graph: () => graph });
  });
  afterAll(async () => {
    await stand.close();
    cut();
    wire.close();
  });

  it("answers as on the embedded graph", async () => {
    const { service, system } = stand;
    await storyKnown(stand, "n1");
    const changes = [
      {
        ...({ operation: "create", entityType: "Decision", entityId: "d1", reason: "bursts" } as const),
        payload: { title: "Token buckets", affects: ["t1"], roles: ["dev"] },
      },
    ];
    const once = await service.updateContext({ storyId: "n1", by: PO, changes, key: "k" });
    expect(await service.updateContext({ storyId: "n1", by: PO, changes, key: "k" })).toEqual(once);
    const { context, version } = await service.getContext({ storyId: "n1", role: "dev", phase: "build", taskId: "t2" });
    expect(version).toBe(once.version);
    for (const said of ["Token buckets", "t2 waits for t1", 'epic "Limits"', 'project "The shop"'])
      expect(context).toContain(said);
    const work = "c".repeat(40);
    await sendResultOf(system, resultOf("n1", "t1", 1, { commit: work }));
    const done = {
      storyId: "n1",
      taskId: "t1",
      status: "done",
      attempt: 1,
      version: 9,
      commit: "e".repeat(40),
    } as const;
    await agile(system, "task.changed", done);
    const why = await waitUntil(
      "the merge is joined with the work",
      async () => {
        const found = await service.why("eeeeeeee").catch(() => undefined);
        return found?.edges.some(({ type }) => type === "MERGED_AS") ? found : undefined;
      },
      60_000,
    );
    expect(why.nodes.map(({ type }) => type).sort()).toEqual(
      ["Commit", "Decision", "Decision", "Epic", "Plan", "Project", "Story", "Task"].sort(),
    );
    expect((await service.impact("n1/d1")).tasks.map(({ id }) => id).sort()).toEqual([
      "task:n1/t1",
      "task:n1/t2",
      "task:n1/t3",
    ]);
    expect((await service.relationships({ nodeId: "story:n1", depth: 3 })).nodes.length).toBeGreaterThan(8);
    await service.updateContext({
      ...{ storyId: "n1", by: PO },
      changes: [{ operation: "delete", entityType: "Decision", entityId: "d1", payload: {}, reason: "no" }],
    });
    expect(await codeOf(service.impact("n1/d1"))).toBe("NodeUnknown");
  });

  it("lets events wait while it cannot be reached, and takes them in afterwards", async () => {
    cut();
    await tellStory(stand.system, "n2");
    await waitUntil("an event waits", () => stand.lines.some((line) => line.includes("could not handle")));
    expect(await codeOf(stand.service.getContext({ storyId: "n1", role: "DEV", phase: "BUILD" }))).toBe(
      "GraphUnavailable",
    );
    mend();
    await taskKnown(graph, "task:n2/t3");
    expect(await deadOf(stand.system)).toEqual([]);
  });
});
