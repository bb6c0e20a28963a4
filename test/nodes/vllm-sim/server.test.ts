// What is the simulator's own: starting, dying, hanging, limits, keys, scripted replies, older forms, options.

import { createServer } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { startVllmSim, type VllmSim, type VllmSimOptions } from "../../../nodes/index.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { eventsIn, get, metricsOf, post, streamed } from "../../support/vllm-client.ts";
import { listenToKv, replayed } from "../../support/vllm-events.ts";
import { waitUntil } from "../../support/wait-until.ts";

const open: VllmSim[] = [];

async function start(options: Partial<VllmSimOptions> = {}): Promise<VllmSim> {
  const sim = await startVllmSim({ model: "m", ...options });
  open.push(sim);
  return sim;
}

afterEach(async () => {
  await Promise.all(open.splice(0).map((sim) => sim.stop()));
});

const CHAT = "/v1/chat/completions";
const says = (text: string, more: object = {}) => ({
  model: "m",
  messages: [{ role: "user", content: text }],
  ...more,
});
const refusedAt = (url: string) =>
  get(url).then(
    () => false,
    (error: Error) => (error.cause as { code?: string })?.code === "ECONNREFUSED",
  );

describe("starting", () => {
  it("answers 503 to everything until it is ready", async () => {
    const clock = new FakeClock();
    const sim = await start({ clock, startupMs: 30_000 });
    const statuses = async () => {
      const answers = await Promise.all([
        get(`${sim.url}/health`),
        get(`${sim.url}/v1/models`),
        get(`${sim.url}/metrics`),
      ]);
      return answers.map(({ status }) => status);
    };
    expect([await statuses(), sim.state.phase]).toEqual([[503, 503, 503], "starting"]);
    await clock.advance(29_999);
    expect(await statuses()).toEqual([503, 503, 503]);
    await clock.advance(1);
    expect([await statuses(), sim.state.phase]).toEqual([[200, 200, 200], "ready"]);
  });

  it("or refuses connections, as vLLM does", async () => {
    // The port of one that has ended is free.
    const { port } = await start();
    await open.pop()?.stop();
    const clock = new FakeClock();
    const starting = start({ clock, port, startupMs: 5_000, startupRefuses: true });
    await clock.advance(4_999);
    expect(await refusedAt(`http://127.0.0.1:${port}/health`)).toBe(true);
    await clock.advance(1);
    expect((await get(`${(await starting).url}/health`)).status).toBe(200);
  });

  it("names the option whose port is taken, and leaves nothing open", async () => {
    const other = createServer().listen(0, "127.0.0.1");
    await new Promise((resolve) => other.once("listening", resolve));
    const { port } = other.address() as { port: number };
    const sims = [{ port }, { kvEventsPort: port }, { kvEventsPort: 0, kvReplayPort: port }];
    for (const options of sims) {
      const option = Object.keys(options).at(-1);
      await expect(start(options)).rejects.toMatchObject({ code: "SimPortTaken", data: { option, port } });
    }
    await new Promise((resolve) => other.close(resolve));
  });

  it.each<[object, string, string]>([
    [{ model: undefined }, "model", "it is missing"],
    [{ port: 70_000 }, "port", "a whole number from 0 to 65,535, got 70000"],
    [{ decodeMsPerToken: -1 }, "decodeMsPerToken", "milliseconds from 0"],
    [{ numBlocks: 10 }, "numBlocks", "room for one sequence"],
    [{ kvReplayPort: 0 }, "kvReplayPort", "a kvEventsPort beside it"],
    [{ kvEventsForm: "csv" }, "kvEventsForm", 'map or array, got "csv"'],
    [{ devmode: true }, "devmode", "no such option"],
    [{ rules: [{ match: "(", text: "x" }] }, "rules[0].match", "a regular expression that compiles"],
    [{ rules: [{ match: "a" }] }, "rules[0]", "exactly one of text, json and tool"],
    [{ rules: [{ match: "a", text: "x", txet: 1 }] }, "rules[0].txet", "no such option"],
  ])("refuses %j", async (options, option, words) => {
    const error = await start(options as Partial<VllmSimOptions>).then(
      () => undefined,
      (caught: Error & { code: string; data: unknown }) => caught,
    );
    expect(error).toMatchObject({ code: "SimOptionInvalid", data: { option } });
    expect(error?.message).toContain(`option ${option}: expected`);
    expect(error?.message).toContain(words);
  });
});

