// Model servers as real processes: ready, lost in every way, started again, explained, stopped without a trace.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { describe, it } from "vitest";
import { EngineProcess } from "../../../nodes/engine/process.ts";
import { Engine, type VllmOptions } from "../../../nodes/index.ts";
import { systemClock } from "../../../runtime/index.ts";
import { caught } from "../../support/caught.ts";
import { factsOf, fakeEngine, groupOf, listens, lossOf, QUICK_WATCH, statesOf, tell } from "../../support/engines.ts";
import type { FakeEngineOptions } from "../../support/fake-engine.ts";
import { waitUntil } from "../../support/wait-until.ts";

/** An engine that is stopped at the end of the test, whatever happened. */
function engineOf(fake: FakeEngineOptions = {}, options: Partial<VllmOptions> = {}): Engine & AsyncDisposable {
  const engine = new Engine(fakeEngine(fake, options));
  return Object.assign(engine, { [Symbol.asyncDispose]: () => engine.stop(0) });
}

/** Never listens. */
const SLOW = ["sh", "-c", "sleep 60"];

/** Prints this and ends with status 1. */
const failing = (says: string, options: Partial<VllmOptions> = {}) =>
  engineOf({}, { program: ["sh", "-c", 'echo "$SAYS" >&2; exit 1'], environment: { SAYS: says }, ...options });

const whyOf = (engine: Engine) => engine.status.why ?? "";

