// The model servers of a node as others use them: replies that stream, end and break off, refusals, and what is asked of servers.

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, expect, it } from "vitest";
import { type Models, modelsActor } from "../../../nodes/daemon/models-actor.ts";
import { Engines, type VllmSimOptions } from "../../../nodes/index.ts";
import { connect, type Handle, sleep, systemClock } from "../../../runtime/index.ts";
import { caught } from "../../support/caught.ts";
import { openSim } from "../../support/daemons.ts";
import { waitUntil } from "../../support/wait-until.ts";

const NODE = "here";

async function open(options: Partial<VllmSimOptions> = {}, url?: string) {
  const sim = await openSim(options);
  const engines = new Engines();
  const engine = engines.add(url === undefined ? sim.adopted : { kind: "adopted", url });
  const system = await connect({ node: NODE });
  const cut = new AbortController();
  let why: string | undefined;
  const { type, options: placed } = modelsActor({ engines, closed: () => why, cut: cut.signal }, NODE);
  const models = (await system.spawn(type, placed)) as unknown as Handle<typeof Models>;
  await engine.start();
  return {
    ...{ sim, engine, models, cut, system },
    close: (reason: string) => {
      why = reason;
    },
    async [Symbol.asyncDispose]() {
      await system.close();
      await engine.stop(0);
      await sim.stop();
    },
  };
}

const ask = (text: string, more: object = {}) => ({
  body: { model: "tiny", messages: [{ role: "user", content: text }], max_tokens: 40, ...more },
});

async function read(stream: AsyncIterable<readonly string[]>) {
  const batches: (readonly string[])[] = [];
  for await (const batch of stream) batches.push(batch);
  return batches;
}

const textOf = (batches: readonly (readonly string[])[]): string =>
  batches
    .flat()
    .map(
      (chunk) =>
        (JSON.parse(chunk) as { choices: { delta?: { content?: string } }[] }).choices[0]?.delta?.content ?? "",
    )
    .join("");

describe("a reply", () => {
  it("streams in the server's own chunks, those that came together at once, and its end is no chunk", async () => {
    await using at = await open({ rules: [{ match: "ping", text: "pong and more of it" }] });
    const batches = await read(at.models.chat(ask("ping")));
    expect(textOf(batches)).toBe("pong and more of it");
    for (const chunk of batches.flat()) expect(JSON.parse(chunk)).toMatchObject({ object: "chat.completion.chunk" });
    expect(batches.every((batch) => batch.length > 0)).toBe(true);
    expect(at.engine.report().running).toBe(0);
  });

  it("is streamed whatever the body says of streaming, with its session", async () => {
    await using at = await open();
    const batches = await read(at.models.chat({ ...ask("hello", { stream: false }), session: "s-1" }));
    expect(textOf(batches)).not.toBe("");
  });

  it("arrives as it is made: slow tokens one after the other", async () => {
    await using at = await open({ decodeMsPerToken: 20 });
    const batches = await read(at.models.chat(ask("hello", { max_tokens: 10 })));
    expect(batches.length).toBeGreaterThan(5);
  });

  it("counts at its server while it is in hand, and a reader who leaves ends it there", async () => {
    await using at = await open({ decodeMsPerToken: 50 });
    for await (const batch of at.models.chat(ask("hello", { max_tokens: 1_000 }))) {
      expect(batch.length).toBeGreaterThan(0);
      expect(at.engine.report().running).toBe(1);
      expect(await at.engine.isWorking()).toBe(true);
      expect(at.sim.state.running).toBe(1);
      break;
    }
    await waitUntil("the server has nothing in hand", () => at.sim.state.running === 0);
    await waitUntil("nor has the node", async () => !(await at.engine.isWorking()));
  });

  it("ends at the server when its caller's time is over, or its caller gives up", async () => {
    await using at = await open({ decodeMsPerToken: 50 });
    const giving = new AbortController();
    const reading = read(at.models.with({ signal: giving.signal }).chat(ask("hello", { max_tokens: 1_000 })));
    await waitUntil("it runs", () => at.sim.state.running === 1);
    giving.abort();
    expect((await caught(reading)).code).toBe("Cancelled");
    await waitUntil("it has ended", () => at.sim.state.running === 0);
    const late = read(at.models.with({ timeoutMs: 200 }).chat(ask("hello", { max_tokens: 1_000 })));
    expect((await caught(late)).code).toBe("DeadlineExceeded");
    await waitUntil("it has ended too", () => at.sim.state.running === 0);
  });

  it("wakes a server that sleeps", async () => {
    await using at = await open({ devMode: true });
    await at.models.sleep("tiny");
    expect(at.models).toBeDefined();
    expect(at.engine.status.kind).toBe("asleep");
    expect(textOf(await read(at.models.chat(ask("hello"))))).not.toBe("");
    expect(at.engine.status.kind).toBe("ready");
  });
});