describe("an engine that fails", () => {
  it("dies: what runs fails, health is 503, and the server ends as vLLM does", async () => {
    const sim = await start({ decodeMsPerToken: 5 });
    const whole = post(sim.url + CHAT, says("x", { max_tokens: 1_000, ignore_eos: true }));
    const stream = post(sim.url + CHAT, says("y", { max_tokens: 1_000, ignore_eos: true, stream: true }));
    await waitUntil(
      "tokens are made",
      async () => ((await metricsOf(sim.url)).get("vllm:generation_tokens_total") ?? 0) > 10,
    );
    sim.die();
    const health = await get(`${sim.url}/health`);
    const late = await post(sim.url + CHAT, says("z"));
    expect([health.status, late.status, (await whole).status]).toEqual([503, 500, 500]);
    expect((await whole).json.at("error")).toEqual({
      message: "EngineCore encountered an issue. See stack trace (above) for the root cause.",
      type: "InternalServerError",
      param: null,
      code: 500,
    });
    const events = eventsIn((await stream).text);
    expect(JSON.parse(events.at(-2) ?? "")).toMatchObject({ error: { type: "InternalServerError", code: 500 } });
    expect(events.at(-1)).toBe("[DONE]");
    expect(await sim.ended).toBe("died");
    expect(await refusedAt(`${sim.url}/health`)).toBe(true);
  });

  it("dies by control, stays up when kept alive, and heals", async () => {
    const sim = await start({ control: true, keepAliveOnEngineDeath: true });
    const control = async (what: string) => (await post(`${sim.url}/sim/${what}`)).json.at("phase");
    expect(await control("die")).toBe("dead");
    expect((await get(`${sim.url}/health`)).status).toBe(503);
    expect((await get(`${sim.url}/metrics`)).status).toBe(200);
    expect(await control("heal")).toBe("ready");
    expect((await post(sim.url + CHAT, says("x"))).status).toBe(200);
  });

  it("hangs: health answers, requests do not, until it heals", async () => {
    const sim = await start({ control: true });
    await post(`${sim.url}/sim/hang`);
    let answered = false;
    const asked = post(sim.url + CHAT, says("x")).finally(() => {
      answered = true;
    });
    await waitUntil("the request is there", () => sim.state.waiting === 1);
    expect([(await get(`${sim.url}/health`)).status, answered]).toEqual([200, false]);
    await post(`${sim.url}/sim/heal`);
    expect((await asked).status).toBe(200);
  });

  it("dies after as many requests as it was told", async () => {
    const sim = await start({ dieAfterRequests: 2 });
    await post(sim.url + CHAT, says("1"));
    await post(sim.url + CHAT, says("2"));
    expect(await sim.ended).toBe("died");
  });

  it("has no such routes unless asked: control, development", async () => {
    const sim = await start();
    for (const path of ["/sim/die", "/sim/hang", "/sleep", "/reset_prefix_cache"]) {
      expect((await post(sim.url + path)).status, path).toBe(404);
    }
  });
});

