// The model on an agent's own node: which server is asked, what happens when that moves, and what is said when there is none.

import { describe, expect, test } from "vitest";
import type { ModelRequest } from "../../../actors/agent/model.ts";
import { NodeModel } from "../../../actors/agent/node-model.ts";
import { ownNode } from "../../../actors/own-node.ts";
import { type EngineReport, type NodeRecord, systemClock } from "../../../runtime/index.ts";
import { recordOf } from "../../support/members.ts";
import { type OpenAiServer, refusedUrl, startOpenAiServer } from "../../support/openai-server.ts";
import { waitUntil } from "../../support/wait-until.ts";

const MODEL = "test-model";

const engine = (more: Partial<EngineReport>): EngineReport => {
  return { model: MODEL, state: "ready", running: 0, waiting: 0, slots: 8, kvUsage: 0, ...more };
};

function nodeWith(engines: readonly EngineReport[]): NodeRecord {
  return recordOf("gpu-1", { report: { atMs: 0, actors: 0, free: {}, gpus: [], engines } });
}

const request = (more: Partial<ModelRequest> = {}): ModelRequest => {
  const messages = [{ role: "user", content: "Hi" }] as const;
  return { messages, maxTokens: 10, signal: new AbortController().signal, timeoutMs: 20_000, ...more };
};

function modelOf(node: () => NodeRecord | undefined): NodeModel {
  return new NodeModel({ model: MODEL, session: "task-1/agent-dev-001", clock: systemClock, node });
}

const hello = (): Promise<OpenAiServer> => startOpenAiServer([{ kind: "reply", text: "Hello" }]);
/** As a daemon reports it: without the path of the API. */
const bare = (server: OpenAiServer): string => server.url.replace(/\/v1$/, "");

describe("asks", () => {
  test("the server with the least to do that answers for the model, and says which session it is", async () => {
    await using server = await hello();
    await using other = await hello();
    const engines = [
      engine({ url: bare(other), running: 1, waiting: 3 }),
      engine({ url: bare(other), model: "another-model" }),
      engine({ url: bare(other), state: "starting" }),
      engine({ url: bare(server), state: "busy", running: 2 }),
    ];
    expect(await modelOf(() => nodeWith(engines)).complete(request())).toMatchObject({ text: "Hello" });
    expect(other.requests).toEqual([]);
    expect(server.requests.map(({ headers }) => headers["x-session-id"])).toEqual(["task-1/agent-dev-001"]);
  });

  test("anew where the server was started again on another port, once it is ready", async () => {
    const first = await hello();
    let record = nodeWith([engine({ url: bare(first) })]);
    const model = modelOf(() => record);
    await model.complete(request());
    await first[Symbol.asyncDispose]();
    const reply = model.complete(request());
    record = nodeWith([engine({ state: "starting" })]);
    await using second = await hello();
    let looked = 0;
    const model2 = modelOf(() => {
      looked += 1;
      return record;
    });
    const waiting = model2.complete(request());
    await waitUntil("it waits for the server", () => looked >= 2);
    record = nodeWith([engine({ url: bare(second) })]);
    expect(await Promise.all([reply, waiting])).toMatchObject([{ text: "Hello" }, { text: "Hello" }]);
    expect(second.requests).toHaveLength(2);
  });
});

describe("fails", () => {
  test.each<[string, NodeRecord | undefined, RegExp]>([
    [
      "with what the node has",
      nodeWith([engine({ model: "a" }), engine({ model: "b", state: "dead" })]),
      /gpu-1 .+a \(ready\), b \(dead\)/,
    ],
    ["where it has nothing", nodeWith([]), /gpu-1 has no server .+ it has: no model server\.$/],
    ["where there is no report", recordOf("gpu-1"), /no model server/],
    ["outside a fleet", undefined, /no node of a fleet/],
  ])("at once %s", async (_, record, message) => {
    await expect(modelOf(() => record).complete(request())).rejects.toMatchObject({
      code: "NodeWithoutModel",
      message,
    });
  });

  test("as unreachable when the time is up and the record still calls it ready; as cancelled when that is", async () => {
    const url = await refusedUrl();
    const ready = modelOf(() => nodeWith([engine({ url })]));
    await expect(ready.complete(request({ timeoutMs: 900 }))).rejects.toMatchObject({ code: "ModelUnreachable" });
    const starting = modelOf(() => nodeWith([engine({ state: "starting" })]));
    await expect(starting.complete(request({ timeoutMs: 600 }))).rejects.toMatchObject({ code: "NodeWithoutModel" });
    const stop = new AbortController();
    const waiting = starting.complete(request({ signal: stop.signal }));
    stop.abort();
    await expect(waiting).rejects.toMatchObject({ code: "Cancelled" });
  });
});

test("the node of an actor in a process of its own is the one that the process belongs to", () => {
  const node = nodeWith([]);
  const part = recordOf("gpu-1-part", { parent: node.node });
  expect(ownNode({ nodes: () => [part, recordOf("gpu-2"), node] })).toBe(node);
  expect(ownNode({ nodes: () => [node, recordOf("gpu-2")] })).toBe(node);
  expect(ownNode({ nodes: () => [] })).toBeUndefined();
});
