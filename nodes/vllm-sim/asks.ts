// A request's body, checked, as what it asks of the model. It decides nothing about the reply (replies.ts).
//
// A1  Fields that change only how a model would choose its words (temperature, top_p, seed …) are taken and have no effect.
// A2  What would change the shape of the answer and is not there (n above 1, logprobs, images) is refused, never ignored.

import { z } from "zod";
import type { SimSettings } from "./options.ts";
import { badRequest, badShape, refusal, tooLong, unknownModel } from "./refusal.ts";
import { tokenize } from "./tokenizer.ts";

export type Constraint =
  | { readonly kind: "none" }
  | { readonly kind: "object" }
  | { readonly kind: "schema"; readonly schema: unknown }
  | { readonly kind: "choice"; readonly choices: readonly string[] };

export interface AskedTool {
  readonly name: string;
  readonly parameters: unknown;
}

export interface Ask {
  readonly kind: "chat" | "completion";
  readonly prompt: readonly number[];
  /** Text of the last user message, or the prompt. */
  readonly said: string;
  readonly system: string;
  readonly maxTokens: number;
  readonly ignoreEos: boolean;
  readonly stop: readonly string[];
  readonly stream: boolean;
  readonly includeUsage: boolean;
  readonly constraint: Constraint;
  readonly tools: readonly AskedTool[];
  readonly toolChoice: "none" | "auto" | "required" | { readonly name: string };
  /** The conversation ends with a tool's result. */
  readonly isAfterTool: boolean;
  readonly session: string | null;
}

const CONTENT = z.union([
  z.string(),
  z.null(),
  z.array(z.union([z.object({ type: z.literal("text"), text: z.string() }), z.object({ type: z.string() })])),
]);
const MESSAGE = z.looseObject({ role: z.string(), content: CONTENT.optional(), tool_calls: z.unknown().optional() });
export type Message = z.infer<typeof MESSAGE>;

const TOOL = z.object({ function: z.object({ name: z.string(), parameters: z.unknown().optional() }) });
const FORMAT = z.union([
  z.object({ type: z.literal("text") }),
  z.object({ type: z.literal("json_object") }),
  z.object({ type: z.literal("json_schema"), json_schema: z.object({ schema: z.unknown() }) }),
]);
const SHARED = {
  model: z.string().nullish(),
  max_tokens: z.int().nullish(),
  n: z.int().nullish(),
  stop: z.union([z.string(), z.array(z.string())]).nullish(),
  stream: z.boolean().nullish(),
  stream_options: z.object({ include_usage: z.boolean().nullish() }).nullish(),
  ignore_eos: z.boolean().nullish(),
  response_format: FORMAT.nullish(),
  structured_outputs: z.looseObject({ json: z.unknown().optional(), choice: z.array(z.string()).nullish() }).nullish(),
  session_id: z.string().nullish(),
};
const CHAT = z.looseObject({
  ...SHARED,
  messages: z.array(MESSAGE),
  max_completion_tokens: z.int().nullish(),
  logprobs: z.boolean().nullish(),
  tools: z.array(TOOL).nullish(),
  tool_choice: z
    .union([z.enum(["none", "auto", "required"]), z.object({ function: z.object({ name: z.string() }) })])
    .nullish(),
});
const PROMPT = z.union([z.string(), z.array(z.int()), z.array(z.string())]);
const COMPLETION = z.looseObject({
  ...SHARED,
  prompt: PROMPT.nullish(),
  logprobs: z.int().nullish(),
  echo: z.boolean().nullish(),
});
const TOKENIZE = z.looseObject({
  model: z.string().nullish(),
  prompt: z.string().nullish(),
  messages: z.array(MESSAGE).nullish(),
  add_generation_prompt: z.boolean().nullish(),
  return_token_strs: z.boolean().nullish(),
});
const DETOKENIZE = z.looseObject({ model: z.string().nullish(), tokens: z.array(z.int()) });

type Body = z.infer<typeof CHAT> | z.infer<typeof COMPLETION>;