describe("a refusal", () => {
  it("of the server is passed on with its status, and one for a full queue makes it busy without forgetting its load", async () => {
    await using at = await open({ decodeMsPerToken: 50, maxNumSeqs: 1, maxNumQueuedReqs: 1 });
    const first = read(at.models.chat(ask("hello", { max_tokens: 30 })));
    await waitUntil("it runs", () => at.sim.state.running === 1);
    const refused = await caught(read(at.models.chat(ask("hello"))));
    expect(refused).toMatchObject({ code: "ModelRefused", retryable: true, data: { status: 503, model: "tiny" } });
    expect(at.engine.status).toMatchObject({ kind: "busy", why: "it answers 503" });
    expect(at.engine.report().running).toBe(1);
    await first;
    const bad = await caught(read(at.models.chat({ body: { model: "tiny", messages: "none" } })));
    expect(bad).toMatchObject({ code: "ModelRefused", data: { status: 400 } });
  });

  it("names the models there are", async () => {
    await using at = await open();
    const unknown = await caught(read(at.models.chat({ body: { model: "huge" } })));
    expect(unknown).toMatchObject({ code: "ModelUnknown", data: { model: "huge", known: ["tiny"] } });
    expect((await caught(at.models.log("huge"))).code).toBe("ModelUnknown");
    expect((await caught(at.models.start("huge"))).code).toBe("ModelUnknown");
  });

  it("of a node that leaves says so, and lets what is in hand go on", async () => {
    await using at = await open({ decodeMsPerToken: 20 });
    const first = read(at.models.chat(ask("hello", { max_tokens: 30 })));
    await waitUntil("it runs", () => at.sim.state.running === 1);
    at.close("it is leaving the fleet");
    const refused = await caught(read(at.models.chat(ask("hello"))));
    expect(refused).toMatchObject({ code: "ModelRefused", retryable: true, data: { status: 503 } });
    expect(refused.message).toMatch(/its node has closed, it is leaving the fleet$/);
    expect(textOf(await first)).not.toBe("");
  });
});

describe("a reply that breaks off", () => {
  it("because the node's time is over says that", async () => {
    await using at = await open({ decodeMsPerToken: 50 });
    const reading = read(at.models.chat(ask("hello", { max_tokens: 1_000 })));
    await waitUntil("it runs", () => at.sim.state.running === 1);
    at.cut.abort("its grace time of 1 s is over");
    expect(await caught(reading)).toMatchObject({
      ...{ code: "ModelReplyCut", retryable: true, message: expect.stringContaining("its grace time of 1 s is over") },
    });
    await waitUntil("the server is rid of it", () => at.sim.state.running === 0);
  });

  it.each(["broken", "short"] as const)("because the connection is %s says so", async (how) => {
    await using server = await openRude(how);
    await using at = await open({}, server.url);
    const batches: (readonly string[])[] = [];
    const reading = (async () => {
      for await (const batch of at.models.chat(ask("hello"))) batches.push(batch);
    })();
    const broken = await caught(reading);
    expect(broken).toMatchObject({ code: "ModelReplyCut", retryable: true });
    expect(broken.message).toMatch(/^the reply of the model server of tiny was cut off: the connection broke \(/);
    expect(batches).toEqual([['{"part":1}']]);
    expect(at.engine.report().running).toBe(0);
  });

  it("is refused at once when the server is dead already, with why", async () => {
    await using at = await open();
    await at.sim.stop();
    await waitUntil("it is lost", () => at.engine.status.kind === "dead");
    const next = await caught(read(at.models.chat(ask("hello"))));
    expect(next).toMatchObject({ code: "EngineUnreachable", retryable: true });
  });
});

/** A server that begins to answer and then resets the connection, or closes it in order before the reply is whole. */
async function openRude(how: "broken" | "short") {
  const server = createServer(async (request, response) => {
    let body = "";
    for await (const piece of request) body += String(piece);
    if (request.url === "/v1/models") return response.end(JSON.stringify({ data: [{ id: "tiny" }] }));
    if (request.url !== "/v1/chat/completions") return response.writeHead(404).end();
    if (!body.includes('"stream":true')) return response.end("{}");
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.write('data: {"part":1}\n\n');
    await sleep(systemClock, 50);
    if (how === "broken") response.destroy();
    else response.end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

it("servers are listed, stopped and started again from elsewhere", async () => {
  await using at = await open();
  expect(await at.models.list()).toMatchObject([{ model: "tiny", state: "ready" }]);
  expect(await at.models.log("tiny")).toEqual([]);
  await at.models.stop("tiny", 0);
  expect(await at.models.list()).toMatchObject([{ state: "dead", why: "it was stopped" }]);
  expect((await caught(read(at.models.chat(ask("hello"))))).code).toBe("EngineStopped");
  await at.models.start("tiny");
  expect(textOf(await read(at.models.chat(ask("hello"))))).not.toBe("");
});
