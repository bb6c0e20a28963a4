// The collector as an actor: tasks are opened with it, it reads their agents' results, whoever wants the outcome waits for it here.
// It is not what an outcome consists of (collected-task.ts) nor who starts agents (council/council.ts).
//
//     agents ── agent.results.{taskId} ──▶ collector     read from before `open` answers until the task ends
//
// CO1  Every opened task ends: by its results, by `cancel`, by a timer at its deadline, or when its results cannot be read any more.
// CO2  `lose` and `cancel` never throw, whatever they name: cast and wrong, they would end the collector for everybody. What is no
//      result of ours in a topic is logged and passed over.
// CO3  Bounded: open tasks and waiters are refused beyond their bounds, the oldest finished task is forgotten.
// CO4  Waiting callers hold a place among the messages in hand, so it is spawned with more places than waiters (spawnCollector):
//      otherwise nobody could get in to open, lose and cancel.
// CO5  A task's subscription ends with the task, and a little after its deadline even when the collector was ended without a word.

import { z } from "zod";
import {
  type ActorSystem,
  actorContext,
  type Clock,
  defineActor,
  type Handle,
  type SpawnOptions,
  type Timer,
} from "../runtime/index.ts";
import type { AgentResult } from "./agent/result.ts";
import { CachedTask, CollectedTask, type Submission, type TaskOutcome, type TaskStatus } from "./collected-task.ts";
import { AGENTS_MAX } from "./council/roles.ts";
import { fail } from "./errors.ts";
import { agentResults } from "./events/channels.ts";
import { type Fed, feed } from "./events/feed.ts";
import { ownNode } from "./own-node.ts";
import { ResultCache } from "./result-cache.ts";
import { readResult } from "./result-post.ts";

export interface CollectorLimits {
  readonly openMax: number;
  /** Finished tasks whose outcome can still be asked for. */
  readonly finishedMax: number;
  /** Callers that wait for an outcome at one time. */
  readonly waitersMax: number;
}

const DEFAULT_LIMITS: CollectorLimits = { openMax: 256, finishedMax: 256, waitersMax: 1_000 };
/** Places beyond the waiters' (CO4). */
const PLACES_FREE = 24;
/** How long after a task's deadline its subscription ends by itself (CO5). */
const READ_SLACK_MS = 5_000;

/** How a submission was taken: agents may begin, or the outcome is known already. */
export type Opened = { readonly kind: "opened" } | { readonly kind: "cached"; readonly outcome: TaskOutcome };

const submissionSchema = z.object({
  // It also names the council's namespace, which takes no more.
  taskId: z.string().min(1).max(80),
  text: z.string().min(1).max(100_000),
  agentIds: z
    .array(z.string().min(1).max(200))
    .min(1)
    .max(AGENTS_MAX)
    .refine((ids) => new Set(ids).size === ids.length, "an agent is named twice"),
  deadlineMs: z.number(),
  contentKey: z.string().max(200).optional(),
  quorum: z.int().min(1).optional(),
});

interface Held {
  readonly task: CollectedTask;
  readonly timer: Timer;
  /** Aborts when its results are no longer read. */
  readonly reading: AbortController;
  readonly ended: PromiseWithResolvers<void>;
}

class CollectorActor {
  readonly #limits: CollectorLimits;
  readonly #clock: Clock;
  readonly #cache: ResultCache;
  readonly #open = new Map<string, Held>();
  /** Oldest end first. */
  readonly #finished = new Map<string, CollectedTask | CachedTask>();
  #waiters = 0;

  constructor(limits: Partial<CollectorLimits> = {}) {
    this.#limits = { ...DEFAULT_LIMITS, ...limits };
    this.#clock = actorContext().clock;
    this.#cache = new ResultCache(this.#clock);
  }

