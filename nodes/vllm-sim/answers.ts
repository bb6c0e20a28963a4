// How a reply looks on the wire: one JSON object, or a stream of events, one for each token that has text. When tokens come is engine.ts's part.
//
// S1  Tokens that are told at once leave in one write: a system call for each would cost more than all the rest.
// S2  After the end of a stream nothing is written; what the engine's death cuts off ends with an error event and [DONE], as in vLLM.

import type { ServerResponse } from "node:http";
import type { Ask } from "./asks.ts";
import { ENGINE_DEAD, engineDead } from "./refusal.ts";
import type { Reply } from "./replies.ts";
import type { Listener } from "./request.ts";

export const FINGERPRINT = "vllm-0.32.0-sim";

export interface Answered {
  readonly ask: Ask;
  readonly reply: Reply;
  readonly model: string;
  readonly id: string;
  /** Seconds since the epoch. */
  readonly created: number;
  /** Prompt tokens that were in the cache; known once the request runs. */
  readonly cached: () => number;
}

export function sendJson(response: ServerResponse, status: number, body: unknown): void {
  if (response.headersSent || response.destroyed) return;
  const text = Buffer.from(JSON.stringify(body));
  response.writeHead(status, { "content-type": "application/json", "content-length": text.length }).end(text);
}

function usage({ ask, cached }: Answered, made: number) {
  return {
    prompt_tokens: ask.prompt.length,
    total_tokens: ask.prompt.length + made,
    completion_tokens: made,
    prompt_tokens_details: { cached_tokens: cached() },
  };
}

/** A called tool's own reason, but for one that was named: that is how vLLM has it. */
const finishReason = ({ ask, reply }: Answered): string =>
  reply.tool !== undefined && reply.finish === "stop" && typeof ask.toolChoice === "string"
    ? "tool_calls"
    : reply.finish;

const toolId = (id: string) => `chatcmpl-tool-${id.slice(-16)}`;

/** Sends the reply as one object once it is whole. */
export function wholeAnswer(answered: Answered, response: ServerResponse): Listener {
  let tokens = 0;
  return {
    progress(made) {
      tokens = made;
    },
    end(reason) {
      if (reason === "dead") {
        const { status, body } = engineDead();
        return sendJson(response, status, body);
      }
      sendJson(response, 200, wholeObject(answered, tokens, reason === "abort" ? "abort" : finishReason(answered)));
    },
  };
}

function wholeObject(answered: Answered, made: number, finish: string): object {
  const { ask, reply, model, id, created } = answered;
  const text = reply.texts.slice(0, made).join("");
  const ends = { logprobs: null, finish_reason: finish, stop_reason: reply.stopped };
  const call = { id: toolId(id), type: "function", function: { name: reply.tool, arguments: text } };
  const message = {
    role: "assistant",
    content: reply.tool === undefined ? text : "",
    refusal: null,
    ...(reply.tool !== undefined && { tool_calls: [call] }),
    reasoning: null,
  };
  const choice = ask.kind === "chat" ? { index: 0, message, ...ends } : { index: 0, text, ...ends };
  const object = ask.kind === "chat" ? "chat.completion" : "text_completion";
  return {
    id,
    object,
    created,
    model,
    choices: [choice],
    system_fingerprint: FINGERPRINT,
    usage: usage(answered, made),
  };
}

/** Sends the reply token by token (S1, S2). */
export function streamedAnswer(answered: Answered, response: ServerResponse): Listener {
  const { ask, reply } = answered;
  const words = streamWords(answered);
  let sent = 0;
  const write = (text: string) => {
    if (response.destroyed || response.writableEnded) return;
    if (!response.headersSent) {
      response.writeHead(200, { "content-type": "text/event-stream; charset=utf-8" });
      response.write(words.first + text);
    } else if (text !== "") response.write(text);
  };
  return {
    progress(made) {
      let text = "";
      for (; sent < made; sent += 1) {
        const piece = reply.texts[sent] ?? "";
        if (piece !== "") text += words.before + JSON.stringify(piece) + words.after;
      }
      write(text);
    },
    end(reason) {
      if (reason === "dead" && sent === 0 && !response.headersSent) {
        const { status, body } = engineDead();
        return sendJson(response, status, body);
      }
      if (reason === "dead")
        write(event({ error: { message: ENGINE_DEAD, type: "InternalServerError", param: null, code: 500 } }));
      else {
        write(words.last(reason === "abort" ? "abort" : finishReason(answered)));
        if (ask.includeUsage) write(words.usage(sent));
      }
      if (!response.destroyed) response.end("data: [DONE]\n\n");
    },
  };
}

const event = (data: unknown): string => `data: ${JSON.stringify(data)}\n\n`;

/** The parts of a stream that do not depend on its tokens, written once: a token then costs a concatenation. */
function streamWords(answered: Answered) {
  const { ask, reply, model, id, created } = answered;
  const isChat = ask.kind === "chat";
  const head = { id, object: isChat ? "chat.completion.chunk" : "text_completion", created, model };
  const chunk = (choice: object, more: object = {}) => event({ ...head, choices: [{ index: 0, ...choice }], ...more });
  const mark = "\u0000";
  const markText = JSON.stringify(mark);
  const delta =
    reply.tool === undefined
      ? { content: mark }
      : { content: null, tool_calls: [{ index: 0, function: { arguments: mark } }] };
  const [before = "", after = ""] = chunk({
    ...(isChat ? { delta } : { text: mark }),
    logprobs: null,
    finish_reason: null,
  }).split(markText);
  const call = { id: toolId(id), type: "function", index: 0, function: { name: reply.tool } };
  const firsts = [
    chunk({ delta: { role: "assistant", content: "" }, logprobs: null, finish_reason: null }),
    ...(reply.tool === undefined
      ? []
      : [chunk({ delta: { content: null, tool_calls: [call] }, logprobs: null, finish_reason: null })]),
  ];
  return {
    first: isChat ? firsts.join("") : "",
    before,
    after,
    last: (finish: string) =>
      chunk(
        {
          ...(isChat ? { delta: {} } : { text: "" }),
          logprobs: null,
          finish_reason: finish,
          stop_reason: reply.stopped,
        },
        ask.includeUsage ? {} : { system_fingerprint: FINGERPRINT },
      ),
    usage: (made: number) =>
      event({ ...head, choices: [], usage: usage(answered, made), system_fingerprint: FINGERPRINT }),
  };
}
