// Finished outcomes by content key: the same task on the same tree for the same agents is answered at once.
// It is not a record of what was done: an entry may be gone at any time.
//
// RC1  Only a completed outcome with a winner is kept: a failure must be tried again, not remembered.
// RC2  Bounded by entries, by bytes and by age.

import { createHash } from "node:crypto";
import { LRUCache } from "lru-cache";
import type { Clock } from "../runtime/index.ts";
import type { TaskOutcome } from "./collected-task.ts";

export interface ResultCacheLimits {
  readonly entriesMax: number;
  /** Characters of all kept diffs and messages together, as JSON. */
  readonly charsMax: number;
  readonly ageMaxMs: number;
}

const DEFAULT_LIMITS: ResultCacheLimits = { entriesMax: 256, charsMax: 64 * 1024 * 1024, ageMaxMs: 60 * 60 * 1000 };

/** What makes two tasks the same question. */
export interface TaskContent {
  readonly text: string;
  /** Hash of the tree that agents start from, not of its commit: the same files are the same question. */
  readonly treeHash: string;
  readonly role: string;
  readonly model: string;
  readonly agents: number;
}

/** SHA-256, hex. Texts that differ in outer white space or line ends are one text. */
export function contentKey(content: TaskContent): string {
  const text = content.text.replaceAll("\r\n", "\n").trim();
  const parts = [text, content.treeHash, content.role.toUpperCase(), content.model, content.agents];
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex");
}

export class ResultCache {
  readonly #outcomes: LRUCache<string, TaskOutcome>;

  constructor(clock: Clock, limits: ResultCacheLimits = DEFAULT_LIMITS) {
    this.#outcomes = new LRUCache({
      max: limits.entriesMax,
      maxSize: limits.charsMax,
      sizeCalculation: (outcome) => JSON.stringify(outcome).length,
      ttl: limits.ageMaxMs,
      // Without this the cache remembers the time for a millisecond by a timer of its own, on the real clock.
      ttlResolution: 0,
      perf: { now: () => clock.monotonic() },
    });
  }

  /** The kept outcome under this key, renamed to the task that asks now. */
  get(key: string, taskId: string): TaskOutcome | undefined {
    const outcome = this.#outcomes.get(key);
    return outcome && { ...outcome, taskId, cachedFrom: outcome.taskId };
  }

  /** False when the outcome is not of the kind that is kept (RC1) or larger than the whole cache. */
  put(key: string, outcome: TaskOutcome): boolean {
    if (outcome.status !== "completed" || outcome.ranking.winner === null) return false;
    return this.#outcomes.set(key, outcome).has(key);
  }
}
