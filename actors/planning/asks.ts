// Questions that agents and services put before a person: each a document that waits until it is decided or expires.
// It is not gates (gates.ts), which are parts of their stories.
//
// AK1  A question ends once: by a decision or by its time, whichever is written first.
// AK2  Bounded: at most WAITING_MAX wait, and DECIDED_MAX that ended are remembered, in one life those that ended last.

import { z } from "zod";
import type { Clock, Random, Timer } from "../../runtime/index.ts";
import { agileEvents } from "../events/channels.ts";
import type { By, Envelope } from "../events/envelope.ts";
import { envelopeOf } from "../events/post.ts";
import { planningError } from "./errors.ts";
import { newId } from "./ids.ts";
import { OutboxDocuments, type OutboxOptions } from "./outbox-documents.ts";
import type { Ask, Decision } from "./planning-api.ts";
import { type Approval, approvalSchema } from "./story.ts";
import { decidedNotice, requestedNotice } from "./story-changes.ts";
import type { Notice } from "./story-record.ts";

const WAITING_MAX = 10_000;
const DECIDED_MAX = 1_000;
const RETRY_MS = 1_000;
const TIMER_MAX_MS = 24 * 60 * 60 * 1_000;
/** Who lets a question expire. */
const PLANNING: By = { kind: "system", id: "planning" };

const recordSchema = z.object({ approval: approvalSchema, expiresAtMs: z.number().exactOptional() });
type AskRecord = Readonly<z.infer<typeof recordSchema>>;

export interface AsksOptions extends Pick<OutboxOptions<AskRecord>, "system" | "timers" | "log"> {
  readonly random: Random;
  readonly trace: () => string | undefined;
  /** Hears of every question that changes. */
  readonly onApproval: (approval: Approval) => void;
}

export class Asks {
  readonly #options: AsksOptions;
  readonly #clock: Clock;
  readonly #documents: OutboxDocuments<AskRecord>;
  /** Of questions that wait and can expire. */
  readonly #timers = new Map<string, Timer>();
  /** Ids of questions that ended, the longest ago first. */
  readonly #ended = new Set<string>();

  constructor(options: AsksOptions) {
    const { system, timers, log, onApproval } = options;
    this.#options = options;
    this.#clock = system.clock;
    const onHeld = (id: string, record: AskRecord | undefined) => {
      if (record === undefined) return void this.#ended.delete(id);
      onApproval(record.approval);
      if (record.approval.status === "waiting") this.#expireLater(record);
      else this.#end(id);
    };
    this.#documents = new OutboxDocuments({
      system,
      timers,
      prefix: "planning.ask",
      schema: recordSchema,
      log,
      onHeld,
    });
  }

  load(): Promise<void> {
    return this.#documents.load();
  }

  async close(): Promise<void> {
    for (const timer of this.#timers.values()) timer.cancel();
    this.#timers.clear();
    await this.#documents.close();
  }

  /** Throws ApprovalsFull, IdTaken, Unavailable. */
  async ask({ key, storyId, taskId, subject, question, roles = [], timeoutMs }: Ask): Promise<Approval> {
    if (this.#documents.size - this.#ended.size >= WAITING_MAX)
      throw planningError("ApprovalsFull", `${WAITING_MAX} questions wait for a person; no more are taken.`);
    const id = newId("ask", key, this.#options.random);
    const sinceMs = this.#clock.now();
    const approval: Approval = {
      ...{ id, kind: "ask", subject, question, roles: [...roles], status: "waiting", sinceMs },
      ...(storyId !== undefined && { storyId }),
      ...(taskId !== undefined && { taskId }),
    };
    const record = { approval, ...(timeoutMs !== undefined && { expiresAtMs: sinceMs + timeoutMs }) };
    const made = await this.#documents.create(id, key ?? id, () => this.#change(record, requestedNotice(approval)));
    if (made === undefined) throw planningError("IdTaken", `There is another question with the id ${id}.`);
    return made.approval;
  }

  async get(id: string): Promise<Approval | undefined> {
    return (await this.#documents.get(id))?.approval;
  }

  /** The question after the decision, or as it is when it had ended. Undefined: there is none. */
  async decide({
    approvalId,
    decision,
    feedback,
    by,
    key,
  }: Decision): Promise<{ readonly approval: Approval; readonly isMade: boolean } | undefined> {
    let isMade = true;
    const record = await this.#documents.change(approvalId, key, (before) => {
      isMade = before.approval.status === "waiting" && !this.#isOver(before);
      const status = decision === "approve" ? "approved" : "rejected";
      return isMade ? this.#ending(before, status, by, feedback) : this.#expired(before);
    });
    return record && { approval: record.approval, isMade };
  }

  #isOver({ expiresAtMs = Number.POSITIVE_INFINITY }: AskRecord): boolean {
    return this.#clock.now() >= expiresAtMs;
  }

  #expired(record: AskRecord) {
    if (record.approval.status !== "waiting" || !this.#isOver(record)) return undefined;
    return this.#ending(record, "expired", PLANNING);
  }

  #ending(record: AskRecord, status: "approved" | "rejected" | "expired", by: By, feedback?: string) {
    const why = feedback === undefined ? {} : { feedback };
    const approval: Approval = { ...record.approval, status, decidedBy: by, ...why };
    return this.#change({ ...record, approval }, decidedNotice(approval, by));
  }

  #change(record: AskRecord, notice: Notice) {
    const { system, trace } = this.#options;
    const { storyId, id } = record.approval;
    const traceparent = trace();
    const letter: Envelope = envelopeOf(system, "planning", agileEvents, {
      ...notice,
      correlationId: storyId ?? id,
      ...(traceparent !== undefined && { traceparent }),
    });
    return { body: record, letters: [letter], field: "question" };
  }

  #expireLater(record: AskRecord, atLeastMs = 0): void {
    const { approval, expiresAtMs } = record;
    if (expiresAtMs === undefined) return;
    this.#timers.get(approval.id)?.cancel();
    const expire = async () => {
      try {
        const now = await this.#documents.change(approval.id, undefined, (before) => this.#expired(before));
        // It waited for longer than one timer does.
        if (now?.approval.status === "waiting") this.#expireLater(now);
      } catch (error) {
        this.#options.log("warn", "a question cannot expire yet", { approvalId: approval.id, error: String(error) });
        this.#expireLater(record, RETRY_MS);
      }
    };
    const leftMs = Math.max(expiresAtMs - this.#clock.now(), atLeastMs);
    this.#timers.set(approval.id, this.#options.timers.after(Math.min(leftMs, TIMER_MAX_MS), expire));
  }

  #end(id: string): void {
    this.#timers.get(id)?.cancel();
    this.#timers.delete(id);
    this.#ended.delete(id);
    this.#ended.add(id);
    const [oldest] = this.#ended;
    if (oldest === undefined || this.#ended.size <= DECIDED_MAX) return;
    this.#ended.delete(oldest);
    this.#documents.delete(oldest).catch(() => {});
  }
}
