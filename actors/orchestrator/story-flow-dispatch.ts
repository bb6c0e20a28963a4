// Sends tasks out to agents: by priority across all stories, at most so many at once. What it holds is memory only; Planning's documents say
// what was dispatched, and a new life is offered all of it again.
//
//   offer ─▶ queued ─▶ preparing (context is asked for) ─▶ posted ─▶ settled: its place is free
//              ▲                                             │
//              └── paused, after an attempt that failed ◀────┘
//
// FD1  Planning is told before the request goes out, and the request has the attempt's key. A life that ended in between leaves a task that is
//      dispatched and perhaps without a request: it is offered again, posted again, and taken once by its key (EE1).
// FD2  From `preparing` to `settled` a task has one of `dispatchedMax` places.
// FD3  Whether a task may still go is looked at in its story's lane, in a fresh document, right before Planning is told.
// FD4  An agent without context is better than none: after `contextWaitMs` it goes without, and is told so.

import { type ActorSystem, isFlotillaError, sleep, type Timer } from "../../runtime/index.ts";
import type { ModelSpec } from "../agent-actor.ts";
import type { ContextApi } from "../context/context-api.ts";
import { agentRequests } from "../events/channels.ts";
import { postEvent } from "../events/post.ts";
import type { PlanningApi } from "../planning/planning-api.ts";
import type { Story, Task } from "../planning/story.ts";
import type { Client } from "../service-handles.ts";
import { agentIdOf, type Problem, problemOf, requestOf, workId } from "./story-flow-attempts.ts";
import { fail } from "./story-flow-errors.ts";
import { isTransient, type Log, type StoryLanes, unlessAborted } from "./story-flow-lanes.ts";
import { FLOW, flowChange, isReady } from "./story-flow-steps.ts";
import { TaskQueue } from "./task-queue.ts";

const AGAIN_MS = 50;
/** Doubled each time: sixty-four tasks that ask again and again are what keeps a busy graph from getting to know them. */
const CONTEXT_AGAIN_MS = 200;
/** Within one question for context: asking again and again would keep the graph from following the events. */
const KNOWN_WITHIN_MS = 1_000;
/** What was out when the last life ended already has its place: it goes before everything else. */
const PRIORITY_OUT = 10;
/** The graph follows the events: what it does not know yet, it may know soon. */
const NOT_YET: ReadonlySet<string> = new Set(["StoryUnknown", "TaskUnknown", "NodeUnknown"]);

export interface DispatchOptions {
  readonly system: ActorSystem;
  readonly planning: Client<PlanningApi>;
  readonly context: Client<ContextApi> | undefined;
  readonly model: ModelSpec | undefined;
  readonly taskTimeoutMs: number;
  readonly dispatchedMax: number;
  readonly contextTokens: number | undefined;
  readonly contextWaitMs: number;
  readonly lanes: StoryLanes;
  readonly log: Log;
  readonly signal: AbortSignal;
  /** A story should be looked at again: a task of it may go now, or could not. */
  readonly onStory: (storyId: string) => void;
}

/** A task that the dispatcher knows of. */
export interface Held {
  readonly storyId: string;
  readonly taskId: string;
  readonly role: string;
  readonly phase: string;
  readonly stage: "queued" | "preparing" | "posted" | "paused";
  /** Of the request, from `posted` on. */
  readonly attempt: number;
  readonly sinceMs: number;
}

export class TaskDispatch {
  readonly #options: DispatchOptions;
  readonly #held = new Map<string, Held>();
  readonly #queue = new TaskQueue<string>();
  readonly #pauses = new Map<string, Timer>();
  readonly #running = new Set<Promise<void>>();
  #places = 0;

  constructor(options: DispatchOptions) {
    this.#options = options;
  }

  /** The story whose task this is, by the name that results use. */
  find(work: string): Held | undefined {
    return this.#held.get(work);
  }

  /** Requests that are out. */
  *posted(): Iterable<Held> {
    for (const held of this.#held.values()) if (held.stage === "posted") yield held;
  }

  /** Takes in a task that may go, or that is out by its document; a known one is passed over. False: another task has its name. */
  offer(story: Story, task: Task): boolean {
    const work = workId(story.id, task.id);
    const known = this.#held.get(work);
    if (known !== undefined) return known.storyId === story.id;
    const { role, phase, priority } = task;
    this.#hold(work, { storyId: story.id, taskId: task.id, role, phase, stage: "queued", attempt: 0 });
    this.#queue.push(work, task.status === "dispatched" ? PRIORITY_OUT : priority);
    this.#pump();
    return true;
  }

  /** Frees the places of a story's tasks that are no longer out, by its document. */
  settle(story: Story): void {
    for (const task of story.tasks) {
      const work = workId(story.id, task.id);
      const held = this.#held.get(work);
      if (held?.storyId !== story.id) continue;
      const isOut = task.status === "dispatched" && task.attempt === held.attempt;
      const isOver = task.status !== "pending" && task.status !== "dispatched";
      if (held.stage === "posted" ? !isOut : held.stage === "paused" && isOver) this.#free(work);
    }
  }

  /** Keeps a task whose attempt failed back for a while. */
  pause(storyId: string, task: Task, pauseMs: number): void {
    const work = workId(storyId, task.id);
    this.#free(work);
    const { role, phase, attempt } = task;
    this.#hold(work, { storyId, taskId: task.id, role, phase, stage: "paused", attempt });
    const end = () => {
      this.#free(work);
      this.#options.onStory(storyId);
    };
    this.#pauses.set(work, this.#options.system.clock.schedule(pauseMs, end));
  }

  /** After the signal aborted: resolves when nothing is at work. */
  async stop(): Promise<void> {
    for (const timer of this.#pauses.values()) timer.cancel();
    await Promise.allSettled(this.#running);
  }

  #hold(work: string, held: Omit<Held, "sinceMs">): void {
    this.#held.set(work, { ...held, sinceMs: this.#options.system.clock.monotonic() });
  }

  #free(work: string): void {
    const stage = this.#held.get(work)?.stage;
    this.#pauses.get(work)?.cancel();
    this.#pauses.delete(work);
    this.#held.delete(work);
    if (stage === "preparing" || stage === "posted") this.#leavePlace();
  }

  #leavePlace(): void {
    this.#places--;
    this.#pump();
  }

