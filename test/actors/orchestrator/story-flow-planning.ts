// Planning as far as the story flow speaks to it, in memory: stories with versions, keys that are taken once, guards, events on the channel.
// It keeps a list of what was changed, so that a test can see what happened twice.

import { fail } from "../../../actors/errors.ts";
import { agileEvents, type DataOf, type TypeOf } from "../../../actors/events/channels.ts";
import type { By } from "../../../actors/events/envelope.ts";
import { postEvent } from "../../../actors/events/post.ts";
import type { PlanningApi } from "../../../actors/planning/planning-api.ts";
import type { Approval, Plan, ScoredReport, Story, Task, TaskDraft } from "../../../actors/planning/story.ts";
import type { Client } from "../../../actors/service-handles.ts";
import type { ActorSystem } from "../../../runtime/index.ts";

export const PERSON: By = { kind: "human", id: "ada", role: "po" };

type Input<M extends keyof PlanningApi> = Parameters<PlanningApi[M]>[0];
type Move = { readonly event: string; readonly from: string; readonly to: string };

const MOVES: readonly Move[] = [
  { event: "approve_scope", from: "DRAFT", to: "DESIGN" },
  { event: "approve_design", from: "DESIGN", to: "BUILD" },
  { event: "build_done", from: "BUILD", to: "TEST" },
  { event: "qa_passed", from: "TEST", to: "DOCS" },
  { event: "docs_ready", from: "DOCS", to: "DONE" },
  { event: "reject_build", from: "BUILD", to: "DESIGN" },
  { event: "reject_test", from: "TEST", to: "BUILD" },
];

/** One change that was made, as a test reads it: "b1 a dispatched 1". */
export type Made = string;

export class StagePlanning {
  readonly made: Made[] = [];
  readonly #system: ActorSystem;
  readonly #stories = new Map<string, Story>();
  readonly #keys = new Set<string>();
  readonly #asks: Approval[] = [];

  constructor(system: ActorSystem) {
    this.#system = system;
  }

  /** What the flow is given. */
  get client(): Client<PlanningApi> {
    return this as unknown as Client<PlanningApi>;
  }

  /** A story in DRAFT. */
  put(id: string, more: Partial<Story> = {}): Story {
    const story: Story = {
      ...{
        id,
        title: `Story ${id}`,
        description: "",
        criteria: ["It works."],
        rigor: "L1",
        state: "DRAFT",
        version: 1,
      },
      ...{ repository: { url: "/repository" }, readiness: { score: 90, threshold: 75, findings: [] }, tasks: [] },
      ...{ reports: {}, history: [], createdAtMs: 0, updatedAtMs: 0, ...more },
    };
    this.#stories.set(id, story);
    return story;
  }

  now(id: string): Story {
    const story = this.#stories.get(id);
    if (story === undefined) throw fail("StoryUnknown", `There is no story ${id}.`);
    return story;
  }

  /** From DRAFT to BUILD with this plan; the tasks are what `derive` of the test makes of it. */
  async approve(id: string, planId = "plan"): Promise<void> {
    if (this.now(id).state === "DRAFT") await this.#person(id, "approve_scope");
    await this.proposePlan({ storyId: id, by: PERSON, plan: { id: planId, title: "Plan", text: "- one" } });
    await this.#person(id, "approve_design");
  }

