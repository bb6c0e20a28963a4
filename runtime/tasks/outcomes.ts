// What became of tasks, in the results log: outcomes, failed attempts, cancellations.
//
//     result.<id>    value │ failed │ expired │ cancelled      one, expecting nothing before it
//                    failed, replayed, value …                 a replay takes the failure back and one more follows
//     attempt.<id>   each attempt that failed and was heard of
//     cancel.<id>    news for the node that has the task in hand
//
// OU1  An outcome is appended with the sequence that its task names (`after`): of all who try, redelivered or late, exactly one records.
// OU2  Bytes too many for an event go into blobs before the record that names them.
//
// In subjects an id is encoded (directory.ts), so it may hold any characters.

import type { LoggedEvent } from "../event-log.ts";
import { token } from "../token.ts";
import type { TaskEnvironment } from "./environment.ts";
import type { Outcome, Packed, TaskFailure, TaskItem, TaskTarget, Verdict } from "./task.ts";

/** Filters for those who follow. */
export const RESULTS = "result.*";
export const CANCELS = "cancel.*";

/** Room in an event for everything but the packed bytes. */
const HEAD_MAX_BYTES = 4_096;
/** Outcomes and failures of one id that are looked at: far more than retries and replays by people make. */
const READ_MAX = 10_000;

/** What an outcome is recorded for. */
export type Subject = Pick<TaskItem, "id" | "content" | "after">;

export interface Recorded {
  readonly sequence: number;
  readonly outcome: Outcome;
}

/** The id as a token of subjects and keys. */
export const tokenOf = token;

/** Kind of work that is a call of a living actor: any node can make it. No token of a type is so short. */
const OF_ACTORS = "-";

/** Who can run a task of `target`: nodes that have its type, or anybody. */
export const kindOf = (target?: TaskTarget): string =>
  target === undefined || target.address !== undefined ? OF_ACTORS : tokenOf(target.type);

/** The token that an event of this file is about. */
export const tokenIn = ({ subject }: LoggedEvent): string => subject.slice(subject.indexOf(".") + 1);

export class Outcomes {
  readonly #env: TaskEnvironment;
  readonly #inlineMaxBytes: number;

  constructor(env: TaskEnvironment) {
    this.#env = env;
    this.#inlineMaxBytes = Math.min(env.results.eventMaxBytes, env.queue.itemMaxBytes) - HEAD_MAX_BYTES;
  }

  /** The sequence recorded; undefined when the task has an outcome already (OU1). */
  async record({ id, content, after }: Subject, verdict: Verdict): Promise<number | undefined> {
    const { node, clock } = this.#env;
    const outcome = { ...verdict, id, content, node, atMs: clock.now() };
    const data = this.#env.encode(outcome, "outcome");
    const appended = await this.#env.results.append(`result.${tokenOf(id)}`, data, { expectedSequence: after });
    return appended.kind === "appended" ? appended.sequence : undefined;
  }

  /** The last outcome of an id. */
  last(id: string): Promise<Recorded | undefined> {
    return this.since(id, 0);
  }

  /** The last outcome recorded after `after`. */
  async since(id: string, after: number): Promise<Recorded | undefined> {
    const subject = `result.${tokenOf(id)}`;
    const [first] = await this.#env.results.read(subject, after + 1, 1);
    if (first === undefined) return undefined;
    const outcome = this.read(first);
    // Only a failure is followed by anything, so most need no second look.
    if (outcome.kind !== "failed" && outcome.kind !== "replayed") return { sequence: first.sequence, outcome };
    const last = (await this.#env.results.read(subject, first.sequence, READ_MAX)).at(-1) ?? first;
    return { sequence: last.sequence, outcome: this.read(last) };
  }

  /** Something that is no outcome reads as a failure: it stands where the task's own should, and a replay puts that right. */
  read({ data, atMs }: LoggedEvent): Outcome {
    try {
      const outcome = this.#env.decode(data) as Outcome;
      if (isOutcome(outcome)) return outcome;
    } catch {
      // Below.
    }
    const failure = { attempt: 1, atMs, code: "TaskDataLost", message: "what is recorded as its outcome is none" };
    return { kind: "failed", id: "", content: "", node: "", atMs, history: [failure] };
  }

  async addFailure(id: string, failure: TaskFailure): Promise<void> {
    await this.#env.results.append(`attempt.${tokenOf(id)}`, this.#env.encode(failure, "failure"));
  }

  async failures(id: string): Promise<readonly TaskFailure[]> {
    const events = await this.#env.results.read(`attempt.${tokenOf(id)}`, 1, READ_MAX);
    return events.flatMap((event) => this.#failureIn(event) ?? []);
  }

  #failureIn({ data }: LoggedEvent): TaskFailure | undefined {
    try {
      const failure = this.#env.decode(data) as TaskFailure;
      return Number.isSafeInteger(failure?.attempt) && typeof failure.code === "string" ? failure : undefined;
    } catch {
      return undefined;
    }
  }

  /** Tells the node that has the task in hand, if one has. */
  async tellCancelled(id: string): Promise<void> {
    await this.#env.results.append(`cancel.${tokenOf(id)}`, new Uint8Array(0));
  }

  /** Throws ValueTooLarge and StorageFull when blobs cannot take them (OU2). */
  async pack(bytes: Uint8Array, inlineMaxBytes = this.#inlineMaxBytes): Promise<Packed> {
    return bytes.byteLength <= inlineMaxBytes ? { bytes } : { blob: await this.#env.blobs.put(bytes) };
  }

  /** Undefined when the blob is no longer kept. */
  async unpack(packed: Packed): Promise<Uint8Array | undefined> {
    return "bytes" in packed ? packed.bytes : this.#env.blobs.get(packed.blob);
  }
}

function isOutcome(outcome: Outcome): boolean {
  if (typeof outcome?.id !== "string" || typeof outcome.content !== "string" || typeof outcome.atMs !== "number")
    return false;
  switch (outcome.kind) {
    case "value":
      return typeof outcome.value === "object" && outcome.value !== null;
    case "failed":
      return Array.isArray(outcome.history);
    default:
      return outcome.kind === "expired" || outcome.kind === "cancelled" || outcome.kind === "replayed";
  }
}
