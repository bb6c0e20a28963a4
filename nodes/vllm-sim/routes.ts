// Which address leads to what. What the engine and the model do is decided elsewhere; here their answers are written.

import { randomBytes } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Clock } from "../../runtime/index.ts";
import { sendJson, streamedAnswer, wholeAnswer } from "./answers.ts";
import { type Ask, chatAsk, completionAsk, detokenizeAsk, tokenizeAsk } from "./asks.ts";
import type { Engine, Phase } from "./engine.ts";
import type { SimMetrics } from "./metrics-text.ts";
import type { SimSettings } from "./options.ts";
import {
  badShape,
  engineDead,
  notFound,
  queueFull,
  Refusal,
  refusal,
  starting,
  unauthorized,
  wrongMethod,
} from "./refusal.ts";
import { replyTo } from "./replies.ts";
import type { Request } from "./request.ts";
import { detokenize } from "./tokenizer.ts";

export const SIM_VERSION = "0.32.0";

/** A prompt of ten million tokens is still smaller. */
const BODY_MAX_BYTES = 64 * 1024 * 1024;

/** What the routes are about. */
export interface Served {
  readonly settings: SimSettings;
  readonly engine: Engine;
  readonly metrics: SimMetrics;
  readonly clock: Clock;
  readonly phase: () => Phase;
  readonly startedS: number;
  /** Requests for tokens that are being answered. */
  load: number;
}

interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly url: URL;
  readonly body: unknown;
}

type Route = (served: Served, exchange: Exchange) => void;
type Routes = Readonly<Record<string, Readonly<Record<string, Route>>>>;

const health: Route = ({ phase }, { response }) => {
  const isUp = phase() !== "dead" && phase() !== "starting";
  response.writeHead(isUp ? 200 : 503, { "content-length": 0 }).end();
};

const ROUTES: Routes = {
  "/health": { GET: health },
  "/ping": { GET: health, POST: health },
  "/version": { GET: (_, { response }) => sendJson(response, 200, { version: SIM_VERSION }) },
  "/load": { GET: ({ load }, { response }) => sendJson(response, 200, { server_load: load }) },
  "/v1/models": { GET: models },
  "/metrics": { GET: metrics },
  "/tokenize": {
    POST({ settings }, { body, response }) {
      const { tokens, wantsTexts } = tokenizeAsk(body, settings);
      const texts = wantsTexts ? tokens.map((token) => detokenize([token])) : null;
      sendJson(response, 200, { count: tokens.length, max_model_len: settings.maxModelLen, tokens, token_strs: texts });
    },
  },
  "/detokenize": {
    POST: ({ settings }, { body, response }) =>
      sendJson(response, 200, { prompt: detokenize(detokenizeAsk(body, settings)) }),
  },
  "/v1/chat/completions": { POST: (served, exchange) => generate(served, exchange, chatAsk) },
  "/v1/completions": { POST: (served, exchange) => generate(served, exchange, completionAsk) },
};

const DEV_ROUTES: Routes = {
  "/sleep": {
    POST({ engine }, { url, response }) {
      const level = Number(url.searchParams.get("level") ?? 1);
      if (![0, 1, 2].includes(level))
        throw badShape([{ type: "int", loc: "query.level", msg: "Input should be 0, 1 or 2" }]);
      engine.sleep(level);
      sendJson(response, 200, { status: "sleeping", level });
    },
  },
  "/wake_up": {
    POST({ engine }, { response }) {
      engine.wake();
      sendJson(response, 200, { status: "awake", tags: null });
    },
  },
  "/is_sleeping": {
    GET: ({ engine }, { response }) => sendJson(response, 200, { is_sleeping: engine.sleepLevel > 0 }),
  },
  "/reset_prefix_cache": {
    POST: ({ engine }, { response }) => sendJson(response, 200, { success: engine.resetCache() }),
  },
  "/server_info": {
    GET({ settings: { apiKey: _, rules: __, ...settings } }, { response }) {
      sendJson(response, 200, { vllm_config: JSON.stringify(settings), simulated: true });
    },
  },
};

const control =
  (act: (engine: Engine) => void): Route =>
  ({ engine }, { response }) => {
    act(engine);
    sendJson(response, 200, { phase: engine.state.phase });
  };
