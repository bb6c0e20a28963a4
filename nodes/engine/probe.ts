// What a model server is and how it does, asked of the server itself. It decides nothing: answers are values, life.ts acts on them.
//
// PR1  Only /v1/models and a request are taken for granted. /health, /version, /metrics and the routes of sleep are used where they answer.
// PR2  A server is attached when it has answered a real request: /health alone is answered by a front without an engine.
// PR3  That request asks for JSON by a schema nothing in its words hints at: some servers drop such fields without an error, and only the
//      answer shows it.

import { type Clock, systemClock } from "../../runtime/index.ts";
import type { EngineFailure } from "./failure.ts";
import { inHandOf, progressOf } from "./hang.ts";
import type { WatchSettings } from "./options.ts";
import { type Answer, ask, jsonOf } from "./question.ts";

/** What it is, by what it answers. */
export type ServerKind = "vllm" | "sglang" | "llama.cpp" | "other";

export interface AttachedServer {
  readonly server: ServerKind;
  readonly version?: string;
  /** What requests call it. */
  readonly model: string;
  readonly maxModelLen?: number;
  /** Whether an answer obeys a JSON schema that was asked for. Absent: it could not be told. */
  readonly constrains?: boolean;
  readonly isAsleep: boolean;
  /** Where it is probed. */
  readonly healthPath: string;
  readonly hasMetrics: boolean;
}

export type Attempt =
  | { readonly kind: "attached"; readonly attached: AttachedServer }
  /** Not there yet, or not any more. */
  | { readonly kind: "away"; readonly why: string }
  | { readonly kind: "failed"; readonly failure: EngineFailure };

export type Health =
  | { readonly kind: "well" }
  /** Nobody listens. */
  | { readonly kind: "gone"; readonly why: string }
  /** It says itself that it cannot go on: vLLM's engine has ended behind its front. */
  | { readonly kind: "broken"; readonly why: string }
  | { readonly kind: "silent"; readonly why: string };

/** How a request for one token went. */
export type Token = "answered" | "refused" | "none";

export interface ProbeOptions {
  readonly url: string;
  readonly model?: string | undefined;
  readonly apiKey?: string | undefined;
  readonly watch: WatchSettings;
  readonly signal: AbortSignal;
  readonly clock?: Clock;
}

/** Routes that tell what a server is have nothing to compute. */
const FACT_MAX_MS = 5_000;
const SHOWN_MODELS = 5;
const OWNERS: Readonly<Record<string, ServerKind>> = { vllm: "vllm", sglang: "sglang", llamacpp: "llama.cpp" };
const CANARY = "flotilla";
const CANARY_TEXT = JSON.stringify({ word: CANARY });
const CANARY_SCHEMA = {
  type: "object",
  properties: { word: { type: "string", enum: [CANARY] } },
  required: ["word"],
  additionalProperties: false,
};
const CANARY_TOKENS = 64;

interface Listed {
  readonly id: string;
  readonly owned_by?: string;
  readonly max_model_len?: number;
}

export class Probe {
  readonly #options: ProbeOptions;
  readonly #clock: Clock;

  constructor(options: ProbeOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
  }

