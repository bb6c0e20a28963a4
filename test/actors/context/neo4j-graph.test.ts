// What the graph on Neo4j says where no server is. With one: context-neo4j.test.ts.

import { createServer } from "node:net";
import { afterAll, describe, expect, it } from "vitest";
import { Neo4jGraph } from "../../../actors/context/neo4j-graph.ts";
import { caught } from "../../support/caught.ts";

describe("a Neo4j that is not there", () => {
  const server = createServer((socket) => socket.destroy());
  afterAll(() => server.close());

  it("is unavailable, whatever was asked, without the password in its name (GR4)", async () => {
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as { port: number };
    const graph = new Neo4jGraph({ url: `bolt://me:hunter22@127.0.0.1:${port}`, password: "geheim" });
    for (const ask of [graph.open(), graph.run("RETURN 1 AS one"), graph.write([])]) {
      const error = await caught(ask);
      expect([error.code, error.retryable]).toEqual(["GraphUnavailable", true]);
      expect(error.message).toContain(`127.0.0.1:${port}`);
      expect(error.message).not.toMatch(/hunter22|geheim/);
    }
    await graph.close();
  });
});
