// A model whose replies are given: a list, or a function of the request. For tests, examples and the mock (mock-model.ts).
// It never looks at the world: what it knows is in the request.

import type { Clock } from "../../runtime/index.ts";
import { fail } from "../errors.ts";
import { withinDeadline } from "./deadline.ts";
import type { Model, ModelReply, ModelRequest } from "./model.ts";

/** A text that stops by itself, a whole reply, or what the call rejects with. */
export type ScriptedReply = string | ModelReply | Error;

/** The replies in order, or a function of the request and its index (0 for the first). */
export type Script =
  | readonly ScriptedReply[]
  | ((request: ModelRequest, index: number) => ScriptedReply | Promise<ScriptedReply>);

/** Requests kept for tests to read; older ones are dropped. */
const REQUESTS_MAX = 100;

export class ScriptedModel implements Model {
  readonly name: string;
  /** The newest requests, oldest first. */
  readonly requests: ModelRequest[] = [];
  readonly #script: Script;
  readonly #clock: Clock;
  #asked = 0;

  constructor(name: string, script: Script, clock: Clock) {
    this.name = name;
    this.#script = script;
    this.#clock = clock;
  }

  complete(request: ModelRequest): Promise<ModelReply> {
    this.requests.push(request);
    if (this.requests.length > REQUESTS_MAX) this.requests.shift();
    const index = this.#asked++;
    const bounds = {
      clock: this.#clock,
      signal: request.signal,
      timeoutMs: request.timeoutMs,
      awaited: `the scripted model ${this.name}`,
    };
    return withinDeadline(bounds, async () => asReply(await this.#next(request, index)));
  }

  #next(request: ModelRequest, index: number): ScriptedReply | Promise<ScriptedReply> {
    if (typeof this.#script === "function") return this.#script(request, index);
    const reply = this.#script[index];
    if (reply !== undefined) return reply;
    return fail(
      "ModelReplyInvalid",
      `The script of ${this.name} has ${this.#script.length} replies; one more was asked for.`,
    );
  }
}

function asReply(reply: ScriptedReply): ModelReply {
  if (reply instanceof Error) throw reply;
  if (typeof reply !== "string") return reply;
  return { text: reply, finish: "stop", usage: { inputTokens: undefined, outputTokens: undefined } };
}
