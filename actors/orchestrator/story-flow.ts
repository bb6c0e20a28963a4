// Moves stories by themselves as far as no person is needed: proposes a plan where there is none, derives its tasks, sends them to agents,
// takes in what they made, has it verified, delivers it. It is not the truth about stories: that is Planning's, and nothing is kept here
// but memory and the places of two consumers.
//
//   agile.events ──▶ ┐  in the story's lane:                                        ┌─▶ planning: plan, tasks, states
//   agent.results ─▶ ├─ read the story's document ─▶ nextSteps (pure) ─▶ take them ─┼─▶ dispatch ─▶ agent.requests
//   start: all open  ┘                                                              └─▶ verification, delivery (runner)
//
// Why a kill at any moment loses and doubles nothing:
//
// SF1  Steps follow from the document, not from the event that led to looking at it, and each step changes the document. At the start every
//      open story is looked at; so what was begun and not done by an earlier life is done by the next, whether its event comes again or not.
// SF2  Each change has a key made from what it is about (plan, task and attempt, commit), never from the life that makes it. Made twice, it
//      is made once by Planning; a request posted twice is one job by its attempt's key; integrate, verify and deliver can be repeated.
// SF3  A result exists only in its event: that is acknowledged after the work is in the story's branch and Planning knows. A result of
//      another attempt, or of a task that is settled, changes nothing.
// SF4  Delivery does not show in the document: the event of DONE is acknowledged after it, and the start passes stories over that are DONE.
// SF5  Whose results these are is looked up among the tasks that are out, never read from their topic: "a-b-c" may be two tasks. All that
//      are out are known before the first result is read. Results of councils are nobody's here.
// SF6  What ended without a word (its event was dropped, or a runner lost it) is found by asking the runner, and counts as a failed attempt.

import { type ActorSystem, isFlotillaError } from "../../runtime/index.ts";
import type { ModelSpec } from "../agent-actor.ts";
import type { ContextApi } from "../context/context-api.ts";
import { fail as refuse } from "../errors.ts";
import { agentRequests, agentResults, agileEvents } from "../events/channels.ts";
import { consume } from "../events/consumer.ts";
import type { ChannelEvent } from "../events/feed.ts";
import { postEvent } from "../events/post.ts";
import type { PlanningApi } from "../planning/planning-api.ts";
import type { Plan, RepositoryRef, Story, Task, TaskDraft } from "../planning/story.ts";
import type { Client } from "../service-handles.ts";
import type { WorkspaceRunnerApi } from "../workspace-runner/workspace-runner-api.ts";
import { problemOf, workId } from "./story-flow-attempts.ts";
import { TaskDispatch } from "./story-flow-dispatch.ts";
import { fail } from "./story-flow-errors.ts";
import { forConsumer, type Log, patiently, StoryLanes, unlessAborted } from "./story-flow-lanes.ts";
import { askAboutTask, askOnce, DELIVER, DERIVE, QUESTIONS, TASK, tryAgain } from "./story-flow-questions.ts";
import { StoryResults } from "./story-flow-results.ts";
import { FLOW, flowChange, freshIds, nextSteps, OPEN_STATES, type PlanDraft, type Step } from "./story-flow-steps.ts";
import { StoryVerification } from "./story-flow-verification.ts";

export interface FlowSettings {
  /** Attempts at a task before it waits for a person. Default 3. */
  readonly attemptsMax: number;
  /** What an agent gets. Default 900,000. */
  readonly taskTimeoutMs: number;
  /** Tasks out at once, of all stories. Default 64. */
  readonly dispatchedMax: number;
  /** Of an agent's context. Default: the role's. */
  readonly contextTokens: number | undefined;
  /** How long a task waits for its context before it goes without. Default 5,000. */
  readonly contextWaitMs: number;
  /** Before the second attempt; doubled for each further one. Default 1,000. */
  readonly retryPauseMs: number;
  /** How long after a job's end its result may be on the way. Default 60,000. */
  readonly lostAfterMs: number;
}

const DEFAULTS: FlowSettings = {
  ...{ attemptsMax: 3, taskTimeoutMs: 900_000, dispatchedMax: 64, contextTokens: undefined },
  ...{ contextWaitMs: 5_000, retryPauseMs: 1_000, lostAfterMs: 60_000 },
};