  /** FD2. */
  #pump(): void {
    const { dispatchedMax, signal } = this.#options;
    while (this.#places < dispatchedMax && !signal.aborted) {
      const work = this.#queue.pop();
      if (work === undefined) return;
      const held = this.#held.get(work);
      if (held?.stage !== "queued") continue;
      this.#hold(work, { ...held, stage: "preparing" });
      this.#places++;
      const running = this.#send(work, held).finally(() => this.#running.delete(running));
      this.#running.add(running);
    }
  }

  async #send(work: string, held: Held): Promise<void> {
    const { lanes, log, signal, system } = this.#options;
    try {
      const context = await this.#contextFor(held);
      const dispatching = lanes.run(held.storyId, () => this.#dispatch(work, held, context));
      if (!(await unlessAborted(dispatching, signal))) this.#free(work);
    } catch (error) {
      if (signal.aborted) return;
      const again = isTransient(error);
      log(again ? "warn" : "error", "a task could not be dispatched", { task: work, again, error: String(error) });
      if (!again) return this.#free(work);
      await sleep(system.clock, AGAIN_MS, signal).catch(() => {});
      // It stays known: its request may be out, and its result on the way.
      this.#hold(work, { ...held, stage: "queued" });
      this.#queue.push(work, PRIORITY_OUT);
      this.#leavePlace();
    }
  }

  /** Whether the request is out. FD1, FD3. */
  async #dispatch(work: string, held: Held, context: string): Promise<boolean> {
    const { planning, system, taskTimeoutMs, model, signal } = this.#options;
    signal.throwIfAborted();
    const { storyId, taskId } = held;
    const story = await planning.story(storyId);
    const task = story.tasks.find(({ id }) => id === taskId);
    const isOut = task?.status === "dispatched";
    if (task === undefined || (!isOut && !isReady(story, task))) return false;
    const { repository } = story;
    const attempt = isOut ? task.attempt : task.attempt + 1;
    const change = { taskId, attempt, agentId: agentIdOf(task.role, attempt) };
    if (repository === undefined || model === undefined) {
      const error = problemOf(repository === undefined ? noRepository(story) : NO_MODEL);
      await planning.taskChanged({
        ...flowChange(storyId, `unfit ${taskId} ${attempt}`),
        ...change,
        status: "failed",
        error,
      });
      return false;
    }
    const sent = flowChange(storyId, `dispatched ${taskId} ${attempt}`);
    if (!isOut) await planning.taskChanged({ ...sent, ...change, status: "dispatched" });
    const data = requestOf(story, task, { attempt, repository, model, context, timeoutMs: taskTimeoutMs });
    const key = `${storyId} ${taskId} ${attempt}`;
    await postEvent(system, FLOW.id, agentRequests, { type: "agent.requested", key, correlationId: storyId, data });
    this.#hold(work, { ...held, stage: "posted", attempt });
    return true;
  }

  /** FD4. */
  async #contextFor({ storyId, taskId, role, phase }: Held): Promise<string> {
    const { context, contextTokens, contextWaitMs, system, signal, log } = this.#options;
    if (context === undefined) return "";
    const { clock } = system;
    const about = { storyId, role, phase, taskId, waitMs: KNOWN_WITHIN_MS };
    const ask = { ...about, ...(contextTokens !== undefined && { tokenBudget: contextTokens }) };
    const late = new AbortController();
    const timer = clock.schedule(contextWaitMs, () => late.abort(fail("ContextMissing", "It did not answer in time.")));
    const end = AbortSignal.any([signal, late.signal]);
    try {
      for (let pauseMs = CONTEXT_AGAIN_MS; ; pauseMs *= 2) {
        try {
          return (await unlessAborted(context.getContext(ask), end)).context;
        } catch (error) {
          const isWorthIt = isTransient(error) || (isFlotillaError(error) && NOT_YET.has(error.code));
          if (end.aborted || !isWorthIt) throw error;
          await sleep(clock, pauseMs, end);
        }
      }
    } catch (error) {
      signal.throwIfAborted();
      log("warn", "an agent goes without context", { storyId, taskId, error: String(error) });
      return `(The context service could not be asked about this task: ${error instanceof Error ? error.message : error})`;
    } finally {
      timer.cancel();
    }
  }
}

const NO_MODEL: Problem = {
  code: "ModelUnset",
  message: "The services were started without a model for agents; start them with one, then set the task to pending.",
};

const noRepository = ({ id }: Story): Problem =>
  fail("RepositoryUnset", `The story ${id} has no repository for agents to work in.`);