  /** Begins to collect: what is published from when it answers on. Throws SubmissionInvalid, TaskOpenedTwice, CollectorFull. */
  async open(submission: Submission): Promise<Opened> {
    this.#check(submission);
    const { taskId, contentKey, deadlineMs } = submission;
    const cached = contentKey === undefined ? undefined : this.#cache.get(contentKey, taskId);
    if (cached !== undefined) {
      this.#keep(taskId, new CachedTask(submission, cached));
      return { kind: "cached", outcome: cached };
    }
    const reading = new AbortController();
    const { system } = actorContext();
    const task = new CollectedTask(submission, this.#clock.monotonic());
    const leftMs = deadlineMs - this.#clock.now();
    const timer = actorContext().timers.after(leftMs, () =>
      this.#settle(taskId, (nowMs) => task.end("deadline", nowMs)),
    );
    const last = this.#clock.schedule(leftMs + READ_SLACK_MS, () => reading.abort());
    reading.signal.addEventListener("abort", () => last.cancel(), { once: true });
    const held = { task, timer, reading, ended: Promise.withResolvers<void>() };
    this.#open.set(taskId, held);
    try {
      const from = (await system.ports.eventLog.lastSequence()) + 1;
      void this.#read(taskId, feed(system, agentResults, { from, topic: [taskId], signal: reading.signal }));
    } catch (error) {
      this.#forget(taskId, held);
      throw error;
    }
    return { kind: "opened" };
  }

  /** Takes in what comes until the task has ended. Never rejects. */
  async #read(taskId: string, results: AsyncIterable<Fed<typeof agentResults>>): Promise<void> {
    try {
      for await (const fed of results) {
        const result = await this.#resultIn(fed);
        if (result?.taskId === taskId) this.#settle(taskId, (nowMs, task) => task.report(result, nowMs));
      }
    } catch (error) {
      const why = `Its result cannot be read any more: ${error instanceof Error ? error.message : String(error)}`;
      this.#settle(taskId, (nowMs, task) => {
        for (const agentId of task.status().waiting) task.lose(agentId, why, nowMs);
      });
    }
  }

  /** Undefined for what is no result of ours (CO2). */
  async #resultIn(fed: Fed<typeof agentResults>): Promise<AgentResult | undefined> {
    const { system, log } = actorContext();
    const pass = (error: string) =>
      void log("warn", `an event on ${fed.topic} is no result`, { error: error.slice(0, 500) });
    if (fed.kind === "bad") return pass(fed.message);
    if (fed.event.type !== "agent.result") return pass(fed.event.type);
    return readResult(system, fed.event.data).catch((error: unknown) => pass(String(error)));
  }

  /** This agent will not answer; `message` says why in one sentence. */
  lose(taskId: string, agentId: string, message: string): void {
    this.#settle(taskId, (nowMs, task) => task.lose(agentId, message, nowMs));
  }

  /** Ends the task now with what is there. */
  cancel(taskId: string): void {
    this.#settle(taskId, (nowMs, task) => task.end("cancelled", nowMs));
  }

  /** Waits for the task's end, at its deadline at the latest. Throws TaskUnknown, CollectorFull. */
  async outcome(taskId: string): Promise<TaskOutcome> {
    const held = this.#open.get(taskId);
    if (held !== undefined) await this.#waitFor(held);
    const task = held?.task ?? this.#finished.get(taskId);
    const outcome = task?.outcome() ?? this.#unknown(taskId);
    const node = ownNode(actorContext().system)?.name;
    return node === undefined ? outcome : { ...outcome, collectedOn: node };
  }

  /** Where the task stands now. Throws TaskUnknown. */
  status(taskId: string): TaskStatus {
    const task = this.#open.get(taskId)?.task ?? this.#finished.get(taskId) ?? this.#unknown(taskId);
    return task.status();
  }

  #check(submission: Submission): void {
    const { taskId, agentIds, quorum = 1 } = submission;
    const parsed = submissionSchema.safeParse(submission);
    const issue = parsed.error?.issues[0];
    if (issue !== undefined) {
      throw fail("SubmissionInvalid", `The submission is not valid: ${issue.path.join(".")}: ${issue.message}.`);
    }
    if (quorum > agentIds.length) {
      throw fail("SubmissionInvalid", `A quorum of ${quorum} cannot be reached by ${agentIds.length} agents.`);
    }
    if (this.#open.has(taskId) || this.#finished.has(taskId)) {
      throw fail("TaskOpenedTwice", `Task ${taskId} was opened before.`, { data: { taskId } });
    }
    const { openMax } = this.#limits;
    if (this.#open.size >= openMax) {
      throw fail("CollectorFull", `The collector has ${openMax} open tasks and takes no more.`, { data: { openMax } });
    }
  }

  /** Does something to an open task and, when that ended it, lets everybody know. Undefined when no such task is open. */
  #settle<T>(taskId: string, act: (nowMs: number, task: CollectedTask) => T): T | undefined {
    const held = this.#open.get(taskId);
    if (held === undefined) return undefined;
    const done = act(this.#clock.monotonic(), held.task);
    const outcome = held.task.outcome();
    if (outcome === undefined) return done;
    this.#forget(taskId, held);
    this.#keep(taskId, held.task);
    const { contentKey } = held.task.submission;
    if (contentKey !== undefined) this.#cache.put(contentKey, outcome);
    held.ended.resolve();
    return done;
  }

  #forget(taskId: string, { timer, reading }: Held): void {
    timer.cancel();
    reading.abort();
    this.#open.delete(taskId);
  }

  /** When it is stopped, nothing more is read. */
  onStop(): void {
    for (const [taskId, held] of this.#open) this.#forget(taskId, held);
  }

  #keep(taskId: string, finished: CollectedTask | CachedTask): void {
    this.#finished.set(taskId, finished);
    const [oldest] = this.#finished.keys();
    if (oldest !== undefined && this.#finished.size > this.#limits.finishedMax) this.#finished.delete(oldest);
  }

  async #waitFor(held: Held): Promise<void> {
    const { waitersMax } = this.#limits;
    if (this.#waiters >= waitersMax) {
      throw fail("CollectorFull", `${waitersMax} callers wait for outcomes; no more can.`, { data: { waitersMax } });
    }
    const { signal } = actorContext();
    const gone = Promise.withResolvers<never>();
    const onAbort = () => gone.reject(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    this.#waiters++;
    try {
      await Promise.race([held.ended.promise, gone.promise]);
    } finally {
      this.#waiters--;
      signal.removeEventListener("abort", onAbort);
    }
  }

  #unknown(taskId: string): never {
    throw fail("TaskUnknown", `The collector knows no task ${taskId}.`, { data: { taskId } });
  }
}

/** Spawned by spawnCollector (CO4). */
export const Collector = defineActor("collector", CollectorActor, { version: "1" });

export type CollectorHandle = Handle<typeof Collector>;

/** Spawns a collector with places for its waiters. */
export function spawnCollector(
  system: Pick<ActorSystem, "spawn">,
  limits: Partial<CollectorLimits> = {},
  options: Pick<SpawnOptions, "name" | "namespace" | "placement"> = {},
): Promise<CollectorHandle> {
  const { waitersMax } = { ...DEFAULT_LIMITS, ...limits };
  return system.spawn(Collector, { ...options, args: [limits], concurrency: waitersMax + PLACES_FREE });
}