export interface StoryFlowOptions {
  readonly system: ActorSystem;
  readonly planning: Client<PlanningApi>;
  /** Its calls need the time that a project's tests take. */
  readonly runner: Client<WorkspaceRunnerApi>;
  /** Undefined: agents get no context. */
  readonly context: Client<ContextApi> | undefined;
  /** A plan's tasks, checked. Rejects with StoryPlanInvalid for a plan that can have none. */
  readonly derive: (plan: Plan, story: Story, signal: AbortSignal) => Promise<readonly TaskDraft[]>;
  /** Of the agents. Undefined: tasks fail with ModelUnset. */
  readonly model: ModelSpec | undefined;
  readonly settings?: Partial<FlowSettings>;
  readonly log: Log;
}

export interface FlowStats {
  /** Stories in an open state (OPEN_STATES), or known to wait for a person after one. */
  readonly storiesInFlight: number;
  /** Of those, and of the stories that came to an end in this life. */
  readonly tasks: {
    readonly pending: number;
    readonly dispatched: number;
    readonly done: number;
    readonly failed: number;
  };
}

const CONCURRENCY = 32;
const PAGE = 500;
/** Rounds of steps in one look at a story: more would mean that its document does not show what was done. */
const ROUNDS_MAX = 8;

/** What a repository has against the work that is brought to it. */
const REFUSED_WORK: ReadonlySet<string> = new Set([
  "BranchExists",
  "GitFailed",
  "CloneFailed",
  "RepoNotFound",
  "RepoEmpty",
]);

type Tally = Record<keyof FlowStats["tasks"], number>;

export class StoryFlow {
  readonly #options: StoryFlowOptions;
  readonly #settings: FlowSettings;
  readonly #end = new AbortController();
  readonly #lanes = new StoryLanes();
  readonly #dispatch: TaskDispatch;
  readonly #verification: StoryVerification;
  readonly #results: StoryResults;
  readonly #refused = new Map<string, string>();
  readonly #tallies = new Map<string, Tally>();
  readonly #ended: Tally = { pending: 0, dispatched: 0, done: 0, failed: 0 };
  readonly #background = new Set<Promise<void>>();
  #running: Promise<void> | undefined;

  constructor(options: StoryFlowOptions) {
    this.#options = options;
    this.#settings = { ...DEFAULTS, ...options.settings };
    const { system, log } = options;
    const shared = {
      ...options,
      ...this.#settings,
      lanes: this.#lanes,
      signal: this.#end.signal,
      clock: system.clock,
      log,
    };
    this.#dispatch = new TaskDispatch({ ...shared, onStory: (storyId) => this.#look(storyId) });
    this.#verification = new StoryVerification({ ...shared, onStory: (story) => this.#advance(story) });
    this.#results = new StoryResults({ ...shared, dispatch: this.#dispatch, onStory: (story) => this.#advance(story) });
  }

  /** Begins; what cannot be reached yet is waited for. */
  start(): void {
    this.#running ??= this.#run();
  }

