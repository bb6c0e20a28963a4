// A deliberation: the members of a council propose, review one another's proposals, revise their own, and are ranked. It knows models and
// time, and nothing of councils that are kept, stores or actors.
//
//     propose (all at once) ─▶ ┌ review: i reads the proposal of i + 1 ─▶ revise: the author, given its review ┐ ─▶ rank
//                              └───────────────────────── each further round ─────────────────────────────────┘
//
// DL1  Who has read a proposal never rewrites it: the author does, and its versions are all kept. A version that was cut off or did not
//      come never replaces one that is whole.
// DL2  A member whose model fails says so in its entry; the others go on. Members without a proposal take no part in further rounds, and
//      nobody reviews itself.
// DL3  Nothing is made up: no text stands in for an answer that did not come, no score for one that cannot be read.
// DL4  It ends at its deadline or soon after its signal aborts, with what is there, ranked. Before that, nobody waits for ever for a member
//      who is much slower than half of the others, unless it is the last thing to wait for.

import { type Clock, type FlotillaError, isFlotillaError, type Random, type Timer } from "../../runtime/index.ts";
import type { Model, ModelReply, ModelRequest } from "../agent/model.ts";
import { withoutThoughts } from "../agent/reply-json.ts";
import { fail } from "../errors.ts";
import { TEXT_MAX } from "../planning/story.ts";
import type { Brief } from "./deliberation-request.ts";
import type { Deliberation, DeliberationUpdate, ProposalRevision } from "./orchestrator-api.ts";
import {
  PROPOSAL_TOKENS_MAX,
  proposeMessages,
  REVIEW_TOKENS_MAX,
  reviewMessages,
  reviewSchema,
  reviseMessages,
  type Variety,
} from "./proposal-prompts.ts";
import { type Candidate, type JudgedReview, rankProposals } from "./proposal-ranking.ts";
import { readReview } from "./review-reply.ts";

/** A review is a judgement, not an idea: it needs no variety. */
const REVIEW_TEMPERATURE = 0.2;
/** How much longer than half of the members took the others may take (DL4), and the least of it. */
const STRAGGLER_FACTOR = 2;
const STRAGGLER_MIN_MS = 10_000;
/** The deliberation's own deadline says why it ended; a model's own must not come before it. */
const MODEL_SLACK_MS = 1_000;

/** One of the council, ready to be asked. */
export interface Member {
  readonly agentId: string;
  readonly model: Model;
  readonly variety: Variety;
}

export type SittingUpdate = Omit<DeliberationUpdate, "taskId" | "deliberation">;

/** What a sitting lives in. */
export interface Surroundings {
  readonly clock: Clock;
  readonly random: Pick<Random, "id">;
  readonly signal: AbortSignal;
  /** Milliseconds since the epoch. */
  readonly deadlineMs: number;
  /** Must not throw. */
  readonly onUpdate?: (update: SittingUpdate) => void;
}

export type Outcome = Pick<Deliberation, "results" | "winnerId" | "error"> & {
  readonly status: Extract<Deliberation["status"], "completed" | "failed" | "timeout">;
};

/** A member's place: what it has said so far. */
interface Seat extends Candidate {
  readonly member: Member;
  readonly revisions: ProposalRevision[];
  readonly reviews: JudgedReview[];
  readonly notes: string[];
  faults: number;
  usage: { inputTokens: number; outputTokens: number };
  error?: { readonly code: string; readonly message: string };
}

type Stage = Extract<DeliberationUpdate["stage"], "proposing" | "reviewing" | "revising">;

/** One step of everybody at once. `act` resolves with its text. */
interface Phase {
  readonly stage: Stage;
  readonly round: number;
  readonly seats: readonly Seat[];
  readonly act: (seat: Seat, signal: AbortSignal) => Promise<string>;
}

/** The nouns of what did not come. */
const ANSWERS: Readonly<Record<Stage, string>> = { proposing: "proposal", reviewing: "review", revising: "revision" };

/** One deliberation of members with distinct ids. `run` is called once. */
export class Sitting {
  readonly #brief: Brief;
  readonly #rounds: number;
  readonly #around: Surroundings;
  readonly #seats: readonly Seat[];
  /** Aborts when no answer counts any more. */
  readonly #over = new AbortController();
  /** Of the marks around texts. */
  readonly #mark: string;
  #ending: "timeout" | "cancelled" | undefined;
  #steps = 0;

