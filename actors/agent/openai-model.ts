// A model behind any server that speaks the OpenAI chat protocol: vLLM, SGLang, llama.cpp, Ollama, OpenAI itself.
// It is not where replies are understood (plan.ts) or failures are judged (model-failure.ts).
//
// O1  Nothing of this process's environment reaches the server: no key, organisation or header that was not given here.
// O2  A reply counts only when the server said how it ended; a stream that just stops is ModelReplyCut.
// O3  A field that the server refuses by name is left out from then on. Without the schema the reply is still validated
//     by plan.ts, so an older server is slower to please, never less safe.

import OpenAI from "openai";
import type { Clock } from "../../runtime/index.ts";
import { withinDeadline } from "./deadline.ts";
import type { Model, ModelReply, ModelRequest } from "./model.ts";
import { cutReply, type FailureContext, invalidReply, modelFailure } from "./model-failure.ts";

export interface OpenAiModelOptions {
  /** Address of the API: "http://127.0.0.1:8000/v1". "/v1" is added when the address has no path. */
  readonly url: string;
  /** The model's name on that server. */
  readonly model: string;
  /** Sent as the bearer token. Default "none", which local servers accept. */
  readonly apiKey?: string;
  /** Names those requests that belong together, in the header X-Session-ID: vLLM copies it into its cache's events. No line breaks. */
  readonly session?: string;
  readonly clock: Clock;
  /** Milliseconds until the first piece of a reply. Default 60,000: loading a grammar or a queue takes seconds, not minutes. */
  readonly firstTokenTimeoutMs?: number;
}

/** A busy server queues, and a slow one reads a long prompt for a minute. */
const FIRST_TOKEN_TIMEOUT_MS = 120_000;

/** Tries after the first when the server cannot be reached or is busy; the wait doubles from half a second. */
const RETRIES_MAX = 1;

/** Characters kept of one reply. Servers that ignore max_tokens exist, and so do models that never stop. */
const REPLY_CHARS_MAX = 1_000_000;

/** Fields that some servers refuse, and how they name them when they do (O3). */
const OPTIONAL_FIELDS = {
  response_format: /response_format|json_schema|structured|grammar/i,
  chat_template_kwargs: /chat_template_kwargs/i,
  stream_options: /stream_options|include_usage/i,
} as const;

type OptionalField = keyof typeof OPTIONAL_FIELDS;

type Chunk = OpenAI.Chat.Completions.ChatCompletionChunk;

/** What has arrived of one reply. */
interface Gathered {
  text: string;
  thoughts: string;
  finish: string | undefined;
  choices: number;
  usage: ModelReply["usage"];
}

export class OpenAiModel implements Model {
  readonly name: string;
  readonly #url: string;
  readonly #client: OpenAI;
  readonly #clock: Clock;
  readonly #firstTokenTimeoutMs: number;
  readonly #refused = new Set<OptionalField>();

  constructor(options: OpenAiModelOptions) {
    this.name = options.model;
    this.#url = apiAddress(options.url);
    this.#clock = options.clock;
    this.#firstTokenTimeoutMs = options.firstTokenTimeoutMs ?? FIRST_TOKEN_TIMEOUT_MS;
    this.#client = makeClient(this.#url, options.apiKey ?? "none", options.session);
  }

