// How many tokens a text or a conversation is to a model, by its own server's tokenizer. Never a guess: a server that cannot say is said to be
// unable. It keeps nothing.
//
// TC1  Only a reply with a count is a count. Other servers answer the same path with something else, or answer anything with 200.

import { nodeError } from "../errors.ts";
import { boundedText } from "./bounded-text.ts";

/** One message of a conversation, as the OpenAI routes take it. */
export interface ChatMessage {
  readonly role: string;
  readonly content: unknown;
  readonly [field: string]: unknown;
}

export type TokenCount =
  | {
      readonly kind: "counted";
      /** With everything that the model's chat template adds. */
      readonly tokens: number;
      /** The longest prompt and answer together that the server takes, where it says. */
      readonly maxTokens?: number;
    }
  /** The server has no tokenizer endpoint, or not for this. */
  | { readonly kind: "unsupported"; readonly reason: string };

/** A reply lists every token's id: 8 bytes for each of a million. */
const REPLY_MAX_BYTES = 16 * 1024 * 1024;
const NO_ROUTE: ReadonlySet<number> = new Set([405, 501]);

/**
 * Asks POST /tokenize of the server at `url` ("http://127.0.0.1:8000") as vLLM and SGLang have it. `input`: a prompt, or the messages of a
 * conversation. Throws TokenizerFailed when the server cannot be reached or fails, TokenizerRefused when it does not take the model or the
 * messages, and the signal's reason when that aborts.
 */
export async function countTokens(
  url: string,
  model: string,
  input: string | readonly ChatMessage[],
  signal: AbortSignal,
): Promise<TokenCount> {
  const { status, text } = await post(new URL("/tokenize", url), { model, ...asked(input) }, signal);
  const reply = jsonIn(text);
  if (status === 200)
    return countIn(reply) ?? { kind: "unsupported", reason: "POST /tokenize answers without a count" };
  // A wrong model is a 404 as well; only then is there an error in the reply.
  if (NO_ROUTE.has(status) || (status === 404 && errorIn(reply) === undefined)) {
    return { kind: "unsupported", reason: `POST /tokenize answers ${status}` };
  }
  const said = errorIn(reply) ?? text.slice(0, 200);
  const message = `${url} does not count tokens for ${model}: ${status} ${said}`;
  const isOurs = status >= 400 && status < 500 && status !== 408 && status !== 429;
  throw nodeError(isOurs ? "TokenizerRefused" : "TokenizerFailed", message, { data: { status } });
}

const asked = (input: string | readonly ChatMessage[]) =>
  typeof input === "string" ? { prompt: input } : { messages: input };

async function post(url: URL, body: object, signal: AbortSignal): Promise<{ status: number; text: string }> {
  try {
    const answer = await fetch(url, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
      signal,
      redirect: "error",
    });
    return { status: answer.status, text: await boundedText(answer, REPLY_MAX_BYTES) };
  } catch (cause) {
    signal.throwIfAborted();
    const why = cause instanceof Error ? cause.message : String(cause);
    throw nodeError("TokenizerFailed", `${url.origin} cannot be asked to count tokens: ${why}`, { cause });
  }
}

function jsonIn(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const fieldIn = (value: unknown, name: string): unknown =>
  typeof value === "object" && value !== null ? (value as Record<string, unknown>)[name] : undefined;

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

function countIn(reply: unknown): TokenCount | undefined {
  const [tokens, maxTokens] = [fieldIn(reply, "count"), fieldIn(reply, "max_model_len")];
  if (!isCount(tokens)) return undefined;
  return { kind: "counted", tokens, ...(isCount(maxTokens) && { maxTokens }) };
}

/** vLLM puts its errors under "error", as OpenAI does; a missing route is answered by the framework, without. */
function errorIn(reply: unknown): string | undefined {
  const message = fieldIn(fieldIn(reply, "error"), "message");
  return typeof message === "string" ? message.slice(0, 200) : undefined;
}