  /** Resolves when nothing is at work any more; what was begun is taken up by the next life (SF1). */
  async stop(): Promise<void> {
    this.#end.abort();
    await this.#running;
    await Promise.all([this.#dispatch.stop(), this.#verification.stop(), ...this.#background]);
  }

  stats(): FlowStats {
    const tasks = { ...this.#ended };
    for (const tally of this.#tallies.values()) addTo(tasks, tally);
    return { storiesInFlight: this.#tallies.size, tasks };
  }

  async #run(): Promise<void> {
    const { system, log } = this.#options;
    const { signal } = this.#end;
    const shared = { system, log, signal, concurrency: CONCURRENCY };
    const laneOf = (event: { readonly correlationId: string }) => event.correlationId;
    await this.#scan().catch((error: unknown) => this.#giveUp(error));
    if (signal.aborted) return;
    const agile = consume({
      ...{ ...shared, channel: agileEvents, name: "orchestrator-agile", laneOf, onGap: () => this.#scan() },
      handle: (event) => this.#guard(() => this.#onAgile(event)),
    });
    const results = consume({
      ...{ ...shared, channel: agentResults, name: "orchestrator-results", laneOf },
      handle: (event, { topic }) => this.#guard(() => this.#results.take(event, topic)),
    });
    const parts = [agile, results, this.#results.sweeps()];
    await Promise.all(parts.map((part) => part.catch((error: unknown) => this.#giveUp(error))));
  }

  /** What no waiting mends: the system is closed, or documents cannot be read. The other parts end with it. */
  #giveUp(error: unknown): void {
    if (this.#end.signal.aborted) return;
    this.#options.log("error", "the story flow ends", { error: String(error) });
    this.#end.abort(error);
  }

  async #guard(handle: () => Promise<void>): Promise<void> {
    try {
      await unlessAborted(handle(), this.#end.signal);
    } catch (error) {
      throw forConsumer(error);
    }
  }

  /** SF1, SF5: takes in what is out, then has every open story looked at. */
  async #scan(): Promise<void> {
    const { planning, log, system } = this.#options;
    const patience = { clock: system.clock, log, signal: this.#end.signal };
    const open: string[] = [];
    for (const state of OPEN_STATES) {
      for (let after: string | undefined; ; ) {
        const filter = { state, max: PAGE, ...(after !== undefined && { after }) };
        const page = await patiently(patience, "reading open stories", () => planning.stories(filter));
        for (const story of page.stories) {
          open.push(story.id);
          for (const task of story.tasks) if (task.status === "dispatched") this.#dispatch.offer(story, task);
        }
        if (page.next === undefined) break;
        after = page.next;
      }
    }
    const lookOn = async () => {
      for (let id = open.shift(); id !== undefined && !this.#end.signal.aborted; id = open.shift())
        await this.#lookAt(id);
    };
    for (let i = 0; i < CONCURRENCY; i++) this.#keep(lookOn());
  }

  #keep(work: Promise<void>): void {
    const kept = work.finally(() => this.#background.delete(kept));
    this.#background.add(kept);
  }

  #look(storyId: string): void {
    if (!this.#end.signal.aborted) this.#keep(this.#lookAt(storyId));
  }

  /** Takes the steps that a story is due, without an event. Never rejects. */
  async #lookAt(storyId: string): Promise<void> {
    const { log, system } = this.#options;
    const { signal } = this.#end;
    const look = () => unlessAborted(this.#advanceById(storyId), signal);
    try {
      await patiently({ clock: system.clock, log, signal }, `looking at ${storyId}`, look);
    } catch (error) {
      if (!signal.aborted) log("error", "a story cannot go on", { storyId, error: String(error) });
    }
  }

  #advanceById(storyId: string): Promise<void> {
    return this.#lanes.run(storyId, async () => this.#advance(await this.#options.planning.story(storyId)));
  }

  async #onAgile(event: ChannelEvent<typeof agileEvents>): Promise<void> {
    switch (event.type) {
      case "story.transitioned":
      case "plan.approved":
        return this.#advanceById(event.data.storyId);
      case "task.changed":
        return this.#onTaskChanged(event.data);
      case "approval.decided": {
        const { storyId, taskId, subject, decision } = event.data;
        if (storyId !== undefined && taskId !== undefined && subject === TASK && decision === "approved")
          return tryAgain(this.#options.planning, storyId, taskId);
        if (storyId === undefined || !QUESTIONS.has(subject) || decision !== "approved") return;
        this.#verification.forget(storyId);
        this.#refused.delete(storyId);
        return this.#advanceById(storyId);
      }
    }
  }

  /** What the flow itself changes it has acted on, but for a failure, which a person is told of; what people change is a task to send, or an attempt to call back. */
  async #onTaskChanged(changed: TaskChanged): Promise<void> {
    const { storyId, taskId, status, attempt } = changed;
    if (status === "failed") await askAboutTask(this.#options.planning, changed);
    if (status === "cancelled" && attempt > 0) await this.#callBack(storyId, taskId, attempt);
    if (status === "pending" || status === "cancelled") await this.#advanceById(storyId);
  }

  #callBack(storyId: string, taskId: string, attempt: number): Promise<unknown> {
    const data = { storyId, taskId, attempt, reason: "The task was cancelled." };
    const key = `${storyId} ${taskId} ${attempt} cancelled`;
    const type = "agent.request.cancelled";
    return postEvent(this.#options.system, FLOW.id, agentRequests, { type, key, correlationId: storyId, data });
  }

  /** Takes all steps that a story is due, in its lane. */
  async #advance(seen: Story): Promise<void> {
    let story = seen;
    for (let round = 0; round < ROUNDS_MAX; round++) {
      this.#remember(story);
      let hasChanged = false;
      for (const step of nextSteps(story, this.#begun(story.id))) {
        this.#end.signal.throwIfAborted();
        const changed = await this.#take(story, step);
        if (changed === undefined) continue;
        story = changed;
        hasChanged = true;
      }
      if (!hasChanged) return;
    }
    this.#options.log("error", "a story does not show the steps taken for it", { storyId: story.id });
  }

  #begun(storyId: string) {
    const refused = this.#refused.get(storyId);
    const verified = this.#verification.begun(storyId);
    return { ...(refused !== undefined && { refused }), ...(verified !== undefined && { verified }) };
  }

  /** The story, where the step has changed it. */
  async #take(story: Story, step: Step): Promise<Story | undefined> {
    const { planning } = this.#options;
    switch (step.kind) {
      case "propose":
        return this.#propose(story, step.plan);
      case "derive":
        return this.#derive(story, step.plan);
      case "add":
        return planning.addTasks({
          ...{ ...flowChange(story.id, `add ${step.draft.id}`), planId: step.plan.id, tasks: [step.draft] },
        });
      case "work":
        return this.#dispatch.offer(story, step.task) ? undefined : this.#refuse(story, step.task);
      case "verify":
        this.#verification.begin(story.id, step.tree);
        return undefined;
      case "deliver":
        await this.#deliver(story);
        return undefined;
    }
  }

  async #propose(story: Story, plan: PlanDraft): Promise<Story> {
    const { planning } = this.#options;
    const change = flowChange(story.id, `propose ${plan.id}`);
    try {
      return await planning.proposePlan({ ...change, plan, expectedVersion: story.version });
    } catch (error) {
      // Somebody was quicker; their plan is not replaced.
      if (isFlotillaError(error, "VersionStale")) return planning.story(story.id);
      throw error;
    }
  }

  /** A plan that can have no tasks is a question to a person: only people send a story back. */
  async #derive(story: Story, plan: Plan): Promise<Story | undefined> {
    const { planning, derive, log } = this.#options;
    try {
      const tasks = freshIds(story, await derive(plan, story, this.#end.signal));
      if (tasks.length === 0) throw refuse("StoryPlanInvalid", "No task could be derived from it.");
      return await planning.addTasks({ ...flowChange(story.id, `tasks ${plan.id}`), planId: plan.id, tasks });
    } catch (error) {
      if (!isFlotillaError(error, "StoryPlanInvalid")) throw error;
      log("warn", "a plan can have no tasks", { storyId: story.id, planId: plan.id, error: error.message });
      const question = `Plan ${plan.id} can have no tasks: ${error.message} Reject the build, or derive them again?`;
      await askOnce(planning, story.id, DERIVE, question);
      this.#refused.set(story.id, plan.id);
      return undefined;
    }
  }

  /** SF5: its results could not be told from another task's. */
  #refuse(story: Story, task: Task): Promise<Story> {
    const other = this.#dispatch.find(workId(story.id, task.id));
    const both = `Task ${task.id} of ${story.id} and task ${other?.taskId} of ${other?.storyId}, which is out,`;
    const error = problemOf(fail("TaskAmbiguous", `${both} have one name in topics and jobs.`));
    const attempt = task.attempt + 1;
    const change = flowChange(story.id, `ambiguous ${task.id} ${attempt}`);
    return this.#options.planning.taskChanged({ ...change, taskId: task.id, attempt, status: "failed", error });
  }

  async #deliver({ id: storyId, repository, tasks }: Story): Promise<void> {
    if (repository !== undefined && tasks.some(({ commit }) => commit !== undefined))
      await this.#putInto(storyId, repository);
    const tally = this.#tallies.get(storyId);
    if (tally !== undefined) addTo(this.#ended, tally);
    this.#tallies.delete(storyId);
    this.#refused.delete(storyId);
    this.#verification.forget(storyId);
  }

  /** What keeps the work out of its repository (another branch of that name, no right) people mend; a repetition does not. */
  async #putInto(storyId: string, repository: RepositoryRef): Promise<void> {
    const { planning, runner, log } = this.#options;
    try {
      await runner.deliver({ storyId, repository });
    } catch (error) {
      if (!isFlotillaError(error) || !REFUSED_WORK.has(error.code)) throw error;
      log("warn", "a story's work could not be delivered", { storyId, code: error.code, error: error.message });
      const question = `The work of ${storyId} could not be put into its repository: ${error.message} Shall it be tried again?`;
      await askOnce(planning, storyId, DELIVER, question);
    }
  }

  #remember(story: Story): void {
    this.#dispatch.settle(story);
    // An end that is told again is not counted again.
    const isKnown = this.#tallies.has(story.id);
    if (!isKnown && !OPEN_STATES.some((state) => state === story.state)) return;
    const tally: Tally = { pending: 0, dispatched: 0, done: 0, failed: 0 };
    for (const { status } of story.tasks) if (status !== "cancelled") tally[status]++;
    this.#tallies.set(story.id, tally);
  }
}

type TaskChanged = Extract<ChannelEvent<typeof agileEvents>, { type: "task.changed" }>["data"];

function addTo(sum: Tally, tally: Tally): void {
  for (const status of ["pending", "dispatched", "done", "failed"] as const) sum[status] += tally[status];
}