describe("limits", () => {
  it("answers 503 to a request beyond maxNumQueuedReqs, in vLLM's words, and counts it", async () => {
    const sim = await start({ maxNumQueuedReqs: 2, maxNumSeqs: 1 });
    sim.hang();
    const waiting = [post(sim.url + CHAT, says("1")), post(sim.url + CHAT, says("2"))];
    await waitUntil("two requests are there", () => sim.state.waiting === 2);
    const refused = await post(sim.url + CHAT, says("3"));
    expect(refused.status).toBe(503);
    expect(refused.json.at("error")).toMatchObject({
      type: "Service Unavailable",
      message: expect.stringContaining("currently busy"),
    });
    expect((await metricsOf(sim.url)).get("vllm:admission_rejections_total")).toBe(1);
    expect((await get(`${sim.url}/load`)).json.value).toEqual({ server_load: 2 });
    sim.heal();
    expect((await Promise.all(waiting)).map(({ status }) => status)).toEqual([200, 200]);
  });

  it("wants the key on /v1 and nowhere else", async () => {
    const sim = await start({ apiKey: "secret" });
    expect(await get(`${sim.url}/v1/models`)).toMatchObject({ status: 401, text: '{"error":"Unauthorized"}' });
    expect((await post(sim.url + CHAT, says("x"), { authorization: "Bearer wrong" })).status).toBe(401);
    expect((await post(sim.url + CHAT, says("x"), { authorization: "Bearer secret" })).status).toBe(200);
    expect((await get(`${sim.url}/health`)).status).toBe(200);
  });

  it("ends all connections when it is stopped, also those that stream, and twice without harm", async () => {
    const sim = await start({ decodeMsPerToken: 50 });
    const stream = post(sim.url + CHAT, says("x", { stream: true, max_tokens: 1_000, ignore_eos: true })).catch(
      () => "cut",
    );
    await waitUntil("it runs", () => sim.state.running === 1);
    await Promise.all([sim.stop(), sim.stop()]);
    await stream;
    expect([await sim.ended, await refusedAt(sim.url)]).toEqual(["stopped", true]);
  });
});

describe("scripted replies", () => {
  const rules = [
    { match: "^plan", json: { steps: ["read", "write"] } },
    { match: "You are a reviewer", text: "Looks good." },
    { match: "weather", tool: { name: "get_weather", arguments: { city: "Bern" } } },
    { match: "think", text: "done", delayMs: 60 },
    { match: "nothing", text: "" },
  ];
  const content = ["choices", 0, "message", "content"] as const;

  it("come from the first rule that matches the last user message or the system text", async () => {
    const sim = await start({ rules });
    const text = async (body: object) => (await post(sim.url + CHAT, body)).json.text(...content);
    expect(JSON.parse(await text(says("plan it")))).toEqual({ steps: ["read", "write"] });
    expect(
      await text({
        messages: [
          { role: "system", content: "You are a reviewer." },
          { role: "user", content: "go" },
        ],
      }),
    ).toBe("Looks good.");
    expect(await text(says("nothing"))).toBe("");
    const other = await text(says("please plan it"));
    expect(other.trim().split(" ")).toHaveLength(64);
    expect(await text(says("please plan it"))).toBe(other);
    expect(await text(says("something else"))).not.toBe(other);
  });

  it("may be a tool call or come late, and keep to max_tokens", async () => {
    const sim = await start({ rules });
    const call = await post(sim.url + CHAT, says("the weather?"));
    expect(call.json.at("choices", 0, "finish_reason")).toBe("tool_calls");
    expect(call.json.at("choices", 0, "message", "tool_calls", 0, "function")).toEqual({
      name: "get_weather",
      arguments: '{"city":"Bern"}',
    });
    const { chunks } = await streamed(sim.url + CHAT, says("think"));
    expect(chunks.map((chunk) => chunk.at("choices", 0, "delta", "content") ?? "").join("")).toBe("done");
    expect((await metricsOf(sim.url)).get("vllm:time_to_first_token_seconds_sum")).toBeGreaterThanOrEqual(0.06);
    const short = await post(sim.url + CHAT, says("plan", { max_tokens: 3 }));
    expect(short.json.at("choices", 0, "finish_reason")).toBe("length");
  });

  it("call the first tool once when tools are offered, and answer its result in words", async () => {
    const sim = await start();
    const tools = [
      {
        type: "function",
        function: {
          name: "read",
          parameters: { type: "object", properties: { path: { type: "string" } }, required: ["path"] },
        },
      },
    ];
    const first = await post(sim.url + CHAT, says("go", { tools }));
    expect(first.json.text("choices", 0, "message", "tool_calls", 0, "function", "arguments")).toBe('{"path":""}');
    const messages = [
      { role: "user", content: "go" },
      first.json.at("choices", 0, "message"),
      { role: "tool", content: "text", tool_call_id: "1" },
    ];
    const second = await post(sim.url + CHAT, { model: "m", tools, messages });
    expect(second.json.at("choices", 0, "finish_reason")).toBe("stop");
    expect(second.json.text(...content)).not.toBe("");
  });

  it("refuse a schema they cannot satisfy, and what would change the answer's shape", async () => {
    const sim = await start();
    const schema = { type: "json_schema", json_schema: { name: "s", schema: { type: "string", pattern: "a" } } };
    const refusals: [object, RegExp][] = [
      [{ response_format: schema }, /cannot satisfy the schema: the keyword "pattern"/],
      [{ n: 2 }, /gives one choice/],
      [{ logprobs: true }, /no log probabilities/],
      [{ structured_outputs: { json: "{" } }, /json is no JSON/],
      [{ structured_outputs: { regex: "a+" } }, /does not know structured_outputs\.regex/],
    ];
    for (const [more, words] of refusals) {
      const { status, json } = await post(sim.url + CHAT, says("x", more));
      expect([status, json.text("error", "message")]).toEqual([400, expect.stringMatching(words)]);
    }
    const choice = await post(sim.url + CHAT, says("x", { structured_outputs: { choice: ["yes", "no"] } }));
    expect(choice.json.text(...content)).toBe("yes");
    expect(
      (await post(sim.url + CHAT, says("x", { response_format: { type: "json_object" } }))).json.text(...content),
    ).toBe("{}");
  });
});

