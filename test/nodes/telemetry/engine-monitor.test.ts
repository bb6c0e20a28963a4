// A monitor on real servers of metrics: in turn, in time, and to the end.

import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, expect, it } from "vitest";
import { EngineMonitor, type EngineMonitorOptions, type EngineSight } from "../../../nodes/telemetry/engine-monitor.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { waitUntil } from "../../support/wait-until.ts";

const open: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

/** Answers /metrics with whatever `answer` does; counts questions, and those under way. */
class MetricsServer {
  asked = 0;
  answer: (response: ServerResponse) => void = (response) => void response.end(page(0));
  readonly #server: Server = createServer((request, response) => {
    if (request.url !== "/metrics") return void response.writeHead(418).end();
    this.asked++;
    this.#underWay++;
    response.on("close", () => this.#underWay--);
    this.answer(response);
  });
  #underWay = 0;

  static async start(): Promise<MetricsServer> {
    const one = new MetricsServer();
    await new Promise<void>((resolve) => one.#server.listen(0, "127.0.0.1", resolve));
    open.push(() => one.stop());
    return one;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  get underWay(): number {
    return this.#underWay;
  }

  stop(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}

const page = (prompt: number, hits = prompt / 2) => `vllm:num_requests_running{engine="0",model_name="m"} 1
vllm:prompt_tokens_total{engine="0",model_name="m"} ${prompt}
vllm:prefix_cache_queries_total{engine="0",model_name="m"} ${prompt}
vllm:prefix_cache_hits_total{engine="0",model_name="m"} ${hits}\n`;

function watching(url: string, options: Partial<EngineMonitorOptions> = {}) {
  const clock = new FakeClock();
  const sights: EngineSight[] = [];
  const monitor = new EngineMonitor({ url, clock, observe: (sight) => void sights.push(sight), ...options });
  open.push(() => monitor.close());
  const sees = (count: number) => waitUntil(`${count} sights`, () => sights.length >= count);
  /** One poll later. */
  const next = async () => {
    const count = sights.length + 1;
    await clock.advance(500);
    await sees(count);
    return sights.at(-1);
  };
  return { clock, sights, monitor, sees, next };
}
const ratesIn = (sight: EngineSight | undefined) => (sight?.kind === "facts" ? sight.rates : undefined);

it("asks at once and every half second, and tells facts and rates", async () => {
  const server = await MetricsServer.start();
  let prompt = 0;
  server.answer = (response) => {
    prompt += 100;
    response.end(page(prompt));
  };
  const { sights, sees, next, clock } = watching(server.url);
  await sees(1);
  expect(sights[0]).toMatchObject({
    kind: "facts",
    facts: { model: "m", running: 1, counters: { promptTokens: 100 } },
    rates: {},
  });
  await clock.advance(499);
  expect(server.asked).toBe(1);
  await clock.advance(1);
  await sees(2);
  expect(ratesIn(sights[1])).toEqual({ promptTokensPerS: 200, hitRate: 0.5 });
  expect(ratesIn(await next())).toEqual({ promptTokensPerS: 200, hitRate: 0.5 });
});

it("takes rates over a window, so that one batch of answers is no burst", async () => {
  const server = await MetricsServer.start();
  let prompt = 0;
  server.answer = (response) => void response.end(page(prompt));
  const { sees, next } = watching(server.url, { windowMs: 1_000 });
  await sees(1);
  prompt = 1_000;
  const perS: (number | undefined)[] = [];
  for (let poll = 0; poll < 4; poll++) perS.push(ratesIn(await next())?.promptTokensPerS);
  expect(perS).toEqual([2_000, 1_000, 0, 0]);
});

it("counts from 0 when the server began anew, and forgets the life before", async () => {
  const server = await MetricsServer.start();
  let prompt = 100;
  server.answer = (response) => void response.end(page(prompt));
  const { sees, next } = watching(server.url);
  await sees(1);
  const perS: (number | undefined)[] = [];
  for (prompt of [50, 250, 250]) perS.push(ratesIn(await next())?.promptTokensPerS);
  expect(perS).toEqual([100, 400, 200]);
});

it("tells failures one by one, and goes on", async () => {
  const server = await MetricsServer.start();
  const { sights, sees, next } = watching(server.url);
  await sees(1);
  server.answer = (response) => void response.writeHead(503).end("starting");
  expect(await next()).toEqual({ kind: "failed", reason: "GET /metrics answers 503", failures: 1 });
  server.answer = (response) => void response.destroy();
  expect(await next()).toMatchObject({ kind: "failed", failures: 2 });
  server.answer = (response) => void response.end(page(7));
  expect(await next()).toMatchObject({ kind: "facts" });
  server.stop();
  expect(await next()).toMatchObject({ kind: "failed", failures: 1 });
  expect(sights).toHaveLength(5);
});

it("never asks twice at once, and gives a question up in time (EM1, EM2)", async () => {
  const server = await MetricsServer.start();
  server.answer = () => {};
  const { sights, sees, clock, monitor } = watching(server.url, { timeoutMs: 2_000 });
  await waitUntil("the first question arrives", () => server.asked === 1);
  await clock.advance(1_999);
  expect([sights.length, server.asked]).toEqual([0, 1]);
  await clock.advance(1);
  await sees(1);
  expect(sights[0]).toEqual({ kind: "failed", reason: "no answer within 2000 ms", failures: 1 });
  await clock.advance(1);
  await waitUntil("the next question arrives", () => server.asked === 2);
  await clock.advance(1_900);
  expect([sights.length, server.asked]).toEqual([1, 2]);
  await monitor.close();
  await waitUntil("both questions are taken back", () => server.underWay === 0);
});

it("does not read without end", async () => {
  const server = await MetricsServer.start();
  server.answer = (response) => {
    const more = () => {
      while (!response.destroyed && response.write("x".repeat(65_536)));
      if (!response.destroyed) response.once("drain", more);
    };
    more();
  };
  const { sights, sees } = watching(server.url);
  await sees(1);
  expect(sights[0]).toMatchObject({ kind: "failed", reason: expect.stringContaining("longer than") });
  await waitUntil("the connection is ended", () => server.underWay === 0);
});

it.each<[string, (response: ServerResponse) => void, RegExp]>([
  ["no metrics", (response) => void response.writeHead(404).end("no"), /404/],
  ["metrics of something else", (response) => void response.end("go_goroutines 7\n"), /no model server/],
  ["a page for people", (response) => void response.end("<html>\n<body>hello"), /no model server/],
])("a server with %s is blind: said once, and asked no more (EM3)", async (_, answer, reason) => {
  const server = await MetricsServer.start();
  server.answer = answer;
  const { sights, sees, clock, monitor } = watching(server.url);
  await sees(1);
  await clock.advance(10_000);
  expect(sights).toEqual([{ kind: "blind", reason: expect.stringMatching(reason) }]);
  expect([server.asked, clock.pending]).toEqual([1, 0]);
  await monitor.close();
});

it("closes at once, between questions and within one, and then tells nothing (EM4)", async () => {
  const server = await MetricsServer.start();
  const waiting = watching(server.url);
  await waiting.sees(1);
  server.answer = () => {};
  const asking = watching(server.url);
  await waitUntil("the question arrives", () => server.asked === 2);
  for (const { monitor, clock, sights } of [waiting, asking]) {
    const count = sights.length;
    for (let twice = 0; twice < 2; twice++) await monitor.close();
    expect(clock.pending).toBe(0);
    await clock.advance(5_000);
    expect(sights).toHaveLength(count);
  }
  await waitUntil("the question is taken back", () => server.underWay === 0);
});
