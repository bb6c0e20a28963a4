// Planning: the truth about projects, epics, stories, their plans and tasks, and what waits for a person.
// It decides nothing by itself: what a change does is in story-changes.ts, how it lasts in outbox-documents.ts.
//
//     call ─▶ input.ts ─▶ story-changes.ts (pure) ─▶ outbox-documents.ts ─▶ store, then agile.events
//
// PS1  No call looks at all stories: pages come from an index, and what waits for a person is held apart.
// PS2  A key belongs to one method of one story: an orchestrator may use one event's key for all that it asks for.

import type { LogLevel, Random } from "../../runtime/index.ts";
import { roleNames } from "../council/roles.ts";
import { fail } from "../errors.ts";
import { agileEvents } from "../events/channels.ts";
import { envelopeOf, type PostSystem } from "../events/post.ts";
import { Asks } from "./asks.ts";
import { Catalogue } from "./catalogue.ts";
import { planningError } from "./errors.ts";
import { approvalOf, gateNamed } from "./gates.ts";
import { humanGuard } from "./guards.ts";
import { newId } from "./ids.ts";
import {
  approvalIdSchema,
  askInput,
  checked,
  decisionInput,
  editInput,
  epicInput,
  pageInput,
  planInput,
  projectInput,
  reportInput,
  storyInput,
  taskChangeInput,
  tasksInput,
  transitionInput,
} from "./input.ts";
import { type Change as DocumentChange, OutboxDocuments, type Timers } from "./outbox-documents.ts";
import type { Available, Blocked, Change, Decision, Moved, PlanningApi } from "./planning-api.ts";
import type { PlanningRules } from "./rules.ts";
import { type Approval, type Epic, idSchema, type Project, type ScoredReport, type Story } from "./story.ts";
import {
  type Changed,
  created,
  type Deciding,
  edited,
  planProposed,
  reportRecorded,
  taskChanged,
  tasksAdded,
  transitioned,
} from "./story-changes.ts";
import { StoryIndex } from "./story-index.ts";
import { type StoryRecord, slim, storyRecordSchema, whole } from "./story-record.ts";
import { availableFor, rejectFrom, type StoryTable } from "./story-table.ts";

/** Bytes of a story's document with its words and its plan, its steps counted twice because they become tasks. */
const PLANNED_MAX_BYTES = 320 * 1_024;
/** With its tasks; what is left up to the store's bound is for its history. */
const TASKS_MAX_BYTES = 448 * 1_024;
const PAGE_MAX = 500;
/** Characters of a page, about; a story alone may be larger. */
const PAGE_MAX_CHARACTERS = 2_000_000;
const APPROVALS_MAX = 500;

type Input<M extends keyof PlanningApi> = Parameters<PlanningApi[M]>[0];

export interface PlanningOptions {
  readonly system: PostSystem;
  readonly timers: Timers;
  readonly random: Random;
  readonly table: StoryTable;
  readonly rules: PlanningRules;
  readonly log: (level: LogLevel, message: string, data?: Readonly<Record<string, unknown>>) => void;
  /** W3C trace context of the call in hand. Default: none. */
  readonly trace?: () => string | undefined;
}

export class PlanningService implements PlanningApi {
  readonly #options: PlanningOptions;
  readonly #trace: () => string | undefined;
  readonly #stories: OutboxDocuments<StoryRecord>;
  readonly #catalogue: Catalogue;
  readonly #asks: Asks;
  readonly #index = new StoryIndex();
  /** By id (PS1). */
  readonly #waiting = new Map<string, Approval>();
  /** Ids of the gates of a story that wait. */
  readonly #gatesOf = new Map<string, readonly string[]>();

