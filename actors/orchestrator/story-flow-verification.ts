// Has a story's branch verified once all of its BUILD tasks are in it, and moves the story on by what the report says. It runs beside the
// flow's consumers, because it takes minutes and nobody's event may wait for it.
//
// FV1  Nothing is lost with it: a life that ends in the middle leaves a story in BUILD with all tasks done, which is verified anew by the next.
// FV2  A tree (treeOf) is verified once in a life. What blocks becomes a task to mend it, `attemptsMax` times; then a question to a person.
// FV3  What could not be verified at all, or not moved on, is a question to a person, too: never a story that stands still without a word.

import { createHash } from "node:crypto";
import type { Moved, PlanningApi } from "../planning/planning-api.ts";
import type { ScoredReport, Story } from "../planning/story.ts";
import type { Client } from "../service-handles.ts";
import type { WorkspaceRunnerApi } from "../workspace-runner/workspace-runner-api.ts";
import { type Patience, patiently, type StoryLanes, unlessAborted } from "./story-flow-lanes.ts";
import { askOnce, VERIFY } from "./story-flow-questions.ts";
import { fixTask, flowChange, treeOf } from "./story-flow-steps.ts";

/** Verifications at once; more of them only share the runner's cores. */
const RUNNING_MAX = 4;

export interface VerificationOptions extends Patience {
  readonly planning: Client<PlanningApi>;
  readonly runner: Client<WorkspaceRunnerApi>;
  readonly attemptsMax: number;
  readonly lanes: StoryLanes;
  /** Takes a story that has changed, in its lane. */
  readonly onStory: (story: Story) => Promise<void>;
}

type Verified = Awaited<ReturnType<WorkspaceRunnerApi["verify"]>>;

export class StoryVerification {
  readonly #options: VerificationOptions;
  readonly #begun = new Map<string, string>();
  readonly #waiting: { readonly storyId: string; readonly tree: string }[] = [];
  readonly #running = new Set<Promise<void>>();

  constructor(options: VerificationOptions) {
    this.#options = options;
  }

  /** The tree whose verification this life has begun. */
  begun(storyId: string): string | undefined {
    return this.#begun.get(storyId);
  }

  /** Lets the same tree be verified again. */
  forget(storyId: string): void {
    this.#begun.delete(storyId);
  }

  begin(storyId: string, tree: string): void {
    if (this.#begun.get(storyId) === tree) return;
    this.#begun.set(storyId, tree);
    this.#waiting.push({ storyId, tree });
    this.#pump();
  }

  /** After the signal aborted: resolves when nothing is at work. */
  async stop(): Promise<void> {
    await Promise.allSettled(this.#running);
  }

  #pump(): void {
    while (this.#running.size < RUNNING_MAX && !this.#options.signal.aborted) {
      const next = this.#waiting.shift();
      if (next === undefined) return;
      const running = this.#run(next.storyId, next.tree).finally(() => {
        this.#running.delete(running);
        this.#pump();
      });
      this.#running.add(running);
    }
  }

  async #run(storyId: string, tree: string): Promise<void> {
    const { signal, log } = this.#options;
    try {
      await this.#verify(storyId, tree);
    } catch (error) {
      if (signal.aborted) return;
      log("error", "a story could not be verified", { storyId, error: String(error) });
      const said = error instanceof Error ? error.message : String(error);
      await this.#ask(storyId, `The story's branch could not be verified: ${said}`).catch((failure: unknown) => {
        if (!signal.aborted) log("error", "nobody could be asked", { storyId, error: String(failure) });
      });
    }
  }

  async #verify(storyId: string, tree: string): Promise<void> {
    const { planning, runner, lanes, signal } = this.#options;
    const call = <T>(run: () => Promise<T>) => patiently(this.#options, `verifying ${storyId}`, run);
    const { repository } = await call(() => planning.story(storyId));
    if (repository === undefined) throw new Error("the story has no repository");
    const verified = await call(() => unlessAborted(runner.verify({ storyId, repository }), signal));
    const inLane = () => call(() => this.#judge(storyId, tree, verified));
    await unlessAborted(lanes.run(storyId, inLane), signal);
  }

  async #judge(storyId: string, tree: string, verified: Verified): Promise<void> {
    const { planning, attemptsMax, onStory, log } = this.#options;
    const story = await planning.story(storyId);
    if (story.state !== "BUILD" || treeOf(story) !== tree) return onStory(story);
    const scores = await this.#record(storyId, tree, verified);
    const blocking = scores.filter(({ gate }) => gate === "block");
    if (blocking.length === 0) {
      const moved = await planning.transition({
        ...flowChange(storyId, `build_done ${story.version}`),
        event: "build_done",
      });
      if (moved.kind === "moved") return onStory(moved.story);
      log("warn", "a verified story is held back", { storyId, blocked: moved.blocked });
      return this.#ask(storyId, `The story is built and verified, and held back: ${reasonsOf(moved)}`);
    }
    const reasons = [...new Set(blocking.flatMap((score) => score.reasons))].join("; ");
    const fix = fixTask(story, `${reasons}\n\n${verified.output}`, attemptsMax);
    log("warn", "a story's branch does not pass", { storyId, reasons, fix: fix?.id });
    if (fix === undefined || story.plan === undefined)
      return this.#ask(storyId, `The story's branch does not pass: ${reasons}`);
    const change = flowChange(storyId, `add ${fix.id}`);
    return onStory(await planning.addTasks({ ...change, planId: story.plan.id, tasks: [fix] }));
  }

  /** What was verified counts for BUILD and for TEST: it is the same code. */
  async #record(storyId: string, tree: string, { report, commit }: Verified): Promise<readonly ScoredReport[]> {
    const { planning } = this.#options;
    const told = createHash("sha256").update(JSON.stringify(report)).digest("base64url").slice(0, 16);
    const scores: ScoredReport[] = [];
    for (const phase of ["BUILD", "TEST"]) {
      const change = flowChange(storyId, `report ${phase} ${tree} ${commit} ${told}`);
      scores.push(await planning.recordReport({ ...change, phase, report }));
    }
    return scores;
  }

  /** FV3. */
  async #ask(storyId: string, found: string): Promise<void> {
    const { planning } = this.#options;
    const question = `${found.slice(0, 2_000)} Verify it again?`;
    await patiently(this.#options, `asking about ${storyId}`, () => askOnce(planning, storyId, VERIFY, question));
  }
}

const reasonsOf = (moved: Extract<Moved, { kind: "blocked" }>): string =>
  moved.blocked.map(({ guard, reason }) => `${guard}: ${reason}`).join("; ");