describe("a started engine", { concurrent: true }, () => {
  it("becomes ready, tells what it is, and leaves neither process nor port", async ({ expect }) => {
    await using engine = engineOf({}, { kvEvents: true });
    const states = statesOf(engine);
    await engine.start();
    expect(factsOf(engine)).toMatchObject({
      model: "m",
      server: "vllm",
      version: "0.0.0",
      constrains: true,
      maxModelLen: 99,
    });
    expect(engine.kvEvents?.endpoint).toMatch(/^tcp:\/\/127\.0\.0\.1:\d+$/);
    expect(engine.kvEvents?.endpoint).not.toBe(engine.kvEvents?.replayEndpoint);
    expect(engine.log).toContain("fake engine listens");
    expect(engine.report()).toMatchObject({ model: "m", state: "ready", url: engine.url, running: 0, slots: 256 });
    const { pid, url } = engine;
    expect(groupOf(pid)).toContain(pid);
    await Promise.all([engine.stop(), engine.stop()]);
    await engine.stop();
    expect(states).toEqual(["starting", "ready", "draining", "dead"]);
    expect(engine.status).toMatchObject({ why: "it was stopped", returns: "never" });
    expect(engine.pid).toBe(0);
    expect(groupOf(pid)).toEqual([]);
    expect(await listens(url)).toBe(false);
    expect((await caught(engine.ready())).code).toBe("EngineStopped");
    await engine.start();
    expect(engine.status.kind).toBe("ready");
  });

  it("sees that schemas do not constrain", async ({ expect }) => {
    await using engine = engineOf({ isLax: true });
    await engine.start();
    expect(engine.constrains).toBe(false);
  });

  it("is started again after a crash, and again after kill -9", async ({ expect }) => {
    await using engine = engineOf();
    const states = statesOf(engine);
    await engine.start();
    const first = engine.pid;
    const crash = lossOf(engine, "it ended with status 7");
    void tell(engine, "die");
    await crash;
    await engine.ready();
    const second = engine.pid;
    expect(second).not.toBe(first);
    const end = lossOf(engine, "killed by signal 9");
    process.kill(second, "SIGKILL");
    await end;
    await engine.ready();
    expect(engine.restarts).toBe(2);
    expect([...groupOf(first), ...groupOf(second)]).toEqual([]);
    expect(states.join(" ")).toBe("starting ready dead starting ready dead starting ready");
  });

  it("is dead when its budget is used up, with the last reason, until it is started", async ({ expect }) => {
    await using engine = failing("RuntimeError: CUDA error: out of memory");
    const error = await caught(engine.start());
    expect(error).toMatchObject({ code: "EngineOutOfMemory", retryable: true });
    expect(engine.restarts).toBe(2);
    expect(engine.status).toMatchObject({ kind: "dead", returns: "never" });
    expect(whyOf(engine)).toBe("the device ran out of memory (started again 2 times, and not any more)");
    expect((await caught(engine.ready())).code).toBe("EngineOutOfMemory");
    expect((await caught(engine.start())).code).toBe("EngineOutOfMemory");
    expect(engine.restarts).toBe(4);
  });

  it("does not try again what cannot go better: vLLM's own words for a model that is not there", async ({ expect }) => {
    await using engine = failing(readFileSync(new URL("../../fixtures/engine/no-folder.txt", import.meta.url), "utf8"));
    const error = await caught(engine.start());
    expect(error.code).toBe("EngineModelNotFound");
    expect(error.message).toMatch(/^the model server of m: there is no folder \/nonexistent; give a folder/);
    expect(engine.restarts).toBe(0);
    expect(engine.status.kind).toBe("dead");
  });

  it("tells a port in use, and a program that is not there, before it starts anything", async ({ expect }) => {
    const other = createServer().listen(0, "127.0.0.1");
    await once(other, "listening");
    const { port } = other.address() as AddressInfo;
    for (const option of [{ port }, { kvEvents: port }]) {
      await using engine = engineOf({}, option);
      const error = await caught(engine.start());
      expect(error.code).toBe("EnginePortInUse");
      expect(error.message).toContain(
        `another program listens on 127.0.0.1:${port}; end that program, or give the option`,
      );
      expect(engine.log).toEqual([]);
    }
    other.close();
    await using engine = engineOf({}, { program: "no-such-vllm" });
    const error = await caught(engine.start());
    expect(error.code).toBe("EngineProgramMissing");
    expect(error.message).toContain("there is no program no-such-vllm on the PATH; install vLLM");
  });

  it("gives up one that is not ready in time", async ({ expect }) => {
    await using engine = engineOf({}, { program: SLOW, readyTimeoutMs: 300, restart: { maxRestarts: 0 } });
    const error = await caught(engine.start());
    expect(error.code).toBe("EngineNotReady");
    expect(error.message).toContain("it was not ready within 0.3 s (connect ECONNREFUSED");
    expect(engine.pid).toBe(0);
  });

  it("takes a silent one for dead, and ready again when it answers in time", async ({ expect }) => {
    await using engine = engineOf({}, { watch: { ...QUICK_WATCH, timeoutMs: 100, patienceMs: 20_000 } });
    await engine.start();
    const { pid } = engine;
    const silence = lossOf(engine);
    process.kill(pid, "SIGSTOP");
    expect(await silence).toBe("/health gave no answer within 100 ms");
    process.kill(pid, "SIGCONT");
    await engine.ready();
    expect([engine.pid, engine.restarts]).toEqual([pid, 0]);
  });

  it("ends one that stays silent, and starts it again", async ({ expect }) => {
    await using engine = engineOf({}, { watch: { ...QUICK_WATCH, timeoutMs: 200 } });
    await engine.start();
    const { pid } = engine;
    const silence = lossOf(engine);
    await tell(engine, "hang");
    expect(await silence).toBe("/health gave no answer within 200 ms");
    await engine.ready();
    expect(engine.pid).not.toBe(pid);
    expect(groupOf(pid)).toEqual([]);
  });

  it("ends one whose health probe says that its engine died", async ({ expect }) => {
    await using engine = engineOf();
    await engine.start();
    const end = lossOf(engine);
    await tell(engine, "sick");
    expect(await end).toBe("its engine has ended (/health answers 503)");
    await engine.ready();
    expect(engine.restarts).toBe(1);
  });

  it("finds that it answers its probe and no request", async ({ expect }) => {
    await using engine = engineOf();
    await engine.start();
    const stall = lossOf(engine);
    await tell(engine, "stall");
    const done = engine.use();
    expect(await stall).toBe("it answers /health, and no request made progress for 1 s");
    done();
    await engine.ready();
    expect(engine.restarts).toBe(1);
  });

  it("takes no long prefill for a stall, and asks an idle one nothing", async ({ expect }) => {
    await using engine = engineOf({}, { watch: { ...QUICK_WATCH, stallMs: 5_000 } });
    await engine.start();
    const states = statesOf(engine);
    const asked = await tell(engine, "asked");
    const endMs = performance.now() + 300;
    await waitUntil("it was quiet for a while", () => performance.now() > endMs);
    expect(await tell(engine, "asked")).toBe(asked);
    await tell(engine, "prefill?1500");
    const done = engine.use();
    await waitUntil("it is asked for a token", async () => (await tell(engine, "asked")) > asked);
    await waitUntil("the prefill ends and it is asked again", async () => (await tell(engine, "asked")) > asked + 1);
    done();
    expect([engine.restarts, states]).toEqual([0, []]);
  });

  it("waits in a queue that moves for as long as it takes", async ({ expect }) => {
    await using engine = engineOf({}, { watch: { ...QUICK_WATCH, stallMs: 500 } });
    await engine.start();
    const states = statesOf(engine);
    await tell(engine, "queue");
    const done = engine.use();
    const endMs = performance.now() + 1_500;
    await waitUntil("thrice stallMs goes by", () => performance.now() > endMs);
    done();
    expect([engine.restarts, states]).toEqual([0, []]);
  });

  it("asks nothing as long as others see progress", async ({ expect }) => {
    await using engine = engineOf();
    await engine.start();
    const asked = await tell(engine, "asked");
    let progress = 0;
    const endMs = performance.now() + 500;
    await waitUntil("half a second goes by", () => {
      if (++progress % 2 === 0) engine.observe({ running: 1, waiting: 0, progress });
      else engine.sign();
      return performance.now() > endMs;
    });
    expect(await tell(engine, "asked")).toBe(asked);
  });

  it("is busy while it is full or refuses, and ready again", async ({ expect }) => {
    await using engine = engineOf({}, { maxNumSeqs: 4 });
    await engine.start();
    engine.observe({ running: 3, waiting: 0 });
    expect(engine.status.kind).toBe("ready");
    engine.observe({ running: 4, waiting: 2, kvUsage: 0.5 });
    expect(engine.status).toMatchObject({ kind: "busy", why: "all its slots are taken" });
    expect(engine.report()).toMatchObject({ state: "busy", running: 4, waiting: 2, slots: 4, kvUsage: 0.5 });
    engine.observe({ running: 1, waiting: 0 });
    engine.refused();
    expect(whyOf(engine)).toBe("it answers 503");
    expect(engine.report()).toMatchObject({ running: 1 });
    await engine.ready();
    await waitUntil("the refusal is forgotten", () => engine.status.kind === "ready");
  });
});

