// The runner's jobs: in the fleet's store, and in memory for those who ask. A job is in the book before its request is acknowledged.
//
// JB1  What is in memory is what was last written; a write that finds another's is made again on top of that.
// JB2  Writes of one job are made one after the other.

import type { ActorSystem } from "../../runtime/index.ts";
import { type Document, Documents } from "../events/documents.ts";
import { fail } from "./errors.ts";
import { forgettable, hasEnded, type JobRecord, jobRecordSchema } from "./job-record.ts";

export class JobBook {
  readonly #documents: Documents<JobRecord>;
  readonly #kept = new Map<string, Document<JobRecord>>();
  /** Ids of those that have not ended: asked for with every request, among thousands. */
  readonly #live = new Set<string>();
  readonly #writing = new Map<string, Promise<unknown>>();

  constructor(system: Pick<ActorSystem, "ports">) {
    this.#documents = new Documents<JobRecord>(system, "runner.job", jobRecordSchema);
  }

  /** Reads all. Throws DocumentUnreadable, Unavailable. */
  async load(): Promise<void> {
    for (const document of await this.#documents.list()) this.#keep(document);
  }

  /** How many have not ended. */
  get liveCount(): number {
    return this.#live.size;
  }

  all(): readonly JobRecord[] {
    return [...this.#kept.values()].map(({ value }) => value);
  }

  live(): readonly JobRecord[] {
    return [...this.#live].map((jobId) => this.get(jobId));
  }

  find(jobId: string): JobRecord | undefined {
    return this.#kept.get(jobId)?.value;
  }

  /** Throws JobUnknown. */
  get(jobId: string): JobRecord {
    const record = this.find(jobId);
    if (record !== undefined) return record;
    throw fail("JobUnknown", `There is no job ${JSON.stringify(jobId.slice(0, 200))}.`, { data: { jobId } });
  }

  /** Writes a new one; answers with the one that is there where there is one. */
  create(record: JobRecord): Promise<JobRecord> {
    return this.#inTurn(record.jobId, async () => {
      const { jobId } = record;
      const document = (await this.#documents.create(jobId, record)) ?? (await this.#documents.get(jobId));
      if (document === undefined) throw fail("JobUnknown", `The job ${jobId} was removed while it was written.`);
      return this.#keep(document);
    });
  }

  /** Changes one that has not ended; one that has stays as it is. Throws JobUnknown. */
  change(jobId: string, change: Partial<JobRecord>): Promise<JobRecord> {
    return this.#inTurn(jobId, async () => {
      for (;;) {
        const before = this.#kept.get(jobId);
        if (before === undefined) return this.get(jobId);
        if (hasEnded(before.value)) return before.value;
        const after = await this.#documents.replace(before, { ...before.value, ...change });
        if (after !== undefined) return this.#keep(after);
        const theirs = await this.#documents.get(jobId);
        if (theirs === undefined) this.#drop(jobId);
        else this.#keep(theirs);
      }
    });
  }

  /** Forgets those that nobody needs any more. */
  async prune(nowMs: number): Promise<void> {
    for (const jobId of forgettable(this.all(), nowMs)) {
      const document = this.#kept.get(jobId);
      if (document === undefined) continue;
      await this.#documents.delete(document);
      this.#drop(jobId);
    }
  }

  #keep(document: Document<JobRecord>): JobRecord {
    const { id, value } = document;
    this.#kept.set(id, document);
    if (hasEnded(value)) this.#live.delete(id);
    else this.#live.add(id);
    return value;
  }

  #drop(jobId: string): void {
    this.#kept.delete(jobId);
    this.#live.delete(jobId);
  }

  #inTurn<T>(jobId: string, run: () => Promise<T>): Promise<T> {
    const done = (this.#writing.get(jobId) ?? Promise.resolve()).then(run, run);
    const settled = done.catch(() => {});
    this.#writing.set(jobId, settled);
    void settled.then(() => {
      if (this.#writing.get(jobId) === settled) this.#writing.delete(jobId);
    });
    return done;
  }
}
