// The HTTP door: what it answers to whom, before its node has joined, while that is ready, and while it drains.

import { request } from "node:http";
import { describe, expect, it } from "vitest";
import { type HttpDoor, type HttpNode, type HttpOptions, openHttp } from "../../api/http.ts";
import { nodeMetrics } from "../../nodes/metrics.ts";
import { parseMetrics } from "../../nodes/telemetry/exposition.ts";
import { connect, type NodeRecord } from "../../runtime/index.ts";
import { caught } from "../support/caught.ts";
import { recordOf } from "../support/members.ts";

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly allow: string | undefined;
  readonly body: string;
}

/** fetch would set Host by itself. */
function ask(door: HttpDoor, path: string, options: { host?: string; method?: string } = {}): Promise<Answer> {
  const { hostname, port } = new URL(door.url);
  const headers = options.host === undefined ? {} : { host: options.host };
  return new Promise((resolve, reject) => {
    const question = {
      host: hostname.replace(/^\[(.*)\]$/, "$1"),
      port,
      path,
      method: options.method ?? "GET",
      headers,
    };
    request(question, (response) => {
      let body = "";
      response.setEncoding("utf8").on("data", (text: string) => {
        body += text;
      });
      const { "content-type": type = "", allow } = response.headers;
      response.on("end", () => resolve({ status: response.statusCode ?? 0, type, allow, body }));
    })
      .on("error", reject)
      .end();
  });
}

async function open(node: () => HttpNode | undefined, more: Partial<HttpOptions> = {}) {
  const door = await openHttp({ host: "127.0.0.1", port: 0, node, ...more });
  return Object.assign(door, { [Symbol.asyncDispose]: () => door.close() });
}

const nodeWith = (record: Partial<NodeRecord> = {}, isMember = true): HttpNode => ({
  system: { nodes: () => [recordOf("a", record), recordOf("b")], facts: undefined, isMember },
  metrics: async () => "flotilla_actors 1\n",
});
const never = () => undefined;

describe("readiness", () => {
  it.each<[string, HttpNode | undefined, number, object]>([
    ["a node that has not joined", undefined, 503, { ready: false, member: false, draining: false }],
    ["one that has", nodeWith(), 200, { ready: true, member: true, draining: false }],
    ["one that drains", nodeWith({ draining: true }), 503, { ready: false, member: true, draining: true }],
    ["one that has lost its place", nodeWith({}, false), 503, { ready: false, member: false, draining: false }],
    ["a script", nodeWith({ accepts: false }), 503, { ready: false, member: true, draining: false }],
  ])("%s", async (_, node, status, body) => {
    await using door = await open(() => node);
    const answer = await ask(door, "/readyz");
    expect({ status: answer.status, body: JSON.parse(answer.body) }).toEqual({ status, body });
    expect((await ask(door, "/healthz")).status).toBe(200);
  });

  it("is not wanted for the page of metrics and the list of nodes, but a node is", async () => {
    let node: HttpNode | undefined;
    await using door = await open(() => node);
    expect([(await ask(door, "/metrics")).status, (await ask(door, "/nodes")).status]).toEqual([503, 503]);
    node = nodeWith({ draining: true });
    expect([(await ask(door, "/metrics")).status, (await ask(door, "/nodes")).status]).toEqual([200, 200]);
  });
});