  /** Everything that is to be known of it, a real request at the end (PR2). */
  async attach(): Promise<Attempt> {
    const { timeoutMs } = this.#options.watch;
    const health = await this.#ask("/health", timeoutMs);
    if (health.kind !== "answer") return { kind: "away", why: health.why };
    if (health.status >= 500 && health.status !== 501) return { kind: "away", why: `/health answers ${health.status}` };
    const models = await this.#ask("/v1/models", FACT_MAX_MS);
    const listed = listedModels(models);
    if (listed === undefined) return unlisted(models, this.#options.url);
    const { model: wanted } = this.#options;
    const chosen = listed.find(({ id }) => wanted === undefined || id === wanted);
    if (chosen === undefined) return { kind: "failed", failure: notListed(wanted, listed) };
    const facts = await this.#facts(chosen);
    const healthPath = health.status === 200 ? "/health" : "/v1/models";
    return this.#canary({ ...facts, healthPath });
  }

  async health({ healthPath }: AttachedServer): Promise<Health> {
    const answer = await this.#ask(healthPath, this.#options.watch.timeoutMs);
    if (answer.kind === "silent") return { kind: "silent", why: `${healthPath} gave ${answer.why}` };
    if (answer.kind === "refused") return { kind: "gone", why: "nothing listens on its port" };
    return answer.status < 500 ? { kind: "well" } : { kind: "broken", why: `${healthPath} answers ${answer.status}` };
  }

  /** Its page of metrics, as far as it tells of requests and progress. */
  async load(
    timeoutMs = this.#options.watch.timeoutMs,
  ): Promise<{ readonly inHand: number; readonly progress: string } | undefined> {
    const answer = await this.#ask("/metrics", timeoutMs);
    if (answer.kind !== "answer" || answer.status !== 200) return undefined;
    return { inHand: inHandOf(answer.body), progress: progressOf(answer.body) };
  }

  /** Asks for one token and waits for it until `signal` aborts. */
  async token({ model, hasMetrics }: AttachedServer, signal: AbortSignal): Promise<Token> {
    const either = AbortSignal.any([signal, this.#options.signal]);
    const chat = { model, messages: [{ role: "user", content: "Hello" }], max_tokens: 1 };
    let answer = await this.#ask("/v1/chat/completions", Number.MAX_SAFE_INTEGER, chat, either);
    // A model without a chat template completes all the same.
    if (isClientError(answer)) {
      const plain = { model, prompt: "Hello", max_tokens: 1 };
      answer = await this.#ask("/v1/completions", Number.MAX_SAFE_INTEGER, plain, either);
    }
    if (answer.kind !== "answer") return "none";
    // What only ranks or embeds cannot be asked for a token: that it refuses is all it can show.
    if (answer.status === 200 || isClientError(answer)) return "answered";
    // The front refuses by itself when a queue is full, so with metrics at hand a refusal shows nothing.
    if (answer.status === 503 || answer.status === 429) return hasMetrics ? "refused" : "answered";
    return "none";
  }

  /** Whether it did it; undefined: it has no such route. */
  async sleep(level: number): Promise<boolean | undefined> {
    const answer = await this.#ask(`/sleep?level=${level}`, this.#options.watch.stallMs, null);
    if (isClientError(answer)) return undefined;
    return (await this.isAsleep()) === true;
  }

  async wake(): Promise<boolean> {
    await this.#ask("/wake_up", this.#options.watch.stallMs, null);
    return (await this.isAsleep()) === false;
  }

  async isAsleep(): Promise<boolean | undefined> {
    const said = jsonOf(await this.#ask("/is_sleeping", FACT_MAX_MS)) as { is_sleeping?: unknown } | undefined;
    return typeof said?.is_sleeping === "boolean" ? said.is_sleeping : undefined;
  }

  async #facts(chosen: Listed): Promise<Omit<AttachedServer, "healthPath">> {
    const [version, isAsleep, load] = await Promise.all([
      this.#ask("/version", FACT_MAX_MS),
      this.isAsleep(),
      this.load(FACT_MAX_MS),
    ]);
    const said = (jsonOf(version) as { version?: unknown } | undefined)?.version;
    const owner = OWNERS[chosen.owned_by ?? ""];
    return {
      server: owner ?? (typeof said === "string" ? "vllm" : "other"),
      ...(typeof said === "string" && { version: said }),
      model: chosen.id,
      ...(typeof chosen.max_model_len === "number" && { maxModelLen: chosen.max_model_len }),
      isAsleep: isAsleep === true,
      hasMetrics: load !== undefined && load.progress !== "",
    };
  }

  /** A first request, which shows as well whether schemas constrain (PR3). */
  async #canary(facts: Omit<AttachedServer, "constrains">): Promise<Attempt> {
    if (facts.isAsleep) return { kind: "attached", attached: facts };
    const { stallMs } = this.#options.watch;
    const answer = await this.#ask("/v1/chat/completions", stallMs, {
      model: facts.model,
      messages: [{ role: "user", content: "Say hello." }],
      max_tokens: CANARY_TOKENS,
      temperature: 0,
      response_format: { type: "json_schema", json_schema: { name: "canary", strict: true, schema: CANARY_SCHEMA } },
      ...(facts.server === "vllm" && { chat_template_kwargs: { enable_thinking: false } }),
    });
    if (answer.kind === "refused") return { kind: "away", why: answer.why };
    if (answer.kind === "silent" || (answer.status >= 500 && answer.status !== 503)) {
      const what =
        answer.kind === "silent" ? `gave ${answer.why} to a request` : `answers ${answer.status} to a request`;
      return { kind: "failed", failure: { code: "EngineHung", ...hung(`it answers ${facts.healthPath} but ${what}`) } };
    }
    if (answer.status === 503 || answer.status === 429) return { kind: "attached", attached: facts };
    const constrains = answer.status === 200 ? obeys(jsonOf(answer)) : false;
    return { kind: "attached", attached: { ...facts, ...(constrains !== undefined && { constrains }) } };
  }