  /** Rejects with a Model… error of actors/errors.ts, or Cancelled. */
  async complete(request: ModelRequest): Promise<ModelReply> {
    const context = { url: this.#url, model: this.name };
    const bounds = { ...request, clock: this.#clock, awaited: `the model server at ${this.#url}` };
    return withinDeadline(bounds, (signal) => this.#attempt(request, signal, context));
  }

  async #attempt(request: ModelRequest, signal: AbortSignal, context: FailureContext): Promise<ModelReply> {
    for (;;) {
      try {
        return await this.#ask(request, signal, context);
      } catch (error) {
        if (!this.#learn(error)) throw await modelFailure(error, context, () => this.#models(signal));
      }
    }
  }

  async #ask(request: ModelRequest, signal: AbortSignal, context: FailureContext): Promise<ModelReply> {
    const first = {
      clock: this.#clock,
      signal,
      timeoutMs: this.#firstTokenTimeoutMs,
      awaited: `the model server at ${this.#url}`,
    };
    const { stream, chunks, head } = await withinDeadline(first, async (firstSignal) => {
      const { data: stream, response } = await this.#client.chat.completions
        .create(this.#body(request), { signal: firstSignal })
        .withResponse();
      const type = response.headers.get("content-type") ?? "no content type";
      if (!type.includes("text/event-stream"))
        throw invalidReply(context, `answered with ${type} instead of an event stream`);
      const chunks = stream[Symbol.asyncIterator]();
      return { stream, chunks, head: await chunks.next() };
    });
    // The controller and not the iterator's return(): that one queues behind the read that is stalled.
    const abandon = () => stream.controller.abort();
    signal.addEventListener("abort", abandon, { once: true });
    try {
      return await gather(chunks, head, context);
    } finally {
      signal.removeEventListener("abort", abandon);
    }
  }

  #body(request: ModelRequest): OpenAI.Chat.Completions.ChatCompletionCreateParamsStreaming {
    const optional = {
      stream_options: { include_usage: true },
      ...(request.schema !== undefined && {
        response_format: { type: "json_schema" as const, json_schema: { ...request.schema } },
      }),
      // Qwen3 thinks aloud unless its template is told not to, and then a plan costs thousands of tokens. Only Qwen3 is told:
      // servers of other models may refuse a field they do not know.
      ...(/qwen-?3/i.test(this.name) && { chat_template_kwargs: { enable_thinking: false } }),
    };
    for (const field of this.#refused) delete optional[field];
    return {
      model: this.name,
      messages: request.messages.map(({ role, content }) => ({ role, content })),
      max_tokens: request.maxTokens,
      ...(request.temperature !== undefined && { temperature: request.temperature }),
      ...optional,
      stream: true,
    };
  }

  /** Whether a refusal names an optional field that can be left out (O3). */
  #learn(error: unknown): boolean {
    if (!(error instanceof OpenAI.APIError) || (error.status !== 400 && error.status !== 422)) return false;
    const said = `${error.param ?? ""} ${error.message}`;
    const fields = Object.entries(OPTIONAL_FIELDS) as [OptionalField, RegExp][];
    const field = fields.find(([name, pattern]) => !this.#refused.has(name) && pattern.test(said))?.[0];
    if (field !== undefined) this.#refused.add(field);
    return field !== undefined;
  }

  async #models(signal: AbortSignal): Promise<readonly string[]> {
    const page = await this.#client.models.list({ signal, maxRetries: 0 });
    return page.data.map((model) => model.id);
  }
}

/** The package looks into the environment for whatever it is not given, and for headers always (O1). */
function makeClient(baseURL: string, apiKey: string, session: string | undefined): OpenAI {
  const headers = {
    authorization: `Bearer ${apiKey}`,
    "content-type": "application/json",
    accept: "*/*",
    ...(session !== undefined && { "x-session-id": session }),
  };
  return new OpenAI({
    baseURL,
    apiKey,
    adminAPIKey: null,
    organization: null,
    project: null,
    webhookSecret: null,
    maxRetries: RETRIES_MAX,
    logLevel: "off",
    fetch: (address, init) => fetch(address, { ...init, headers }),
  });
}

function apiAddress(url: string): string {
  const trimmed = url.replace(/\/+$/, "");
  return /^https?:\/\/[^/]+$/.test(trimmed) ? `${trimmed}/v1` : trimmed;
}

async function gather(
  chunks: AsyncIterator<Chunk>,
  head: IteratorResult<Chunk>,
  context: FailureContext,
): Promise<ModelReply> {
  const gathered: Gathered = {
    text: "",
    thoughts: "",
    finish: undefined,
    choices: 0,
    usage: { inputTokens: undefined, outputTokens: undefined },
  };
  for (let next = head; !next.done; next = await chunks.next()) {
    add(gathered, next.value);
    if (gathered.text.length + gathered.thoughts.length > REPLY_CHARS_MAX) {
      await chunks.return?.();
      return { text: gathered.text, finish: "length", usage: gathered.usage };
    }
  }
  return asReply(gathered, context);
}

function add(gathered: Gathered, chunk: Chunk): void {
  if (chunk.usage)
    gathered.usage = { inputTokens: chunk.usage.prompt_tokens, outputTokens: chunk.usage.completion_tokens };
  const choice = chunk.choices?.[0];
  if (choice === undefined) return;
  gathered.choices += 1;
  gathered.text += choice.delta?.content ?? "";
  gathered.thoughts += thought(choice.delta);
  if (choice.finish_reason) gathered.finish = choice.finish_reason;
}

/** Reasoning parsers of servers put thoughts beside the content, under one of two names. */
function thought(delta: unknown): string {
  if (typeof delta !== "object" || delta === null) return "";
  const fields = delta as Readonly<Record<string, unknown>>;
  const text = fields.reasoning_content ?? fields.reasoning;
  return typeof text === "string" ? text : "";
}

function asReply(gathered: Gathered, context: FailureContext): ModelReply {
  const { text, thoughts, finish, usage } = gathered;
  if (gathered.choices === 0) throw invalidReply(context, "sent a stream without a single choice");
  if (finish === "length") return { text, finish: "length", usage };
  if (finish === "content_filter") throw invalidReply(context, "withheld the reply (content_filter)");
  if (finish === undefined) throw cutReply(context, "ended its reply without a finish_reason");
  if (finish === "abort" || finish === "error") throw cutReply(context, `ended its reply with "${finish}"`);
  // With thinking switched off, some reasoning parsers file the whole constrained JSON under the thoughts.
  const misfiled = text.trim() === "" && thoughts.trimStart().startsWith("{");
  return { text: misfiled ? thoughts : text, finish: "stop", usage };
}