/** Parsed JSON of the right shape; refuses as vLLM does. */
function shaped<T>(schema: z.ZodType<T>, body: unknown): T {
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map(({ code, path, message }) => ({
    type: message.includes("undefined") ? "missing" : code,
    loc: ["body", ...path].join("."),
    msg: message.includes("undefined") ? "Field required" : message,
  }));
  throw badShape(problems);
}

/** What a chat request asks. `session`: from the header X-Session-ID. */
export function chatAsk(body: unknown, settings: SimSettings, session: string | undefined): Ask {
  const given = shaped(CHAT, body);
  checkModel(given.model, settings);
  if (given.messages.length === 0) {
    throw badRequest("Cannot apply chat template to an empty conversation. Provide at least one message.");
  }
  if (given.logprobs === true) throw badRequest("The simulator has no log probabilities.", "logprobs");
  const tools = (given.tools ?? []).map(({ function: { name, parameters } }) => ({
    name,
    parameters: parameters ?? {},
  }));
  const lastUser = given.messages.findLast(({ role }) => role === "user");
  return {
    kind: "chat",
    ...shared(
      given,
      chatTokens(given.messages, given.tools ?? []),
      given.max_completion_tokens ?? given.max_tokens,
      settings,
      session,
    ),
    said: lastUser === undefined ? "" : textOf(lastUser),
    system: given.messages
      .filter(({ role }) => role === "system" || role === "developer")
      .map(textOf)
      .join("\n"),
    tools,
    toolChoice: toolChoice(given.tool_choice, tools),
    isAfterTool: given.messages.at(-1)?.role === "tool",
  };
}

/** What a completion request asks. */
export function completionAsk(body: unknown, settings: SimSettings, session: string | undefined): Ask {
  const given = shaped(COMPLETION, body);
  checkModel(given.model, settings);
  const { prompt } = given;
  if (prompt === null || prompt === undefined || prompt.length === 0) {
    throw badRequest("Either prompt or prompt_embeds must be provided and non-empty.", "prompt");
  }
  if (given.echo === true) throw badRequest("The simulator does not echo prompts.", "echo");
  if (given.logprobs !== null && given.logprobs !== undefined) {
    throw badRequest("The simulator has no log probabilities.", "logprobs");
  }
  const tokens = typeof prompt === "string" ? tokenize(prompt) : promptTokens(prompt);
  const said = typeof prompt === "string" ? prompt : typeof prompt[0] === "string" ? prompt[0] : "";
  return {
    kind: "completion",
    ...shared(given, tokens, given.max_tokens ?? COMPLETION_TOKENS, settings, session),
    said,
    system: "",
    tools: [],
    toolChoice: "none",
    isAfterTool: false,
  };
}

/** OpenAI's default of this older route. */
const COMPLETION_TOKENS = 16;

function promptTokens(prompt: readonly (string | number)[]): readonly number[] {
  const texts = prompt.filter((part) => typeof part === "string");
  if (texts.length > 1) throw badRequest("The simulator completes one prompt at a time.", "prompt");
  return texts[0] === undefined ? prompt.filter((part) => typeof part === "number") : tokenize(texts[0]);
}

function shared(
  given: Body,
  prompt: readonly number[],
  asked: number | null | undefined,
  settings: SimSettings,
  session: string | undefined,
) {
  const { maxModelLen } = settings;
  if ((given.n ?? 1) !== 1) throw badRequest("The simulator gives one choice.", "n", given.n ?? 1);
  if (asked !== null && asked !== undefined) {
    if (asked < 1) throw badRequest(`max_tokens must be at least 1, got ${asked}.`, "max_tokens", asked);
    if (asked > maxModelLen) {
      const message = `max_tokens=${asked} cannot be greater than max_model_len=${maxModelLen}. Please request fewer output tokens.`;
      throw badRequest(message, "max_tokens", asked);
    }
  }
  // A prompt that fills the context leaves no room for a single token.
  if (prompt.length >= maxModelLen) throw tooLong(prompt.length, maxModelLen);
  const { stop } = given;
  return {
    prompt,
    maxTokens: Math.min(asked ?? maxModelLen, maxModelLen - prompt.length),
    ignoreEos: given.ignore_eos ?? false,
    stop: (typeof stop === "string" ? [stop] : (stop ?? [])).filter((text) => text !== ""),
    stream: given.stream ?? false,
    includeUsage: given.stream_options?.include_usage ?? false,
    constraint: constraintOf(given),
    session: session ?? given.session_id ?? null,
  };
}

