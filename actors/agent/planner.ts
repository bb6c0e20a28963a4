// Gets the next plan out of a model: limits first, then the request, one repair round, and what to say when a reply is no plan.
// It is not what a plan is (plan.ts) nor the words (prompt.ts).
//
// Q1  Limits are checked before every request to the model, repairs included: a limit that is met is never overshot by a further call.
// Q2  A reply cut by its length is not read at all.
// Q3  Whatever the model does, the planner ends: one repair for a round, one retry for a cut stream, two empty or cut-off plans in a row.

import { type Clock, type FlotillaError, isFlotillaError } from "../../runtime/index.ts";
import type { Tool, ToolRegistry } from "../../tools/index.ts";
import { fail } from "../errors.ts";
import type { Conversation } from "./conversation.ts";
import type { Model, ModelMessage, ModelReply } from "./model.ts";
import { type Plan, parsePlan, planSchema } from "./plan.ts";
import { cutOffPrompt, emptyPlanPrompt, repairPrompt } from "./prompt.ts";
import type { AgentLimits, AgentResult } from "./result.ts";

/** Tokens of one reply: a file of 300 lines and its reasoning. */
const REPLY_TOKENS_MAX = 4_096;

/** Milliseconds for one request; the agent's own deadline may come sooner. */
const REQUEST_TIMEOUT_MS = 300_000;

/**
 * Agents of a council ask the same question; with no temperature they would all give one answer. There is no seed beside it: a request
 * with one ends the whole engine of vLLM 0.32 on a CPU, for everybody.
 */
const TEMPERATURE = 0.7;

/** Empty or cut-off replies in a row after which there is no point in asking again (Q3). */
const FRUITLESS_MAX = 2;

export interface PlannerContext {
  readonly model: Model;
  readonly registry: ToolRegistry;
  /** The tools the schema names. A plan may use any of the registry: a refusal there is told and audited. */
  readonly offered: readonly Tool[];
  readonly limits: AgentLimits;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Milliseconds since the epoch. */
  readonly deadlineMs: number;
  readonly onRound: (round: number) => void;
}

/** A plan with steps, and the words it came in. */
export interface Planned {
  readonly plan: Plan;
  readonly said: string;
}

export class Planner {
  readonly #context: PlannerContext;
  readonly #schema: { readonly name: string; readonly schema: Readonly<Record<string, unknown>> };
  readonly #usage = { inputTokens: 0, outputTokens: 0, modelCalls: 0 };
  readonly #reasoning: string[] = [];
  #rounds = 0;

  constructor(context: PlannerContext) {
    this.#context = context;
    this.#schema = { name: "plan", schema: planSchema(context.offered) };
  }

  get usage(): AgentResult["usage"] {
    return { ...this.#usage };
  }

  /** The model's reasons, one for each plan it gave, in order. */
  get reasoning(): readonly string[] {
    return this.#reasoning;
  }

  /** The next plan with steps. Rejects with the FlotillaError that ends the agent's work: a limit, a model's failure, no plan. */
  async next(conversation: Conversation): Promise<Planned> {
    for (let fruitless = 1; ; fruitless++) {
      const { said, plan } = await this.#round(conversation.messages());
      if (plan !== undefined && plan.steps.length > 0) return { plan, said };
      const why = plan === undefined ? "cut" : "empty";
      if (fruitless >= FRUITLESS_MAX) throw why === "cut" ? cutOff() : empty(plan?.reasoning ?? "");
      conversation.add(said, why === "cut" ? cutOffPrompt(REPLY_TOKENS_MAX) : emptyPlanPrompt);
    }
  }

  /** One plan of the model, which may be empty; no plan when its length cut it off (Q2). */
  async #round(messages: readonly ModelMessage[]): Promise<{ said: string; plan: Plan | undefined }> {
    if (this.#rounds >= this.#context.limits.roundsMax) {
      throw fail("RoundLimit", `The work is not done after ${this.#rounds} plans, which is the limit (roundsMax).`);
    }
    this.#context.onRound(++this.#rounds);
    const reply = await this.#ask(messages);
    if (reply.finish === "length") return { said: reply.text, plan: undefined };
    const first = parsePlan(reply.text, this.#context.registry);
    if (first.kind === "plan") return this.#keep(reply.text, first.plan);
    const repaired = await this.#ask([
      ...messages,
      { role: "assistant", content: reply.text.slice(0, 8_000) || "(empty)" },
      { role: "user", content: repairPrompt(first.problem) },
    ]);
    if (repaired.finish === "length") return { said: repaired.text, plan: undefined };
    const second = parsePlan(repaired.text, this.#context.registry);
    if (second.kind === "plan") return this.#keep(repaired.text, second.plan);
    throw fail(
      "PlanInvalid",
      `The model ${this.#context.model.name} gave no usable plan, also when told what was wrong: ${second.problem}`,
    );
  }

  #keep(said: string, plan: Plan): { said: string; plan: Plan } {
    if (plan.reasoning !== "") this.#reasoning.push(plan.reasoning);
    return { said, plan };
  }

  async #ask(messages: readonly ModelMessage[]): Promise<ModelReply> {
    try {
      return await this.#request(messages);
    } catch (error) {
      if (!isFlotillaError(error, "ModelReplyCut")) throw error;
      return this.#request(messages);
    }
  }

  async #request(messages: readonly ModelMessage[]): Promise<ModelReply> {
    this.#checkLimits();
    const { model, clock, signal, deadlineMs } = this.#context;
    this.#usage.modelCalls += 1;
    const reply = await model.complete({
      messages,
      schema: this.#schema,
      maxTokens: Math.min(REPLY_TOKENS_MAX, this.#tokensLeft()),
      temperature: TEMPERATURE,
      signal,
      timeoutMs: Math.min(REQUEST_TIMEOUT_MS, deadlineMs - clock.now()),
    });
    this.#usage.inputTokens += reply.usage.inputTokens ?? 0;
    this.#usage.outputTokens += reply.usage.outputTokens ?? 0;
    return reply;
  }

  /** Throws when nothing more may be asked (Q1). */
  #checkLimits(): void {
    const { clock, signal, deadlineMs, limits } = this.#context;
    if (clock.now() >= deadlineMs) throw fail("DeadlineExceeded", "The time for the task was up.");
    if (signal.aborted) throw fail("Cancelled", "The task was cancelled.");
    if (this.#tokensLeft() <= 0) {
      throw fail(
        "TokenLimit",
        `The work is not done after ${limits.tokensMax} tokens, which is the limit (tokensMax).`,
      );
    }
  }

  #tokensLeft(): number {
    const { inputTokens, outputTokens } = this.#usage;
    return this.#context.limits.tokensMax - inputTokens - outputTokens;
  }
}

const cutOff = (): FlotillaError =>
  fail(
    "PlanInvalid",
    `The model's plan was cut off after ${REPLY_TOKENS_MAX} tokens, ${FRUITLESS_MAX} times in a row.`,
  );

const empty = (reasoning: string): FlotillaError =>
  fail("EmptyPlan", `The model has no steps to propose${reasoning === "" ? "" : `: ${reasoning}`}`);
