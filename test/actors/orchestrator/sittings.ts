// Councils for tests of deliberations: members whose models say what a test wants, and a record of who was asked what.

import type { ModelReply, ModelRequest } from "../../../actors/agent/model.ts";
import { ScriptedModel, type ScriptedReply } from "../../../actors/agent/scripted-model.ts";
import { roleNamed } from "../../../actors/council/roles.ts";
import { type Member, Sitting, type SittingUpdate } from "../../../actors/orchestrator/deliberation.ts";
import type { Brief } from "../../../actors/orchestrator/deliberation-request.ts";
import { varietyOf } from "../../../actors/orchestrator/proposal-prompts.ts";
import { type Clock, seededRandom, systemClock } from "../../../runtime/index.ts";

export const brief: Brief = {
  ...{ role: roleNamed("DEV"), task: "Add a retry to the upload of files", context: "" },
  ...{ rubric: [], requirements: [] },
};

export type Asked = "propose" | "review" | "revise";

/** What one request asks for. */
export function kindOf({ messages, schema }: ModelRequest): Asked {
  if (schema?.name === "review") return "review";
  return messages.some(({ role }) => role === "assistant") ? "revise" : "propose";
}

export const reviewOf = (text: string, score?: number, items?: Record<string, number>): string =>
  JSON.stringify({ text, ...(items && { items }), ...(score !== undefined && { score }) });

export const cut = (text: string): ModelReply => ({
  ...{ text, finish: "length", usage: { inputTokens: undefined, outputTokens: undefined } },
});

/** What a member's model says; the index counts its answers of this kind. */
export type Says = (asked: Asked, index: number, request: ModelRequest) => ScriptedReply | Promise<ScriptedReply>;

/** A member that proposes `a's proposal`, reviews with 0.5, and revises to `a's revision 1`. */
export const plainly =
  (name: string): Says =>
  (asked, index) =>
    ({
      propose: `${name}'s proposal`,
      review: reviewOf(`${name}'s review ${index}`, 0.5),
      revise: `${name}'s revision ${index}`,
    })[asked];

export interface SittingOptions {
  readonly rounds?: number;
  readonly clock?: Clock;
  readonly signal?: AbortSignal;
  readonly timeoutMs?: number;
  readonly brief?: Partial<Brief>;
}

/** A sitting of the members named. `asked`: who was asked what, and with which last message, in order. */
export function sit(members: Readonly<Record<string, Says>>, options: SittingOptions = {}) {
  const { rounds = 1, clock = systemClock, signal = new AbortController().signal, timeoutMs = 60_000 } = options;
  const requests: { readonly who: string; readonly request: ModelRequest }[] = [];
  const asked: { readonly who: string; readonly what: Asked; readonly said: string }[] = [];
  const updates: SittingUpdate[] = [];
  const made = Object.entries(members).map(([agentId, says], place): Member => {
    const counts = { propose: 0, review: 0, revise: 0 };
    const script = (request: ModelRequest) => {
      const what = kindOf(request);
      requests.push({ who: agentId, request });
      asked.push({ who: agentId, what, said: request.messages.at(-1)?.content ?? "" });
      return says(what, ++counts[what], request);
    };
    return { agentId, model: new ScriptedModel(agentId, script, clock), variety: varietyOf(place) };
  });
  const sitting = new Sitting({ ...brief, ...options.brief }, rounds, made, {
    ...{ clock, random: seededRandom(1), signal, deadlineMs: clock.now() + timeoutMs },
    onUpdate: (update) => updates.push(update),
  });
  return { sitting, asked, requests, updates };
}

/** A solid proposal, a thin one, and one that says nothing. */
export const TEXTS = {
  good: [
    "The upload in src/upload.ts gives up at the first failure; it shall retry.",
    "1. Wrap `send()` in a loop of three attempts with a growing pause between them.",
    "2. Retry only what may pass: timeouts and answers of 503; every other error ends the upload at once.",
    "3. Test in test/upload.test.ts with a server that fails twice: the file arrives once, and the pauses are counted by a fake clock.",
    "Risk: an upload that arrived although its answer was lost is sent again, so each attempt carries the same key.",
  ].join("\n"),
  thin: "I would retry the upload of files a few times in src/upload.ts, then see.",
  empty: "Sure, that can be done.",
} as const;