  #ask(path: string, timeoutMs: number, body?: unknown, signal = this.#options.signal): Promise<Answer> {
    const { url, apiKey } = this.#options;
    return ask(this.#clock, { url: `${url}${path}`, apiKey, timeoutMs, signal, ...(body !== undefined && { body }) });
  }
}

export const hung = (sentence: string): Omit<EngineFailure, "code"> => ({
  sentence,
  remedy:
    "look at the server's log and at its devices; if single steps of this model take that long, raise the option watch.stallMs",
});

const isClientError = (answer: Answer): boolean =>
  answer.kind === "answer" && answer.status >= 400 && answer.status < 500 && answer.status !== 429;

function listedModels(answer: Answer): readonly Listed[] | undefined {
  if (answer.kind !== "answer" || answer.status !== 200) return undefined;
  const data = (jsonOf(answer) as { data?: unknown } | undefined)?.data;
  if (!Array.isArray(data)) return undefined;
  return data.filter((entry): entry is Listed => typeof entry?.id === "string");
}

function unlisted(answer: Answer, url: string): Attempt {
  if (answer.kind !== "answer") return { kind: "away", why: answer.why };
  const { status } = answer;
  if (status >= 500) return { kind: "away", why: `/v1/models answers ${status}` };
  const failure: EngineFailure =
    status === 401 || status === 403
      ? { code: "EngineRefused", sentence: `it refuses the key (${status})`, remedy: "correct the option apiKey" }
      : {
          code: "EngineNotOpenAi",
          sentence: `what answers at ${url} has no list of models at /v1/models (${status})`,
          remedy: "give the address of an OpenAI-compatible server",
        };
  return { kind: "failed", failure };
}

function notListed(wanted: string | undefined, listed: readonly Listed[]): EngineFailure {
  const shown = listed.slice(0, SHOWN_MODELS).map(({ id }) => id);
  const has = shown.length === 0 ? "no model" : `${shown.join(", ")}${listed.length > shown.length ? ", …" : ""}`;
  return {
    code: "EngineModelNotFound",
    sentence: `it has ${has}${wanted === undefined ? "" : ` and not ${wanted}`}`,
    remedy: "correct the option model",
  };
}

/** Whether the text keeps to the canary's schema as far as it goes; undefined: there is none, as when a model only thought. */
function obeys(reply: unknown): boolean | undefined {
  const choices = (reply as { choices?: readonly { message?: { content?: unknown } }[] } | undefined)?.choices;
  const content = choices?.[0]?.message?.content;
  if (typeof content !== "string") return undefined;
  const squeezed = content.replace(/\s+/g, "");
  return squeezed === "" ? undefined : CANARY_TEXT.startsWith(squeezed);
}
