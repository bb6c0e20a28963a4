// What a node sees of a model server, life after life: its metrics, its cache's events, and nothing of a life that is over.

import { expect, it } from "vitest";
import { EngineObserver } from "../../../nodes/daemon/engine-observer.ts";
import { Engine, type EngineOptions, startVllmSim } from "../../../nodes/index.ts";
import { systemClock } from "../../../runtime/index.ts";
import { openSim } from "../../support/daemons.ts";
import { post } from "../../support/vllm-client.ts";
import { waitUntil } from "../../support/wait-until.ts";

function observed(engine: Engine) {
  let changes = 0;
  const observer = new EngineObserver(engine, systemClock, () => {
    changes += 1;
  });
  return Object.assign(observer, {
    changes: () => changes,
    async [Symbol.asyncDispose]() {
      await engine.stop(0);
      await observer.close();
    },
  });
}

const chat = (url: string, max_tokens: number) =>
  post(`${url}/v1/chat/completions`, { model: "tiny", messages: [{ role: "user", content: "hello" }], max_tokens });

it("metrics reach the server's state and the report, while it lives and again in its next life", {
  timeout: 60_000,
}, async () => {
  const first = await openSim({ maxNumSeqs: 1, decodeMsPerToken: 20 });
  const { port } = first;
  const engine = new Engine({ ...first.adopted, slots: 1 } as EngineOptions);
  await using observer = observed(engine);
  expect(observer.observed()).toBeUndefined();
  await engine.start();
  await waitUntil("it is seen", () => observer.observed()?.facts !== undefined);
  const asking = chat(first.url, 100);
  await waitUntil("it is full", () => engine.status.kind === "busy");
  expect(engine.report()).toMatchObject({ running: 1, state: "busy", why: "all its slots are taken" });
  expect(observer.changes()).toBeGreaterThan(2);
  expect(observer.observed()).toMatchObject({ model: "tiny", facts: { running: 1 } });
  await first.stop();
  await asking.catch(() => {});
  await waitUntil("it is lost", () => engine.status.kind === "dead");
  expect(engine.report()).toMatchObject({ running: 0, waiting: 0 });
  expect(observer.observed()?.facts).toBeUndefined();
  await using second = await startVllmSim({ model: "tiny", port });
  await waitUntil("it is seen in its next life", () => observer.observed()?.facts !== undefined);
  expect(second.url).toBe(first.url);
  expect(engine.status.kind).toBe("ready");
  expect(observer.observed()?.facts?.running).toBe(0);
});

it("prefixes are known of a server that tells of its cache, and forgotten with its life", {
  timeout: 60_000,
}, async () => {
  const program = [process.execPath, "api/main.ts", "vllm-sim", "--model", "{name}", "--port", "{port}"];
  const events = ["--kv-events-port", "{kvEvents}", "--kv-replay-port", "{kvReplay}", "--control"];
  const engine = new Engine({
    ...{ kind: "vllm", model: "tiny", program: [...program, ...events], kvEvents: true },
    restart: { backoff: { firstMs: 10 } },
  });
  await using observer = observed(engine);
  expect(observer.prefixes()).toBeUndefined();
  await engine.start();
  const blocks = () => observer.prefixes()?.blocks ?? 0;
  // Words enough for some whole blocks.
  const words = Array.from({ length: 200 }, (_, at) => `word${at}`).join(" ");
  const ask = () =>
    post(`${engine.url}/v1/chat/completions`, { messages: [{ role: "user", content: words }], max_tokens: 1 });
  // The first events may come before anybody listens.
  await waitUntil("its prefixes are known", async () => {
    await ask();
    return blocks() > 4;
  });
  expect(observer.observed()).toMatchObject({ kvEvents: {}, prefixes: { blocks: blocks() } });
  process.kill(engine.pid, "SIGKILL");
  await waitUntil("it is lost", () => engine.status.kind !== "ready");
  expect(observer.prefixes()).toBeUndefined();
  await waitUntil("it is back", () => engine.status.kind === "ready", 20_000);
  expect(engine.restarts).toBe(1);
  expect(blocks()).toBeLessThan(4);
  await waitUntil("its prefixes are known again", async () => {
    await ask();
    return blocks() > 4;
  });
});

it("it may be closed twice, and changes nothing afterwards", async () => {
  const sim = await openSim();
  const engine = new Engine(sim.adopted);
  await using observer = observed(engine);
  await engine.start();
  expect(observer.prefixes()).toBeUndefined();
  await waitUntil("it is seen", () => observer.observed()?.facts !== undefined);
  await observer.close();
  await observer.close();
  const changes = observer.changes();
  await sim.stop();
  await waitUntil("it is lost", () => engine.status.kind === "dead");
  expect(observer.changes()).toBe(changes);
});