function constraintOf({ response_format: format, structured_outputs: structured }: Body): Constraint {
  if (structured !== null && structured !== undefined) {
    const { json, choice, ...others } = structured;
    const unknown = Object.keys(others).find((key) => others[key] !== null && others[key] !== undefined);
    if (unknown !== undefined)
      throw badRequest(`The simulator does not know structured_outputs.${unknown}.`, "structured_outputs");
    if (choice !== null && choice !== undefined && choice.length > 0) return { kind: "choice", choices: choice };
    if (json !== null && json !== undefined)
      return { kind: "schema", schema: typeof json === "string" ? schemaText(json) : json };
  }
  if (format?.type === "json_schema") return { kind: "schema", schema: format.json_schema.schema };
  return format?.type === "json_object" ? { kind: "object" } : { kind: "none" };
}

function schemaText(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw badRequest("structured_outputs.json is no JSON.", "structured_outputs");
  }
}

function toolChoice(given: z.infer<typeof CHAT>["tool_choice"], tools: readonly AskedTool[]): Ask["toolChoice"] {
  const choice = given ?? (tools.length > 0 ? "auto" : "none");
  if (choice === "none") return "none";
  if (tools.length === 0) throw badRequest("When using `tool_choice`, `tools` must be set.", "tool_choice");
  if (typeof choice === "string") return choice;
  const { name } = choice.function;
  if (tools.some((tool) => tool.name === name)) return { name };
  throw badRequest("The tool specified in `tool_choice` does not match any of the specified `tools`", "tool_choice");
}

function checkModel(asked: string | null | undefined, { model }: SimSettings): void {
  if (asked !== null && asked !== undefined && asked !== "" && asked !== model) throw unknownModel(asked, model);
}

function textOf({ content }: Message): string {
  if (typeof content === "string") return content;
  return (content ?? [])
    .map((part) => {
      if ("text" in part) return part.text;
      throw refusal(400, "BadRequestError", `${part.type} content is not understood by a text model`);
    })
    .join("\n");
}

/** ChatML, as Qwen's template writes it; tools come first, so that they are part of the shared prefix. */
function chatTokens(messages: readonly Message[], tools: readonly unknown[], isPrompt = true): number[] {
  const turn = (role: string, text: string) => `<|im_start|>${role}\n${text}<|im_end|>\n`;
  const offered = tools.length > 0 ? turn("tools", JSON.stringify(tools)) : "";
  const said = messages.map((message) => {
    const calls =
      message.tool_calls === undefined || message.tool_calls === null ? "" : JSON.stringify(message.tool_calls);
    return turn(message.role, textOf(message) + calls);
  });
  return tokenize(`${offered}${said.join("")}${isPrompt ? "<|im_start|>assistant\n" : ""}`);
}

/** Tokens of a prompt or of a conversation, for /tokenize. */
export function tokenizeAsk(
  body: unknown,
  settings: SimSettings,
): { readonly tokens: readonly number[]; readonly wantsTexts: boolean } {
  const given = shaped(TOKENIZE, body);
  checkModel(given.model, settings);
  const { prompt, messages } = given;
  if ((prompt ?? undefined) === undefined && (messages ?? undefined) === undefined) {
    throw badShape([{ type: "missing", loc: "body.prompt", msg: "Field required" }]);
  }
  const tokens = messages ? chatTokens(messages, [], given.add_generation_prompt ?? true) : tokenize(prompt ?? "");
  return { tokens, wantsTexts: given.return_token_strs ?? false };
}

export function detokenizeAsk(body: unknown, settings: SimSettings): readonly number[] {
  const given = shaped(DETOKENIZE, body);
  checkModel(given.model, settings);
  return given.tokens;
}
