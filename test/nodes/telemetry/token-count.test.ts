// Token counts from servers that can count, that cannot, and that fail.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, expect, it } from "vitest";
import { countTokens } from "../../../nodes/telemetry/token-count.ts";
import { caught } from "../../support/caught.ts";

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.close();
    server.closeAllConnections();
  }
});

type Answer = (request: { url: string; body: unknown }, response: ServerResponse, raw: IncomingMessage) => void;

async function serverWith(answer: Answer): Promise<string> {
  const server = createServer(async (raw, response) => {
    let text = "";
    for await (const part of raw) text += part;
    answer({ url: raw.url ?? "", body: JSON.parse(text) }, response, raw);
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
const saying = (status: number, body: string) => serverWith((_, response) => void response.writeHead(status).end(body));
const never = new AbortController().signal;
const count = (url: string, signal = never) => countTokens(url, "m", "hello", signal);

// As a vLLM 0.32 says them.
const COUNTED = '{"count":4,"max_model_len":2048,"tokens":[260,311,306,263],"token_strs":null}';
const NO_MODEL =
  '{"error":{"message":"The model `m` does not exist.","type":"NotFoundError","param":"model","code":404}}';
const NO_ROUTE = '{"detail":"Not Found"}';

it("asks for prompts and for messages as vLLM wants them", async () => {
  const asked: unknown[] = [];
  const url = await serverWith((request, response) => {
    asked.push(request);
    response.end(COUNTED);
  });
  const messages = [{ role: "user", content: "hello" }];
  expect(await count(url)).toEqual({ kind: "counted", tokens: 4, maxTokens: 2_048 });
  expect(await countTokens(`${url}/v1`, "m", messages, never)).toMatchObject({ tokens: 4 });
  expect(asked).toEqual([
    { url: "/tokenize", body: { model: "m", prompt: "hello" } },
    { url: "/tokenize", body: { model: "m", messages } },
  ]);
});

it.each([
  [404, NO_ROUTE],
  [404, ""],
  [405, NO_ROUTE],
  [501, ""],
  // llama.cpp answers the same path for another question.
  [200, '{"tokens":[]}'],
  [200, "<html>hello</html>"],
  [200, '{"count":"4"}'],
  [200, '{"count":-1}'],
])("%i %s is not supported, and no guess", async (status, body) => {
  expect(await count(await saying(status, body))).toMatchObject({
    kind: "unsupported",
    reason: expect.stringContaining("/tokenize"),
  });
});

it.each([
  [404, NO_MODEL, "TokenizerRefused", /does not exist/],
  [400, '{"error":{"message":"bad"}}', "TokenizerRefused", /400 bad/],
  [429, "", "TokenizerFailed", /429/],
  [500, "oops", "TokenizerFailed", /500 oops/],
  [503, "", "TokenizerFailed", /503/],
])("%i %s is an error", async (status, body, code, message) => {
  const error = await caught(count(await saying(status, body)));
  expect(error).toMatchObject({ code, message: expect.stringMatching(message), data: { status } });
});

it("nobody there is an error that may pass", async () => {
  expect(await caught(count("http://127.0.0.1:1"))).toMatchObject({ code: "TokenizerFailed", retryable: true });
});

it("ends when it is called off, with the caller's reason", async () => {
  const stop = new AbortController();
  const url = await serverWith(() => stop.abort(new Error("enough")));
  await expect(count(url, stop.signal)).rejects.toThrow("enough");
});