  async #person(storyId: string, event: string, feedback?: string): Promise<void> {
    await this.transition({ storyId, event, by: PERSON, ...(feedback !== undefined && { feedback }) });
  }

  reject(storyId: string, event: string, feedback: string): Promise<void> {
    return this.#person(storyId, event, feedback);
  }

  /** What people do when nothing stands against it. */
  async moveOn(storyId: string): Promise<void> {
    const { state, tasks } = this.now(storyId);
    if (state === "TEST") await this.#person(storyId, "qa_passed");
    if (state === "DOCS" && tasks.every(({ status }) => status === "done")) await this.#person(storyId, "docs_ready");
  }

  async story(id: string): Promise<Story> {
    return this.now(id);
  }

  async stories({ state, after = "", max = 500 }: NonNullable<Input<"stories">> = {}) {
    const all = [...this.#stories.values()].filter((story) => story.state === state && story.id > after);
    const stories = all.sort((a, b) => (a.id < b.id ? -1 : 1)).slice(0, max);
    const last = stories.at(-1);
    return { stories, ...(all.length > max && last !== undefined && { next: last.id }) };
  }

  async transition({ storyId, event, by, feedback, key }: Input<"transition">) {
    const story = this.now(storyId);
    if (this.#isKnown(key)) return { kind: "moved", story };
    const move = MOVES.find((each) => each.event === event && each.from === story.state);
    const against = move === undefined ? `not in ${story.state}` : blockedBy(story, event, by);
    if (move === undefined || against !== undefined)
      return { kind: "blocked", story, blocked: [{ guard: "g", reason: against ?? "" }] };
    const { from, to } = move;
    const said = feedback === undefined ? {} : { feedback };
    const entry = { event, from, to, by, ...said, version: story.version + 1, atMs: 0 };
    const status = event === "approve_design" ? "approved" : event === "reject_build" ? "rejected" : undefined;
    const plan: Plan | undefined = story.plan && status ? { ...story.plan, status } : story.plan;
    const dropped = event === "reject_build" ? story.tasks.filter(isOpen).map(({ id }) => id) : [];
    const tasks = story.tasks.map((task) => (dropped.includes(task.id) ? { ...task, status: "cancelled" } : task));
    const history = [...story.history, entry] as Story["history"];
    const change: Partial<Story> = { state: to, history, tasks: tasks as Task[], ...(plan && { plan }) };
    const moved = this.#write(storyId, change, key, `${storyId} ${event}`);
    await this.#tell(moved, "story.transitioned", { event, from, to, by, ...said });
    if (status === "approved" && moved.plan !== undefined)
      await this.#tell(moved, "plan.approved", { plan: moved.plan, by });
    for (const id of dropped) await this.#tellTask(moved, id);
    return { kind: "moved", story: moved };
  }

  async proposePlan({ storyId, plan, by, key, expectedVersion }: Input<"proposePlan">): Promise<Story> {
    const story = this.now(storyId);
    if (this.#isKnown(key)) return story;
    if (expectedVersion !== undefined && expectedVersion !== story.version)
      throw fail("VersionStale", "It has changed.");
    const { id = "p", title, text } = plan;
    const proposed = { id, title, text, steps: [], rationale: "", proposedBy: by, status: "proposed" as const };
    return this.#write(storyId, { plan: proposed }, key, `${storyId} plan ${proposed.id}`);
  }

  async addTasks({ storyId, planId, tasks, key }: Input<"addTasks">): Promise<Story> {
    const story = this.now(storyId);
    if (this.#isKnown(key)) return story;
    const all = [...story.tasks, ...tasks];
    if (new Set(all.map(({ id }) => id)).size < all.length) throw fail("StoryPlanInvalid", "Two tasks have one id.");
    if (hasRing(all)) throw fail("StoryPlanInvalid", "Tasks depend on one another in a ring.");
    const added = tasks.map((task): Task => ({ ...task, planId, status: "pending", attempt: 0 }));
    const ids = tasks.map(({ id }) => id).join(",");
    const changed = this.#write(storyId, { tasks: [...story.tasks, ...added] }, key, `${storyId} tasks ${ids}`);
    for (const task of tasks) await this.#tell(changed, "task.derived", { planId, task, reason: "planned" }, task.id);
    return changed;
  }

  async taskChanged({ storyId, taskId, status, attempt, key, ...more }: Input<"taskChanged">): Promise<Story> {
    const story = this.now(storyId);
    const task = story.tasks.find(({ id }) => id === taskId);
    if (task === undefined) throw fail("TaskUnknown", `There is no task ${taskId}.`);
    if (this.#isKnown(key) || !isOpen(task) || attempt < task.attempt) return story;
    const { error: _, ...rest } = task;
    const { commit, agentId, error } = more;
    const made = { ...(commit && { commit }), ...(agentId && { agentId }), ...(error && { error }) };
    const now = { ...rest, ...made, status, attempt };
    const tasks = story.tasks.map((each) => (each === task ? now : each));
    const changed = this.#write(storyId, { tasks }, key, `${storyId} ${taskId} ${status} ${attempt}`);
    await this.#tellTask(changed, taskId);
    return changed;
  }

  async recordReport({ storyId, phase, report, key }: Input<"recordReport">): Promise<ScoredReport> {
    const failed = report.unit?.failed ?? 0;
    const scored: ScoredReport = {
      gate: failed > 0 ? "block" : "pass",
      score: 90,
      reasons: failed > 0 ? ["Unit tests fail."] : [],
    };
    if (!this.#isKnown(key))
      this.#write(
        storyId,
        { reports: { ...this.now(storyId).reports, [phase]: scored } },
        key,
        `${storyId} report ${phase}`,
      );
    return scored;
  }

  async approvals({ storyId }: NonNullable<Input<"approvals">> = {}): Promise<readonly Approval[]> {
    return this.#asks.filter((ask) => ask.storyId === storyId && ask.status === "waiting");
  }

  async ask({ storyId, taskId, subject, question, key }: Input<"ask">): Promise<Approval> {
    const id = `ask-${key ?? this.#asks.length}`;
    const before = this.#asks.find((ask) => ask.id === id);
    if (before !== undefined) return before;
    const ask: Approval = {
      id,
      kind: "ask",
      ...(storyId && { storyId }),
      ...(taskId && { taskId }),
      subject,
      question,
      roles: [],
      status: "waiting",
      sinceMs: 0,
    };
    this.#asks.push(ask);
    return ask;
  }

  async answer(storyId: string): Promise<void> {
    const at = this.#asks.findIndex((ask) => ask.storyId === storyId && ask.status === "waiting");
    const ask = this.#asks[at] as Approval;
    this.#asks[at] = { ...ask, status: "approved" };
    const data = {
      approvalId: ask.id,
      kind: "ask",
      storyId,
      ...(ask.taskId && { taskId: ask.taskId }),
      subject: ask.subject,
      decision: "approved",
      by: PERSON,
    } as const;
    await this.#post(storyId, "approval.decided", ask.id, data);
  }

  #isKnown(key: string | undefined): boolean {
    return key !== undefined && this.#keys.has(key);
  }

  #write(id: string, change: Partial<Story>, key: string | undefined, made: Made): Story {
    const before = this.now(id);
    const story = { ...before, ...change, version: before.version + 1 };
    this.#stories.set(id, story);
    if (key !== undefined) this.#keys.add(key);
    this.made.push(made);
    return story;
  }

  #tellTask(story: Story, taskId: string): Promise<void> {
    const { status, attempt } = story.tasks.find(({ id }) => id === taskId) as Task;
    return this.#tell(story, "task.changed", { taskId, status, attempt }, taskId);
  }

  #tell(story: Story, type: TypeOf<typeof agileEvents>, data: object, part = ""): Promise<void> {
    const { id: storyId, version } = story;
    return this.#post(storyId, type, `${storyId} ${type} ${part} ${version}`, { storyId, version, ...data });
  }

  async #post(storyId: string, type: TypeOf<typeof agileEvents>, key: string, data: object): Promise<void> {
    const posting = { type, key, correlationId: storyId, data: data as DataOf<typeof agileEvents, typeof type> };
    await postEvent(this.#system, "planning", agileEvents, posting);
  }
}

const isOpen = ({ status }: Task): boolean => status !== "done" && status !== "cancelled";

function blockedBy({ tasks, reports }: Story, event: string, by: By): string | undefined {
  if (event !== "build_done") return by.kind === "human" ? undefined : "only a person may";
  if (tasks.some((task) => task.phase === "BUILD" && isOpen(task))) return "tasks are open";
  return reports.BUILD === undefined || reports.BUILD.gate === "block" ? "no good report" : undefined;
}

function hasRing(tasks: readonly TaskDraft[]): boolean {
  let left = tasks;
  for (;;) {
    const next = left.filter(({ dependsOn }) => dependsOn.some((id) => left.some((task) => task.id === id)));
    if (next.length === left.length) return left.length > 0;
    left = next;
  }
}