describe("stopping", { concurrent: true }, () => {
  it("leaves no process that ignores SIGTERM, be it the server or what it started", async ({ expect }) => {
    await using engine = engineOf({ hasGrandchild: true });
    await engine.start();
    const { pid, url } = engine;
    const grandchild = Number(/grandchild (\d+)/.exec(engine.log.join("\n"))?.[1]);
    expect(groupOf(pid)).toContain(grandchild);
    await engine.stop();
    expect(groupOf(pid)).toEqual([]);
    expect(await listens(url)).toBe(false);
  });

  it("leaves no grandchild when the server itself is killed", async ({ expect }) => {
    await using engine = engineOf({ hasGrandchild: true }, { restart: { maxRestarts: 0 } });
    await engine.start();
    const { pid } = engine;
    process.kill(pid, "SIGKILL");
    await waitUntil("it is dead for good", () => engine.status.kind === "dead" && engine.status.returns === "never");
    expect(groupOf(pid)).toEqual([]);
  });

  it("lets requests in hand go on for the grace, and refuses new ones", async ({ expect }) => {
    await using engine = engineOf();
    await engine.start();
    const done = engine.use();
    const stopped = engine.stop(20_000);
    expect(engine.status.kind).toBe("draining");
    expect(() => engine.use()).toThrow("is being stopped");
    expect((await caught(engine.ready())).code).toBe("EngineStopped");
    await tell(engine, "fine");
    expect(await listens(engine.url)).toBe(true);
    done();
    await stopped;
    expect(engine.pid).toBe(0);
  });

  it("waits for requests that only the server knows, no longer than a second call allows", async ({ expect }) => {
    await using engine = engineOf();
    await engine.start();
    const { pid, url } = engine;
    await tell(engine, "stall");
    void fetch(`${url}/v1/chat/completions`, { method: "POST", body: "{}" }).catch(() => {});
    await waitUntil("it is in hand", async () => {
      const page = await (await fetch(`${url}/metrics`)).text();
      return page.includes('running{engine="0",model_name="m"} 1');
    });
    const stopped = engine.stop(60_000);
    const endMs = performance.now() + 300;
    await waitUntil("it had time to stop", () => performance.now() > endMs);
    expect(groupOf(pid)).toContain(pid);
    await Promise.all([engine.stop(0), stopped]);
    expect(groupOf(pid)).toEqual([]);
  });

  it("kills a server that ignores SIGTERM", async ({ expect }) => {
    const { program = "", environment = {} } = fakeEngine({ ignoresTerm: true });
    const server = new EngineProcess([...program], { ...process.env, ...environment }, systemClock);
    await waitUntil("it listens", () => server.log.includes("fake engine listens"));
    await server.end(100);
    expect(await server.exited).toEqual({ code: null, signal: "SIGKILL" });
    expect(groupOf(server.pid)).toEqual([]);
  });

  it("ends a start, and a wait between two", async ({ expect }) => {
    await using slow = engineOf({}, { program: SLOW });
    const start = caught(slow.start());
    await waitUntil("it is there", () => slow.pid > 0);
    await slow.stop();
    expect((await start).code).toBe("EngineStopped");
    await using crashing = failing("x", { restart: { backoff: { firstMs: 60_000 } } });
    const late = caught(crashing.start());
    await waitUntil("it waits", () => crashing.status.kind === "dead" && crashing.pid === 0);
    await crashing.stop();
    expect((await late).code).toBe("EngineStopped");
  });

  it("leaves nothing when its owner is killed", async ({ expect }) => {
    const program = `
      const { Engine } = await import(${JSON.stringify(new URL("../../../nodes/index.ts", import.meta.url).href)});
      const engine = new Engine(${JSON.stringify(fakeEngine({ hasGrandchild: true }))});
      await engine.start();
      console.log(engine.pid);`;
    const owner = spawn(process.execPath, ["--input-type=module", "-e", program], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const [said] = await once(owner.stdout, "data");
    const pid = Number(String(said));
    try {
      // The server, what it started, and the two of the watcher.
      expect(groupOf(pid).length).toBeGreaterThanOrEqual(4);
      owner.kill("SIGKILL");
      await waitUntil("the group ends", () => groupOf(pid).length === 0);
    } finally {
      for (const left of groupOf(pid)) process.kill(left, "SIGKILL");
    }
  });
});

describe("on demand and asleep", { concurrent: true }, () => {
  it("starts when somebody wants it, once for all who do", async ({ expect }) => {
    await using engine = engineOf();
    expect(engine.report()).toMatchObject({ state: "loadable", running: 0 });
    expect(engine.pid).toBe(0);
    const gone = new AbortController();
    const givenUp = engine.ready(gone.signal).catch((error: unknown) => error);
    gone.abort(new Error("nobody waits"));
    expect(String(await givenUp)).toContain("nobody waits");
    await Promise.all([engine.ready(), engine.ready()]);
    expect([engine.status.kind, engine.restarts]).toEqual(["ready", 0]);
  });

  it("sleeps and wakes", async ({ expect }) => {
    await using engine = engineOf({}, { sleepMode: true });
    await engine.start();
    const done = engine.use();
    expect((await caught(engine.sleep())).code).toBe("EngineInUse");
    done();
    await engine.sleep(2);
    expect(engine.status.kind).toBe("asleep");
    expect(() => engine.use()).toThrow("is asleep");
    await Promise.all([engine.ready(), engine.ready()]);
    expect(engine.status.kind).toBe("ready");
  });

  it("sleeps by itself when nobody used it, and wakes for who wants it", async ({ expect }) => {
    await using engine = engineOf({}, { sleepMode: true, idleSleepMs: 150 });
    await engine.start();
    await waitUntil("it sleeps", () => engine.status.kind === "asleep");
    await engine.ready();
    expect(engine.status.kind).toBe("ready");
  });

  it("says that it cannot", async ({ expect }) => {
    await using engine = engineOf();
    await engine.start();
    const error = await caught(engine.sleep());
    expect([error.code, error.message]).toEqual(["EngineCannotSleep", "the model server of m has no route for it"]);
    expect(engine.status.kind).toBe("ready");
  });
});