const CONTROL_ROUTES: Routes = {
  "/sim/die": { POST: control((engine) => engine.die()) },
  "/sim/hang": { POST: control((engine) => engine.hang()) },
  "/sim/heal": { POST: control((engine) => engine.heal()) },
};

/** Answers one request, whatever it is. */
export async function answer(served: Served, request: IncomingMessage, response: ServerResponse): Promise<void> {
  try {
    const url = new URL(request.url ?? "/", "http://127.0.0.1");
    const route = routeOf(served, url.pathname, request);
    // Even a route that reads no body must take it in, or the connection cannot be used again.
    const text = await bodyOf(request);
    if (served.phase() === "starting" && route !== health) throw starting();
    const body = request.method === "POST" && text !== "" ? parsed(text) : undefined;
    route(served, { request, response, url, body });
  } catch (error) {
    if (response.destroyed) return;
    if (error instanceof Refusal) return sendJson(response, error.status, error.body);
    const { status, body } = refusal(
      500,
      "InternalServerError",
      error instanceof Error ? error.message : String(error),
    );
    sendJson(response, status, body);
  }
}

function routeOf({ settings }: Served, path: string, request: IncomingMessage): Route {
  const { apiKey, devMode, control } = settings;
  if (apiKey !== undefined && path.startsWith("/v1") && request.headers.authorization !== `Bearer ${apiKey}`)
    throw unauthorized();
  const tables = [ROUTES, ...(devMode ? [DEV_ROUTES] : []), ...(control ? [CONTROL_ROUTES] : [])];
  const methods = tables.find((table) => Object.hasOwn(table, path))?.[path];
  if (methods === undefined) throw notFound();
  const method = request.method ?? "GET";
  const route = Object.hasOwn(methods, method) ? methods[method] : undefined;
  if (route === undefined) throw wrongMethod();
  return route;
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of request as AsyncIterable<Buffer>) {
    bytes += piece.length;
    if (bytes > BODY_MAX_BYTES)
      throw refusal(413, "RequestEntityTooLarge", `a body of more than ${BODY_MAX_BYTES} bytes`);
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString("utf8");
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw badShape([{ type: "json_invalid", loc: "body.0", msg: "JSON decode error" }]);
  }
}

function models({ settings: { model, maxModelLen }, startedS }: Served, { response }: Exchange): void {
  const entry = { id: model, object: "model", created: startedS, owned_by: "vllm", root: model, parent: null };
  sendJson(response, 200, { object: "list", data: [{ ...entry, max_model_len: maxModelLen, permission: [] }] });
}

function metrics({ metrics: counted, engine }: Served, { response }: Exchange): void {
  const text = Buffer.from(counted.text(engine.state, engine.sleepLevel));
  const type = "text/plain; version=0.0.4; charset=utf-8";
  response.writeHead(200, { "content-type": type, "content-length": text.length }).end(text);
}

type AskOf = (body: unknown, settings: SimSettings, session: string | undefined) => Ask;

function generate(served: Served, { request, response, body }: Exchange, askOf: AskOf): void {
  const { settings, engine, clock, metrics: counted } = served;
  const session = request.headers["x-session-id"];
  const ask = askOf(body, settings, typeof session === "string" ? session : undefined);
  if (served.phase() === "dead") throw engineDead();
  const reply = replyTo(ask, settings);
  if (engine.isFull) {
    counted.rejected();
    throw queueFull();
  }
  let running: Request | undefined;
  const answered = {
    ask,
    reply,
    model: settings.model,
    id: `${ask.kind === "chat" ? "chatcmpl" : "cmpl"}-${randomBytes(8).toString("hex")}`,
    created: Math.floor(clock.now() / 1_000),
    cached: () => running?.cached ?? 0,
  };
  served.load += 1;
  response.once("close", () => {
    served.load -= 1;
    if (running !== undefined) engine.cancel(running);
  });
  const work = {
    prompt: ask.prompt,
    output: reply.tokens,
    finish: reply.finish,
    delayMs: reply.delayMs,
    session: ask.session,
  };
  running = engine.submit(work, ask.stream ? streamedAnswer(answered, response) : wholeAnswer(answered, response));
}