  constructor(options: PlanningOptions) {
    const { system, timers, log, random, trace = () => undefined } = options;
    this.#options = options;
    this.#trace = trace;
    this.#catalogue = new Catalogue({ system, timers, log, random, trace });
    this.#asks = new Asks({
      system,
      timers,
      log,
      random,
      trace,
      onApproval: (approval) => this.#noteApproval(approval),
    });
    this.#stories = new OutboxDocuments({
      ...{ system, timers, log, slim, whole, prefix: "planning.story", schema: storyRecordSchema },
      onHeld: (_, record) => record && this.#noteStory(record),
    });
  }

  /** Reads what there is; what an earlier life left to tell is told from now on. Throws DocumentUnreadable, Unavailable. */
  async start(): Promise<void> {
    await Promise.all([this.#stories.load(), this.#catalogue.load(), this.#asks.load()]);
  }

  /** What is in hand is done; then nothing runs any more. */
  async close(): Promise<void> {
    await Promise.all([this.#stories.close(), this.#catalogue.close(), this.#asks.close()]);
  }

  async createProject(draft: Input<"createProject">): Promise<Project> {
    return this.#catalogue.createProject(checked(projectInput, draft));
  }

  async createEpic(draft: Input<"createEpic">): Promise<Epic> {
    return this.#catalogue.createEpic(checked(epicInput, draft));
  }

  async projects(): Promise<readonly Project[]> {
    return this.#catalogue.projects();
  }

  async epics(projectId?: string): Promise<readonly Epic[]> {
    return this.#catalogue.epics(projectId);
  }

  async createStory(given: Input<"createStory">): Promise<Story> {
    const draft = checked(storyInput, given);
    const { key, epicId } = draft;
    const epic = epicId === undefined ? undefined : await this.#catalogue.epic(epicId);
    const id = draft.id ?? newId("story", key, this.#options.random);
    const made = await this.#stories.create(id, key, () => {
      const change = created(this.#deciding(), id, draft, epic?.projectId);
      return { ...this.#document(change, "criteria"), maxBytes: PLANNED_MAX_BYTES };
    });
    if (made === undefined) throw planningError("IdTaken", `There is a story ${id} already.`, { data: { id } });
    return made.story;
  }

  async editStory(given: Input<"editStory">): Promise<Story> {
    const edit = checked(editInput, given);
    return this.#change("editStory", edit, "criteria", (record) => edited(this.#deciding(), record, edit), {
      maxBytes: PLANNED_MAX_BYTES,
    });
  }

  async story(id: string): Promise<Story> {
    return (await this.#record(id)).story;
  }

  async stories(given: Input<"stories"> = {}): Promise<{ stories: readonly Story[]; next?: string }> {
    const filter = checked(pageInput, given);
    const max = Math.min(PAGE_MAX, filter.max ?? PAGE_MAX);
    const page: Story[] = [];
    let characters = 0;
    for (const id of this.#index.ids(filter)) {
      const last = page.at(-1);
      if (last !== undefined && (page.length >= max || characters >= PAGE_MAX_CHARACTERS))
        return { stories: page, next: last.id };
      const story = this.#stories.held(id)?.story;
      if (story === undefined) continue;
      page.push(story);
      characters += charactersOf(story);
    }
    return { stories: page };
  }

  async available(storyId: string): Promise<readonly Available[]> {
    return availableFor(this.#options.table, await this.story(storyId));
  }

  async transition(given: Input<"transition">): Promise<Moved> {
    const change = checked(transitionInput, given);
    let blocked: readonly Blocked[] | undefined;
    const story = await this.#change("transition", change, "feedback", (record) => {
      const outcome = transitioned(this.#deciding(), record, change);
      blocked = "blocked" in outcome ? outcome.blocked : undefined;
      return "blocked" in outcome ? undefined : outcome;
    });
    return blocked === undefined ? { kind: "moved", story } : { kind: "blocked", story, blocked };
  }

  async proposePlan(given: Input<"proposePlan">): Promise<Story> {
    const change = checked(planInput, given);
    const planId = newId("plan", change.key, this.#options.random);
    const stepBytes = Buffer.byteLength(JSON.stringify(change.plan.steps ?? []));
    return this.#change(
      "proposePlan",
      change,
      "plan",
      (record) => planProposed(this.#deciding(), record, change, planId),
      {
        maxBytes: PLANNED_MAX_BYTES - stepBytes,
      },
    );
  }

  async addTasks(given: Input<"addTasks">): Promise<Story> {
    const change = checked(tasksInput, given);
    return this.#change("addTasks", change, "tasks", (record) => tasksAdded(this.#deciding(), record, change), {
      maxBytes: TASKS_MAX_BYTES,
    });
  }

  async taskChanged(given: Input<"taskChanged">): Promise<Story> {
    const change = checked(taskChangeInput, given);
    return this.#change("taskChanged", change, "error", (record) => taskChanged(this.#deciding(), record, change));
  }

  async recordReport(given: Input<"recordReport">): Promise<ScoredReport> {
    const change = checked(reportInput, given);
    const scoredFor = ({ rigor }: Story) => this.#options.rules.report(change.report, rigor);
    const story = await this.#change("recordReport", change, "report", (record) =>
      reportRecorded(this.#deciding(), record, change, scoredFor(record.story)),
    );
    return scoredFor(story);
  }

  async approvals({ role, storyId }: Input<"approvals"> = {}): Promise<readonly Approval[]> {
    const may = ({ roles }: Approval) => role === undefined || roles.length === 0 || roles.includes(role.toLowerCase());
    return [...this.#waiting.values()]
      .filter((approval) => (storyId === undefined || approval.storyId === storyId) && may(approval))
      .sort((one, other) => one.sinceMs - other.sinceMs || (one.id < other.id ? -1 : 1))
      .slice(0, APPROVALS_MAX);
  }

  async approval(id: string): Promise<Approval> {
    if (!approvalIdSchema.safeParse(id).success) approvalUnknown(id);
    const gate = gateNamed(id);
    const approval = gate === undefined ? await this.#asks.get(id) : gateIn(await this.#stories.get(gate.storyId), id);
    return approval ?? approvalUnknown(id);
  }

  async ask(question: Input<"ask">): Promise<Approval> {
    return this.#asks.ask(checked(askInput, question));
  }

  async decide(given: Input<"decide">): Promise<Approval> {
    const decision = checked(decisionInput, given);
    const { approvalId, by } = decision;
    const { roles } = await this.approval(approvalId);
    const missing = humanGuard(roles, by);
    if (missing !== undefined) throw planningError("RoleMissing", missing.reason, { data: { approvalId, roles } });
    const gate = gateNamed(approvalId);
    if (gate !== undefined) return this.#decideGate(decision, gate.storyId);
    const { approval, isMade } = (await this.#asks.decide(decision)) ?? approvalUnknown(approvalId);
    return isMade ? approval : decidedBefore(approval);
  }

  /** Makes the gate's transition, or the way back from its state, as this person. */
  async #decideGate(decision: Decision, storyId: string): Promise<Approval> {
    const { approvalId, by, feedback, key } = decision;
    const change = { by, ...(key !== undefined && { key }), storyId };
    await this.#change("decide", change, "feedback", (record) => {
      const gate = gateIn(record, approvalId) ?? approvalUnknown(approvalId);
      if (gate.status !== "waiting") decidedBefore(gate);
      const { state } = record.story;
      const event = decision.decision === "approve" ? gate.subject : rejectFrom(this.#options.table, state)?.event;
      if (event === undefined)
        throw blockedError(approvalId, [{ guard: "state", reason: `No way leads back from ${state}.` }]);
      const why = feedback === undefined ? {} : { feedback };
      const outcome = transitioned(this.#deciding(), record, { ...change, event, ...why });
      if ("blocked" in outcome) throw blockedError(approvalId, outcome.blocked);
      return outcome;
    });
    return this.approval(approvalId);
  }

  async #record(storyId: string): Promise<StoryRecord> {
    if (!idSchema.safeParse(storyId).success) storyUnknown(storyId);
    return (await this.#stories.get(storyId)) ?? storyUnknown(storyId);
  }

  /** The story after the change, made once for its key; or as it is when there is nothing to change. */
  async #change(
    method: string,
    { storyId, key, expectedVersion }: Change & { readonly storyId: string; readonly expectedVersion?: number },
    field: string,
    decide: (record: StoryRecord) => Changed | undefined,
    bounds: Pick<DocumentChange<StoryRecord>, "maxBytes"> = {},
  ): Promise<Story> {
    const ownKey = key === undefined ? undefined : `${method} ${key}`;
    const record = await this.#stories.change(storyId, ownKey, (before) => {
      expectVersion(before.story, expectedVersion);
      const change = decide(before);
      return change && { ...this.#document(change, field), ...bounds };
    });
    return (record ?? storyUnknown(storyId)).story;
  }

  #document({ record, notices }: Changed, field: string): DocumentChange<StoryRecord> {
    const traceparent = this.#trace();
    const about = { correlationId: record.story.id, ...(traceparent !== undefined && { traceparent }) };
    const { system } = this.#options;
    const letters = notices.map((notice) => envelopeOf(system, "planning", agileEvents, { ...notice, ...about }));
    return { body: record, letters, field };
  }

  #deciding(): Deciding {
    const { table, rules, system } = this.#options;
    return { table, rules, roles: roleNames(), nowMs: system.clock.now() };
  }

  #noteApproval(approval: Approval): void {
    if (approval.status === "waiting") this.#waiting.set(approval.id, approval);
    else this.#waiting.delete(approval.id);
  }

  #noteStory({ story, gates }: StoryRecord): void {
    this.#index.put(story);
    for (const id of this.#gatesOf.get(story.id) ?? []) this.#waiting.delete(id);
    const waiting = gates.filter(({ status }) => status === "waiting").map((gate) => approvalOf(story.id, gate));
    for (const approval of waiting) this.#waiting.set(approval.id, approval);
    if (waiting.length === 0) this.#gatesOf.delete(story.id);
    else
      this.#gatesOf.set(
        story.id,
        waiting.map(({ id }) => id),
      );
  }
}

