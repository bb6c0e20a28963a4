// Takes in what agents made: the story's branch gets the work, then Planning is told; what failed is tried again or waits for a person.
// And asks the runner after what ended without a word.
//
// FR1  Planning learns that a task is done after its work is in the branch; only then does the event count as handled. Repeated in between,
//      `integrate` answers as before.
// FR2  Only the attempt that is out is listened to; what comes of others, or again, changes nothing.

import { type ActorSystem, isFlotillaError, sleep } from "../../runtime/index.ts";
import { agentResults, topicOf } from "../events/channels.ts";
import type { ChannelEvent } from "../events/feed.ts";
import type { PlanningApi } from "../planning/planning-api.ts";
import type { Story, Task } from "../planning/story.ts";
import { readResult } from "../result-post.ts";
import type { Client } from "../service-handles.ts";
import type { WorkspaceRunnerApi } from "../workspace-runner/workspace-runner-api.ts";
import {
  afterFailure,
  conflictProblem,
  jobIdOf,
  type Problem,
  problemOf,
  type Verdict,
  verdictOnMissing,
  verdictOnResult,
} from "./story-flow-attempts.ts";
import type { Held, TaskDispatch } from "./story-flow-dispatch.ts";
import { fail } from "./story-flow-errors.ts";
import { isTransient, type Log, type StoryLanes, unlessAborted } from "./story-flow-lanes.ts";
import { flowChange } from "./story-flow-steps.ts";

const RESULTS = topicOf(agentResults, "");
/** Ends of a job after which there will be no more events of it. */
const ENDED: ReadonlySet<string> = new Set(["succeeded", "failed", "cancelled", "timed_out", "lost"]);

export interface ResultsOptions {
  readonly system: ActorSystem;
  readonly planning: Client<PlanningApi>;
  readonly runner: Client<WorkspaceRunnerApi>;
  readonly dispatch: TaskDispatch;
  readonly lanes: StoryLanes;
  readonly attemptsMax: number;
  readonly retryPauseMs: number;
  readonly lostAfterMs: number;
  readonly log: Log;
  readonly signal: AbortSignal;
  /** Takes a story that has changed, in its lane. */
  readonly onStory: (story: Story) => Promise<void>;
}

export class StoryResults {
  readonly #options: ResultsOptions;

  constructor(options: ResultsOptions) {
    this.#options = options;
  }

  /** Acts on one event; those of councils' own tasks are passed over. */
  async take(event: ChannelEvent<typeof agentResults>, topic: string): Promise<void> {
    const { dispatch, system } = this.#options;
    const held = dispatch.find(topic.slice(RESULTS.length));
    if (held === undefined) return;
    if (event.type === "agent.result.missing") {
      const { storyId, taskId, attempt, error } = event.data;
      return this.#settle({ storyId, taskId }, (story, task) => verdictOnMissing(story, task, attempt, error));
    }
    // The context service reads it, too.
    const result = await readResult(system, event.data, { keep: true });
    return this.#settle(held, (story, task) => verdictOnResult(story, task, result));
  }

  /** Until the signal aborts, looks every `lostAfterMs` after requests that have been out as long, and counts lost ones as failed. */
  async sweeps(): Promise<void> {
    const { system, dispatch, signal, log, lostAfterMs } = this.#options;
    for (;;) {
      await sleep(system.clock, lostAfterMs, signal);
      const nowMs = system.clock.monotonic();
      const old = [...dispatch.posted()].filter(({ sinceMs }) => nowMs - sinceMs >= lostAfterMs);
      for (const held of old) {
        // What fails now is looked at again the next time.
        await this.#sweep(held).catch((error: unknown) => {
          if (!signal.aborted) log("warn", "a job could not be asked for", { ...held, error: String(error) });
        });
      }
    }
  }

  async #sweep({ storyId, taskId, attempt }: Held): Promise<void> {
    const { signal } = this.#options;
    const jobId = jobIdOf(storyId, taskId, attempt);
    const lost = await unlessAborted(this.#lossOf(jobId), signal);
    if (lost === undefined) return;
    const error = fail("ResultLost", `The job ${jobId} ${lost}, and its result did not come.`);
    const settling = this.#settle({ storyId, taskId }, (story, task) => verdictOnMissing(story, task, attempt, error));
    await unlessAborted(settling, signal);
  }

  /** How a job was lost, in words; undefined when its result may still come. */
  async #lossOf(jobId: string): Promise<string | undefined> {
    const { runner, system, lostAfterMs } = this.#options;
    try {
      const { state, endedAtMs = 0 } = await runner.job(jobId);
      const isOld = ENDED.has(state) && system.clock.now() - endedAtMs >= lostAfterMs;
      return isOld ? `ended as ${state}` : undefined;
    } catch (error) {
      if (isFlotillaError(error, "JobUnknown")) return "is not known to the runner";
      throw error;
    }
  }

  /** FR2. */
  #settle(
    { storyId, taskId }: Pick<Held, "storyId" | "taskId">,
    decide: (story: Story, task: Task | undefined) => Verdict,
  ): Promise<void> {
    const { lanes, planning, signal, onStory } = this.#options;
    return lanes.run(storyId, async () => {
      signal.throwIfAborted();
      const story = await planning.story(storyId);
      const task = story.tasks.find(({ id }) => id === taskId);
      const verdict = decide(story, task);
      if (task === undefined || verdict.kind === "moot") return onStory(story);
      const isWork = verdict.kind === "merge";
      return onStory(await (isWork ? this.#integrate(story, task, verdict) : this.#fail(story, task, verdict.error)));
    });
  }

  /** FR1. */
  async #integrate(story: Story, task: Task, work: Extract<Verdict, { kind: "merge" }>): Promise<Story> {
    const { planning, runner } = this.#options;
    const { id: taskId, attempt } = task;
    const { commit, bundle } = work;
    const merging = runner.integrate({ jobId: jobIdOf(story.id, taskId, attempt), commit, bundle });
    const merged = await merging.catch((error: unknown) => {
      if (!isFlotillaError(error) || isTransient(error)) throw error;
      return { kind: "refused", error } as const;
    });
    if (merged.kind === "refused") return this.#fail(story, task, merged.error);
    if (merged.kind === "conflict") return this.#fail(story, task, conflictProblem(merged.files));
    const change = flowChange(story.id, `done ${taskId} ${attempt}`);
    return planning.taskChanged({ ...change, taskId, attempt, status: "done", commit: merged.commit });
  }

  async #fail(story: Story, task: Task, problem: Problem): Promise<Story> {
    const { planning, log, dispatch } = this.#options;
    const { id: taskId, attempt } = task;
    const error = problemOf(problem);
    const after = afterFailure(attempt, error, this.#options);
    const { status } = after;
    log("warn", "an attempt came to nothing", { storyId: story.id, taskId, attempt, status, ...error });
    const change = flowChange(story.id, `${status} ${taskId} ${attempt}`);
    const changed = await planning.taskChanged({ ...change, taskId, attempt, error, status });
    if (after.status === "pending") dispatch.pause(story.id, task, after.pauseMs);
    return changed;
  }
}
