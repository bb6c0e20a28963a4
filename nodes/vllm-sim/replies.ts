// What the model says to a request: decided whole before its first token is made, by these in turn.
//
//     rule that matches ─▶ tool that must or may be called ─▶ constraint (schema, object, choice) ─▶ filler
//
// R1  The same request gets the same reply, on every simulator with the same rules.
// R2  A rule is taken at its word: what it says is not held against the request's schema.

import type { Ask, Constraint } from "./asks.ts";
import type { CheckedRule, SimSettings } from "./options.ts";
import { badRequest } from "./refusal.ts";
import { SchemaRefused, schemaValue } from "./schema-value.ts";
import { detokenize, tokenize } from "./tokenizer.ts";

export interface Reply {
  readonly tokens: readonly number[];
  /** What each token adds to the text, less what a stop string cut off. */
  readonly texts: readonly string[];
  readonly finish: "stop" | "length";
  /** The stop string that ended it. */
  readonly stopped: string | null;
  /** The text is the arguments of a call of this tool. */
  readonly tool: string | undefined;
  readonly delayMs: number;
}

/** Each with its space is one token of its own. */
const WORDS = [
  "the",
  "one",
  "two",
  "run",
  "set",
  "get",
  "add",
  "may",
  "can",
  "not",
  "any",
  "all",
  "new",
  "old",
  "out",
  "now",
];

export function replyTo(ask: Ask, settings: SimSettings): Reply {
  const rule = settings.rules.find(({ match }) => match.test(ask.said) || match.test(ask.system));
  const delayMs = rule?.delayMs ?? 0;
  if (rule !== undefined) return cut(ask, tokenize(ruleText(rule)), rule.tool?.name, delayMs);
  const tool = calledTool(ask);
  if (tool !== undefined)
    return cut(ask, tokenize(JSON.stringify(satisfying(tool.parameters, "tools"))), tool.name, delayMs);
  if (ask.constraint.kind !== "none") return cut(ask, tokenize(constrainedText(ask.constraint)), undefined, delayMs);
  return cut(ask, filler(ask, settings.replyTokens), undefined, delayMs);
}

const ruleText = ({ text, json, tool }: CheckedRule): string =>
  text ?? JSON.stringify(tool === undefined ? json : tool.arguments);

/** With `auto` the first tool is called once; its result is answered in words, or an agent would never come to an end. */
function calledTool({ toolChoice, tools, isAfterTool }: Ask) {
  if (toolChoice === "none" || (toolChoice === "auto" && isAfterTool)) return undefined;
  return typeof toolChoice === "string" ? tools[0] : tools.find(({ name }) => name === toolChoice.name);
}

function constrainedText(constraint: Exclude<Constraint, { kind: "none" }>): string {
  switch (constraint.kind) {
    case "object":
      return "{}";
    case "choice":
      return constraint.choices[0] ?? "";
    case "schema":
      return JSON.stringify(satisfying(constraint.schema, "response_format"));
  }
}

function satisfying(schema: unknown, param: string): unknown {
  try {
    return schemaValue(schema);
  } catch (error) {
    if (error instanceof SchemaRefused)
      throw badRequest(`The simulator cannot satisfy the schema: ${error.message}.`, param);
    throw error;
  }
}

/** Words chosen by the prompt, so that different prompts have different replies. */
function filler({ prompt, ignoreEos, maxTokens }: Ask, replyTokens: number): number[] {
  // One more than fits says that it was cut by its length.
  const length = ignoreEos ? maxTokens + 1 : Math.min(replyTokens, maxTokens + 1);
  const ids = WORDS.map((word) => tokenize(` ${word}`)[0] ?? 0);
  let state = prompt.reduce((sum, token) => (Math.imul(sum, 31) + token) | 0, 17);
  return Array.from({ length }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
    return ids[state >>> 28] ?? 0;
  });
}

/** Ends the reply at the first stop string, or at the most tokens asked for. */
function cut({ stop, maxTokens }: Ask, all: readonly number[], tool: string | undefined, delayMs: number): Reply {
  // A model that has nothing to say makes one token, the end; so does an empty rule.
  const tokens = all.length === 0 ? tokenize("<|im_end|>") : all.slice(0, maxTokens);
  const texts = all.length === 0 ? [""] : tokens.map((token) => detokenize([token]));
  const found = firstStop(texts.join(""), tool === undefined ? stop : []);
  const finish = all.length > maxTokens ? "length" : "stop";
  if (found === undefined) return { tokens, texts, finish, stopped: null, tool, delayMs };
  return { ...untilStop(tokens, texts, found), finish: "stop", stopped: found.stop, tool, delayMs };
}

interface Stop {
  readonly stop: string;
  /** Where it begins in the text. */
  readonly at: number;
}

function firstStop(text: string, stops: readonly string[]): Stop | undefined {
  const found = stops.map((stop) => ({ stop, at: text.indexOf(stop) })).filter(({ at }) => at >= 0);
  return found.sort((a, b) => a.at + a.stop.length - (b.at + b.stop.length))[0];
}

/** The token that completes the stop string is made; the text ends where the stop string begins. */
function untilStop(tokens: readonly number[], texts: readonly string[], { stop, at }: Stop) {
  let end = 0;
  let count = 0;
  const kept: string[] = [];
  while (end < at + stop.length) {
    const text = texts[count] ?? "";
    kept.push(text.slice(0, Math.max(0, at - end)));
    end += text.length;
    count += 1;
  }
  return { tokens: tokens.slice(0, count), texts: kept };
}
