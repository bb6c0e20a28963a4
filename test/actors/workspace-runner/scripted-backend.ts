// A place for jobs that a test plays: what was started, what it prints and how it ends. It outlives the runner, as real places do.

import type { BackendJob, JobEnd, JobLine, JobSpec, WorkspaceBackend } from "../../../tools/index.ts";

class ScriptedJob implements BackendJob {
  readonly spec: JobSpec;
  readonly #ended = Promise.withResolvers<JobEnd>();
  readonly #lines: JobLine[] = [];
  readonly #onRemove: () => void;
  #bell = Promise.withResolvers<void>();
  #isOver = false;

  constructor(spec: JobSpec, onRemove: () => void) {
    this.spec = spec;
    this.#onRemove = onRemove;
  }

  get jobId() {
    return this.spec.jobId;
  }

  get place() {
    return `script ${this.jobId}`;
  }

  get ended() {
    return this.#ended.promise;
  }

  print(line: string, stream: JobLine["stream"] = "stdout"): void {
    this.#lines.push({ stream, line });
    this.#ring();
  }

  end(end: JobEnd): void {
    this.#isOver = true;
    this.#ended.resolve(end);
    this.#ring();
  }

  async *logs(signal: AbortSignal): AsyncGenerator<JobLine> {
    signal.addEventListener("abort", () => this.#ring(), { once: true });
    for (let at = 0; !signal.aborted; ) {
      const line = this.#lines[at];
      if (line !== undefined) {
        at++;
        yield line;
      } else if (this.#isOver) return;
      else await this.#bell.promise;
    }
  }

  async cancel(): Promise<void> {
    this.end({ kind: "cancelled" });
  }

  async remove(): Promise<void> {
    await this.cancel();
    this.#onRemove();
  }

  #ring(): void {
    this.#bell.resolve();
    this.#bell = Promise.withResolvers();
  }
}

/** What stands in the way of the next starts, in order: an error instead of a start, or one after it. */
export type Obstacle = { readonly before: Error } | { readonly after: Error };

/** The place itself; `open` gives each life of a runner its backend. */
export class ScriptedPlace {
  readonly kind = "container";
  /** Specs in the order in which their programs began. */
  readonly begun: JobSpec[] = [];
  readonly obstacles: Obstacle[] = [];
  readonly #jobs = new Map<string, ScriptedJob>();

  get ids(): readonly string[] {
    return [...this.#jobs.keys()];
  }

  /** The job that is there under this id, which must be. */
  at(jobId: string): ScriptedJob {
    const job = this.#jobs.get(jobId);
    if (job === undefined) throw new Error(`no job ${jobId}; there are: ${this.ids.join(", ")}`);
    return job;
  }

  has(jobId: string): boolean {
    return this.#jobs.has(jobId);
  }

  /** It is gone without a word. */
  lose(jobId: string): void {
    this.#jobs.delete(jobId);
  }

  open(): WorkspaceBackend {
    return {
      kind: this.kind,
      takesFolders: false,
      start: async (spec, signal) => {
        signal.throwIfAborted();
        const obstacle = this.obstacles.shift();
        if (obstacle !== undefined && "before" in obstacle) throw obstacle.before;
        const job = this.#jobs.get(spec.jobId) ?? this.#begin(spec);
        if (obstacle !== undefined) throw obstacle.after;
        return job;
      },
      find: async (jobId) => this.#jobs.get(jobId),
      list: async () => this.ids,
      [Symbol.asyncDispose]: async () => {},
    };
  }

  #begin(spec: JobSpec): ScriptedJob {
    this.begun.push(spec);
    const job = new ScriptedJob(spec, () => this.#jobs.delete(spec.jobId));
    this.#jobs.set(spec.jobId, job);
    return job;
  }
}