describe("what it publishes", () => {
  it("tells evictions, and writes events as older releases did when asked to", async () => {
    const sim = await start({
      kvEventsPort: 0,
      kvReplayPort: 0,
      kvEventsForm: "array",
      numBlocks: 8,
      blockSize: 16,
      maxModelLen: 128,
    });
    const endpoint = sim.replayEndpoint ?? "";
    for (const name of ["a", "b"]) await post(sim.url + CHAT, says(`${name} `.repeat(80), { max_tokens: 1 }));
    const events = (await replayed(endpoint, 0n)).flatMap((batch) => batch.events as readonly (readonly unknown[])[]);
    expect(events.map(([type]) => type)).toEqual(["BlockStored", "BlockRemoved", "BlockStored"]);
    expect(events[0]?.slice(2)).toEqual([null, expect.any(Array), 16, null, "GPU", null]);
    const [stored, removed] = events.map((event) => event[1] as readonly bigint[]);
    expect(stored).toEqual(expect.arrayContaining([...(removed ?? [])]));
  });

  it("keeps a bounded number of batches for replay, and numbers on", async () => {
    const sim = await start({ kvEventsPort: 0, kvReplayPort: 0, kvReplayBatches: 2 });
    for (const name of ["a", "b", "c", "d"]) await post(sim.url + CHAT, says(`${name} `.repeat(80), { max_tokens: 1 }));
    expect((await replayed(sim.replayEndpoint ?? "", 0n)).map(({ sequence }) => sequence)).toEqual([2n, 3n]);
    expect(await replayed(sim.replayEndpoint ?? "", 9n)).toEqual([]);
  });

  it("publishes under its topic and numbers from 0", async () => {
    const sim = await start({ kvEventsPort: 0, kvTopic: "kv@pod" });
    await using listener = listenToKv(sim.kvEndpoint ?? "");
    let asked = 0;
    await waitUntil("a batch is heard", async () => {
      await post(sim.url + CHAT, says(`${asked++} `.repeat(80), { max_tokens: 1 }));
      return listener.batches.length > 0;
    });
    expect(listener.batches[0]?.topic).toBe("kv@pod");
    expect(Number(listener.batches[0]?.sequence)).toBeLessThan(asked);
  });

  it("has the metric names of older releases when asked to", async () => {
    const sim = await start({ oldMetricNames: true });
    const metrics = await metricsOf(sim.url);
    const old = [
      "gpu_cache_usage_perc",
      "gpu_prefix_cache_queries_total",
      "gpu_prefix_cache_hits_total",
      "time_per_output_token_seconds_count",
    ];
    for (const name of old) expect(metrics.has(`vllm:${name}`), name).toBe(true);
    for (const name of ["kv_cache_usage_perc", "prefix_cache_queries_total"])
      expect(metrics.has(`vllm:${name}`), name).toBe(false);
  });
});