const charactersOf = ({ description, criteria, tasks, plan, history }: Story): number =>
  [
    description.length + 1_000,
    ...criteria.map(({ length }) => length),
    ...tasks.map(({ text }) => text.length + 300),
    ...(plan === undefined ? [] : [plan.text.length + plan.rationale.length]),
    ...(plan?.steps ?? []).map(({ text = "" }) => text.length + 300),
    ...history.map(({ feedback = "" }) => feedback.length + 200),
  ].reduce((sum, length) => sum + length, 0);

function gateIn(record: StoryRecord | undefined, id: string): Approval | undefined {
  return record?.gates.map((gate) => approvalOf(record.story.id, gate)).find((approval) => approval.id === id);
}

function expectVersion({ id, version }: Story, expected: number | undefined): void {
  if (expected === undefined || expected === version) return;
  throw fail("VersionStale", `Story ${id} is at version ${version}, not ${expected}.`, {
    data: { storyId: id, version, expectedVersion: expected },
  });
}

function storyUnknown(storyId: string): never {
  const shown = String(storyId).slice(0, 80);
  throw fail("StoryUnknown", `There is no story ${shown}.`, { data: { storyId: shown } });
}

function approvalUnknown(approvalId: string): never {
  const shown = String(approvalId).slice(0, 200);
  throw planningError("ApprovalUnknown", `Nothing with the id ${shown} waits or waited for a person.`, {
    data: { approvalId: shown },
  });
}

function decidedBefore({ id, status, decidedBy, storyId }: Approval): never {
  const why =
    status === "expired"
      ? `${id} has expired${storyId === undefined ? "" : `: story ${storyId} has changed since`}.`
      : `${id} was ${status} by ${decidedBy?.id}.`;
  throw planningError("ApprovalDecided", why, { data: { approvalId: id, status, decidedBy } });
}

const blockedError = (approvalId: string, blocked: readonly Blocked[]) =>
  planningError("TransitionBlocked", blocked.map(({ guard, reason }) => `${guard}: ${reason}`).join(" "), {
    data: { approvalId, blocked },
  });
