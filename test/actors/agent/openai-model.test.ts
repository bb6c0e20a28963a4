// The OpenAI form of the model port against a real HTTP server that answers well and badly.

import { afterEach, describe, expect, it, vi } from "vitest";
import type { ModelRequest } from "../../../actors/agent/model.ts";
import { OpenAiModel, type OpenAiModelOptions } from "../../../actors/agent/openai-model.ts";
import { systemClock } from "../../../runtime/index.ts";
import { type ContractReply, modelContract } from "../../contracts/model.ts";
import { type Play, type Plays, refusedUrl, startOpenAiServer } from "../../support/openai-server.ts";
import { waitUntil } from "../../support/wait-until.ts";

const clock = systemClock;

const asPlay = (reply: ContractReply): Play =>
  reply.kind === "hang"
    ? reply
    : { kind: "reply", text: reply.text, finish: reply.finish, ...(!reply.usage && { usage: false }) };

modelContract("OpenAI over HTTP", async (replies) => {
  const server = await startOpenAiServer(replies.map(asPlay));
  return {
    model: new OpenAiModel({ url: server.url, model: "test-model", clock }),
    [Symbol.asyncDispose]: server[Symbol.asyncDispose],
  };
});

const request = (over: Partial<ModelRequest> = {}): ModelRequest => ({
  messages: [{ role: "user", content: "Plan." }],
  maxTokens: 64,
  signal: new AbortController().signal,
  timeoutMs: 5_000,
  ...over,
});

async function play(plays: Plays, over: Partial<OpenAiModelOptions> = {}) {
  const server = await startOpenAiServer(plays, ["test-model", "Qwen/Qwen3-0.6B"]);
  const model = new OpenAiModel({ url: server.url, model: "test-model", clock, ...over });
  return { server, model, [Symbol.asyncDispose]: server[Symbol.asyncDispose] };
}

const html = "<!doctype html><html><body>It works!</body></html>";

const failures: readonly (readonly [string, Play, string, RegExp])[] = [
  ["an HTML page", { kind: "http", status: 200, body: html, type: "text/html" }, "ModelReplyInvalid", /text\/html/],
  ["JSON that is no stream", { kind: "http", status: 200, body: "{}" }, "ModelReplyInvalid", /application\/json/],
  [
    "status 500",
    { kind: "http", status: 500, body: '{"error":{"message":"out of memory"}}' },
    "ModelHttpError",
    /HTTP 500: out of memory/,
  ],
  [
    "status 401",
    { kind: "http", status: 401, body: '{"error":{"message":"who are you"}}' },
    "ModelHttpError",
    /API key/,
  ],
  [
    "status 429",
    { kind: "http", status: 429, body: '{"error":{"message":"slow down"}}' },
    "ModelBusy",
    /HTTP 429: slow down/,
  ],
  [
    "an HTML error page",
    { kind: "http", status: 502, body: html.repeat(20), type: "text/html" },
    "ModelBusy",
    /HTTP 502: <!doctype/,
  ],
  [
    "half a stream, then a closed connection",
    { kind: "cut", text: '{"reasoning": "I will' },
    "ModelReplyCut",
    /broke off/,
  ],
  ["an error inside the stream", { kind: "stream-error", text: "{" }, "ModelReplyCut", /the engine died/],
  ["no finish_reason", { kind: "reply", text: "{}", finish: null }, "ModelReplyCut", /finish_reason/],
  ["broken JSON", { kind: "broken-json" }, "ModelReplyInvalid", /not JSON/],
  ["no choices", { kind: "no-choices" }, "ModelReplyInvalid", /without a single choice/],
  ["a withheld reply", { kind: "reply", text: "", finish: "content_filter" }, "ModelReplyInvalid", /content_filter/],
];

describe("a server that answers with", () => {
  it.each(failures)("%s", async (_, bad, code, message) => {
    await using played = await play([bad]);
    const error = await played.model.complete(request()).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ name: "FlotillaError", code, message: expect.stringMatching(message) });
    expect(error).toMatchObject({ message: expect.stringContaining(played.server.url) });
    expect((error as Error).message.length).toBeLessThan(500);
  });
});

it("names the address when nothing listens there", async () => {
  const url = await refusedUrl();
  const model = new OpenAiModel({ url, model: "test-model", clock });
  await expect(model.complete(request())).rejects.toMatchObject({
    code: "ModelUnreachable",
    message: expect.stringMatching(new RegExp(`${url}.*ECONNREFUSED`)),
  });
});