  constructor(brief: Brief, rounds: number, members: readonly Member[], around: Surroundings) {
    this.#brief = brief;
    this.#rounds = rounds;
    this.#around = around;
    this.#mark = around.random.id();
    this.#seats = members.map((member) => ({
      ...{ member, agentId: member.agentId, revisions: [], reviews: [], notes: [], faults: 0 },
      usage: { inputTokens: 0, outputTokens: 0 },
    }));
  }

  /** Never rejects. */
  async run(): Promise<Outcome> {
    const { clock, signal, deadlineMs } = this.#around;
    const end = (why: "timeout" | "cancelled") => {
      this.#ending ??= why;
      this.#over.abort();
    };
    const onAbort = () => end("cancelled");
    const timer = clock.schedule(deadlineMs - clock.now(), () => end("timeout"), true);
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      if (signal.aborted) onAbort();
      else if (deadlineMs <= clock.now()) end("timeout");
      await this.#rounding();
    } finally {
      timer.cancel();
      signal.removeEventListener("abort", onAbort);
    }
    this.#tell({ stage: "ranking", round: this.#rounds });
    return this.#outcome();
  }

  /** Everybody as they stand now, ranked. */
  entries(): Deliberation["results"] {
    return rankProposals(this.#seats, this.#brief);
  }

  async #rounding(): Promise<void> {
    await this.#phase({
      ...{ stage: "proposing", round: 1, seats: this.#seats },
      act: (seat, signal) => this.#propose(seat, signal),
    });
    for (let round = 2; round <= this.#rounds && !this.#over.signal.aborted; round++) {
      const ring = this.#seats.filter(({ revisions }) => revisions.length > 0);
      if (ring.length < 2)
        return void ring[0]?.notes.push("Nobody else has a proposal, so nobody could review this one.");
      await this.#phase({
        ...{ stage: "reviewing", round, seats: ring },
        act: (seat, signal) => this.#review(seat, ring, round, signal),
      });
      if (this.#over.signal.aborted) return;
      const reviewed = ring.filter(({ reviews }) => reviews.at(-1)?.round === round);
      for (const { notes } of ring.filter((seat) => !reviewed.includes(seat)))
        notes.push(`Round ${round}: it got no review to revise by.`);
      await this.#phase({
        ...{ stage: "revising", round, seats: reviewed },
        act: (seat, signal) => this.#revise(seat, round, signal),
      });
    }
  }

  /** Resolves when everybody has answered, failed, or is waited for no longer (DL4). */
  async #phase({ stage, round, seats, act }: Phase): Promise<void> {
    const { clock } = this.#around;
    this.#tell({ stage, round });
    const late = new AbortController();
    const signal = AbortSignal.any([this.#over.signal, late.signal]);
    const isLast = round === this.#rounds && (stage === "revising" || this.#rounds === 1);
    const startedMs = clock.monotonic();
    let ended = 0;
    let grace: Timer | undefined;
    const one = async (seat: Seat) => {
      const text = await act(seat, signal).catch((error: unknown) =>
        this.#fault(seat, stage, round, error, late.signal),
      );
      this.#steps += 1;
      this.#tell({ stage, round, agentId: seat.agentId, text });
      ended += 1;
      if (isLast || grace !== undefined || ended === seats.length || ended * 2 < seats.length) return;
      const graceMs = Math.max(STRAGGLER_MIN_MS, (clock.monotonic() - startedMs) * STRAGGLER_FACTOR);
      grace = clock.schedule(graceMs, () => late.abort());
    };
    await Promise.all(seats.map(one));
    grace?.cancel();
  }

  async #propose(seat: Seat, signal: AbortSignal): Promise<string> {
    const { member } = seat;
    const messages = proposeMessages(this.#brief, member.variety, this.#mark);
    const reply = await this.#ask(seat, { messages, ...this.#forProposal(member), signal });
    const text = textOf(reply, member.model);
    if (reply.finish === "length") this.#note(seat, `Its proposal was cut off after ${PROPOSAL_TOKENS_MAX} tokens.`);
    seat.revisions.push({ round: 1, text });
    return text;
  }

  /** The next in the ring is read; its author is given the review. */
  async #review(reviewer: Seat, ring: readonly Seat[], round: number, signal: AbortSignal): Promise<string> {
    const author = ring[(ring.indexOf(reviewer) + 1) % ring.length] ?? reviewer;
    const proposal = author.revisions.at(-1)?.text ?? "";
    const messages = reviewMessages(this.#brief, proposal, this.#mark);
    const schema = reviewSchema(this.#brief);
    const asked = { messages, schema, maxTokens: REVIEW_TOKENS_MAX, temperature: REVIEW_TEMPERATURE, signal };
    const reply = await this.#ask(reviewer, asked);
    const review = readReview(reply.text, this.#brief);
    if (review === undefined) throw nothingSaid(reviewer.member.model);
    const { score, items } = review;
    const text = bounded(review.text);
    const names = { round, reviewer: reviewer.agentId, author: author.agentId };
    author.reviews.push({ ...names, text, items, ...(score !== undefined && { score }) });
    return text;
  }

  async #revise(seat: Seat, round: number, signal: AbortSignal): Promise<string> {
    const { member, revisions, reviews } = seat;
    const before = revisions.at(-1)?.text ?? "";
    const given = { proposal: before, review: reviews.at(-1)?.text ?? "" };
    const messages = reviseMessages(this.#brief, member.variety, given, this.#mark);
    const reply = await this.#ask(seat, { messages, ...this.#forProposal(member), signal });
    const text = textOf(reply, member.model);
    // A text without its end is no better version (DL1).
    if (reply.finish === "length")
      throw fail(
        "ModelReplyCut",
        `The answer of ${member.model.name} was cut off after ${PROPOSAL_TOKENS_MAX} tokens.`,
      );
    if (text === before) seat.notes.push(`Round ${round}: it changed nothing after its review.`);
    else revisions.push({ round, text });
    return text;
  }

  #forProposal({ variety }: Member): Pick<ModelRequest, "maxTokens" | "temperature"> {
    return { maxTokens: PROPOSAL_TOKENS_MAX, temperature: variety.temperature };
  }

  /** A stream that broke off is asked for once more. */
  async #ask(seat: Seat, asked: Omit<ModelRequest, "timeoutMs">): Promise<ModelReply> {
    try {
      return await this.#request(seat, asked);
    } catch (error) {
      if (!isFlotillaError(error, "ModelReplyCut") || asked.signal.aborted) throw error;
      return this.#request(seat, asked);
    }
  }

  async #request(seat: Seat, asked: Omit<ModelRequest, "timeoutMs">): Promise<ModelReply> {
    const { clock, deadlineMs } = this.#around;
    const reply = await seat.member.model.complete({ ...asked, timeoutMs: deadlineMs - clock.now() + MODEL_SLACK_MS });
    seat.usage.inputTokens += reply.usage.inputTokens ?? 0;
    seat.usage.outputTokens += reply.usage.outputTokens ?? 0;
    return reply;
  }

  /** Keeps why an answer did not come (DL2). Resolves with that in words. */
  #fault(seat: Seat, stage: Stage, round: number, error: unknown, late: AbortSignal): string {
    const why = this.#reasonOf(error, ANSWERS[stage], late);
    if (stage === "proposing") seat.error = why;
    else {
      const stands = stage === "revising" ? " The version before stands." : "";
      const text = `Round ${round}: its ${ANSWERS[stage]} did not come (${why.code}): ${why.message}${stands}`;
      if (this.#ending === undefined) this.#note(seat, text);
      else seat.notes.push(text);
    }
    return `${why.code}: ${why.message}`;
  }

  /** That costs it something. */
  #note(seat: Seat, text: string): void {
    seat.notes.push(text);
    seat.faults += 1;
  }

  #reasonOf(error: unknown, answer: string, late: AbortSignal): { readonly code: string; readonly message: string } {
    if (this.#ending === "timeout")
      return coded(fail("DeadlineExceeded", `Its ${answer} had not come when the time was up.`));
    if (this.#ending === "cancelled")
      return coded(fail("Cancelled", `The deliberation was cancelled before its ${answer} came.`));
    if (late.aborted)
      return coded(
        fail(
          "ModelTimeout",
          `Its ${answer} was not waited for any longer: it took more than twice as long as those of half the members.`,
        ),
      );
    if (isFlotillaError(error)) return coded(error);
    return { code: "AgentDefect", message: error instanceof Error ? error.message : String(error) };
  }

  #tell(update: Omit<SittingUpdate, "percent">): void {
    const total = this.#seats.length * (1 + 2 * (this.#rounds - 1)) + 1;
    const percent = update.stage === "ranking" ? 99 : Math.min(99, Math.floor((100 * this.#steps) / total));
    this.#around.onUpdate?.({ ...update, percent });
  }

  #outcome(): Outcome {
    const results = this.entries();
    const proposed = results.filter(({ revisions }) => revisions.length > 0);
    const winnerId = proposed[0]?.agentId ?? null;
    const found = { results, winnerId };
    const count = `${proposed.length} of ${results.length} members had a proposal`;
    if (this.#ending === "cancelled")
      return { ...found, status: "failed", error: coded(fail("Cancelled", `It was cancelled when ${count}.`)) };
    if (this.#ending === "timeout")
      return { ...found, status: "timeout", error: coded(fail("DeadlineExceeded", `Its time was up when ${count}.`)) };
    if (winnerId !== null) return { ...found, status: "completed" };
    const each = results.map(({ agentId, error }) => `${agentId}: ${error?.code}: ${error?.message}`).join("; ");
    return { ...found, status: "failed", error: { code: "AllAgentsFailed", message: `All agents failed: ${each}` } };
  }
}

const coded = ({ code, message }: FlotillaError) => ({ code, message });

function textOf(reply: ModelReply, model: Model): string {
  const text = withoutThoughts(reply.text)?.trim() ?? "";
  if (text === "") throw nothingSaid(model);
  return bounded(text);
}

const nothingSaid = ({ name }: Model): FlotillaError =>
  fail("ModelReplyInvalid", `The model ${name} answered with no text, or with nothing but thoughts that never ended.`);

const CUT_OFF = "\n… cut off here: it was longer than the fleet keeps.";
const bounded = (text: string): string => (text.length <= TEXT_MAX ? text : text.slice(0, TEXT_MAX) + CUT_OFF);
