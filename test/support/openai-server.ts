// A real HTTP server that speaks the OpenAI chat protocol (streaming) and plays given replies, good and bad, in order.
// It is no model: it answers the first request with the first play, the next with the next, and the last for ever.

import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** How one request is answered. Texts are streamed in pieces of a few characters. */
export type Play =
  | {
      readonly kind: "reply";
      readonly text: string;
      readonly finish?: "stop" | "length" | "content_filter" | null;
      readonly usage?: false;
    }
  /** The reply arrives under `reasoning_content`, with empty content. */
  | { readonly kind: "misfiled"; readonly text: string }
  | { readonly kind: "http"; readonly status: number; readonly body: string; readonly type?: string }
  /** Accepts the request and never answers. */
  | { readonly kind: "hang" }
  /** Streams the text, then neither ends nor closes. */
  | { readonly kind: "stall"; readonly text: string }
  /** Streams the text, then closes the connection. */
  | { readonly kind: "cut"; readonly text: string }
  /** Streams the text, then an error object. */
  | { readonly kind: "stream-error"; readonly text: string }
  | { readonly kind: "broken-json" }
  | { readonly kind: "no-choices" };

export interface SeenRequest {
  readonly headers: IncomingHttpHeaders;
  readonly body: Readonly<Record<string, unknown>>;
}

export interface OpenAiServer extends AsyncDisposable {
  /** "http://127.0.0.1:PORT/v1" */
  readonly url: string;
  /** Chat requests in order of arrival. */
  readonly requests: readonly SeenRequest[];
  /** Chat requests whose connection the client closed before the answer was complete. */
  readonly abandoned: number;
}

/** Plays by list, or chosen for each request. */
export type Plays = readonly Play[] | ((request: SeenRequest, index: number) => Play);

const PIECE_CHARS = 7;

export async function startOpenAiServer(
  plays: Plays,
  models: readonly string[] = ["test-model"],
): Promise<OpenAiServer> {
  const requests: SeenRequest[] = [];
  let abandoned = 0;
  const server = createServer(async (request, response) => {
    if (request.url === "/v1/models")
      return json(response, 200, { object: "list", data: models.map((id) => ({ id, object: "model" })) });
    if (request.url !== "/v1/chat/completions") return json(response, 404, { error: { message: "no such page" } });
    const seen = { headers: request.headers, body: JSON.parse(await bodyOf(request)) };
    requests.push(seen);
    response.on("close", () => {
      if (!response.writableEnded) abandoned += 1;
    });
    const index = requests.length - 1;
    const play = typeof plays === "function" ? plays(seen, index) : (plays[index] ?? plays.at(-1));
    if (play === undefined) throw new Error("nothing to play");
    if (!models.includes(String(seen.body.model))) {
      return json(response, 404, { error: { message: `The model \`${seen.body.model}\` does not exist.` } });
    }
    perform(play, response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    requests,
    get abandoned() {
      return abandoned;
    },
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}

/** An address where nothing listens. */
export async function refusedUrl(): Promise<string> {
  const server = await startOpenAiServer([]);
  await server[Symbol.asyncDispose]();
  return server.url;
}

function perform(play: Play, response: ServerResponse): void {
  switch (play.kind) {
    case "hang":
      return;
    case "http":
      response
        .writeHead(play.status, { "content-type": play.type ?? "application/json", "x-should-retry": "false" })
        .end(play.body);
      return;
    case "reply":
      stream(response, play.text);
      send(response, [choice({}, play.finish === undefined ? "stop" : play.finish)]);
      if (play.usage !== false) event(response, { ...chunk([]), usage: usageOf(play.text) });
      done(response);
      return;
    case "misfiled":
      send(response, [choice({ content: "", reasoning_content: play.text })]);
      send(response, [choice({}, "stop")]);
      done(response);
      return;
    case "stall":
      stream(response, play.text);
      return;
    case "cut":
      stream(response, play.text);
      // The pieces leave before the connection does: a destroy in the same tick would drop them.
      setImmediate(() => response.destroy());
      return;
    case "stream-error":
      stream(response, play.text);
      event(response, { error: { message: "the engine died", type: "InternalServerError" } });
      response.end();
      return;
    case "broken-json":
      open(response).write('data: {"id": "x", "choices": [{"delta": {"con\n\n');
      done(response);
      return;
    case "no-choices":
      event(response, { ...chunk([]), usage: usageOf("") });
      done(response);
      return;
  }
}

function open(response: ServerResponse): ServerResponse {
  if (!response.headersSent) response.writeHead(200, { "content-type": "text/event-stream" });
  return response;
}

function stream(response: ServerResponse, text: string): void {
  send(response, [choice({ role: "assistant", content: "" })]);
  for (let at = 0; at < text.length; at += PIECE_CHARS)
    send(response, [choice({ content: text.slice(at, at + PIECE_CHARS) })]);
}

const event = (response: ServerResponse, data: unknown) =>
  void open(response).write(`data: ${JSON.stringify(data)}\n\n`);

const send = (response: ServerResponse, choices: readonly unknown[]) => event(response, chunk(choices));

const done = (response: ServerResponse) => void open(response).end("data: [DONE]\n\n");

const chunk = (choices: readonly unknown[]) => ({
  id: "chat-1",
  object: "chat.completion.chunk",
  created: 1,
  model: "test-model",
  choices,
});

const choice = (delta: object, finish: string | null = null) => ({ index: 0, delta, finish_reason: finish });

const usageOf = (text: string) => ({
  prompt_tokens: 100,
  completion_tokens: text.length,
  total_tokens: 100 + text.length,
});

function json(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const pieces: Buffer[] = [];
  for await (const piece of request) pieces.push(piece as Buffer);
  return Buffer.concat(pieces).toString("utf8");
}
