// Servers that somebody else runs, and the list of a node.

import { describe, expect as expected, it } from "vitest";
import { Engine, Engines } from "../../../nodes/index.ts";
import { caught } from "../../support/caught.ts";
import { factsOf, fakeEngine, groupOf, lossOf, QUICK_WATCH, statesOf, tell } from "../../support/engines.ts";
import type { FakeEngineOptions } from "../../support/fake-engine.ts";
import { refusedUrl, startOpenAiServer } from "../../support/openai-server.ts";
import { waitUntil } from "../../support/wait-until.ts";

const watch = QUICK_WATCH;

/** A server that is not the adopting engine's: it has an engine of its own, which keeps its port over restarts. */
async function strangerOf(fake: FakeEngineOptions = {}) {
  const engine = new Engine(fakeEngine(fake));
  await engine.start();
  return Object.assign(engine, { [Symbol.asyncDispose]: () => engine.stop(0) });
}

function adopt(url: string, options: { readonly model?: string } = {}) {
  const engine = new Engine({ kind: "adopted", url, watch, ...options });
  return Object.assign(engine, { [Symbol.asyncDispose]: () => engine.stop(0) });
}

describe("an adopted engine", { concurrent: true }, () => {
  it("is known by what it answers, lost, and found again", async ({ expect }) => {
    await using stranger = await strangerOf();
    await using engine = adopt(`${stranger.url}/v1`);
    expect(engine.model).toBeUndefined();
    await engine.start();
    expect(factsOf(engine)).toMatchObject({ model: "m", server: "vllm", constrains: true, hasMetrics: true });
    expect([engine.pid, engine.log]).toEqual([0, []]);
    const loss = lossOf(engine);
    void tell(stranger, "die");
    await loss;
    expect(engine.status).toMatchObject({ returns: "answer" });
    await waitUntil("it is back", () => engine.status.kind === "ready");
    expect(engine.restarts).toBe(0);
  });

  it("is only let go when it is stopped", async ({ expect }) => {
    await using stranger = await strangerOf();
    await using engine = adopt(String(stranger.url));
    await engine.start();
    await engine.stop();
    expect(engine.status).toMatchObject({ kind: "dead", why: "it was stopped" });
    expect(stranger.status.kind).toBe("ready");
    expect(groupOf(stranger.pid)).toContain(stranger.pid);
  });

  it("needs neither /health nor /metrics", async ({ expect }) => {
    await using stranger = await strangerOf({ isBare: true, isLax: true });
    await using engine = adopt(String(stranger.url));
    await engine.start();
    expect(factsOf(engine)).toMatchObject({ model: "m", server: "other", constrains: false, hasMetrics: false });
    const done = engine.use();
    const states = statesOf(engine);
    const endMs = performance.now() + 1_500;
    await waitUntil("it answers for longer than stallMs", () => performance.now() > endMs);
    expect(states).toEqual([]);
    const stall = lossOf(engine);
    await tell(stranger, "stall");
    expect(await stall).toBe("it answers /v1/models, and no request made progress for 1 s");
    expect((await caught(engine.ready())).code).toBe("EngineHung");
    done();
    await tell(stranger, "fine");
    await waitUntil("it is back", () => engine.status.kind === "ready");
  });

  it("is not ready before it has answered a request", async ({ expect }) => {
    await using stranger = await strangerOf();
    await tell(stranger, "stall");
    await using engine = adopt(String(stranger.url));
    const error = await caught(engine.start());
    expect(error.code).toBe("EngineHung");
    expect(error.message).toContain("it answers /health but gave no answer within 1000 ms to a request; look at");
  });

  it("says where nothing answers, what it is not, and what it has instead of the model", async ({ expect }) => {
    const url = (await refusedUrl()).replace("/v1", "");
    await using nobody = adopt(url);
    const away = await caught(nobody.start());
    expect(away.code).toBe("EngineUnreachable");
    expect(away.message).toContain(`it does not answer at ${url} (connect ECONNREFUSED`);
    await using server = await startOpenAiServer([], ["a", "b"]);
    await using wrong = adopt(server.url, { model: "c" });
    const missing = await caught(wrong.start());
    expect([missing.code, missing.data.why]).toEqual(["EngineModelNotFound", "it has a, b and not c"]);
    await using lost = adopt(`${server.url}/elsewhere`);
    expect((await caught(lost.start())).code).toBe("EngineNotOpenAi");
  });
});

describe("the engines of a node", () => {
  it("finds the one of a model that is most ready, and stops them all", async () => {
    const engines = new Engines();
    const changed: unknown[] = [];
    engines.onChange((engine) => changed.push(engine));
    const idle = engines.add(fakeEngine());
    const ready = engines.add(fakeEngine());
    const other = engines.add(fakeEngine({}, { model: "n" }));
    try {
      expected(engines.find("m")).toBe(idle);
      await ready.start();
      expected(engines.find("m")).toBe(ready);
      expected(engines.find("n")).toBe(other);
      expected(engines.find("o")).toBeUndefined();
      expected(changed).toContain(ready);
      expected(engines.reports().map(({ model, state }) => `${model} ${state}`)).toEqual([
        "m loadable",
        "m ready",
        "n loadable",
      ]);
    } finally {
      const { pid } = ready;
      await engines.stopAll(0);
      expected(groupOf(pid)).toEqual([]);
    }
    expected(engines.all.map(({ status }) => status.kind)).toEqual(["dead", "dead", "dead"]);
  });

  it("refuses two at one address, and leaves out what has no name yet", () => {
    const engines = new Engines();
    engines.add({ kind: "adopted", url: "http://127.0.0.1:8000" });
    expected(() => engines.add(fakeEngine({}, { port: 8_000 }))).toThrow("both at http://127.0.0.1:8000");
    expected(engines.reports()).toEqual([]);
  });
});