it("lists the server's models when the asked one is unknown", async () => {
  await using played = await play([{ kind: "reply", text: "x" }], { model: "gpt-99" });
  await expect(played.model.complete(request())).rejects.toMatchObject({
    code: "ModelNotFound",
    message: expect.stringMatching(/"gpt-99".*test-model, Qwen\/Qwen3-0.6B/),
  });
});

it("gives up early when no first piece comes, although the whole deadline is far", async () => {
  await using played = await play([{ kind: "hang" }], { firstTokenTimeoutMs: 80 });
  const started = clock.monotonic();
  await expect(played.model.complete(request({ timeoutMs: 60_000 }))).rejects.toMatchObject({ code: "ModelTimeout" });
  expect(clock.monotonic() - started).toBeLessThan(3_000);
  await waitUntil("the request was given up at the server", () => played.server.abandoned === 1);
});

it.each(["deadline", "cancel"])("lets go of a stream that stalls half-way: %s", async (end) => {
  await using played = await play([{ kind: "stall", text: '{"reasoning": "' }]);
  const abort = new AbortController();
  const asked = played.model.complete(request({ timeoutMs: end === "deadline" ? 150 : 60_000, signal: abort.signal }));
  if (end === "cancel") clock.schedule(50, () => abort.abort());
  await expect(asked).rejects.toMatchObject({ code: end === "deadline" ? "ModelTimeout" : "Cancelled" });
  await waitUntil("the connection was closed", () => played.server.abandoned === 1);
});

it("asks for the schema, counts, and length it was given", async () => {
  await using played = await play([{ kind: "reply", text: "{}" }]);
  const schema = { name: "plan", schema: { type: "object" } };
  await played.model.complete(request({ schema, temperature: 0.5 }));
  const body = played.server.requests[0]?.body;
  expect(body).toMatchObject({
    model: "test-model",
    max_tokens: 64,
    temperature: 0.5,
    stream: true,
    stream_options: { include_usage: true },
    response_format: { type: "json_schema", json_schema: schema },
  });
  expect(body).not.toHaveProperty("chat_template_kwargs");
});

it("tells Qwen3 not to think aloud", async () => {
  await using played = await play([{ kind: "reply", text: "{}" }], { model: "Qwen/Qwen3-0.6B" });
  await played.model.complete(request());
  expect(played.server.requests[0]?.body).toMatchObject({ chat_template_kwargs: { enable_thinking: false } });
});

it("leaves out a field the server refuses by name, from then on (O3)", async () => {
  const refusal: Play = {
    kind: "http",
    status: 400,
    body: '{"error":{"message":"Unknown parameter: response_format"}}',
  };
  await using played = await play(({ body }) => (body.response_format ? refusal : { kind: "reply", text: "ok" }));
  const schema = { name: "plan", schema: { type: "object" } };
  expect((await played.model.complete(request({ schema }))).text).toBe("ok");
  expect((await played.model.complete(request({ schema }))).text).toBe("ok");
  expect(played.server.requests).toHaveLength(3);
});

it("takes JSON that a reasoning parser filed under the thoughts, and only JSON", async () => {
  await using played = await play([
    { kind: "misfiled", text: '{"a":1}' },
    { kind: "misfiled", text: "Hm, let me think." },
  ]);
  expect((await played.model.complete(request())).text).toBe('{"a":1}');
  expect((await played.model.complete(request())).text).toBe("");
});

describe("addresses and keys", () => {
  afterEach(() => vi.unstubAllEnvs());

  it("adds /v1 to a bare address and keeps any other path", async () => {
    await using played = await play([{ kind: "reply", text: "ok" }]);
    const bare = new OpenAiModel({ url: `${new URL(played.server.url).origin}/`, model: "test-model", clock });
    expect((await bare.complete(request())).text).toBe("ok");
  });

  it("sends no key and no header of the environment (O1)", async () => {
    vi.stubEnv("OPENAI_API_KEY", "sk-from-the-environment");
    vi.stubEnv("OPENAI_CUSTOM_HEADERS", "X-Secret: s3cret\nAuthorization: Bearer s3cret");
    await using played = await play([{ kind: "reply", text: "ok" }]);
    await played.model.complete(request());
    const headers = played.server.requests[0]?.headers;
    expect(headers?.authorization).toBe("Bearer none");
    expect(headers).not.toHaveProperty("x-secret");
  });
});
