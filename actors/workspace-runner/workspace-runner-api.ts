// What the workspace runner can be asked, as the orchestrator and the doors see it. The actor that answers is workspace-runner.ts.
// A job is one attempt of one task in one workspace; its id is `<storyId>-<taskId>-<attempt>`.

import type { RepositoryRef } from "../planning/story.ts";
import type { JobReport } from "../workspace-score/job-report.ts";

/** `queued` until there is room; `lost`: its process, container or Job is gone without a result. */
export type JobState = "queued" | "preparing" | "running" | "succeeded" | "failed" | "cancelled" | "timed_out" | "lost";

export interface Job {
  readonly jobId: string;
  readonly storyId: string;
  readonly taskId: string;
  readonly attempt: number;
  readonly agentId: string;
  readonly role: string;
  readonly priority: number;
  readonly backend: "process" | "container" | "kubernetes";
  readonly state: JobState;
  /** Why it ended as it did; a stable code and one sentence. */
  readonly error?: { readonly code: string; readonly message: string };
  /** Commit that its workspace started from. */
  readonly base?: string;
  /** Where it runs: a pid, a container's id, a Kubernetes Job's name. */
  readonly place?: string;
  readonly queuedAtMs: number;
  readonly startedAtMs?: number;
  readonly endedAtMs?: number;
}

export type Integrated =
  /** The story's branch holds the work now, at `commit`. Again for the same job: the same answer. */
  | { readonly kind: "merged"; readonly commit: string; readonly branch: string }
  /** It does not fit what came before it; nothing was changed. */
  | { readonly kind: "conflict"; readonly files: readonly string[] };

/** Every method also throws Unavailable. */
export interface WorkspaceRunnerApi {
  jobs(filter?: {
    readonly state?: JobState;
    readonly storyId?: string;
    readonly max?: number;
  }): Promise<readonly Job[]>;
  /** Throws JobUnknown. */
  job(jobId: string): Promise<Job>;
  /** Ends it with its processes; one that has ended stays as it is. Throws JobUnknown. */
  cancel(jobId: string): Promise<Job>;
  /**
   * Merges the commit of a job that succeeded into its story's branch, in the runner's own copy of the repository. `bundle`: hash of the blob
   * that holds it. Throws JobUnknown, OriginMissing, BundleInvalid, GitFailed.
   */
  integrate(work: { readonly jobId: string; readonly commit: string; readonly bundle: string }): Promise<Integrated>;
  /** Runs the project's tests and linters on the story's branch. Throws CloneFailed, GitFailed. */
  verify(request: {
    readonly storyId: string;
    readonly repository: RepositoryRef;
    readonly timeoutMs?: number;
  }): Promise<{ readonly report: JobReport; readonly commit: string; readonly output: string }>;
  /**
   * Puts the story's branch into the repository it came from, as `flotilla/<storyId>`: a new branch, or one moved forward. Again: nothing.
   * Throws CloneFailed, BranchExists (it holds something else), GitFailed.
   */
  deliver(request: { readonly storyId: string; readonly repository: RepositoryRef }): Promise<{
    readonly branch: string;
    readonly commit: string;
  }>;
}
