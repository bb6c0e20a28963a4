// One task's results on their way to an outcome: who is expected, who has answered, when it is over. Pure: time is told to it.
// It is not the actor that is talked to (collector.ts) and does not compare results (council/ranking.ts).
//
//            report, lose                      end (deadline, cancel)
//     open ────────────────▶ everyone in, or quorum of verified ──▶ ended, for ever
//
// CT1  Whom to wait for comes from the submission, never from the answers: a task nobody answers still ends, with everyone missing.
// CT2  One result for each expected agent; the first one stays. A repeat is counted, a stranger refused.
// CT3  An ended task does not change, whatever comes later.

import type { AgentResult } from "./agent/result.ts";
import { type Ranking, rank } from "./council/ranking.ts";
import { isVerified } from "./council/score-parts.ts";

export interface Submission {
  readonly taskId: string;
  /** The task in the user's words: the ranking looks for the files it names. */
  readonly text: string;
  /** Everyone whose result is waited for; distinct. */
  readonly agentIds: readonly string[];
  /** Milliseconds since the epoch at which the task ends with what is there. */
  readonly deadlineMs: number;
  /** Under this key a finished outcome with a winner is kept, and answered to the next submission of the same content. */
  readonly contentKey?: string;
  /** So many verified results end the task. Absent: everyone is waited for. */
  readonly quorum?: number;
}

/** Why an expected agent has no result: time was up, the agent is gone, the task was cancelled, or it was no longer needed. */
export type MissingReason = "deadline" | "lost" | "cancelled" | "quorum";

export interface Missing {
  readonly agentId: string;
  readonly reason: MissingReason;
  /** One sentence. */
  readonly message: string;
}

export interface TaskOutcome {
  readonly taskId: string;
  /** `completed`: everyone answered, or the quorum was met. `partial`: some did. `empty`: nobody did. */
  readonly status: "completed" | "partial" | "empty";
  readonly ranking: Ranking;
  /** In the order of arrival. */
  readonly results: readonly AgentResult[];
  readonly missing: readonly Missing[];
  /** Results that came again from an agent that had answered. */
  readonly duplicates: number;
  readonly durationMs: number;
  /** Name of the node that the collector lived on; absent in a process that is alone. */
  readonly collectedOn?: string;
  /** The task whose outcome this is, when it was answered from the cache. */
  readonly cachedFrom?: string;
}

/** What became of a result: taken in, a repeat, after the end, or from nobody that was asked. */
export type Intake = "accepted" | "duplicate" | "late" | "stranger";

export interface TaskStatus {
  readonly taskId: string;
  readonly state: "open" | TaskOutcome["status"];
  readonly deadlineMs: number;
  readonly received: readonly string[];
  readonly waiting: readonly string[];
  readonly duplicates: number;
}

export class CollectedTask {
  readonly submission: Submission;
  readonly #startedMs: number;
  readonly #waiting: Set<string>;
  readonly #results = new Map<string, AgentResult>();
  readonly #missing: Missing[] = [];
  #ended: Pick<TaskOutcome, "status" | "ranking" | "durationMs"> | undefined;
  #duplicates = 0;

  /** `startedMs` and every later `nowMs` are of one clock that never goes backwards. */
  constructor(submission: Submission, startedMs: number) {
    this.submission = submission;
    this.#startedMs = startedMs;
    this.#waiting = new Set(submission.agentIds);
  }

  get ended(): boolean {
    return this.#ended !== undefined;
  }

  report(result: AgentResult, nowMs: number): Intake {
    const { agentId } = result;
    if (!this.submission.agentIds.includes(agentId)) return "stranger";
    if (this.#ended !== undefined) return "late";
    if (this.#results.has(agentId)) {
      this.#duplicates++;
      return "duplicate";
    }
    this.#results.set(agentId, result);
    this.#waiting.delete(agentId);
    // An agent given up as lost was perhaps only cut off: until the end its result is as good as any.
    this.#forgive(agentId);
    this.#endIfSettled(nowMs);
    return "accepted";
  }

  /** This agent will not answer. Ignored when it has, or was never asked. */
  lose(agentId: string, message: string, nowMs: number): void {
    if (this.#ended !== undefined || !this.#waiting.delete(agentId)) return;
    this.#missing.push({ agentId, reason: "lost", message });
    this.#endIfSettled(nowMs);
  }

  /** Ends the task with what is there. Ignored when it has ended. */
  end(reason: "deadline" | "cancelled", nowMs: number): void {
    if (this.#ended === undefined) this.#end(reason, nowMs);
  }

  status(): TaskStatus {
    return {
      taskId: this.submission.taskId,
      state: this.#ended?.status ?? "open",
      deadlineMs: this.submission.deadlineMs,
      received: [...this.#results.keys()],
      waiting: [...this.#waiting],
      duplicates: this.#duplicates,
    };
  }

  /** Undefined while the task is open. */
  outcome(): TaskOutcome | undefined {
    return (
      this.#ended && {
        ...this.#ended,
        taskId: this.submission.taskId,
        results: [...this.#results.values()],
        missing: [...this.#missing],
        duplicates: this.#duplicates,
      }
    );
  }

  #forgive(agentId: string): void {
    const index = this.#missing.findIndex((missing) => missing.agentId === agentId);
    if (index >= 0) this.#missing.splice(index, 1);
  }

  #endIfSettled(nowMs: number): void {
    if (this.#quorumMet() || this.#waiting.size === 0) this.#end("quorum", nowMs);
  }

  #quorumMet(): boolean {
    const { quorum } = this.submission;
    return quorum !== undefined && [...this.#results.values()].filter(isVerified).length >= quorum;
  }

  #end(reason: MissingReason, nowMs: number): void {
    for (const agentId of this.#waiting) this.#missing.push({ agentId, reason, message: MISSING_MESSAGES[reason] });
    this.#waiting.clear();
    const results = [...this.#results.values()];
    const complete = this.#missing.length === 0 || this.#quorumMet();
    this.#ended = {
      status: results.length === 0 ? "empty" : complete ? "completed" : "partial",
      ranking: rank(results, this.submission),
      durationMs: nowMs - this.#startedMs,
    };
  }
}

/** A task that was answered from the cache: nobody was asked. */
export class CachedTask {
  readonly #submission: Submission;
  readonly #outcome: TaskOutcome;

  constructor(submission: Submission, outcome: TaskOutcome) {
    this.#submission = submission;
    this.#outcome = outcome;
  }

  outcome(): TaskOutcome {
    return this.#outcome;
  }

  status(): TaskStatus {
    const { taskId, deadlineMs } = this.#submission;
    const received = this.#outcome.results.map((result) => result.agentId);
    return { taskId, state: this.#outcome.status, deadlineMs, received, waiting: [], duplicates: 0 };
  }
}

const MISSING_MESSAGES = {
  deadline: "It had not answered when the task's time was up.",
  lost: "It ended without an answer.",
  cancelled: "The task was cancelled before it answered.",
  quorum: "Enough verified results were in before it answered.",
} satisfies Record<MissingReason, string>;