describe("who may ask what", () => {
  it.each([
    ["127.0.0.1", 200],
    ["localhost:8470", 200],
    ["[::1]:8470", 200],
    ["evil.example", 421],
    ["127.0.0.1.evil.example:80", 421],
    ["localhost.evil.example", 421],
  ])("on the loopback a request must name it: Host %s", async (host, status) => {
    await using door = await open(() => nodeWith());
    for (const path of ["/nodes", "/metrics", "/healthz"])
      expect((await ask(door, path, { host })).status).toBe(status);
  });

  it("elsewhere it has another name, and shows health and metrics only", async () => {
    await using door = await open(() => nodeWith(), { host: "0.0.0.0" });
    const host = "gpu1.example:8470";
    const statusOf = async (path: string) => (await ask(door, path, { host })).status;
    expect([await statusOf("/healthz"), await statusOf("/readyz"), await statusOf("/metrics")]).toEqual([
      200, 200, 200,
    ]);
    expect(await statusOf("/nodes")).toBe(404);
  });

  it.each(["POST", "PUT", "DELETE", "OPTIONS", "HEAD"])("nothing is changed by it: %s", async (method) => {
    await using door = await open(() => nodeWith());
    expect(await ask(door, "/nodes", { method })).toMatchObject({ status: 405, allow: "GET" });
  });

  it("of other paths it says which there are", async () => {
    await using door = await open(never);
    for (const path of ["/", "/node", "/healthz/", "/../etc/passwd", "//nodes"]) {
      expect(await ask(door, path)).toMatchObject({ status: 404, body: expect.stringContaining("/readyz") });
    }
    expect((await ask(door, "/healthz?probe=1")).status).toBe(200);
  });
});

describe("what it answers", () => {
  it("metrics that a scraper can read, of a node as it is", async () => {
    await using system = await connect();
    const page = nodeMetrics({
      report: () => ({
        ...{ atMs: 1, actors: 3, free: { cpus: 1.5 }, gpus: [] },
        engines: [{ model: 'a"b\\c', state: "ready", running: 1, waiting: 2, slots: 4, kvUsage: 0.5 }],
      }),
      resources: () => ({ cpus: 2 }),
      stats: () => system.stats(),
      engines: () => [],
    });
    await using door = await open(() => ({ ...nodeWith(), metrics: () => page.text() }));
    const { body, type } = await ask(door, "/metrics");
    expect(type).toMatch(/^text\/plain; version=0\.0\.4/);
    const found = parseMetrics(body, () => true);
    expect(found).toBeDefined();
    expect(body).toMatch(/^flotilla_actors 3$/m);
    for (const line of body.split("\n").filter((text) => text !== "" && !text.startsWith("#"))) {
      expect(line).toMatch(/^[a-z_]+(\{([a-z_]+="([^"\\]|\\.)*",?)*\})? [-+\d.e]+$/);
    }
  });

  it("the nodes as the fleet has them", async () => {
    await using door = await open(() => nodeWith());
    expect(JSON.parse((await ask(door, "/nodes")).body)).toMatchObject({ nodes: [{ name: "a" }, { name: "b" }] });
  });

  it("500 and why, when there is no page", async () => {
    const metrics = () => Promise.reject(new Error("no page"));
    await using door = await open(() => ({ ...nodeWith(), metrics }));
    expect(await ask(door, "/metrics")).toMatchObject({ status: 500, body: expect.stringContaining("no page") });
    expect((await ask(door, "/healthz")).status).toBe(200);
  });
});

describe("opening", () => {
  it("refuses a port that is in use, and an address that is not this machine's, in a sentence", async () => {
    await using door = await open(never);
    const port = Number(new URL(door.url).port);
    const taken = await caught(openHttp({ host: "127.0.0.1", port, node: never }));
    expect(taken).toMatchObject({
      code: "PortTaken",
      message: expect.stringMatching(/^--http: 127\.0\.0\.1:\d+ is in use; /),
    });
    const foreign = await caught(openHttp({ host: "192.0.2.1", port: 0, node: never }));
    expect(foreign).toMatchObject({ code: "OptionInvalid", message: expect.stringContaining("EADDRNOTAVAIL") });
  });

  it("closes though somebody holds a connection open, and gives its port back", async () => {
    const door = await openHttp({ host: "127.0.0.1", port: 0, node: never });
    const port = Number(new URL(door.url).port);
    const idle = await fetch(`${door.url}/healthz`, { headers: { connection: "keep-alive" } });
    await idle.text();
    await door.close();
    await using again = await open(never, { port });
    expect(again.url).toBe(door.url);
  });
});
