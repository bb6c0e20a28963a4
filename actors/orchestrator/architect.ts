// An architect's choice among the best proposals of a deliberation. Where there is no choice that can be read, the ranking stands, and the
// reason says so: nobody is told that an architect chose what no architect chose.

import { z } from "zod";
import { type Clock, isFlotillaError, type Random } from "../../runtime/index.ts";
import type { Model } from "../agent/model.ts";
import { jsonValues } from "../agent/reply-json.ts";
import type { Brief } from "./deliberation-request.ts";
import type { DeliberationEntry, Orchestration } from "./orchestrator-api.ts";
import { choiceMessages, choiceSchema } from "./proposal-prompts.ts";

/** Proposals that an architect chooses among. */
const CANDIDATES_MAX = 3;
const TOKENS_MAX = 512;
const TEMPERATURE = 0.2;
const REASON_MAX = 2_000;

export interface ChoiceContext {
  /** Undefined: there is no architect. */
  readonly model: Model | undefined;
  readonly clock: Clock;
  readonly random: Pick<Random, "id">;
  readonly signal: AbortSignal;
  /** Milliseconds since the epoch. */
  readonly deadlineMs: number;
}

export type Choice = Pick<Orchestration, "winner" | "selection">;

/** `ranked`: those with a proposal, at least one, the best first. Rejects only when the signal aborts. */
export async function chooseProposal(
  brief: Brief,
  ranked: readonly DeliberationEntry[],
  context: ChoiceContext,
): Promise<Choice> {
  const [best] = ranked;
  if (best === undefined) throw new Error("an architect was given nothing to choose from");
  const stands = (why: string): Choice => ({
    winner: best,
    selection: { by: "ranking", reason: `${ranking(ranked)} ${why}` },
  });
  if (ranked.length === 1) return stands("There was nothing else to choose from.");
  if (context.model === undefined)
    return stands("There is no architect to ask: neither a council of ARCHITECT nor a model of the services.");
  // By id, because a place in the list is read as a hint.
  const candidates = ranked.slice(0, CANDIDATES_MAX).sort((a, b) => (a.agentId < b.agentId ? -1 : 1));
  try {
    const { choice, reason } = (await ask(context.model, brief, candidates, context)) ?? {};
    const winner = choice === undefined ? undefined : candidates[choice - 1];
    if (winner === undefined) return stands("The architect's answer could not be read.");
    return { winner, selection: { by: "architect", reason: (reason ?? "").slice(0, REASON_MAX) } };
  } catch (error) {
    context.signal.throwIfAborted();
    const why = isFlotillaError(error) ? `${error.code}: ${error.message}` : String(error);
    return stands(`The architect gave no answer: ${why}`);
  }
}

/** Why the first of the ranking is the first. */
export function ranking([best, next]: readonly DeliberationEntry[]): string {
  if (best === undefined) return "There is no proposal.";
  const second = next === undefined ? "" : `, before ${next.agentId} with ${next.score}`;
  return `${best.agentId} is ranked first with a score of ${best.score}${second}.`;
}

const answerSchema = z.object({ reason: z.string().trim().min(1), choice: z.int() });

async function ask(
  model: Model,
  brief: Brief,
  candidates: readonly DeliberationEntry[],
  { clock, random, signal, deadlineMs }: ChoiceContext,
): Promise<z.output<typeof answerSchema> | undefined> {
  const texts = candidates.map(({ proposal }) => proposal);
  const reply = await model.complete({
    messages: choiceMessages(brief, texts, random.id()),
    schema: choiceSchema(candidates.length),
    ...{ maxTokens: TOKENS_MAX, temperature: TEMPERATURE, signal, timeoutMs: deadlineMs - clock.now() },
  });
  return jsonValues(reply.text)
    .map((value) => answerSchema.safeParse(value).data)
    .find((answer) => answer !== undefined);
}
