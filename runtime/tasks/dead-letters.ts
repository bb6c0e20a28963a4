// Tasks that failed for good, in the store until somebody replays them.
// It is not the list of undelivered messages (runtime/dead-letters.ts).
//
// DT1  The failed outcome is recorded first and its entry second; an attempt delivered again writes an entry that is missing.
// DT2  A replay: takes the failure back in the results log, puts the task into the queue again under its id and that event's sequence,
//      and deletes the entry. Each step may be done twice, so one that was broken off is finished by the next; whoever deletes has won.

import { sleep } from "../clock.ts";
import { unreadable } from "../directory.ts";
import type { Entry } from "../store.ts";
import type { TaskEnvironment } from "./environment.ts";
import { taskError } from "./errors.ts";
import { kindOf, type Outcomes, tokenOf } from "./outcomes.ts";
import { checkTaskId, readItem, type TaskFailure, type TaskItem } from "./task.ts";

/** A task that failed for good. */
export interface TaskDeadLetter {
  readonly id: string;
  readonly type: string;
  readonly method: string;
  readonly submittedAtMs: number;
  readonly failedAtMs: number;
  /** Every attempt, the last one at the end; the last 30 when there were more. */
  readonly history: readonly TaskFailure[];
}

interface Kept {
  readonly item: TaskItem;
  /** Of the failed outcome. */
  readonly sequence: number;
  readonly failedAtMs: number;
  readonly history: readonly TaskFailure[];
}

/** Larger arguments go into blobs, so that any history fits beside them. */
const INLINE_MAX_BYTES = 64 * 1_024;

/** Between a failure and its entry, where no node has died in between. */
const LAG_MAX_MS = 2_000;
const POLL_MS = 20;

const keyOf = (id: string): string => `dead.${tokenOf(id)}`;

/** The name under which a task waits in the queue; a replay is another item than what went before it. */
export const queueId = ({ id, after }: Pick<TaskItem, "id" | "after">): string =>
  after === 0 ? tokenOf(id) : `${tokenOf(id)}=${after}`;

export class TaskDeadLetters {
  readonly #env: TaskEnvironment;
  readonly #outcomes: Outcomes;

  constructor(env: TaskEnvironment, outcomes: Outcomes) {
    this.#env = env;
    this.#outcomes = outcomes;
  }

  /** All that are there, the longest dead first. */
  async list(): Promise<readonly TaskDeadLetter[]> {
    const found: TaskDeadLetter[] = [];
    for await (const change of this.#env.store.watch("dead.*")) {
      if (change.kind === "ready") break;
      if (change.kind !== "put") continue;
      const kept = this.#read(change.entry.value);
      if (kept !== undefined) found.push(shown(kept));
      else
        this.#env.log("error", "an entry among the dead tasks is none of ours and is passed over", {
          key: change.entry.key,
        });
    }
    return found.sort((a, b) => a.failedAtMs - b.failedAtMs);
  }

  /** Throws TaskNotDead, EntryUnreadable. */
  async show(id: string): Promise<TaskDeadLetter> {
    return shown((await this.#kept(id)).kept);
  }

  /**
   * Puts the task into the queue again, under its id, with all its attempts before it. Of any number of replays of one failure one resolves.
   * Throws TaskNotDead, EntryUnreadable.
   */
  async replay(id: string): Promise<void> {
    const { kept, revision } = await this.#kept(id);
    const { item, sequence, history } = kept;
    const taken = await this.#outcomes.record({ ...item, after: sequence }, { kind: "replayed" });
    const last = taken === undefined ? await this.#outcomes.last(id) : undefined;
    // Somebody was here before: what they left undone is done now (DT2), unless another outcome has followed.
    const after = taken ?? (last?.outcome.kind === "replayed" ? last.sequence : undefined);
    if (after !== undefined) {
      const again = {
        ...item,
        after,
        attemptsBefore: history.at(-1)?.attempt ?? 0,
        submittedAtMs: this.#env.clock.now(),
      };
      const { deadlineMs: _, ...timeless } = again;
      const data = this.#env.encode(timeless, "task");
      await this.#env.queue.put({ id: queueId(again), kind: kindOf(item), lane: item.lane, data });
    }
    const deleted = await this.#env.store.delete(keyOf(id), revision);
    if (after === undefined || deleted.kind === "conflict") throw notDead(id, "was replayed by somebody else");
  }

  /** Writes the entry, unless it is there (DT1). */
  async add(item: TaskItem, sequence: number, history: readonly TaskFailure[], failedAtMs: number): Promise<void> {
    const bytes = "bytes" in item.args ? item.args.bytes : undefined;
    const args = bytes === undefined ? item.args : await this.#outcomes.pack(bytes, INLINE_MAX_BYTES);
    const kept: Kept = { item: { ...item, args }, sequence, failedAtMs, history };
    await this.#env.store.create(keyOf(item.id), this.#env.encode(kept, "dead letter"));
  }

  async #kept(id: string): Promise<{ kept: Kept; revision: number }> {
    checkTaskId(id);
    const entry = await this.#entry(id);
    if (entry === undefined) throw notDead(id, "is no dead letter");
    const kept = this.#read(entry.value);
    if (kept === undefined) throw unreadable(entry.key);
    return { kept, revision: entry.revision };
  }

  /** Whoever has just been told of a failure may ask before its entry is written (DT1): then it is waited for. */
  async #entry(id: string): Promise<Entry | undefined> {
    const { store, clock } = this.#env;
    for (const untilMs = clock.monotonic() + LAG_MAX_MS; ; await sleep(clock, POLL_MS)) {
      const entry = await store.get(keyOf(id));
      if (entry !== undefined || clock.monotonic() >= untilMs) return entry;
      if ((await this.#outcomes.last(id))?.outcome.kind !== "failed") return undefined;
    }
  }

  /** Undefined for what is no dead task of ours. */
  #read(value: Uint8Array): Kept | undefined {
    try {
      const kept = this.#env.decode(value) as Kept;
      const isKept = Number.isSafeInteger(kept.sequence) && Array.isArray(kept.history);
      return isKept && readItem(() => kept.item) !== undefined ? kept : undefined;
    } catch {
      return undefined;
    }
  }
}

function notDead(id: string, why: string) {
  return taskError("TaskNotDead", `the task ${JSON.stringify(id)} ${why}`, { data: { id } });
}

function shown({ item, failedAtMs, history }: Kept): TaskDeadLetter {
  const { id, type, method, submittedAtMs } = item;
  return { id, type, method, submittedAtMs, failedAtMs, history };
}
